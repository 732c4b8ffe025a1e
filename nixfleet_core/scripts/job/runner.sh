# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2012 # its variables come from and go to the other parts
# The job: runs the plan's steps one after another, and always starts the agent again.
# From the compiled plan: NF_ID NF_PLATFORM_GIVEN NF_CHECKOUT NF_INPUT NF_ATTRIBUTE NF_RESTORE_LOCK NF_WANT_REV
# NF_TOOLS NF_DISK_NEEDED NF_MEMORY_NEEDED NF_WAIT NF_TRANSIENT NF_PERMANENT NF_KEPT_OLD NF_RETRY_AFTER NF_STABLE NF_GOAL NF_ROLLBACK NF_LOCK_FROM, and nf_plan, which calls nf_step for each step.
# Events hold fixed tokens and integers only; text stays in the log.

# nf_set_up [JOBS STATE]: where this job was launched; a place that is chosen anew by now is none of its.
# sets: NF_BACK, NF_GONE_BACK, NF_CODE, NF_COMMITTED, NF_DEEP, NF_FAILED, NF_FINISHING, NF_JOB, NF_JOBS, NF_KEPT, NF_LOG,
#   NF_OUT, NF_REASON, NF_RUN, NF_STATE, NF_STEP, NF_STOPPED, NF_UMASK
nf_set_up() {
  NF_DEEP=1
  if [ -n "${2:-}" ]; then NF_JOBS=$1 NF_STATE=$2; fi
  umask 077
  NF_UMASK=077
  NF_JOB=$NF_JOBS/$NF_ID
  NF_RUN=$NF_STATE/$NF_ID # in memory: works when the disk is full
  NF_LOG=$NF_JOB/log
  NF_STEP=preflight
  NF_KEPT=$(nf_units)/nixfleet-$NF_ID
  NF_FAILED='' NF_CODE=0 NF_REASON='' NF_STOPPED='' NF_FINISHING='' NF_OUT='' NF_BACK='' NF_GONE_BACK='' NF_COMMITTED=''
}

nf_event() {
  nf_keep_place
  printf '{"event":"%s","at":%s%s}\n' "$1" "$(nf_now)" "${2:-}" >>"$NF_JOB/events"
}
nf_say() {
  nf_keep_place
  printf '%s\n' "$*" >>"$NF_LOG"
}

# What is started first: once only for an id, so that a launch can be repeated.
# sets: NF_CODE, NF_FAILED, NF_REASON
nf_enter_main() {
  cd / || exit 1
  (set -C && : >"$NF_JOB/events") 2>/dev/null || exit 0
  nf_readers "$NF_JOB" "$(nf_uid_of "$NF_JOB/ctl")"
  nf_share "$NF_JOB/events"
  mkdir -p "$NF_RUN"
  (umask 022; echo "$NF_ID" >"$NF_STATE/current")
  : >>"$NF_LOG"
  nf_share "$NF_LOG"
  if [ "$NF_READING" = root ]; then nf_say "only root may read this job's log: reading it asks for root"; fi
  # a stop of the unit ends the step that runs, not the bringing back
  trap nf_cancel TERM INT HUP
  nf_profile >"$NF_RUN/profile"
  nf_event job-start
  nf_start_keeping
  if ! nf_take_finish; then
    nf_say "what brings the agent back cannot be written to $(nf_units): nothing was touched"
    NF_FAILED=preflight NF_CODE=1 NF_REASON=finish
    nf_end failed
    return
  fi
  nf_watch &
  nf_enter_main_watcher=$!
  nf_plan
  kill "$nf_enter_main_watcher" 2>/dev/null
  nf_end "$(nf_outcome)"
}

