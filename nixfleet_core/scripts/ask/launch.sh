# shellcheck shell=sh
# shellcheck disable=SC2153,SC2154 # NF_ID and the rest come from the prelude, or from the other parts
# Start a job, detached: as root, or as the user whose Home Manager it is. Repeating it with the same id
# changes nothing.
# From the prelude: NF_ID, NF_PLAN (JSON), NF_RUN_SH (the compiled plan), NF_NICE, NF_IO_WEIGHT; from sudo:
# NF_FROM (where the operator's connection comes from). Answers one line: "@nf launched ID", "@nf busy ID" or
# "@nf failed".

NF_KEEP_JOBS=20
NF_FROM=${NF_FROM:-${SSH_CONNECTION:-}} # sudo does not pass SSH_CONNECTION on

# sets: NF_JOB
launch() {
  nf_is_job_id "$NF_ID" || { echo '@nf failed'; echo "bad job id" >&2; return 1; }
  NF_JOB=$NF_JOBS/$NF_ID
  umask 022
  if ! open_places; then echo '@nf failed'; return 1; fi
  if [ -e "$NF_JOB/result" ] || { [ -e "$NF_JOB/events" ] && [ "$(nf_running_job)" = "$NF_ID" ]; }; then
    echo "@nf launched $NF_ID"
    return 0
  fi
  wait_for_finish
  launch_running=$(nf_running_job) && { echo "@nf busy $launch_running"; return 0; }
  [ -d "$NF_JOB" ] || write_job || { echo '@nf failed'; return 1; }
  case $NF_CARRIER in
    systemd | user) write_finish || { echo '@nf failed'; return 1; } ;;
  esac
  if start_free_job; then
    echo "@nf launched $NF_ID"
    return 0
  fi
  who_runs
}

# Start the job. What an earlier one has left behind keeps the unit loaded until the finish unit has ended it.
# sets: launch_said
start_free_job() {
  start_free_job_tries=5
  until launch_said=$(start_job 2>&1); do
    start_free_job_tries=$((start_free_job_tries - 1))
    case $launch_said in *'already loaded'*) ;; *) return 1 ;; esac
    if [ "$start_free_job_tries" = 0 ]; then return 1; fi
    wait_for_finish
    if nf_running_job >/dev/null; then return 1; fi
    sleep 1
  done
}

# Everybody who logs in may see the ids of root's jobs. Only the user may see a user's jobs.
# Root's job and systemd run the files in these places.
open_places() {
  if [ -n "$NF_NO_PLACE" ]; then
    no_place "$NF_NO_PLACE; one of the two has to be root's, writable by root alone"
    return 1
  fi
  mkdir -p "$NF_JOBS" "$NF_STATE" || return
  case $NF_PLATFORM in
    home-manager)
      own_place "${NF_JOBS%/jobs}" && own_place "$NF_JOBS" && own_place "$NF_STATE" || return
      chmod 700 "$NF_JOBS" "$NF_STATE"
      ;;
    *)
      mkdir -p "$(nf_units)"
      for open_places_place in "$NF_JOBS" "$NF_STATE" "$(nf_units)"; do
        if nf_is_trusted "$open_places_place"; then continue; fi
        no_place "$(nf_trust_words); it has to be root's alone"
        return 1
      done
      chmod 711 "${NF_JOBS%/jobs}" && chmod 755 "$NF_JOBS" "$NF_STATE" && share_old_jobs
      ;;
  esac
}

# own_place DIR: make sure that the user owns it and nobody else can write to it.
own_place() {
  nf_trust_look "$1/." || return
  if [ "$nf_trust_uid" = "$NF_UID" ]; then
    if nf_trust_is_open; then chmod go-w "$1"; fi
    return
  fi
  nf_trust_say owner "$1"
  no_place "$(nf_trust_words); it has to be yours"
  return 1
}

no_place() { echo "there is no place for jobs: $1" >&2; }

# Set the rights of the jobs before this one; older versions gave them to the launcher's group.
share_old_jobs() {
  for share_old_jobs_old in $(nf_jobs); do
    nf_readers "$NF_JOBS/$share_old_jobs_old" "$(nf_uid_of "$NF_JOBS/$share_old_jobs_old/ctl")"
    nf_share_job "$NF_JOBS/$share_old_jobs_old"
  done
}

# The previous job may still be bringing the agent back.
wait_for_finish() {
  case $NF_CARRIER in systemd | user) ;; *) return ;; esac
  wait_for_finish_tries=0
  while [ "$wait_for_finish_tries" -lt 30 ] && nf_unit_lives "$NF_FINISH_UNIT" &&
    ! nf_unit_lives "$NF_JOB_UNIT"; do
    wait_for_finish_tries=$((wait_for_finish_tries + 1))
    sleep 1
  done
}

