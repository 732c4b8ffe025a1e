# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# After a proof, if asked for: commit flake.lock in the checkout, and push it. If one of these fails, the
# update stays. A job can be for these steps alone: then the update was an earlier one, and the proof is new.
# From the compiled plan: NF_LOCK_SEEN (the `cksum` of the flake.lock that such a job commits).

nf_is_sharing() { case $NF_STEP in commit | push) ;; *) return 1 ;; esac; }

# There is proof that the installed agent (or a program it starts) runs, and that the flake builds it. The
# verification wrote down their store paths.
nf_is_proven() {
  nf_is_proven_expected=$(nf_proof expected.path) nf_is_proven_installed=$(nf_proof installed.path)
  case $(nf_proof running.proof) in exe | script) ;; *) return 1 ;; esac
  [ -n "$nf_is_proven_expected" ] && nf_is_one "$nf_is_proven_installed" "$nf_is_proven_expected" '' &&
    nf_is_one "$(nf_proof running.path)" "$nf_is_proven_installed" "$(nf_proof installed.starts)"
}

# nf_proof KEY
nf_proof() {
  for nf_proof_file in "$NF_JOB/after" "$NF_RUN/after"; do
    if [ -r "$nf_proof_file" ]; then nf_record "$1" <"$nf_proof_file"; return; fi
  done
}

nf_do_commit() {
  if [ "$NF_GOAL" = commit ]; then nf_in_checkout nf_take_plain_commit; fi
  nf_in_checkout nf_commit_lock "$@" || return
  if [ "$NF_GOAL" = commit ]; then nf_undo_commit; fi # the branch has it
  nf_in_checkout nf_prove_commit
  return 0
}

# The commit that the update has built, or would have built with --commit-lock, if there can be one.
nf_take_plain_commit() { nf_tree_status && nf_is_plain "$probe_status" && nf_take_commit; }

nf_do_push() { nf_in_checkout nf_push_lock "$@"; }

# [fast-forward] git commit … MESSAGE -- flake.lock: the branch goes to the commit that was built. If that was
# the tree: flake.lock alone is committed, whatever else is staged.
# sets: NF_STEP_REASON
nf_commit_lock() {
  case $1 in fast-forward) shift ;; esac
  if [ "$(nf_sum_of_lock)" != "$(cat "$NF_RUN/lock-updated" 2>/dev/null)" ]; then
    nf_fail lock-changed "flake.lock was changed by somebody since the update: it is not committed"
    return
  fi
  if nf_git diff --quiet HEAD -- flake.lock; then
    nf_say "HEAD has this flake.lock: nothing to commit"
    return 0
  fi
  if [ -n "$NF_FLAKE" ]; then nf_forward; return; fi
  nf_logged nf_lock_moves || return
  # the plan did not know the commits that the pull would bring
  for nf_commit_lock_word in "$@"; do
    shift
    case $nf_commit_lock_word in "flake.lock: "*) nf_commit_lock_word=$(nf_lock_message) ;; esac
    set -- "$@" "$nf_commit_lock_word"
  done
  if ! nf_run "$@"; then
    if ! nf_can_sign; then NF_STEP_REASON=signing; fi
    return 1
  fi
  nf_into "$NF_RUN/committed" nf_git rev-parse HEAD
}

# Let the branch go to the commit that was built, and flake.lock in the index with it. The index comes first:
# another git may hold it.
# sets: NF_STEP_REASON
nf_forward() {
  nf_forward_commit=$(nf_noted "$NF_ID" commit)
  nf_forward_from=$(nf_git rev-parse "$nf_forward_commit^")
  if [ "$(nf_git rev-parse HEAD)" != "$nf_forward_from" ]; then
    nf_fail upstream "HEAD has moved since the build: it does not go to the commit that was built"
    return
  fi
  nf_into "$NF_RUN/lock-entry" nf_git ls-files --stage -- flake.lock || return
  if nf_set_entry "100644 $(nf_git rev-parse "$nf_forward_commit:./flake.lock")" &&
    nf_plain nf_run git update-ref -m nixfleet HEAD "$nf_forward_commit" "$nf_forward_from"; then
    nf_into "$NF_RUN/committed" nf_git rev-parse HEAD
    return
  fi
  nf_set_entry "$(cat "$NF_RUN/lock-entry")"
  return 1
}