# What systemd runs after this job's end is this job's script, in a folder that is root's alone whatever
# becomes of the place of jobs.
nf_take_finish() {
  case $NF_CARRIER in systemd | user) ;; *) return 0 ;; esac
  nf_take_finish_file=$(nf_units)/$NF_FINISH
  if ! [ -e "$NF_JOB/run.sh" ]; then return 0; fi
  mkdir -p "${nf_take_finish_file%/*}" &&
    { nf_quote set -- finish "$NF_JOBS" "$NF_STATE"; cat "$NF_JOB/run.sh"; } >"$nf_take_finish_file.new" &&
    mv -f "$nf_take_finish_file.new" "$nf_take_finish_file"
}

# nf_quote WORD...: a line that sh reads as these words.
nf_quote() {
  for nf_quote_word in "$@"; do printf "'%s' " "$(printf '%s' "$nf_quote_word" | sed "s/'/'\\\\''/g")"; done
  echo
}

nf_outcome() {
  if [ -n "$NF_STOPPED" ]; then echo cancelled; elif [ -n "$NF_FAILED" ]; then echo failed; else echo 'done'; fi
}

# nf_end OUTCOME: the last words. The result is whole or not there.
nf_end() {
  nf_keep_place
  nf_event job-end ",\"outcome\":\"$1\""
  nf_end_result=$(printf '{"format":1,"outcome":"%s","failed":"%s","rc":%s,"reason":"%s","ended":%s}' \
    "$1" "$NF_FAILED" "$NF_CODE" "$NF_REASON" "$(nf_now)")
  printf '%s\n' "$nf_end_result" >"$NF_RUN/.result" && mv -f "$NF_RUN/.result" "$NF_RUN/result"
  { printf '%s\n' "$nf_end_result" >"$NF_JOB/.result" && nf_share "$NF_JOB/.result" && mv -f "$NF_JOB/.result" "$NF_JOB/result"; } ||
    rm -f "$NF_JOB/.result"
  rm -rf "${NF_KEPT:?}"
}

# A disk that is full cannot hold the words that would say so.
nf_is_full() {
  for nf_is_full_place in "$NF_JOB" "$NF_ROOT$NF_CHECKOUT" "$NF_ROOT/nix/store"; do
    nf_is_full_free=$(df -Pk "$nf_is_full_place" 2>/dev/null | awk 'NR==2 {print $4}')
    if [ "${nf_is_full_free:-1024}" -lt 64 ]; then return 0; fi
  done
  return 1
}

nf_cancelled() { [ -e "$NF_RUN/cancelled" ]; }

nf_is_short() { case $NF_STEP in start | verify | rollback | commit) ;; *) return 1 ;; esac; }

# nf_cancel: end the step that runs. Those that bring back are short and run to their end. It comes between any
# two commands, so it is a process of its own, and changes none of their variables.
nf_cancel() (
  trap '' TERM INT HUP
  nf_cancelled || { : >"$NF_RUN/cancelled"; nf_event cancel; }
  case $(cat "$NF_RUN/step" 2>/dev/null) in
    stop | start | verify | rollback | commit) ;;
    *) nf_kill TERM "$(cat "$NF_RUN/pid" 2>/dev/null)" ;;
  esac
)

nf_kill() { case $2 in '' | *[!0-9]*) ;; *) kill -s "$1" "$2" 2>/dev/null ;; esac; }

# Beside the steps: a tick while the log grows, and an eye on ctl for a cancellation.
nf_watch() {
  trap - TERM INT HUP
  nf_watch_seen=-1 nf_watch_told=''
  while kill -0 $$ 2>/dev/null; do
    nf_watch_size=$(nf_size "$NF_LOG")
    if [ "$nf_watch_size" != "$nf_watch_seen" ]; then nf_event tick ",\"log\":$nf_watch_size"; fi
    nf_watch_seen=$nf_watch_size
    if [ -e "$NF_JOB/ctl/cancel" ] && ! nf_cancelled; then
      # an activation that is cut off leaves half a system: it ends first
      if nf_switch_lives; then
        if [ -z "$nf_watch_told" ]; then nf_event cancel ',"deferred":true'; nf_watch_told=1; fi
      else
        nf_cancel
      fi
    fi
    sleep 1
  done
}

