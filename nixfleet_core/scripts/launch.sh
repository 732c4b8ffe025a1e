# shellcheck shell=sh
# shellcheck disable=SC2153 # NF_ID and the rest come from the prelude
# Start a job, detached, as root. Repeating it with the same id changes nothing.
# From the prelude: NF_ID, NF_PLAN (JSON), NF_RUN_SH (the compiled plan), NF_NICE, NF_IO_WEIGHT; from sudo: NF_FROM (where the
# operator's connection comes from). Answers one line: "@nf launched ID", "@nf busy ID" or
# "@nf failed".

KEEP_JOBS=20

launch() {
  nf_is_job_id "$NF_ID" || { echo '@nf failed'; echo "bad job id" >&2; return 1; }
  job=$NF_JOBS/$NF_ID
  umask 022
  if ! mkdir -p "$NF_JOBS" "$NF_STATE" || ! chmod 711 "${NF_JOBS%/jobs}" || ! chmod 755 "$NF_JOBS"; then echo '@nf failed'; return 1; fi
  if [ -e "$job/result" ] || { [ -e "$job/events" ] && [ "$(nf_running_job)" = "$NF_ID" ]; }; then
    echo "@nf launched $NF_ID"
    return 0
  fi
  wait_for_finish
  running=$(nf_running_job) && { echo "@nf busy $running"; return 0; }
  [ -d "$job" ] || write_job || { echo '@nf failed'; return 1; }
  write_finish || { echo '@nf failed'; return 1; }
  start_job
}

# The job before may still be bringing its agent back.
wait_for_finish() {
  tries=0
  while [ "$tries" -lt 30 ] && nf_unit_lives "$NF_FINISH_UNIT" && ! nf_unit_lives "$NF_JOB_UNIT"; do
    tries=$((tries + 1))
    sleep 1
  done
}

# The whole job directory appears at once. Only root writes into it; ctl belongs to the launcher.
write_job() {
  uid=${SUDO_UID:-$(id -u "${DOAS_USER:-root}" 2>/dev/null)} gid=${SUDO_GID:-$(id -g "${DOAS_USER:-root}" 2>/dev/null)}
  NF_FROM=${NF_FROM:-${SSH_CONNECTION:-}}
  case $NF_FROM in *[!0-9a-zA-Z:.%_\ -]*) NF_FROM='' ;; esac # a zone may be named: fe80::1%eth0
  new=$NF_JOBS/.new-$NF_ID
  rm -rf "$new"
  mkdir -m 750 "$new" && mkdir -m 700 "$new/ctl" || return 1
  printf '{"format":1,"at":%s,"uid":%s,"from":"%s","plan":%s}\n' "$(nf_now)" "${uid:-0}" "$NF_FROM" "$NF_PLAN" >"$new/plan.json" &&
    printf '%s\n' "$NF_RUN_SH" >"$new/run.sh" && : >"$new/log" || return 1
  chmod 640 "$new/plan.json" "$new/run.sh" "$new/log"
  if [ "$NF_UID" = 0 ]; then
    chgrp -R "${gid:-0}" "$new" && chown "${uid:-0}" "$new/ctl" || return 1
  fi
  mv "$new" "$job"
  prune
}

prune() {
  total=$(nf_jobs | wc -l)
  nf_jobs | while read -r old; do
    if [ "$total" -le "$KEEP_JOBS" ] || [ "$old" = "$NF_ID" ]; then break; fi
    rm -rf "${NF_JOBS:?}/$old"
    total=$((total - 1))
  done
}

# The unit that brings the agent back is a file: what systemd-run makes is re-read, mangled, when a
# switch reloads systemd. It is the same for every job, so that launchers cannot disturb each other.
write_finish() {
  # shellcheck disable=SC2016 # for the shell that runs it
  put_file "$NF_STATE/finish" "$(printf '%s\nexec /bin/sh %s/"$(cat %s/current)"/run.sh finish' '#!/bin/sh' "$NF_JOBS" "$NF_STATE")" || return 1
  put_file "$NF_ROOT/run/systemd/system/$NF_FINISH_UNIT" "[Unit]
Description=Bring the NixFleet agent back after an update
StartLimitIntervalSec=0
[Service]
Type=oneshot
Restart=on-failure
RestartSec=1
TimeoutStartSec=1800
Environment=\"PATH=$PATH\"
ExecStart=/bin/sh $NF_STATE/finish"
}

# put_file FILE TEXT: whole or not at all; systemd is told when a unit changed.
put_file() {
  if [ "$(cat "$1" 2>/dev/null)" = "$2" ]; then return 0; fi
  mkdir -p "${1%/*}" && printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1" || return 1
  case $1 in *.service) systemctl daemon-reload ;; esac
}

# The fixed name is the lock: systemd refuses it while a unit of that name lives, and frees it when
# it ends. Nobody stops or resets it in order to launch. A stop of it reaches the runner alone, or
# what the runner has just asked (a date, a copy) would be ended too.
start_job() {
  if said=$(systemd-run --collect --quiet --no-ask-password --unit="$NF_JOB_UNIT" --service-type=exec \
    -p OnSuccess="$NF_FINISH_UNIT" -p OnFailure="$NF_FINISH_UNIT" -p OOMPolicy=continue -p KillMode=mixed -p TimeoutStopSec=900 \
    -p WorkingDirectory=/ -p Nice="$NF_NICE" -p IOWeight="$NF_IO_WEIGHT" --setenv=PATH="$PATH" --setenv=HOME="${HOME:-/root}" \
    /bin/sh "$job/run.sh" main 2>&1); then
    echo "@nf launched $NF_ID"
    return 0
  fi
  tries=0
  while [ "$tries" -lt 5 ]; do
    if running=$(nf_running_job); then
      if [ "$running" = "$NF_ID" ]; then echo "@nf launched $NF_ID"; return 0; fi
      # what never ran is no part of the history
      if ! [ -e "$job/events" ]; then rm -rf "${job:?}"; fi
      echo "@nf busy $running"
      return 0
    fi
    tries=$((tries + 1))
    sleep 1
  done
  if [ -e "$job/events" ]; then echo "@nf launched $NF_ID"; return 0; fi
  echo '@nf failed'
  printf '%s\n' "$said" >&2
  return 1
}
