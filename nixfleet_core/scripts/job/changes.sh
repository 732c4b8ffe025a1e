# shellcheck shell=sh
# shellcheck disable=SC2153 # its variables come from the runner
# Which packages differ between the generation before the job and the one after it, in Nix's words.

NF_CHANGES_SIZE=262144

nf_keep_changes() {
  nf_keep_changes_old=$(cat "$NF_RUN/profile" 2>/dev/null) nf_keep_changes_new=$(nf_profile)
  rm -f "$NF_JOB/changes" # from before a rollback
  if [ -z "$nf_keep_changes_old" ] || [ -z "$nf_keep_changes_new" ]; then return; fi
  if [ "$nf_keep_changes_old" = "$nf_keep_changes_new" ]; then return; fi
  {
    nf_bounded 60 nix --extra-experimental-features nix-command store diff-closures \
      "$nf_keep_changes_old" "$nf_keep_changes_new" |
      head -c "$NF_CHANGES_SIZE" >"$NF_JOB/.changes"
  } 2>/dev/null
  { [ -s "$NF_JOB/.changes" ] && nf_publish changes; } || rm -f "$NF_JOB/.changes"
}
