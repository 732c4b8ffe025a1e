# shellcheck shell=sh
# shellcheck disable=SC2153,SC2154 # its variables come from the runner
# Cancellations, and the watcher beside the steps.

nf_cancelled() { [ -e "$NF_RUN/cancelled" ]; }

# nf_is_told_to_stop: true if somebody has asked this job to stop, by ctl or by a signal.
nf_is_told_to_stop() { [ -e "$NF_JOB/ctl/cancel" ] || [ -e "$NF_RUN/signalled" ]; }

# A signal asks the runner to stop. A trap calls this between any two commands, so it is a subshell, and
# changes none of their variables. During an activation, the watcher cancels after it.
nf_signalled() (
  trap '' TERM INT HUP
  : >"$NF_RUN/signalled"
  nf_switch_lives || nf_cancel
)

# nf_cancel: end the running step, unless it may end by itself (nf_is_uncut).
nf_cancel() (
  trap '' TERM INT HUP
  nf_cancelled || { : >"$NF_RUN/cancelled"; nf_event cancel; }
  nf_is_uncut "$(cat "$NF_RUN/step" 2>/dev/null)" || nf_kill TERM "$(cat "$NF_RUN/pid" 2>/dev/null)"
)

nf_kill() { case $2 in '' | *[!0-9]*) ;; *) kill -s "$1" "$2" 2>/dev/null ;; esac; }

# nf_pause SECONDS: wait; false if a cancellation comes.
nf_pause() {
  nf_pause_left=$1
  while [ "$nf_pause_left" -gt 0 ]; do
    if nf_cancelled; then return 1; fi
    sleep 1
    nf_pause_left=$((nf_pause_left - 1))
  done
}

# Runs beside the steps: writes a tick while the log grows, says that this host slept, looks for a
# cancellation, and minds the limit of a step that may activate.
nf_watch() {
  trap - TERM INT HUP
  nf_watch_seen=-1 nf_watch_told=''
  nf_clock_start
  while kill -0 $$ 2>/dev/null; do
    nf_clock
    if [ "$NF_CLOCK_SLEPT" -gt "$NF_NAP" ]; then nf_watch_wakes; fi
    nf_watch_size=$(nf_size "$NF_LOG")
    if [ "$nf_watch_size" != "$nf_watch_seen" ]; then nf_event tick ",\"log\":$nf_watch_size"; fi
    nf_watch_seen=$nf_watch_size
    if nf_is_told_to_stop && ! nf_cancelled; then nf_watch_cancels; fi
    if [ -e "$NF_RUN/limit" ]; then nf_watch_limit "$(cat "$NF_RUN/limit" 2>/dev/null)"; fi
    sleep 1
  done
}

nf_watch_wakes() {
  nf_event slept ",\"seconds\":$NF_CLOCK_SLEPT"
  nf_say "this host slept for $NF_CLOCK_SLEPT s: time limits do not count them"
}
NF_NAP=20 # a shorter gap may be a busy host's

# An activation that is cut off leaves half a system, so a cancellation waits for its end.
# sets: nf_watch_told
nf_watch_cancels() {
  if ! nf_switch_lives; then nf_cancel
  elif [ -z "$nf_watch_told" ]; then nf_event cancel ',"deferred":true'; nf_watch_told=1; fi
}

NF_ACTIVATION=900 # seconds that an activation may take

nf_tell_activation() { nf_event waiting ",\"reason\":\"activation\",\"limit\":$NF_ACTIVATION"; }

# nf_watch_limit "PID SECONDS": at its limit, end the step's command. But an activation that runs by then may
# take NF_ACTIVATION seconds more, after which nf_quietly's own limit ends it.
nf_watch_limit() {
  [ -n "$1" ] || return 0
  if [ "$1" != "${nf_watch_limit_of:-}" ]; then
    nf_watch_limit_of=$1 nf_watch_limit_began=$NF_CLOCK_AWAKE nf_watch_limit_done=''
  fi
  if [ -n "$nf_watch_limit_done" ]; then return 0; fi
  if [ $((NF_CLOCK_AWAKE - nf_watch_limit_began)) -lt "${1#* }" ]; then return 0; fi
  nf_watch_limit_done=1
  if nf_switch_lives; then nf_tell_activation; return; fi
  echo "${1% *}" >"$NF_RUN/late"
  nf_kill TERM "${1% *}"
}