# The whole job directory appears at once. Only root writes into it; ctl belongs to the launcher.
write_job() {
  write_job_uid=${SUDO_UID:-$(id -u "${DOAS_USER:-}" 2>/dev/null)}
  case $write_job_uid in '' | *[!0-9]*) write_job_uid=$NF_UID ;; esac
  write_job_user=$(id -un "$write_job_uid" 2>/dev/null)
  case $write_job_user in *[!0-9a-zA-Z._-]*) write_job_user='' ;; esac
  write_job_from=$NF_FROM
  case $write_job_from in *[!0-9a-zA-Z:.%_\ -]*) write_job_from='' ;; esac # a zone may be named: fe80::1%eth0
  write_job_new=$NF_JOBS/.new-$NF_ID
  rm -rf "$write_job_new"
  mkdir -m 700 "$write_job_new" && nf_readers "$write_job_new" "$write_job_uid" &&
    mkdir -m 700 "$write_job_new/ctl" || return 1
  printf '{"format":1,"at":%s,"uid":%s,"user":"%s","from":"%s","plan":%s}\n' \
    "$(nf_now)" "$write_job_uid" "$write_job_user" "$write_job_from" "$NF_PLAN" >"$write_job_new/plan.json" &&
    printf '%s\n' "$NF_RUN_SH" >"$write_job_new/run.sh" && : >"$write_job_new/log" &&
    nf_share_job "$write_job_new" || return 1
  if [ "$NF_UID" = 0 ]; then chown "$write_job_uid:0" "$write_job_new/ctl" || return 1; fi
  mv "$write_job_new" "$NF_JOB"
  nf_keep_newest "$NF_KEEP_JOBS" "$NF_JOBS"
}

# The unit that brings the agent back is a file: systemd mangles a unit of systemd-run's when a switch makes
# it reload. All jobs have the same unit, so launchers cannot disturb each other. The script that it runs
# lies beside it: the running job's, once there is one.
write_finish() {
  case $NF_CARRIER in
    user) write_finish_more=" \"XDG_STATE_HOME=$(printf '%s' "$NF_STATE_HOME" | sed 's/%/%%/g')\"" ;;
    *) write_finish_more='' ;;
  esac
  write_finish_file=$(nf_units)/$NF_FINISH
  mkdir -p "${write_finish_file%/*}" || return 1
  [ -e "$write_finish_file" ] || put_file "$write_finish_file" ': no job has begun' || return 1
  put_file "$(nf_units)/$NF_FINISH_UNIT" "[Unit]
Description=Bring the NixFleet agent back after an update
StartLimitIntervalSec=0
[Service]
Type=oneshot
Restart=on-failure
RestartSec=1
TimeoutStartSec=1800
Environment=\"PATH=$PATH\"$write_finish_more
ExecStart=/bin/sh $write_finish_file"
}

# put_file FILE TEXT: write it whole or not at all; tell systemd if a unit changed.
put_file() {
  if [ "$(cat "$1" 2>/dev/null)" = "$2" ]; then return 0; fi
  mkdir -p "${1%/*}" && printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1" || return 1
  case $1 in *.service) nf_systemctl daemon-reload ;; esac
}

start_job() {
  case $NF_CARRIER in
    systemd) start_unit -p KillMode=mixed -p IOWeight="$NF_IO_WEIGHT" ;;
    user)
      start_unit --user -p KillMode=process --setenv=USER="$NF_USER" --setenv=XDG_STATE_HOME="$NF_STATE_HOME"
      ;;
    launchd) start_launchd ;;
    *) start_guard ;;
  esac
}

# The fixed name is the lock: systemd refuses it while a unit of that name lives, and frees it when
# the unit ends. Nobody stops or resets the unit in order to launch. A stop signals the runner alone,
# so that the runner's small commands (a date, a copy) live on. If the runner is killed, root's systemd kills
# the rest; a user's kills nothing, as a home's activation is among the rest: nf_end_orphan ends what it may.
start_unit() {
  systemd-run "$@" --collect --quiet --no-ask-password --unit="$NF_JOB_UNIT" --service-type=exec \
    -p OnSuccess="$NF_FINISH_UNIT" -p OnFailure="$NF_FINISH_UNIT" \
    -p OOMPolicy=continue -p TimeoutStopSec=900 \
    -p WorkingDirectory=/ -p Nice="$NF_NICE" --setenv=PATH="$PATH" --setenv=HOME="${HOME:-/root}" \
    /bin/sh "$NF_JOB/run.sh" main "$NF_JOBS" "$NF_STATE"
}

