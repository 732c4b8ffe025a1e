# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the other parts
# The job: runs the plan's steps one after another, and always starts the agent again.
# From the compiled plan: NF_ID, NF_GOAL, NF_UNCUT (the steps that a cancellation does not end), the values
# that the steps' own parts name, and nf_plan, which calls nf_step for each step.
# Events hold fixed tokens and integers only; text stays in the log.

# The job begins here. Each id begins only once, so a launch can be repeated.
nf_enter_main() {
  cd / || exit 1
  nf_begin
  # a stop of the unit ends the running step; the agent is brought back all the same
  trap nf_signalled TERM INT HUP
  nf_note_back
  nf_own_group >"$NF_RUN/group"
  nf_event job-start
  nf_start_keeping
  if nf_take_finish; then
    nf_watch &
    nf_enter_main_watcher=$!
    nf_plan
    kill "$nf_enter_main_watcher" 2>/dev/null
  else
    nf_say "what brings the agent back cannot be written to $(nf_units): nothing was touched"
    nf_has_failed preflight 1 finish
  fi
  nf_end "$(nf_outcome)"
}

# nf_step ID WHO LIMIT TRIES COMMAND...: one step of the plan.
# sets: NF_COMMITTED, NF_LIMIT, NF_STEP, NF_STEP_REASON, NF_STOPPED, NF_TRIES, NF_WHO, nf_step_from (where the
#   step's words begin in the log)
nf_step() {
  NF_STEP=$1 NF_WHO=$2 NF_LIMIT=$3 NF_TRIES=$4 NF_STEP_REASON=''
  shift 4
  if ! nf_is_due; then
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
  elif nf_cancelled && ! nf_is_uncut "$NF_STEP"; then
    nf_step_end cancelled "$nf_try_rc" "$nf_try_count"
  else
    # a fetch that finds no room can keep the old commit, and say that all is well
    case $NF_STEP_REASON in '' | stale) if nf_is_full; then NF_STEP_REASON=disk-full; fi ;; esac
    # the update worked, even if flake.lock could not be shared
    if [ -z "$NF_FAILED" ] && { [ "$NF_GOAL" = commit ] || ! nf_is_sharing; }; then
      nf_has_failed "$NF_STEP" "$nf_try_rc" "$NF_STEP_REASON"
    fi
    nf_step_end failed "$nf_try_rc" "$nf_try_count"
    nf_undo
  fi
  if nf_cancelled; then NF_STOPPED=1; nf_undo; fi
}

# After a failure or a cancellation: the checkout is as it was.
nf_undo() {
  case $NF_GOAL in restart) return ;; esac
  nf_in_checkout nf_undo_pull
  nf_undo_lock
  nf_undo_commit
}

# nf_is_due: whether the step runs, by the results of the steps before it.
nf_is_due() {
  case $NF_STEP in
    preflight | stop | pull | update | repair | build | rebuild | confirm) nf_is_well ;;
    # whatever the results; but a refused job has touched nothing, so nothing needs to be brought back
    start | verify) [ -n "$NF_FINISHING" ] || [ "$NF_FAILED" != preflight ] ;;
    # a killed job's agent is brought back by it
    restart) [ -n "$NF_FINISHING" ] || nf_is_well ;;
    # asked for, or because the new agent did not stay up
    rollback) if [ "$NF_GOAL" = rollback ]; then nf_is_well; else [ -n "$NF_BACK" ]; fi ;;
    commit) nf_is_well && nf_is_proven ;;
    push) [ -z "$NF_STOPPED$NF_FINISHING" ] && [ -n "$NF_COMMITTED" ] ;;
  esac
}

# True if no step has failed, nobody has cancelled, and the job was not killed.
nf_is_well() { [ -z "$NF_FAILED$NF_STOPPED$NF_FINISHING" ]; }

# nf_is_uncut STEP: a cancellation lets this step end by itself: it is short, or brings the agent back.
nf_is_uncut() { case " $NF_UNCUT " in *" $1 "*) ;; *) return 1 ;; esac; }

# The end of a job whose runner was killed. Runs in a unit of its own.
# sets: NF_BACK, NF_FINISHING, NF_STEP, NF_STEP_REASON
nf_enter_finish() {
  cd / || exit 1
  nf_keep_place
  if nf_is_over "$NF_ID"; then
    nf_end_all unit # or its unit would not be free for the next job
    nf_start_once_more
    exit 0
  fi
  [ -e "$NF_JOB/events" ] || exit 0
  nf_readers "$NF_JOB" "$(nf_uid_of "$NF_JOB/ctl")"
  nf_end_orphan
  nf_owner "$NF_ROOT$NF_CHECKOUT"
  NF_STEP=$(cat "$NF_RUN/step" 2>/dev/null) || NF_STEP=preflight
  NF_STEP_REASON=interrupted
  nf_has_failed "$NF_STEP" 137 ''
  nf_step_end failed 137 1
  nf_undo
  NF_FINISHING=1
  # nobody has confirmed that the host can be reached, and no process waits for it any more
  if [ "$NF_STEP" = confirm ] && [ ! -e "$NF_JOB/ctl/confirmed" ] && nf_has_moved; then NF_BACK=1; fi
  nf_plan
  nf_end interrupted
}

# The job has its result: start the agent if it is down. The job's own log is closed by now. A job that only
# commits has stopped none.
# sets: NF_LIMIT, NF_LOG, NF_STEP, NF_WHO
nf_start_once_more() {
  if [ "$NF_GOAL" = commit ]; then return; fi
  NF_LOG=/dev/null NF_WHO=root NF_LIMIT=120 NF_STEP=start
  nf_agent_is_up || { nf_service_forgive; nf_service_start; } >/dev/null 2>&1
}


