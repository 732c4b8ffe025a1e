# shellcheck shell=sh
# What can be wrong with the checkout in the current folder, whose owner nf_owner has found.

# nf_unfinished: the merge, rebase or pick that is under way; false if none is.
nf_unfinished() {
  for nf_unfinished_state in MERGE_HEAD rebase-merge rebase-apply CHERRY_PICK_HEAD; do
    if [ -e "$(nf_step_down 30 git rev-parse --git-path "$nf_unfinished_state" 2>/dev/null)" ]; then
      echo "$nf_unfinished_state"
      return
    fi
  done
  return 1
}

# nf_foreign: the first files that belong to root, which the owner's pull could not write.
nf_foreign() { find . -user 0 ! -user "$NF_OWNER_UID" -print 2>/dev/null | head -n 5; }