# nf_step ID WHO LIMIT TRIES COMMAND...: one step of the plan.
# sets: NF_CODE, NF_COMMITTED, NF_FAILED, NF_LIMIT, NF_REASON, NF_STEP, NF_STEP_REASON, NF_STOPPED,
#   NF_TRIES, NF_WHO
nf_step() {
  NF_STEP=$1 NF_WHO=$2 NF_LIMIT=$3 NF_TRIES=$4
  shift 4
  NF_STEP_REASON=''
  if ! nf_step_runs; then
    if [ -z "$NF_FINISHING" ]; then nf_step_end skipped 0 0; fi
    return
  fi
  echo "$NF_STEP" >"$NF_RUN/step"
  nf_step_from=$(nf_size "$NF_LOG")
  nf_event step-start ",\"step\":\"$NF_STEP\",\"log\":$nf_step_from"
  nf_try "$@"
  if [ "$nf_try_rc" = 0 ]; then
    if [ "$NF_STEP" = commit ]; then NF_COMMITTED=1; fi
    nf_step_end ok 0 "$nf_try_count"
  elif nf_cancelled && ! nf_is_short; then
    nf_step_end cancelled "$nf_try_rc" "$nf_try_count"
  else
    if [ -z "$NF_STEP_REASON" ] && nf_is_full; then NF_STEP_REASON=disk-full; fi
    if [ -z "$NF_FAILED" ] && ! nf_is_sharing; then NF_FAILED=$NF_STEP NF_CODE=$nf_try_rc NF_REASON=$NF_STEP_REASON; fi
    nf_step_end failed "$nf_try_rc" "$nf_try_count"
    nf_undo_lock
  fi
  if nf_cancelled; then NF_STOPPED=1; nf_undo_lock; fi
}

# After a refusal nothing was touched, so nothing is brought back; after anything else the agent is.
nf_step_runs() {
  case $NF_STEP in
    start | verify) [ -n "$NF_FINISHING" ] || [ "$NF_FAILED" != preflight ] ;;
    rollback)
      if [ "$NF_GOAL" = rollback ]; then [ -z "$NF_FAILED$NF_STOPPED$NF_FINISHING" ]; else [ -n "$NF_BACK" ]; fi
      ;;
    commit) [ -z "$NF_FAILED$NF_STOPPED$NF_FINISHING" ] && nf_is_proven ;;
    push) [ -z "$NF_STOPPED$NF_FINISHING" ] && [ -n "$NF_COMMITTED" ] ;;
    *) [ -z "$NF_FAILED$NF_STOPPED$NF_FINISHING" ] ;;
  esac
}

nf_step_end() {
  nf_event step-end ",\"step\":\"$NF_STEP\",\"status\":\"$1\",\"log\":$(nf_size "$NF_LOG"),\"rc\":$2,\"attempts\":$3,\"reason\":\"$NF_STEP_REASON\""
}

# nf_try COMMAND...: the step's command, again with back-off while its failure looks transient.
# sets: nf_try_count, nf_try_from, nf_try_rc
nf_try() {
  nf_try_count=1
  while :; do
    nf_try_from=$(nf_size "$NF_LOG")
    "nf_do_$NF_STEP" "$@"
    nf_try_rc=$?
    if [ "$nf_try_rc" = 0 ] || [ "$nf_try_count" -ge "$NF_TRIES" ] || nf_cancelled; then return; fi
    nf_is_transient || return
    nf_try_count=$((nf_try_count + 1))
    nf_try_wait=$((NF_RETRY_AFTER << (nf_try_count - 2)))
    nf_event retry ",\"step\":\"$NF_STEP\",\"attempt\":$nf_try_count,\"tries\":$NF_TRIES,\"wait\":$nf_try_wait"
    nf_pause "$nf_try_wait" || return
  done
}

