# shellcheck shell=sh
# shellcheck disable=SC2153,SC2154,SC2012 # its variables come from and go to the runner
# What brings the agent back if the runner is killed: systemd's unit, or a process that guards it.

# systemd runs this job's script after the job's end. The script is copied to a folder that stays root's
# alone, even if the place of jobs gets another owner.
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
  for nf_quote_word in "$@"; do
    printf "'%s' " "$(printf '%s' "$nf_quote_word" | sed "s/'/'\\\\''/g")"
  done
  echo
}

# Without a systemd that watches the job: run it in a process of its own, and bring the agent back if that
# process is killed. If this guard is killed, launchd starts it again.
nf_enter_guard() {
  cd / || exit 1
  nf_stay_awake $$
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
  nf_enter_guard_tries=0
  while ! nf_is_over "$NF_ID" && [ "$nf_enter_guard_tries" -lt 3 ]; do
    nf_enter_guard_tries=$((nf_enter_guard_tries + 1))
    /bin/sh "$NF_JOB/run.sh" finish
  done
  trap - TERM INT HUP
  case $NF_CARRIER in
    guard) rm -f "$NF_STATE/job" ;;
    *) exec launchctl bootout "$(nf_job_domain)/$NF_JOB_LABEL" ;; # this ends our process, too
  esac
}

# What a killed runner has started lives on: the command, a process group of its own (see nf_bounded), and in
# a unit of the user's all else in its cgroup. End it, but no activation: a home's is one of those processes,
# and gets the time that it may take. The systemd of root kills the rest of the unit itself.
nf_end_orphan() {
  case $NF_CARRIER in guard | launchd | user) ;; *) return 0 ;; esac
  nf_wait_switch
  nf_end_all command
  nf_end_all unit
}

# nf_end_all command|unit: end these processes, until none is left.
nf_end_all() {
  nf_end_all_left=15
  while [ "$nf_end_all_left" -gt 0 ] && ! nf_switch_lives; do
    nf_end_all_members=$("nf_left_in_$1")
    if [ -z "$nf_end_all_members" ]; then return; fi
    for nf_end_all_member in $nf_end_all_members; do nf_kill TERM "$nf_end_all_member"; done
    nf_end_all_left=$((nf_end_all_left - 1))
    sleep 1
  done
}

# The process group of the command that ran.
nf_left_in_command() {
  nf_left_in_command_group=$(cat "$NF_RUN/pid" 2>/dev/null) || return 0
  ps -A -o pid= -o pgid= | awk -v group="$nf_left_in_command_group" '$2 == group { print $1 }'
}

# The cgroup of a user's unit: this process is in another one.
nf_left_in_unit() {
  case $NF_CARRIER in user) nf_group_processes "$(cat "$NF_RUN/group" 2>/dev/null)" ;; esac
}

# nf_own_group: the cgroup of the job's unit, which this process is in. Beside the hierarchy that systemd
# uses there can be others, where it is in the root.
nf_own_group() {
  sed -n "s|^[0-9]*:[^:]*:\(/.*/$NF_JOB_UNIT\)\$|\1|p" "$NF_ROOT/proc/self/cgroup" 2>/dev/null | head -n 1
}
