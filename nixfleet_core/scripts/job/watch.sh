# shellcheck shell=sh
# shellcheck disable=SC2153,SC2154 # its variables come from the runner
# Cancellations, and the watcher beside the steps.

nf_cancelled() { [ -e "$NF_RUN/cancelled" ]; }

# nf_cancel: end the running step, unless it may end by itself (nf_is_uncut). A trap calls this between any
# two commands, so it is a subshell, and changes none of their variables.
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

# Runs beside the steps: writes a tick while the log grows, says that this host slept, and looks for a
# cancellation in ctl.
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
    if [ -e "$NF_JOB/ctl/cancel" ] && ! nf_cancelled; then nf_watch_cancels; fi
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