# What this try has said of itself: without colours (raw or escaped in JSON), without what builders
# print, and without what Nix took up again by itself.
nf_said() {
  nf_said_escape=$(printf '\033')
  tail -c "+$((nf_try_from + 1))" "$NF_LOG" | tail -c 65536 | grep -v -e '^@nix {"action":"result"' -e 'retrying in' |
    sed -e "s/$nf_said_escape\\[[0-9;]*m//g" -e 's/\\u001[bB]\[[0-9;]*m//g'
}

# Worth another try: something says so, and nothing says that somebody has to act first.
nf_is_transient() {
  nf_is_transient_words=$(nf_said)
  printf '%s\n' "$nf_is_transient_words" | grep -Eq "$NF_TRANSIENT" && ! printf '%s\n' "$nf_is_transient_words" | grep -Eq "$NF_PERMANENT"
}

# nf_pause SECONDS: false when a cancellation came in between.
nf_pause() {
  nf_pause_left=$1
  while [ "$nf_pause_left" -gt 0 ]; do
    if nf_cancelled; then return 1; fi
    sleep 1
    nf_pause_left=$((nf_pause_left - 1))
  done
}

nf_run() {
  nf_say "\$ $*"
  nf_quietly "$@"
}

# Nix would wait minutes for a server that says nothing, and between its own tries: a fetch is to fail
# soon, and to be tried again where everybody sees it.
NF_NIX_FETCHES='connect-timeout = 15
stalled-download-timeout = 30
download-attempts = 1'

# nf_quietly COMMAND...: run it, bounded, output to the log (stdout to NF_OUT if set), as root or as
# the checkout's owner. A cancellation ends it.
# sets: NF_EXEC, NF_NIX_CONFIG
nf_quietly() {
  nf_open_pipe "$NF_LOG"
  nf_quietly_log_reader=$nf_open_pipe_reader nf_quietly_out_reader=''
  exec 6>&8
  if [ -n "$NF_OUT" ]; then nf_open_pipe "$NF_OUT"; nf_quietly_out_reader=$nf_open_pipe_reader; fi
  (
    exec 8>&- 6>&-
    cd "$NF_ROOT$NF_CHECKOUT" || exit 1
    NF_EXEC='exec'
    case $NF_WHO in
      owner)
        case $NF_STEP in preflight | update) NF_NIX_CONFIG=$NF_NIX_FETCHES ;; esac
        nf_as_owner "$NF_LIMIT" "$@"
        ;;
      *) nf_bounded "$NF_LIMIT" "$@" ;;
    esac
  ) >&8 2>&6 </dev/null &
  nf_quietly_pid=$!
  exec 8>&- 6>&-
  echo "$nf_quietly_pid" >"$NF_RUN/pid"
  if nf_cancelled; then nf_cancel; fi # who cancelled a moment ago found nothing to end
  nf_await "$nf_quietly_pid"
  nf_quietly_code=$?
  rm -f "$NF_RUN/pid"
  nf_await_reader "$nf_quietly_log_reader"
  nf_await_reader "$nf_quietly_out_reader"
  return "$nf_quietly_code"
}

# nf_logged COMMAND...: what it says on stderr goes to the log.
nf_logged() {
  nf_open_pipe "$NF_LOG"
  nf_logged_reader=$nf_open_pipe_reader
  "$@" 2>&8 8>&-
  nf_logged_code=$?
  exec 8>&-
  nf_await_reader "$nf_logged_reader"
  return "$nf_logged_code"
}

# nf_into FILE COMMAND...: what it prints becomes the content of FILE.
nf_into() {
  nf_into_file=$1
  shift
  : >"$nf_into_file" || return
  nf_open_pipe "$nf_into_file"
  nf_into_reader=$nf_open_pipe_reader
  "$@" >&8 8>&-
  nf_into_code=$?
  exec 8>&-
  nf_await_reader "$nf_into_reader"
  return "$nf_into_code"
}

