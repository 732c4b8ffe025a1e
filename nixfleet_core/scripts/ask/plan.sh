# shellcheck shell=sh
# shellcheck disable=SC2153 # NF_ID comes from the prelude
# What a job was asked to do: "@nf plan" and plan.json, or "@nf missing", or "@nf denied".

plan() {
  nf_is_job_id "$NF_ID" || exit 2
  if nf_is_hidden "$NF_JOBS/$NF_ID"; then echo '@nf denied'; return; fi
  [ -d "$NF_JOBS/$NF_ID" ] || { echo '@nf missing'; return; }
  [ -r "$NF_JOBS/$NF_ID/plan.json" ] || { echo '@nf denied'; return; }
  echo '@nf plan'
  head -c 1048576 "$NF_JOBS/$NF_ID/plan.json"
}
