# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154,SC2012 # its variables come from and go to the runner
# The job keeps its place, even if a switch gives the folder to somebody else.

# Copies of the files that must be right even if somebody else gets the job's place. After a kill, another
# process moves the job, and knows only these copies.
nf_start_keeping() {
  case $NF_CARRIER in systemd) ;; *) return 0 ;; esac
  rm -rf "$(nf_units)"/nixfleet-[0-9]* # from killed jobs
  mkdir -p "$NF_KEPT" && echo "$NF_READER" >"$NF_KEPT/.reader"
  nf_keep_back
  nf_keep run.sh plan.json
}

# What a job goes back to.
nf_keep_back() {
  for nf_keep_back_file in profile back; do
    cp "$NF_RUN/$nf_keep_back_file" "$NF_KEPT/.$nf_keep_back_file"
  done 2>/dev/null || :
}

nf_keep() {
  for nf_keep_file in "$@"; do cp "$NF_JOB/$nf_keep_file" "$NF_KEPT/$nf_keep_file"; done 2>/dev/null || :
}

# A switch can start a service that has the place as its StateDirectory= or RuntimeDirectory=; systemd gives
# the service all files there. So root looks before each write, and moves to the other place.
nf_keep_place() {
  case $NF_CARRIER in systemd) ;; *) return 0 ;; esac
  if nf_are_ours "$NF_JOB" "${NF_JOBS%/jobs}" "$NF_RUN" "$NF_STATE"; then return 0; fi
  nf_move_out "$NF_JOB"
}

NF_NEWLINE='
'
# nf_are_ours DIR...: true if they are still ours; a missing one belongs to nobody.
nf_are_ours() {
  nf_are_ours_looks=$(ls -ldn "$@" 2>/dev/null)
  while [ -n "$nf_are_ours_looks" ]; do
    nf_are_ours_look=${nf_are_ours_looks%%"$NF_NEWLINE"*}
    case $nf_are_ours_looks in
      *"$NF_NEWLINE"*) nf_are_ours_looks=${nf_are_ours_looks#*"$NF_NEWLINE"} ;;
      *) nf_are_ours_looks='' ;;
    esac
    nf_trust_read "$nf_are_ours_look"
    if ! nf_trust_owner || nf_trust_is_open; then return 1; fi
  done
}

# nf_move_out JOB: go on in the place of new jobs. The runner and the watcher beside it may both call this.
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
    cp "$NF_KEPT/.back" "$NF_RUN/back"
    (umask 022; echo "$NF_ID" >"$NF_STATE/current")
  fi
  if ! [ -d "$NF_JOB" ]; then nf_move_job "$1"; fi
}

# nf_move_job JOB: hard-link the log and the events; take the rest from copies that only we could change.
# sets: NF_READER
nf_move_job() {
  nf_move_job_new=$NF_JOBS/.new-$NF_ID
  mkdir -p "$NF_JOBS" && chmod 711 "${NF_JOBS%/jobs}" && chmod 755 "$NF_JOBS"
  if ! mkdir -m 700 "$nf_move_job_new" 2>/dev/null; then nf_await_moved; return; fi
  if [ -d "$NF_JOB" ]; then rmdir "$nf_move_job_new"; return; fi # the other process was quicker
  for nf_move_job_file in log events; do
    nf_move_file "$1/$nf_move_job_file" "$nf_move_job_new/$nf_move_job_file"
  done
  cp "$NF_KEPT/"* "$nf_move_job_new/" 2>/dev/null
  NF_READER=${NF_READER:-$(cat "$NF_KEPT/.reader" 2>/dev/null)}
  mkdir -m 700 "$nf_move_job_new/ctl"
  if [ "$NF_UID" = 0 ]; then
    chown 0:0 "$nf_move_job_new"/*
    chown "${NF_READER:-0}" "$nf_move_job_new/ctl"
  fi
  nf_readers "$nf_move_job_new" "$NF_READER"
  nf_share_job "$nf_move_job_new"
  mv "$nf_move_job_new" "$NF_JOB"
  nf_take_finish
  nf_say "$1 was given to somebody else while this job ran: it goes on in $NF_JOB"
}

# Another process of ours moves the job: wait for it.
nf_await_moved() {
  nf_await_moved_left=100
  until [ -d "$NF_JOB" ] || [ "$nf_await_moved_left" = 0 ]; do
    sleep 0.1
    nf_await_moved_left=$((nf_await_moved_left - 1))
  done 2>/dev/null
}

# nf_move_file OLD NEW: hard-link OLD, if it is a regular file; else make an empty NEW.
nf_move_file() {
  ln "$1" "$2" 2>/dev/null
  if [ -L "$2" ] || ! [ -f "$2" ]; then rm -rf "${2:?}"; fi
  : >>"$2"
}