# nf_open_pipe FILE: what is written to descriptor 8 is appended to FILE by a process of ours ($nf_open_pipe_reader).
# What runs as the owner gets no descriptor of a file of root's: it could cut it off.
# Opened both ways first, a fifo lets nobody wait; without a name it is a pipe.
# sets: nf_open_pipe_reader
nf_open_pipe() {
  nf_keep_place
  nf_open_pipe_path=$NF_RUN/pipe nf_open_pipe_reader=''
  while ! mkfifo -m 600 "$nf_open_pipe_path" 2>/dev/null; do
    nf_open_pipe_path=${nf_open_pipe_path}p
    case $nf_open_pipe_path in *pppppppp) nf_open_no_pipe "$1"; return ;; esac
  done
  exec 7<>"$nf_open_pipe_path"
  exec 8>"$nf_open_pipe_path"
  exec 9<"$nf_open_pipe_path"
  exec 7>&-
  rm -f "$nf_open_pipe_path"
  # a program of its own: a shell keeps copies of descriptors that it has redirected, the pipe's other end too
  /bin/sh -c "$NF_POUR" sh "$1" <&9 >/dev/null 2>&1 6>&- 8>&- 9<&- &
  nf_open_pipe_reader=$!
  exec 9<&-
}

# Where none can be made, what is said as another user is not kept.
nf_open_no_pipe() {
  if [ -w "$1" ] && [ "$NF_UID" = "${NF_OWNER_UID:-$NF_UID}" ]; then exec 8>>"$1"; else exec 8>/dev/null; fi
}

# sh FILE: append all that comes. On a full disk what has no room is lost, and who writes is not ended by it.
# shellcheck disable=SC2016 # the inner shell expands
NF_POUR='until cat >>"$1"; do [ -w "$1" ] || { cat >/dev/null; exit; }; done'

# nf_await_reader PID: all that was said is in the file. What a command has left running may hold the pipe,
# which is no reason to wait for it.
nf_await_reader() {
  if [ -z "$1" ]; then return; fi
  nf_await_reader_tries=0
  while (:) && kill -0 "$1" 2>/dev/null; do # a subshell: some shells look for ended ones only when one ends
    nf_await_reader_tries=$((nf_await_reader_tries + 1))
    if [ "$nf_await_reader_tries" -le 5 ]; then continue; fi
    if [ "$nf_await_reader_tries" -gt "$NF_READER_TRIES" ]; then
      nf_say "something that was started here still holds its output: the job goes on without it"
      return
    fi
    sleep 0.1 2>/dev/null || { sleep 1; nf_await_reader_tries=$((nf_await_reader_tries + 9)); }
  done
}
NF_READER_TRIES=55 # 5 s

# nf_await PID: wait for it, and return as it does. A trapped signal also ends wait: then it still runs.
nf_await() {
  while :; do
    wait "$1"
    nf_await_ended=$?
    if [ "$nf_await_ended" -le 128 ] || ! kill -0 "$1" 2>/dev/null; then return "$nf_await_ended"; fi
  done
}

# Copies of what must be right even if somebody else gets the job's place. Who moves on from there is not
# always who had it all in mind: a killed job's is another process.
nf_start_keeping() {
  case $NF_CARRIER in systemd) ;; *) return 0 ;; esac
  rm -rf "$(nf_units)"/nixfleet-[0-9]* # of jobs that were killed
  mkdir -p "$NF_KEPT" && cp "$NF_RUN/profile" "$NF_KEPT/.profile" && echo "$NF_READER" >"$NF_KEPT/.reader"
  nf_keep run.sh plan.json
}

nf_keep() {
  for nf_keep_kept in "$@"; do cp "$NF_JOB/$nf_keep_kept" "$NF_KEPT/$nf_keep_kept"; done 2>/dev/null || :
}

