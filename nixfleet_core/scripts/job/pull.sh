# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# The pull: one fast-forward to the commit that the preflight has fetched. The preflight asks git whether it
# would work, and rehearses it in a folder of its own. There the pull then keeps what it needs to put all of
# it back if it ends half-way. The folder lies in .git: it belongs to the owner, and Nix does not see it.
#   from, to, paths   the two commits, and the paths that differ
#   index, new-index  the index, and a copy to try
#   old/, new/        what lies at the paths, before and after
#   begun             from here on the working tree may be touched
# From the compiled plan: NF_PULL NF_RESTORE_LOCK NF_TREE (the text of tree.sh).

# nf_plain WORD... git WORD...: call it so that git does only what it is asked to, whatever the owner's
# settings add: hooks, a daemon, submodules.
nf_plain() {
  nf_plain_found=''
  for nf_plain_word in "$@"; do
    shift
    set -- "$@" "$nf_plain_word"
    if [ "$nf_plain_word$nf_plain_found" = git ]; then
      nf_plain_found=1
      set -- "$@" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c submodule.recurse=false
    fi
  done
  "$@"
}

nf_pulls() { case $NF_PULL in '') return 1 ;; esac; }

# nf_upstream: the commit that was fetched
nf_upstream() { cat "$NF_RUN/upstream"; }

nf_is_behind() { ! nf_git merge-base --is-ancestor "$(nf_upstream)" HEAD; }

# nf_fetch BRANCH: fetch the one branch that it is pulled from.
# sets: nf_fetch_ref ("" if there is none)
nf_fetch() {
  nf_fetch_ref=''
  nf_fetch_remote=$(nf_git config "branch.$1.remote") && nf_fetch_ref=$(nf_git config "branch.$1.merge") ||
    return
  nf_within 120 nf_plain nf_run git fetch --quiet --no-recurse-submodules -- \
    "$nf_fetch_remote" "$nf_fetch_ref" &&
    nf_into "$NF_RUN/upstream" nf_git rev-parse --verify 'FETCH_HEAD^{commit}'
}

# nf_pull_places: where the pull works.
# sets: nf_pull_places_top, nf_pull_places_scratch
nf_pull_places() {
  nf_pull_places_top=$(nf_git rev-parse --show-toplevel) &&
    nf_pull_places_scratch=$(nf_git rev-parse --absolute-git-dir)/nixfleet
}

# nf_tree SECONDS VERB WORD...: tree.sh in the pull's folder.
nf_tree() {
  nf_tree_seconds=$1 nf_tree_verb=$2
  shift 2
  (
    cd "$nf_pull_places_top" &&
      nf_logged nf_step_down "$nf_tree_seconds" sh -c "$NF_TREE" sh "$NF_TREE" "$nf_tree_verb" \
        "$nf_pull_places_scratch" "$@"
  )
}

# --- would it work?

# nf_fits: true if HEAD can go to the commit that was fetched, and nothing of the user's is lost.
# sets: nf_check_why
nf_fits() {
  nf_fits_from=$(nf_git rev-parse HEAD) nf_fits_to=$(nf_upstream)
  if ! nf_tree 60 prepare "$nf_fits_from" "$nf_fits_to"; then
    nf_refuse broken "git cannot compare HEAD with its upstream"
    return
  fi
  nf_takes_signature "$nf_fits_to" && nf_takes_tree "$nf_fits_to" &&
    nf_covers_nothing "$nf_fits_from" "$nf_fits_to" && nf_may_write && nf_rehearse "$nf_fits_to"
}

# sets: nf_check_why
nf_takes_signature() {
  case $(nf_git config --type=bool merge.verifySignatures) in true) ;; *) return 0 ;; esac
  case $(nf_git log -1 --format=%G? "$1") in G) return 0 ;; esac
  nf_refuse unsigned "the owner's git wants good signatures (merge.verifySignatures), and $1 has none"
}

# Does git take the new tree, with the uncommitted changes that there are? flake.lock alone may be in the way:
# the next step writes it anyway.
# sets: nf_check_why
nf_takes_tree() {
  if [ -e "$(nf_git rev-parse --git-path index.lock)" ]; then
    nf_refuse git-busy "Another git process seems to be running in $NF_CHECKOUT, or has left its index.lock"
    return
  fi
  nf_into "$NF_RUN/asked" nf_ask_tree "$1" && return
  if ! nf_git diff --quiet HEAD -- flake.lock && nf_try_with_lock_of "$1" && nf_ask_tree "$1" >/dev/null; then
    nf_may_restore_lock && nf_try_with_lock_of HEAD
    return
  fi
  nf_refuse collision "git refuses to overwrite uncommitted changes:"
  nf_say "$(cat "$NF_RUN/asked")"
  nf_say "$(nf_tree 30 changed | head -n 20)"
  return 1
}

# nf_ask_tree COMMIT: what `git merge --ff-only` asks first of all, with the copy of the index. It changes
# nothing.
nf_ask_tree() {
  nf_plain nf_step_down 60 env GIT_INDEX_FILE="$nf_pull_places_scratch/new-index" \
    git read-tree -n -m -u HEAD "$1" 2>&1
}

# nf_try_with_lock_of COMMIT: new-index gets that commit's flake.lock: with upstream's, git does not look at
# the file; with HEAD's it is as the pull will find it.
nf_try_with_lock_of() {
  nf_try_with_lock_of_entry=$(nf_git ls-tree --full-name "$1" -- flake.lock | tr '\t' ' ')
  case $nf_try_with_lock_of_entry in
    '') set -- --force-remove -- flake.lock ;;
    *)
      # MODE blob ID PATH
      nf_try_with_lock_of_id=${nf_try_with_lock_of_entry#* * }
      set -- --add --cacheinfo \
        "${nf_try_with_lock_of_entry%% *},${nf_try_with_lock_of_id%% *},$(nf_lock_in_git)"
      ;;
  esac
  nf_logged nf_step_down 30 env GIT_INDEX_FILE="$nf_pull_places_scratch/new-index" git update-index "$@"
}

