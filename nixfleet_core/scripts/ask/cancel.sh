# shellcheck shell=sh
# shellcheck disable=SC2153 # NF_ID comes from the prelude
# Ask a job to stop. Needs no root where the caller launched it. Answers "@nf ok", "@nf over" or "@nf denied".

cancel() {
  nf_is_job_id "$NF_ID" || exit 2
  cancel_ctl=$NF_JOBS/$NF_ID/ctl
  if [ -e "$NF_JOBS/$NF_ID/result" ]; then echo '@nf over'; return; fi
  # a directory: as root, a redirection would follow a link that the directory's owner has put there
  if mkdir "$cancel_ctl/cancel" 2>/dev/null || [ -d "$cancel_ctl/cancel" ]; then
    echo '@nf ok'
  else
    echo '@nf denied'
  fi
}