# nf_set_entry "MODE ID …": what the index says of flake.lock.
nf_set_entry() {
  nf_set_entry_id=${1#* }
  nf_plain nf_logged nf_step_down 30 git update-index \
    --cacheinfo "${1%% *},${nf_set_entry_id%% *},$(nf_lock_in_git)"
}

# The runner was killed while the branch moved: it has moved, or all is as it was. Only a git that was killed
# leaves its locks.
nf_undo_forward() {
  if ! [ -s "$NF_RUN/lock-entry" ] || [ -e "$NF_RUN/committed" ]; then return 0; fi
  for nf_undo_forward_of in index HEAD "$(nf_git symbolic-ref -q HEAD)"; do
    nf_undo_forward_lock=$(nf_git rev-parse --git-path "$nf_undo_forward_of").lock
    if [ -n "$(find "$nf_undo_forward_lock" -newer "$NF_RUN/lock-entry" 2>/dev/null)" ]; then
      nf_step_down 10 rm -f "$nf_undo_forward_lock"
    fi
  done
  if [ "$(nf_git rev-parse HEAD)" = "$(nf_noted "$NF_ID" commit)" ]; then return 0; fi
  nf_set_entry "$(cat "$NF_RUN/lock-entry")"
}

# nf_can_sign: false if commits are to be signed, and a commit that nobody refers to cannot be.
nf_can_sign() {
  if ! nf_signs; then return 0; fi
  nf_git commit-tree -S -m "a test of the signature" 'HEAD^{tree}' >/dev/null
}

# git push … REMOTE HEAD:REF: never forced, and only with commits of the step above
# sets: NF_STEP_REASON
nf_push_lock() {
  nf_push_lock_remote='' nf_push_lock_ref=''
  for nf_push_lock_word in "$@"; do
    nf_push_lock_remote=$nf_push_lock_ref nf_push_lock_ref=$nf_push_lock_word
  done
  nf_push_lock_upstream=refs/remotes/$nf_push_lock_remote/${nf_push_lock_ref#HEAD:refs/heads/}
  if [ "$(nf_git rev-parse --symbolic-full-name '@{upstream}')" != "$nf_push_lock_upstream" ]; then
    nf_push_lock_ref=${nf_push_lock_ref#HEAD:}
    nf_fail upstream "the checkout is not on the branch that was planned to be pushed, $nf_push_lock_ref"
    return
  fi
  if [ -z "$(nf_git rev-list '@{upstream}..HEAD')" ]; then
    nf_say "upstream has all commits: nothing to push"
    return 0
  fi
  nf_push_lock_others=$(nf_other_commits)
  if [ -n "$nf_push_lock_others" ]; then
    nf_fail others "not pushed: these commits were never pushed either, and would go along:"
    nf_say "$nf_push_lock_others"
    return 1
  fi
  nf_run "$@" && return 0
  if nf_said | grep -Eq '\[(remote )?rejected\]'; then NF_STEP_REASON=refused; fi
  return 1
}

# nf_other_commits: commits that upstream lacks and we did not make; or all, if they change other files.
nf_other_commits() {
  nf_git log --format='%h %s' '@{upstream}..HEAD' |
    grep -Ev "^[0-9a-f]+ flake\\.lock: $NF_INPUT ([0-9a-f]{7} -> [0-9a-f]{7}|updated)\$" && return
  nf_other_commits_files=$(nf_git log -m --format= --name-only --no-relative '@{upstream}..HEAD' |
    grep . | sort -u)
  if [ "$nf_other_commits_files" = "$(nf_lock_in_git)" ]; then return 0; fi
  nf_git log --format='%h %s' '@{upstream}..HEAD'
}

# Take back the commit after a failed push: with a commit that is only here, the next pull would find two
# histories. flake.lock is then as after any update: changed, and not committed.
nf_take_back_commit() {
  nf_take_back_commit_made=$(cat "$NF_RUN/committed" 2>/dev/null) || return 0
  case $NF_STEP_REASON in others | upstream) return 0 ;; esac # the push was not tried
  if [ "$(nf_git rev-parse HEAD)" != "$nf_take_back_commit_made" ]; then return 0; fi
  nf_git reset --quiet --soft HEAD^ && nf_git reset --quiet -- flake.lock &&
    nf_say "the commit is taken back: flake.lock is changed, but not committed"
}
