# shellcheck shell=sh
# The host's jobs, for `jobs` and for a rollback: "@nf denied" where they may not be read, else for each
# job "@nf job ID", its plan.json, result and the system before it, each on a line that may be empty;
# and "@nf previous", the generation before the active one.

past_jobs() {
  if nf_is_hidden "$NF_JOBS"; then echo '@nf denied'; return; fi
  for id in $(nf_jobs); do
    job=$NF_JOBS/$id
    [ -r "$job/plan.json" ] || { echo '@nf denied'; return; }
    echo "@nf job $id"
    head -c 65536 "$job/plan.json" | tr -d '\n'
    echo
    head -c 4096 "$job/result" 2>/dev/null | tr -d '\n'
    echo
    system=$(nf_record system.profile 2>/dev/null <"$job/before")
    case $system in *[!0-9A-Za-z+._?=/-]*) system='' ;; esac # a store path holds nothing else
    printf '%s\n' "$system"
  done
  echo "@nf running $(nf_running_job)"
  echo "@nf previous $(previous_generation)"
}

previous_generation() {
  name=${NF_PROFILE##*/}
  now=$(readlink "$NF_PROFILE") now=${now##*/} now=${now#"$name"-} now=${now%-link}
  case $now in '' | *[!0-9]*) return ;; esac
  while [ "$now" -gt 1 ]; do
    now=$((now - 1))
    if [ -e "$NF_PROFILE-$now-link" ]; then
      target=$(nf_real "$NF_PROFILE-$now-link")
      printf '%s\n' "${target#"$NF_ROOT"}"
      return
    fi
  done
}