# --- what is written down

# nf_set_up [JOBS STATE]: the places where this job was launched, even if new jobs go elsewhere by now.
# sets: NF_BACK, NF_CODE, NF_COMMITTED, NF_DEEP, NF_FAILED, NF_FINISHING, NF_GONE_BACK, NF_JOB, NF_JOBS,
#   NF_KEPT, NF_LOG, NF_NIX_STAMP, NF_OUT, NF_REASON, NF_RUN, NF_STATE, NF_STEP, NF_STOPPED, NF_UMASK
nf_set_up() {
  NF_DEEP=1 NF_NIX_STAMP=''
  if [ -n "${2:-}" ]; then NF_JOBS=$1 NF_STATE=$2; fi
  umask 077
  NF_UMASK=077
  NF_JOB=$NF_JOBS/$NF_ID
  NF_RUN=$NF_STATE/$NF_ID # in memory: works when the disk is full
  NF_LOG=$NF_JOB/log
  NF_STEP=preflight
  NF_KEPT=$(nf_units)/nixfleet-$NF_ID
  NF_FAILED='' NF_CODE=0 NF_REASON='' NF_STOPPED='' NF_FINISHING=''
  NF_OUT='' NF_BACK='' NF_GONE_BACK='' NF_COMMITTED=''
  nf_open_more
}

# launchd lets a job open 256 files at once, and Nix opens more. The hard limit is far higher, but no system
# says what it accepts, so try. A limit in the plist could not fall back.
# shellcheck disable=SC3045 # -n: in all shells
nf_open_more() {
  case $NF_CARRIER in launchd) ;; *) return 0 ;; esac
  for nf_open_more_files in 10240 4096 1024; do
    case $(ulimit -S -n) in unlimited) return 0 ;; esac
    if [ "$(ulimit -S -n)" -ge "$nf_open_more_files" ] ||
      ulimit -S -n "$nf_open_more_files" 2>/dev/null; then return 0; fi
  done
}

# The first process to begin creates the events; any other one exits.
nf_begin() {
  (set -C && : >"$NF_JOB/events") 2>/dev/null || exit 0
  nf_readers "$NF_JOB" "$(nf_uid_of "$NF_JOB/ctl")"
  nf_share "$NF_JOB/events"
  mkdir -p "$NF_RUN"
  printf '%s\n' "$NF_CHECKOUT" >"$NF_JOB/checkout" && nf_share "$NF_JOB/checkout"
  (umask 022; echo "$NF_ID" >"$NF_STATE/current")
  : >>"$NF_LOG"
  nf_share "$NF_LOG"
  if [ "$NF_READING" = root ]; then nf_say "only root may read this job's log: reading it asks for root"; fi
}

nf_event() {
  nf_keep_place
  printf '{"event":"%s","at":%s%s}\n' "$1" "$(nf_now)" "${2:-}" >>"$NF_JOB/events"
}
nf_say() {
  nf_keep_place
  printf '%s\n' "$*" >>"$NF_LOG"
}

# nf_fail TOKEN WORDS: why the step fails. False.
# sets: NF_STEP_REASON
nf_fail() {
  NF_STEP_REASON=$1
  nf_say "$2"
  return 1
}

nf_step_end() {
  nf_step_end_told=",\"step\":\"$NF_STEP\",\"status\":\"$1\",\"log\":$(nf_size "$NF_LOG"),\"rc\":$2"
  nf_event step-end "$nf_step_end_told,\"attempts\":$3,\"reason\":\"$NF_STEP_REASON\""
}

# nf_has_failed STEP CODE REASON: note why the job failed.
# sets: NF_CODE, NF_FAILED, NF_REASON
nf_has_failed() { NF_FAILED=$1 NF_CODE=$2 NF_REASON=$3; }

nf_outcome() {
  if [ -n "$NF_STOPPED" ]; then echo cancelled
  elif [ -n "$NF_FAILED" ]; then echo failed
  else echo 'done'; fi
}

# nf_end OUTCOME: write the result, whole or not at all; in memory too, as the disk may be full.
nf_end() {
  nf_keep_place
  nf_event job-end ",\"outcome\":\"$1\""
  nf_end_result=$(printf '{"format":1,"outcome":"%s","failed":"%s","rc":%s,"reason":"%s","ended":%s}' \
    "$1" "$NF_FAILED" "$NF_CODE" "$NF_REASON" "$(nf_now)")
  printf '%s\n' "$nf_end_result" >"$NF_RUN/.result" && mv -f "$NF_RUN/.result" "$NF_RUN/result"
  { printf '%s\n' "$nf_end_result" >"$NF_JOB/.result" && nf_publish result; } || rm -f "$NF_JOB/.result"
  rm -rf "${NF_KEPT:?}"
}

# nf_publish NAME: the file .NAME becomes NAME, at once and whole. The job's readers may read it.
nf_publish() { nf_share "$NF_JOB/.$1" && mv -f "$NF_JOB/.$1" "$NF_JOB/$1"; }

# True if a disk is full: then the log has no room for the words that say so.
nf_is_full() {
  for nf_is_full_place in "$NF_JOB" "$NF_ROOT$NF_CHECKOUT" "$NF_ROOT/nix/store"; do
    nf_is_full_free=$(df -Pk "$nf_is_full_place" 2>/dev/null | awk 'NR==2 {print $4}')
    if [ "${nf_is_full_free:-1024}" -lt 64 ]; then return 0; fi
  done
  return 1
}
