# shellcheck shell=sh
# shellcheck disable=SC2153 # NF_ID comes from the prelude
# Tell a job that its host can still be reached. Answers "@nf ok" or "@nf denied".

confirm() {
  nf_is_job_id "$NF_ID" || exit 2
  confirm_entry=$NF_JOBS/$NF_ID/ctl/confirmed
  # a directory: as root, a redirection would follow a link that the directory's owner has put there
  if mkdir "$confirm_entry" 2>/dev/null || [ -d "$confirm_entry" ]; then
    echo '@nf ok'
  else
    echo '@nf denied'
  fi
}