# A job of launchd's own: its label is the lock. It outlives the login, is started again after a kill,
# and removes itself at its end. Only one launcher works at a time, as it must remove a leftover job.
start_launchd() {
  nf_lock_take "$NF_STATE/launching" || return 1
  trap 'rm -f "$NF_STATE/launching"' EXIT
  clear_leftover || return 1
  for start_launchd_domain in "gui/$NF_UID" "user/$NF_UID"; do
    if ! nf_has_domain "$start_launchd_domain"; then continue; fi
    write_plist "$start_launchd_domain" >"$NF_JOB/job.plist" || return 1
    nf_bootstrap "$start_launchd_domain" "$NF_JOB_LABEL" "$NF_JOB/job.plist" && nf_begun && return
    remove_job "$start_launchd_domain"
    if [ -e "$NF_JOB/events" ]; then return 1; fi
  done
  echo "launchd starts nothing for this user now: it has neither gui/$NF_UID nor user/$NF_UID, or refuses"
  return 1
}

# True once no job of ours is loaded. One that has ended, or whose files are gone, is removed. One that has
# work to do gets a process, if it has none.
clear_leftover() {
  clear_leftover_domain=$(nf_job_domain) || return 0
  clear_leftover_file=$(launchctl print "$clear_leftover_domain/$NF_JOB_LABEL" 2>/dev/null | nf_value path)
  clear_leftover_job=${clear_leftover_file%/job.plist}
  if [ -e "$clear_leftover_job/run.sh" ] && [ ! -e "$clear_leftover_job/result" ]; then
    nf_kick_job
    return 1
  fi
  remove_job "$clear_leftover_domain"
}

# remove_job DOMAIN: launchd forgets the job: its files may go only then, or it starts them again for ever.
remove_job() {
  remove_job_pid=$(launchctl print "$1/$NF_JOB_LABEL" 2>/dev/null | nf_pid_value)
  nf_bounded 30 launchctl bootout "$1/$NF_JOB_LABEL"
  nf_await_gone "$NF_JOB_LABEL" "$remove_job_pid"
}

xml() { printf '%s' "$1" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'; }

# write_plist DOMAIN: launchd lets only a plist that names the session type Background into user/UID.
write_plist() {
  echo '<?xml version="1.0" encoding="UTF-8"?>'
  echo '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"'
  echo '  "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
  echo '<plist version="1.0"><dict>'
  echo "<key>Label</key><string>$NF_JOB_LABEL</string>"
  case $1 in user/*) echo '<key>LimitLoadToSessionType</key><string>Background</string>' ;; esac
  echo '<key>ProgramArguments</key><array><string>/bin/sh</string>'
  echo "<string>$(xml "$NF_JOB/run.sh")</string><string>guard</string></array>"
  echo '<key>EnvironmentVariables</key><dict>'
  write_variable PATH "$PATH"
  write_variable HOME "$HOME"
  write_variable USER "$NF_USER"
  write_variable XDG_STATE_HOME "$NF_STATE_HOME"
  echo '</dict><key>RunAtLoad</key><true/>'
  echo '<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>'
  echo '<key>ThrottleInterval</key><integer>1</integer><key>ExitTimeOut</key><integer>900</integer>'
  echo "<key>Nice</key><integer>$NF_NICE</integer><key>LowPriorityIO</key><true/>"
  echo '<key>WorkingDirectory</key><string>/</string></dict></plist>'
}

write_variable() { echo "<key>$1</key><string>$(xml "$2")</string>"; }

# A process of its own session, and a guard in another; the guard holds the lock.
start_guard() {
  if nf_job_lives; then return 1; fi
  XDG_STATE_HOME=$NF_STATE_HOME nice -n "$NF_NICE" setsid \
    /bin/sh "$NF_JOB/run.sh" guard </dev/null >/dev/null 2>&1 &
  nf_begun
}

# nf_begun: wait a little for the job's first event.
nf_begun() {
  nf_begun_tries=0
  until [ -e "$NF_JOB/events" ]; do
    nf_kick_job
    nf_begun_tries=$((nf_begun_tries + 1))
    [ "$nf_begun_tries" -lt 10 ] || return 1
    sleep 1
  done
}

# Our job did not start: another one runs, or ours has begun in the meantime.
who_runs() {
  who_runs_tries=0
  while [ "$who_runs_tries" -lt 5 ]; do
    if who_runs_running=$(nf_running_job); then
      if [ "$who_runs_running" = "$NF_ID" ]; then echo "@nf launched $NF_ID"; return 0; fi
      # a job that never ran does not belong in the history
      if ! [ -e "$NF_JOB/events" ]; then rm -rf "${NF_JOB:?}"; fi
      echo "@nf busy $who_runs_running"
      return 0
    fi
    who_runs_tries=$((who_runs_tries + 1))
    sleep 1
  done
  if [ -e "$NF_JOB/events" ]; then echo "@nf launched $NF_ID"; return 0; fi
  echo '@nf failed'
  printf '%s\n' "$launch_said" >&2
  return 1
}
