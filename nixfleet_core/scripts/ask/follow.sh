# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # NF_ID comes from the prelude, and the rest from the other parts
# One framed stream of a job: the log and events that the client's copy lacks, then all new ones.
# From the prelude: NF_ID, NF_LOG_AT and NF_EVENTS_AT (bytes the client has).
# Frames: "@KIND OFFSET LENGTH", LENGTH bytes, a newline. Kinds: plan.json log events beat before after
# latest changes result gone. A beat's offset is the host's clock and its bytes are the log's size.

# whole FILE: a frame with the job's file, or with its copy in memory if the disk was full
whole() {
  for whole_place in "$NF_JOB" "$NF_STATE/$NF_ID"; do
    if ! [ -r "$whole_place/$1" ]; then continue; fi
    frame_file "$1" "$whole_place/$1" 0 "$(nf_size "$whole_place/$1")"
    return
  done
}

# is_here: true if the place is still ours. A place that somebody else got (see nf_keep_place) has no job.
# sets: NF_TRUSTED
is_here() {
  case $NF_CARRIER in systemd) ;; *) return 0 ;; esac
  NF_TRUSTED=:
  nf_is_trusted "$NF_JOB" && { nf_is_trusted "$NF_STATE" || [ "$nf_trust_why" = missing ]; }
}

# sets: NF_JOB, follow_over
follow() {
  nf_is_job_id "$NF_ID" || exit 2
  NF_JOB=$NF_JOBS/$NF_ID
  # a writer without a reader ends, so a follower ends with its client's connection
  trap 'exit 0' PIPE
  printf 'nixfleet-follow 1\n'
  if nf_is_hidden "$NF_JOB"; then gone denied; fi
  if ! [ -d "$NF_JOB" ]; then gone missing; fi
  if ! [ -r "$NF_JOB/plan.json" ]; then gone denied; fi
  whole plan.json
  nf_stay_awake $$
  if sleep 0.1 2>/dev/null; then follow_pause=0.25 follow_beat=20; else follow_pause=1 follow_beat=5; fi
  follow_idle=$follow_beat follow_dead=0 follow_events_at=$NF_EVENTS_AT follow_log_at=$NF_LOG_AT
  while :; do
    # ask before the sizes: all that was written before the result is then sent before it
    follow_over=''
    if nf_is_over "$NF_ID"; then follow_over=1; fi
    follow_news
    follow_idle=$((follow_idle + 1))
    if [ "$follow_idle" -ge "$follow_beat" ]; then follow_heart; fi
    if [ -n "$follow_sent" ]; then continue; fi
    if [ -n "$follow_over" ]; then follow_end; fi
    sleep "$follow_pause"
  done
}

# gone WHY: there is no more. Does not return.
gone() { frame gone 0 "$1"; exit 0; }

# Send new events and new log. Events come first: the log then holds all that they tell of, and the client
# puts both in order.
# sets: follow_events_at, follow_log_at, follow_log_size, follow_sent ("" for nothing)
follow_news() {
  follow_news_events=$(nf_size "$NF_JOB/events") follow_log_size=$(nf_size "$NF_JOB/log") follow_sent=''
  if send events "$NF_JOB/events" "$follow_events_at" "$follow_news_events"; then
    follow_events_at=$send_at follow_sent=1
  fi
  if send log "$NF_JOB/log" "$follow_log_at" "$follow_log_size"; then
    follow_log_at=$send_at follow_sent=1
  fi
}

# Send a beat, and check that a process is still there to write a result.
# sets: follow_dead, follow_idle
follow_heart() {
  follow_idle=0
  # a client that asks again finds the job's new place
  is_here || exit 0
  frame beat "$(nf_now)" "$follow_log_size"
  if [ -n "$follow_over" ]; then follow_dead=0
  elif nf_job_lives; then follow_dead=0; nf_kick_job
  else follow_dead=$((follow_dead + 1)); fi
  if [ "$follow_dead" -lt 2 ]; then return; fi
  # the result may be in memory, where only root can read it
  if [ -d "$NF_STATE/$NF_ID" ] && ! [ -x "$NF_STATE/$NF_ID" ]; then gone denied; fi
  whole before
  whole after
  gone interrupted
}

# The job has ended: send the files that it leaves, the result last.
follow_end() {
  is_here || exit 0
  whole before
  whole after
  whole latest
  whole changes
  whole result
  exit 0
}
