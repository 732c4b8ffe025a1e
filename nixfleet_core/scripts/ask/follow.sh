# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # NF_ID comes from the prelude, and the rest from the other parts
# One framed stream of a job: what its log and events hold beyond the client's copy, then what comes.
# From the prelude: NF_ID, NF_LOG_AT and NF_EVENTS_AT (bytes the client has).
# Frames: "@KIND OFFSET LENGTH", LENGTH bytes, a newline. Kinds: plan log events beat before after
# latest changes result gone. A beat's offset is the host's clock and its bytes are the log's size.

CHUNK=1048576

frame() { printf '@%s %s %s\n%s\n' "$1" "$2" "${#3}" "$3"; }

# frame_file KIND FILE OFFSET LENGTH: only that part of the file; tail seeks, head cuts
frame_file() {
  printf '@%s %s %s\n' "$1" "$3" "$4"
  tail -c "+$(($3 + 1))" "$2" | head -c "$4"
  echo
}

# whole FILE: as the job keeps it; in memory where the disk was full
whole() {
  for place in "$job" "$NF_STATE/$NF_ID"; do
    if [ -r "$place/$1" ]; then frame_file "$1" "$place/$1" 0 "$(nf_size "$place/$1")"; return; fi
  done
}

# send KIND FILE AT SIZE: at most one chunk; where the client then is, in $at
send() {
  at=$3
  part=$(($4 - $3))
  if [ "$part" -le 0 ]; then return 1; fi
  if [ "$part" -gt "$CHUNK" ]; then part=$CHUNK; fi
  frame_file "$1" "$2" "$3" "$part"
  at=$(($3 + part))
}

# is_here: the place is what it was. One that was given to somebody else (see nf_keep_place) has no job.
is_here() {
  case $NF_CARRIER in systemd) ;; *) return 0 ;; esac
  NF_TRUSTED=:
  nf_is_trusted "$job" && { nf_is_trusted "$NF_STATE" || [ "$nf_trust_why" = missing ]; }
}

follow() {
  nf_is_job_id "$NF_ID" || exit 2
  job=$NF_JOBS/$NF_ID
  # a writer that nobody reads ends: no follower outlives its client's connection
  trap 'exit 0' PIPE
  printf 'nixfleet-follow 1\n'
  if nf_is_hidden "$job"; then frame gone 0 denied; exit 0; fi
  if ! [ -d "$job" ]; then frame gone 0 missing; exit 0; fi
  if ! [ -r "$job/plan.json" ]; then frame gone 0 denied; exit 0; fi
  whole plan.json
  if sleep 0.1 2>/dev/null; then pause=0.25 beat=20; else pause=1 beat=5; fi
  idle=$beat dead=0
  while :; do
    # asked before the sizes: what was written before the result is then sent before it
    over=''
    if [ -e "$job/result" ] || [ -e "$NF_STATE/$NF_ID/result" ]; then over=1; fi
    # events first: the log then holds all that they tell of, and the client puts both in order
    events_size=$(nf_size "$job/events") log_size=$(nf_size "$job/log")
    sent=''
    if send events "$job/events" "$NF_EVENTS_AT" "$events_size"; then NF_EVENTS_AT=$at sent=1; fi
    if send log "$job/log" "$NF_LOG_AT" "$log_size"; then NF_LOG_AT=$at sent=1; fi
    idle=$((idle + 1))
    if [ "$idle" -ge "$beat" ]; then
      idle=0
      # whoever asks again is led to where it went on
      is_here || exit 0
      frame beat "$(nf_now)" "$log_size"
      # neither a result nor a unit that could still write one
      if [ -z "$over" ] && ! nf_job_lives; then dead=$((dead + 1)); else dead=0; fi
      # the result may be in memory, where only root can read it
      if [ "$dead" -ge 2 ]; then
        if [ -d "$NF_STATE/$NF_ID" ] && ! [ -x "$NF_STATE/$NF_ID" ]; then frame gone 0 denied; exit 0; fi
        whole before
        whole after
        frame gone 0 interrupted
        exit 0
      fi
    fi
    if [ -n "$sent" ]; then continue; fi
    if [ -n "$over" ]; then
      is_here || exit 0
      whole before
      whole after
      whole latest
      whole changes
      whole result
      exit 0
    fi
    sleep "$pause"
  done
}
