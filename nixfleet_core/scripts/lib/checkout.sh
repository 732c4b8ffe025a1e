# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables are used by the scripts that follow it
# What can be wrong with the checkout in the current folder, whose owner nf_owner has found. The checkout is
# the flake's folder; the repository may begin above it.

# nf_folder DIR: what its owner finds there.
# sets: nf_folder_state: ok; ownerless (the owner is no user here); closed (the owner cannot enter it);
#   not-git; no-commit; or broken. nf_folder_said: what git said, if it is broken.
nf_folder() {
  nf_folder_said='' nf_folder_state=ownerless
  case $NF_OWNER in *[!0-9]*) ;; *) return ;; esac
  nf_folder_state=closed
  # as for a service with DynamicUser=, whose state lies in a folder of root's
  # shellcheck disable=SC2016 # the inner shell expands
  nf_step_down 20 sh -c 'cd "$1"' sh "$1" 2>/dev/null || return 0
  nf_folder_state=ok
  nf_step_down 20 git rev-parse --verify -q 'HEAD^{commit}' >/dev/null 2>&1 && return
  if nf_folder_said=$(nf_step_down 20 git rev-parse --git-dir 2>&1); then
    nf_folder_state=no-commit nf_folder_said=''
    return
  fi
  case $nf_folder_said in
    *'not a git repository'*) nf_folder_state=not-git nf_folder_said='' ;;
    *) nf_folder_state=broken ;;
  esac
}

# nf_is_tracked FILE
nf_is_tracked() { nf_step_down 20 git ls-files --error-unmatch -- "$1" >/dev/null 2>&1; }

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

# nf_foreign: the first files of git's own that belong to root: the owner's git could not write there.
nf_foreign() {
  for nf_foreign_what in --git-dir --git-common-dir; do
    find "$(nf_step_down 20 git rev-parse "$nf_foreign_what" 2>/dev/null)" \
      -user 0 ! -user "$NF_OWNER_UID" -print 2>/dev/null
  done | awk '!seen[$0]++' | head -n 5
}
