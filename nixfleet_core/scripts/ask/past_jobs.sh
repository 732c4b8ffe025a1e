# shellcheck shell=sh
# The host's jobs, for `jobs`: "@nf denied" if we may not read them. Else for each job "@nf job ID", its
# plan.json and result, each on a line that may be empty; then "@nf running" and the running job's id.

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
  done
  echo "@nf running $(nf_running_job)"
}
