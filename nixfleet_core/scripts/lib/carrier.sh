# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables are used by the scripts that follow it
# The carrier that a job runs under, seen from outside: does a job live, and which one?

# nf_unit_lives UNIT...: true if one of them is active, starting or stopping.
nf_unit_lives() {
  nf_unit_lives_states=$(nf_systemctl is-active "$@" 2>/dev/null)
  case "
$nf_unit_lives_states
" in
    *"
active
"* | *activating* | *reloading*) return 0 ;; # deactivating, too
    *) return 1 ;;
  esac
}

# nf_units: the folder of the unit that brings the agent back, and of its script. No service can get this
# folder as its own directory.
nf_units() {
  case $NF_CARRIER in
    user) echo "$XDG_RUNTIME_DIR/systemd/user" ;;
    *) echo "$NF_ROOT/run/systemd/system" ;;
  esac
}
NF_FINISH=nixfleet-finish # the unit's script; systemd ignores a name without a suffix

# nf_job_lives: true if a job runs, or its agent is being brought back.
nf_job_lives() {
  case $NF_CARRIER in
    systemd | user) nf_unit_lives "$NF_JOB_UNIT" "$NF_FINISH_UNIT" ;;
    launchd) nf_job_domain >/dev/null ;;
    *) nf_lock_lives "$NF_STATE/job" ;;
  esac
}

# nf_job_domain: the launchd domain that has our job; the job removes itself at its end.
nf_job_domain() { nf_domain_of "$NF_JOB_LABEL"; }

# nf_kick_job: start a job that launchd has loaded without starting it (macOS 26), or that was killed and not
# started again (Low Power Mode).
nf_kick_job() {
  case $NF_CARRIER in launchd) ;; *) return 0 ;; esac
  nf_kick_job_domain=$(nf_job_domain) || return 0
  nf_kick "$nf_kick_job_domain" "$NF_JOB_LABEL" >/dev/null 2>&1
}

# A lock without systemd: a link, which appears whole or not at all. Its target is no path but names the
# holder: process, its start, boot.
nf_started() { ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _; }
nf_boot() {
  { cat "$NF_ROOT/proc/sys/kernel/random/boot_id" || sysctl -n kern.bootsessionuuid; } 2>/dev/null
}

nf_lock_lives() {
  nf_lock_lives_held=$(readlink "$1") || return 1
  nf_lock_lives_holder=${nf_lock_lives_held%%,*}
  case $nf_lock_lives_holder in '' | *[!0-9]*) return 1 ;; esac
  kill -0 "$nf_lock_lives_holder" 2>/dev/null &&
    [ "$nf_lock_lives_held" = "$nf_lock_lives_holder,$(nf_started "$nf_lock_lives_holder"),$(nf_boot)" ]
}

# nf_lock_take LINK: take the lock until this process ends; false while another process holds it.
nf_lock_take() {
  nf_lock_take_mine=$$,$(nf_started $$),$(nf_boot)
  ln -s "$nf_lock_take_mine" "$1" 2>/dev/null && return
  if nf_lock_lives "$1"; then return 1; fi
  # the holder is dead: the first to move the lock away gets it; a new, live lock is put back
  if mv "$1" "$1.$$" 2>/dev/null; then
    if nf_lock_lives "$1.$$"; then mv "$1.$$" "$1"; return 1; fi
    rm -f "$1.$$"
  fi
  ln -s "$nf_lock_take_mine" "$1" 2>/dev/null
}

# nf_jobs: the ids of the jobs kept here, oldest first.
nf_jobs() { nf_ids "$NF_JOBS"; }

# nf_ids DIR: the jobs that have left something in it, oldest first.
nf_ids() {
  for nf_ids_of in "$1"/*; do
    if nf_is_job_id "${nf_ids_of##*/}"; then echo "${nf_ids_of##*/}"; fi
  done
}

# nf_keep_newest NUMBER DIR: remove what older jobs have left in it; this job's stays.
nf_keep_newest() {
  nf_keep_newest_total=$(nf_ids "$2" | wc -l)
  nf_ids "$2" | while read -r nf_keep_newest_old; do
    if [ "$nf_keep_newest_total" -le "$1" ] || [ "$nf_keep_newest_old" = "$NF_ID" ]; then break; fi
    rm -rf "${2:?}/$nf_keep_newest_old"
    nf_keep_newest_total=$((nf_keep_newest_total - 1))
  done
}

# nf_is_hidden JOB: true if we cannot see it, but root might.
nf_is_hidden() { ! [ -d "$1" ] && [ -n "$NF_HIDDEN" ] && [ "$NF_UID" != 0 ]; }

# nf_is_over JOB: true if it has its result, which is in memory only if the disk is full. Its unit or process
# may live on for a moment.
nf_is_over() { [ -e "$NF_JOBS/$1/result" ] || [ -e "$NF_STATE/$1/result" ]; }

# nf_running_job: the id of the running job; nothing if no job runs.
nf_running_job() { nf_job_lives && nf_current_job; }

# nf_is_at_work: true if a job runs and has no result yet. Its unit lives on for a moment after that.
nf_is_at_work() {
  nf_job_lives || return
  nf_is_at_work_id=$(nf_current_job) || return 0
  ! nf_is_over "$nf_is_at_work_id"
}

# nf_current_job: the id of the job that last took the lock.
nf_current_job() {
  nf_current_job_id=$(cat "$NF_STATE/current" 2>/dev/null) || return 1
  nf_is_job_id "$nf_current_job_id" || return 1
  echo "$nf_current_job_id"
}
