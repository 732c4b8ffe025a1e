# shellcheck shell=sh
# shellcheck disable=SC2153 # NF_ID comes from the prelude
# Tell a job that its host can still be reached. Answers "@nf ok" or "@nf denied".

confirm() {
  nf_is_job_id "$NF_ID" || exit 2
  if (: >"$NF_JOBS/$NF_ID/ctl/confirmed") 2>/dev/null; then echo '@nf ok'; else echo '@nf denied'; fi
}
