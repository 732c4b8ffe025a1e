# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# What a job builds: the checkout as it lies there; or the commit of the new lock (lib/flake.sh), where the
# flake refuses a dirty tree and flake.lock is the only difference to HEAD, or where the plan asks for that.
# It stands under refs/nixfleet/JOB while a generation is built from it. Beside the jobs lies for each:
#   commits/JOB   lines `checkout PATH`, `commit ID`, and once it is built `system PATH`
# From the compiled plan: NF_COMMIT_LOCK.

NF_FLAKE=''       # how Nix is to call the commit; "" stands for the checkout as it lies there
NF_DIRTY_TREES='' # what the flake does with them: refuses or takes, as far as that is remembered
NF_SETTLED=''     # whether it was tried to take the commit at once

nf_flake() { printf '%s\n' "${NF_FLAKE:-$NF_ROOT$NF_CHECKOUT}"; }

# nf_from_flake FUNCTION WORD...: call it, which evaluates or builds $(nf_flake). If the flake has refused its
# dirty tree, call it once more for the commit. Nothing is built by then.
# sets: NF_SETTLED, NF_STEP_REASON
nf_from_flake() {
  if [ -z "$NF_SETTLED" ] && nf_wants_commit; then nf_in_checkout nf_take_commit; fi
  NF_SETTLED=1
  "$@" && return
  nf_from_flake_code=$?
  if [ -n "$NF_FLAKE" ] || nf_cancelled || nf_has_moved; then return "$nf_from_flake_code"; fi
  if ! nf_in_checkout nf_refuses_tree; then return "$nf_from_flake_code"; fi
  if ! nf_in_checkout nf_take_commit; then
    NF_STEP_REASON=dirty
    return "$nf_from_flake_code"
  fi
  nf_say "the flake refuses a dirty tree: the same again from that commit"
  "$@"
}

nf_wants_commit() { [ -n "$NF_COMMIT_LOCK" ] || [ "$NF_DIRTY_TREES" = refuses ]; }

# nf_refuses_tree: true if the system cannot be evaluated in the dirty tree, and can in the commit of the new
# lock. Nothing is left of that commit.
# sets: NF_DIRTY_TREES
nf_refuses_tree() {
  if ! nf_tree_status || ! nf_is_dirty "$probe_status"; then return 1; fi
  if nf_evaluates "$PWD"; then nf_remember takes; return 1; fi
  if nf_cancelled || ! nf_logged nf_write_commit '' ''; then return 1; fi
  nf_refuses_tree_place=$nf_commit_place
  nf_evaluates "$nf_commit_flake"
  nf_refuses_tree_code=$?
  nf_forget_commit "$nf_refuses_tree_place"
  if [ "$nf_refuses_tree_code" != 0 ]; then return 1; fi
  nf_remember refuses
}

nf_tree_status() { probe_git_status "$PWD" --untracked-files=no; }

# nf_evaluates FLAKE: whether the whole system can be evaluated.
nf_evaluates() {
  nf_within "$NF_EVALUATION" nf_eval_into "$NF_RUN/evaluated" --option eval-cache false \
    "$1#$(nf_system).drvPath"
}

# nf_take_commit: what is built from here on is the commit of the new lock. False if it cannot stand for the
# tree.
# sets: NF_FLAKE
nf_take_commit() {
  if ! nf_tree_status || ! nf_is_dirty "$probe_status"; then return 1; fi
  if ! nf_is_plain "$probe_status"; then
    nf_say "not built from a commit of flake.lock: these have changes, too, and must be committed first:"
    nf_changed_files
    return 1
  fi
  nf_take_commit_sign=''
  if [ -n "$NF_COMMIT_LOCK" ] && nf_signs; then nf_take_commit_sign=1; fi
  if ! nf_note_commit checkout "$NF_CHECKOUT"; then return 1; fi
  if nf_logged nf_write_commit "refs/nixfleet/$NF_ID" "$nf_take_commit_sign"; then
    nf_note_commit commit "$nf_commit_id"
    if nf_is_same_source; then
      NF_FLAKE=$nf_commit_flake
      case $NF_GOAL in
        commit) nf_say "the branch goes to the commit $nf_commit_id" ;;
        *) nf_say "built is the commit $nf_commit_id, which holds the new flake.lock: $NF_FLAKE" ;;
      esac
      return 0
    fi
    nf_say "not built from a commit of flake.lock: Nix does not read the same files from it and from the tree"
  fi
  nf_drop_commit "$NF_ID"
  return 1
}

# The files with changes beside flake.lock go to the log, one a line; without any, flake.lock itself.
nf_changed_files() {
  nf_changed_files_all=$(printf '%s\n' "$probe_status" | awk '
    { fields = /^1 / ? 8 : /^2 / ? 9 : /^u / ? 10 : 0 }
    fields { for (i = 0; i < fields; i++) sub(/^[^ ]* /, ""); sub(/\t.*/, ""); print }' |
    grep -vx 'flake\.lock' | head -n 20)
  nf_say "${nf_changed_files_all:-flake.lock}"
}

