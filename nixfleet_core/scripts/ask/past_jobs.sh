# shellcheck shell=sh
# The host's jobs, for `jobs` and for a rollback: "@nf denied" if we may not read them. Else for each job
# "@nf job ID", its plan.json, result and the system before it, each on a line that may be empty; then
# "@nf running" and the running job's id, and "@nf previous" and the generation before the active one.

past_jobs() {
  if nf_is_hidden "$NF_JOBS"; then echo '@nf denied'; return; fi
  for past_jobs_id in $(nf_jobs); do
    past_jobs_job=$NF_JOBS/$past_jobs_id
    [ -r "$past_jobs_job/plan.json" ] || { echo '@nf denied'; return; }
    echo "@nf job $past_jobs_id"
    head -c 65536 "$past_jobs_job/plan.json" | tr -d '\n'
    echo
    head -c 4096 "$past_jobs_job/result" 2>/dev/null | tr -d '\n'
    echo
    past_jobs_system=$(nf_record system.profile 2>/dev/null <"$past_jobs_job/before")
    # a store path has only these characters
    case $past_jobs_system in *[!0-9A-Za-z+._?=/-]*) past_jobs_system='' ;; esac
    printf '%s\n' "$past_jobs_system"
  done
  echo "@nf running $(nf_running_job)"
  echo "@nf previous $(previous_generation)"
}

previous_generation() {
  previous_generation_name=${NF_PROFILE##*/}
  previous_generation_now=$(readlink "$NF_PROFILE") previous_generation_now=${previous_generation_now##*/}
  previous_generation_now=${previous_generation_now#"$previous_generation_name"-}
  previous_generation_now=${previous_generation_now%-link}
  case $previous_generation_now in '' | *[!0-9]*) return ;; esac
  while [ "$previous_generation_now" -gt 1 ]; do
    previous_generation_now=$((previous_generation_now - 1))
    if [ -e "$NF_PROFILE-$previous_generation_now-link" ]; then
      previous_generation_target=$(nf_real "$NF_PROFILE-$previous_generation_now-link")
      printf '%s\n' "${previous_generation_target#"$NF_ROOT"}"
      return
    fi
  done
}