# A switch can start a service that has the place as its StateDirectory= or RuntimeDirectory=: systemd gives
# it all that lies there. Before root writes it looks, and moves on to the other place.
nf_keep_place() {
  case $NF_CARRIER in systemd) ;; *) return 0 ;; esac
  if nf_are_ours "$NF_JOB" "${NF_JOBS%/jobs}" "$NF_RUN" "$NF_STATE"; then return 0; fi
  nf_move_out "$NF_JOB"
}

NF_NEWLINE='
'
# nf_are_ours DIR...: still; what is gone is nobody's.
nf_are_ours() {
  nf_are_ours_looks=$(ls -ldn "$@" 2>/dev/null)
  while [ -n "$nf_are_ours_looks" ]; do
    nf_are_ours_look=${nf_are_ours_looks%%"$NF_NEWLINE"*}
    case $nf_are_ours_looks in *"$NF_NEWLINE"*) nf_are_ours_looks=${nf_are_ours_looks#*"$NF_NEWLINE"} ;; *) nf_are_ours_looks='' ;; esac
    nf_trust_read "$nf_are_ours_look"
    if ! nf_trust_owner || nf_trust_is_open; then return 1; fi
  done
}

# nf_move_out JOB: go on where a new job would be. The runner and what watches beside it both may come here.
# sets: NF_JOB, NF_LOG, NF_RUN, NF_TRUSTED
nf_move_out() {
  NF_TRUSTED=:
  nf_places
  NF_JOB=$NF_JOBS/$NF_ID NF_RUN=$NF_STATE/$NF_ID
  NF_LOG=$NF_JOB/log
  if [ -n "$NF_NO_PLACE" ]; then return; fi
  if ! [ -d "$NF_RUN" ]; then
    mkdir -p "$NF_RUN"
    chmod 755 "$NF_STATE"
    printf '%s\n' "$NF_STEP" >"$NF_RUN/step"
    cp "$NF_KEPT/.profile" "$NF_RUN/profile"
    (umask 022; echo "$NF_ID" >"$NF_STATE/current")
  fi
  if ! [ -d "$NF_JOB" ]; then nf_move_job "$1"; fi
}

