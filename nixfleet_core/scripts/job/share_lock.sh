# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# After a proven update, if asked for: commit flake.lock in the checkout, and push it. If one of these
# fails, the update stays.

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

nf_do_commit() { nf_in_checkout nf_commit_lock "$@"; }

nf_do_push() { nf_in_checkout nf_push_lock "$@"; }

# git commit … MESSAGE -- flake.lock: that file alone, whatever else is staged
# sets: NF_STEP_REASON, nf_commit_lock_from, nf_commit_lock_to
nf_commit_lock() {
  if [ "$(nf_owner_cat flake.lock | cksum)" != "$(cat "$NF_RUN/lock-updated" 2>/dev/null)" ]; then
    nf_fail lock-changed "flake.lock was changed by somebody since the update: it is not committed"
    return
  fi
  if nf_git diff --quiet HEAD -- flake.lock; then
    nf_say "HEAD has this flake.lock: nothing to commit"
    return 0
  fi
  # git must not make up an author from the host's name
  if ! nf_git -c user.useConfigOnly=true var GIT_COMMITTER_IDENT >/dev/null; then
    nf_fail identity "flake.lock is not committed: git knows no user.name and user.email of $NF_OWNER"
    return
  fi
  nf_commit_lock_from=$(nf_head_rev) && nf_commit_lock_to=$(nf_locked_rev "$PWD/flake.lock") || return
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

# nf_can_sign: false if commits are to be signed, and a commit that nobody refers to cannot be.
nf_can_sign() {
  case $(nf_git config --type=bool commit.gpgSign) in true) ;; *) return 0 ;; esac
  nf_git commit-tree -S -m "a test of the signature" 'HEAD^{tree}' >/dev/null
}

# nf_locked_rev FILE: the commit of the input in that lock file, or ""
# sets: NF_LOCK_VALUES
nf_locked_rev() {
  NF_LOCK_VALUES=$(nf_logged nf_lock "$1" "$NF_INPUT") || return
  if [ "$NF_LOCK_VALUES" != missing ]; then nf_field 4; fi
}

# nf_head_rev: the same for the committed lock file, in a copy that the owner makes and removes
nf_head_rev() {
  # shellcheck disable=SC2016 # the inner shell expands
  nf_head_rev_file=$(nf_logged nf_step_down 30 sh -c 'umask 077
    file=$(mktemp "${TMPDIR:-/tmp}/nixfleet.XXXXXX") &&
    git show HEAD:./flake.lock >"$file" && echo "$file"') || return
  nf_locked_rev "$nf_head_rev_file"
  nf_head_rev_code=$?
  nf_step_down 10 rm -f "$nf_head_rev_file"
  return "$nf_head_rev_code"
}

nf_lock_message() {
  if [ -n "$nf_commit_lock_from" ] && [ -n "$nf_commit_lock_to" ]; then
    printf 'flake.lock: %s %.7s -> %.7s\n' "$NF_INPUT" "$nf_commit_lock_from" "$nf_commit_lock_to"
  else
    printf 'flake.lock: %s updated\n' "$NF_INPUT"
  fi
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