nf_signs() { case $(nf_git config --type=bool commit.gpgSign) in true) ;; *) return 1 ;; esac; }

# --- the commits that are kept

# nf_keep_folder NAME MODE: make that folder beside the jobs.
# sets: NF_TRUSTED
nf_keep_folder() {
  nf_keep_place
  NF_TRUSTED=: # look anew
  case $NF_PLATFORM in home-manager) ;; *) nf_is_trusted "${NF_JOBS%/jobs}" || return ;; esac
  mkdir -p "${NF_JOBS%/jobs}/$1" && chmod "$2" "${NF_JOBS%/jobs}/$1" && nf_kept_folder "$1"
}

# nf_note_commit KEY VALUE: a line on this job's commit.
nf_note_commit() {
  nf_note_commit_dir=$(nf_keep_folder commits 700) &&
    printf '%s %s\n' "$1" "$2" >>"$nf_note_commit_dir/$NF_ID"
} 2>/dev/null

# nf_noted JOB KEY
nf_noted() { sed -n "s/^$2 //p" "${NF_JOBS%/jobs}/commits/$1" 2>/dev/null | tail -n 1; }

# After a rebuild that built the commit: the generation keeps it.
nf_keep_commit() {
  if [ -z "$(nf_noted "$NF_ID" commit)" ]; then return 0; fi
  if [ -z "$(nf_noted "$NF_ID" system)" ]; then nf_note_commit system "$(nf_profile)"; fi
}

# After a failure or a cancellation: a commit that no generation is built from goes.
nf_undo_commit() {
  if [ -z "$(nf_noted "$NF_ID" checkout)" ] || [ -n "$(nf_noted "$NF_ID" system)" ]; then return 0; fi
  if nf_has_moved; then nf_keep_commit; else nf_drop_commit "$NF_ID"; fi
}

# nf_drop_commit JOB: the owner removes the ref; git may have left its lock. A checkout that is gone has none.
nf_drop_commit() {
  nf_drop_commit_from=$(nf_noted "$1" checkout)
  # shellcheck disable=SC2016 # the inner shell expands
  (
    cd "$NF_ROOT$nf_drop_commit_from" 2>/dev/null && nf_owner . || exit 0
    nf_logged nf_step_down 30 sh -c 'rm -f "$(git rev-parse --git-path "$1").lock"
      git -c core.hooksPath=/dev/null update-ref -d "$1"' sh "refs/nixfleet/$1"
  ) && rm -f "${NF_JOBS%/jobs}/commits/$1"
}

# Remove the commits of earlier jobs from which no generation is built any more; and their refs to the commit
# that this job has built, too. A job that the host's end cut short has not noted its system.
nf_drop_old_commits() {
  nf_drop_old_commits_now=$(nf_noted "$NF_ID" commit)
  for nf_drop_old_commits_job in "${NF_JOBS%/jobs}/commits"/*; do
    nf_drop_old_commits_job=${nf_drop_old_commits_job##*/}
    case $nf_drop_old_commits_job in "$NF_ID") continue ;; esac
    if ! nf_is_job_id "$nf_drop_old_commits_job"; then continue; fi
    if [ "$(nf_noted "$nf_drop_old_commits_job" checkout)" != "$NF_CHECKOUT" ]; then continue; fi
    case $(nf_noted "$nf_drop_old_commits_job" commit) in
      '' | "$nf_drop_old_commits_now") ;;
      *) if nf_is_kept "$nf_drop_old_commits_job"; then continue; fi ;;
    esac
    nf_drop_commit "$nf_drop_old_commits_job"
  done
}

# nf_is_kept JOB: true if a generation of the profile is the system that the job has built; if that is
# unknown, if a generation is newer than what the job has noted.
nf_is_kept() {
  nf_is_kept_system=$(nf_noted "$1" system)
  if [ -n "$nf_is_kept_system" ]; then
    nf_number_of "$(nf_in_host "$nf_is_kept_system")" >/dev/null
    return
  fi
  for nf_is_kept_number in $(nf_generations); do
    nf_is_kept_link=$NF_PROFILE-$nf_is_kept_number-link
    if [ -n "$(find "$nf_is_kept_link" -newer "${NF_JOBS%/jobs}/commits/$1")" ]; then return 0; fi
  done
  return 1
}

# nf_remember WORD: what this flake does with dirty trees (nf_remembered).
# sets: NF_DIRTY_TREES
nf_remember() {
  NF_DIRTY_TREES=$1
  nf_remember_dir=$(nf_keep_folder flakes 755) || return 0
  nf_remember_file=$nf_remember_dir/$(nf_memory_name)
  if printf '%s %s\n' "$1" "$(nf_memory_of)" >"$nf_remember_file.new" &&
    chmod 644 "$nf_remember_file.new"; then
    mv -f "$nf_remember_file.new" "$nf_remember_file"
  else
    rm -f "$nf_remember_file.new"
  fi
} 2>/dev/null