# nf_move_job JOB: the log and the events as they are, by another name of the same files; the rest from copies
# that nobody else has had.
# sets: NF_READER
nf_move_job() {
  nf_move_job_new=$NF_JOBS/.new-$NF_ID
  mkdir -p "$NF_JOBS" && chmod 711 "${NF_JOBS%/jobs}" && chmod 755 "$NF_JOBS"
  if ! mkdir -m 700 "$nf_move_job_new"; then
    nf_move_job_left=100
    until [ -d "$NF_JOB" ] || [ "$nf_move_job_left" = 0 ]; do sleep 0.1; nf_move_job_left=$((nf_move_job_left - 1)); done
    return
  fi 2>/dev/null
  for nf_move_job_file in log events; do
    ln "$1/$nf_move_job_file" "$nf_move_job_new/$nf_move_job_file" 2>/dev/null
    if [ -L "$nf_move_job_new/$nf_move_job_file" ] || ! [ -f "$nf_move_job_new/$nf_move_job_file" ]; then rm -rf "${nf_move_job_new:?}/$nf_move_job_file"; fi
    : >>"$nf_move_job_new/$nf_move_job_file"
  done
  cp "$NF_KEPT/"* "$nf_move_job_new/" 2>/dev/null
  NF_READER=${NF_READER:-$(cat "$NF_KEPT/.reader" 2>/dev/null)}
  mkdir -m 700 "$nf_move_job_new/ctl"
  if [ "$NF_UID" = 0 ]; then chown 0:0 "$nf_move_job_new"/*; chown "${NF_READER:-0}" "$nf_move_job_new/ctl"; fi
  nf_readers "$nf_move_job_new" "$NF_READER"
  nf_share_job "$nf_move_job_new"
  mv "$nf_move_job_new" "$NF_JOB"
  nf_take_finish
  nf_say "$1 was given to somebody else while this job ran: it goes on in $NF_JOB"
}

# Where no systemd watches over the job: run it in a process of its own, and bring back when that was
# killed. launchd starts this again when it was killed itself.
nf_enter_guard() {
  cd / || exit 1
  trap 'nf_kill TERM "$nf_enter_guard_main"' TERM INT HUP
  nf_enter_guard_main=''
  case $NF_CARRIER in
    guard)
      nf_lock_take "$NF_STATE/job" || exit 1
      setsid /bin/sh "$NF_JOB/run.sh" main &
      ;;
    *) /bin/sh "$NF_JOB/run.sh" main & ;;
  esac
  nf_enter_guard_main=$!
  nf_await "$nf_enter_guard_main"
  nf_enter_guard_recovery=0
  while [ ! -e "$NF_JOB/result" ] && [ ! -e "$NF_RUN/result" ] && [ "$nf_enter_guard_recovery" -lt 3 ]; do
    nf_enter_guard_recovery=$((nf_enter_guard_recovery + 1))
    /bin/sh "$NF_JOB/run.sh" finish
  done
  trap - TERM INT HUP
  case $NF_CARRIER in
    guard) rm -f "$NF_STATE/job" ;;
    *) exec launchctl bootout "$(nf_job_domain)/$NF_JOB_LABEL" ;; # which ends this process, too
  esac
}

# Without a unit's cgroup what a killed runner had started lives on, as a process group of its own (see
# nf_bounded): end it, but not an activation.
nf_end_orphan() {
  case $NF_CARRIER in guard | launchd) ;; *) return ;; esac
  nf_end_orphan_group=$(cat "$NF_RUN/pid" 2>/dev/null) || return
  nf_end_orphan_left=15
  while [ "$nf_end_orphan_left" -gt 0 ] && ! nf_switch_lives; do
    nf_end_orphan_members=$(ps -A -o pid= -o pgid= | awk -v group="$nf_end_orphan_group" '$2 == group { print $1 }')
    if [ -z "$nf_end_orphan_members" ]; then return; fi
    for nf_end_orphan_member in $nf_end_orphan_members; do nf_kill TERM "$nf_end_orphan_member"; done
    nf_end_orphan_left=$((nf_end_orphan_left - 1))
    sleep 1
  done
}

# What runs after the job's end, in a unit of its own: also when the whole job was killed.
# sets: NF_BACK, NF_CODE, NF_FAILED, NF_FINISHING, NF_LIMIT, NF_LOG, NF_STEP, NF_STEP_REASON, NF_WHO
nf_enter_finish() {
  cd / || exit 1
  nf_keep_place
  if [ -e "$NF_JOB/result" ] || [ -e "$NF_RUN/result" ]; then
    NF_LOG=/dev/null NF_WHO=root NF_LIMIT=120 # the job's own log is closed
    nf_agent_is_up || { nf_service_forgive; nf_service_start; } >/dev/null 2>&1
    exit 0
  fi
  [ -e "$NF_JOB/events" ] || exit 0
  nf_readers "$NF_JOB" "$(nf_uid_of "$NF_JOB/ctl")"
  nf_end_orphan
  nf_owner "$NF_ROOT$NF_CHECKOUT"
  NF_STEP=$(cat "$NF_RUN/step" 2>/dev/null) || NF_STEP=preflight
  NF_FAILED=$NF_STEP NF_CODE=137 NF_STEP_REASON=interrupted
  nf_step_end failed 137 1
  nf_undo_lock
  NF_FINISHING=1
  # nobody has said that the host can still be reached, and nobody is left who waits for it
  if [ "$NF_STEP" = confirm ] && [ ! -e "$NF_JOB/ctl/confirmed" ] && nf_has_moved; then NF_BACK=1; fi
  nf_plan
  nf_end interrupted
}