# sets: nf_check_why
nf_may_restore_lock() {
  if [ -n "$NF_RESTORE_LOCK" ] && [ "$(nf_owner_cat flake.lock | cksum)" = "$NF_RESTORE_LOCK" ]; then
    : >"$NF_RUN/restore-lock"
    return 0
  fi
  nf_refuse lock "flake.lock has changes of its own and upstream changed it too"
}

# nf_covers_nothing FROM TO: git overwrites an ignored file that upstream starts to track without a word.
# sets: nf_check_why
nf_covers_nothing() {
  nf_covers_nothing_found=$(nf_tree 60 covered "$1" "$2") || nf_covers_nothing_found='?'
  if [ -z "$nf_covers_nothing_found" ]; then return 0; fi
  nf_refuse collision "upstream has files in the place of these, which are not in git here:"
  nf_say "$nf_covers_nothing_found"
  return 1
}

# sets: nf_check_why
nf_may_write() {
  nf_may_write_not=$(nf_tree 60 closed | awk '!seen[$0]++' | head -n 5 | tr '\n' ' ')
  if [ -z "$nf_may_write_not" ]; then return 0; fi
  nf_refuse not-writable "$NF_OWNER cannot write in these folders, which the pull changes: $nf_may_write_not"
}

# A filter such as git-crypt's or LFS's can be missing or fail, and a partial clone fetches what it lacks. So
# write the pull's files elsewhere first.
# sets: nf_check_why
nf_rehearse() {
  nf_within 300 nf_plain nf_quietly env GIT_DIR="${nf_pull_places_scratch%/*}" \
    GIT_INDEX_FILE="$nf_pull_places_scratch/new-index" GIT_WORK_TREE="$nf_pull_places_scratch/new" \
    git read-tree -m -u HEAD "$1" && return
  nf_refuse files "git cannot write the files that the pull would bring"
}

# --- the pull

# git merge --ff-only … FETCH_HEAD: the commit that the preflight has looked at, whatever was fetched since.
# sets: NF_STEP_REASON
nf_do_pull() {
  nf_save_lock flake.lock.before || return
  nf_in_checkout nf_pull_here "$@"
}

# sets: NF_STEP_REASON
nf_pull_here() {
  if ! nf_is_behind; then nf_say "the checkout has all of upstream's commits"; return 0; fi
  if ! nf_pull_places || ! nf_tree 30 keep_index || ! nf_restore_lock || ! nf_tree 300 save; then
    nf_say "the pull has not begun"
    return 1
  fi
  : >"$NF_RUN/pulls"
  nf_merge "$@"
  nf_pull_here_code=$?
  if [ "$nf_pull_here_code" = 0 ]; then nf_drop_tree; else nf_undo_tree "$nf_pull_here_code"; fi
  return "$nf_pull_here_code"
}

# nf_merge git WORD...: with the commit in the place of FETCH_HEAD. A branch can have options of its own.
nf_merge() {
  nf_merge_options=branch.$(nf_git symbolic-ref -q --short HEAD).mergeOptions=
  for nf_merge_word in "$@"; do
    shift
    case $nf_merge_word in
      git) set -- "$@" git -c merge.autoStash=false -c "$nf_merge_options" ;;
      FETCH_HEAD) set -- "$@" "$(nf_upstream)" ;;
      *) set -- "$@" "$nf_merge_word" ;;
    esac
  done
  nf_plain nf_run "$@"
}

# sets: NF_STEP_REASON
nf_restore_lock() {
  if ! [ -e "$NF_RUN/restore-lock" ] || [ -e "$NF_RUN/lock-restored" ]; then return 0; fi
  if [ "$(cksum <"$NF_JOB/flake.lock.before")" != "$NF_RESTORE_LOCK" ]; then
    nf_fail lock-changed "flake.lock was changed by somebody since the plan was made"
    return
  fi
  : >"$NF_RUN/lock-restored"
  nf_plain nf_run git checkout --quiet HEAD -- flake.lock
}

# nf_undo_tree CODE: put back all that a pull has touched that did not come to its end. Only a git that was
# killed leaves its locks.
nf_undo_tree() {
  if [ "$1" -gt 128 ]; then nf_tree 30 unlock; fi
  if ! nf_undo_tree_left=$(nf_tree 300 undo); then
    nf_say "the pull could not be put back; what was there before it is in $nf_pull_places_scratch"
    return 1
  fi
  if [ -n "$nf_undo_tree_left" ]; then
    nf_say "changed by somebody since, so left alone: $nf_undo_tree_left"
  fi
  nf_step_down 10 rm -f "$nf_pull_places_scratch/begun"
  rm -f "$NF_RUN/pulls"
}

nf_drop_tree() { nf_step_down 60 rm -rf "$nf_pull_places_scratch"; rm -f "$NF_RUN/pulls"; }

# After a failure, or if the runner was killed: the pull is put back if it has begun, and its folder goes.
nf_undo_pull() {
  [ -e "$NF_RUN/upstream" ] && nf_pull_places || return 0
  if [ -e "$nf_pull_places_scratch/begun" ]; then
    if ! [ -e "$NF_RUN/pulls" ] || ! nf_undo_tree 137; then return 0; fi
  fi
  nf_drop_tree
}
