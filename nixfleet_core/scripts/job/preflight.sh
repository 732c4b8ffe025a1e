# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# The first step: can the rest work? Nothing has been touched yet.

# sets: NF_STEP_REASON, NF_WHO
nf_do_preflight() {
  NF_WHO=owner
  nf_look_before
  nf_check tools && nf_check unit && nf_check idle || return
  # whom we waited for has moved something: that is what was before this job
  if nf_has_moved; then nf_note_back; nf_look_before; fi
  case $NF_GOAL in rollback | restart) return 0 ;; commit) nf_before_commit; return ;; esac
  nf_check disk && nf_check memory && nf_check checkout && nf_check remote && nf_check pull &&
    nf_check input && nf_check commit && nf_check attribute && nf_check switch
}

# A job that only commits pulls and builds nothing.
nf_before_commit() { nf_check checkout && nf_check commit && cd /; }

nf_look_before() {
  if nf_owner "$NF_ROOT$NF_CHECKOUT" && cd "$NF_ROOT$NF_CHECKOUT" 2>/dev/null; then nf_write_before
  elif [ "$NF_GOAL" = restart ]; then nf_write_before; fi # it needs no checkout
  cd /
}

# Save a probe of the host before the job.
nf_write_before() {
  probe 2>/dev/null | cat >"$NF_JOB/.before"
  nf_publish before && nf_keep before
}

# nf_check NAME: runs nf_check_NAME, which sets nf_check_why to a token: the fault, or the fault it accepted.
# If it sets nf_check_said, the words on it stand in the log from there on.
# sets: NF_STEP_REASON, nf_check_said, nf_check_why
nf_check() {
  nf_check_why='' nf_check_said=''
  if "nf_check_$1"; then
    nf_event check ",\"check\":\"$1\",\"ok\":true,\"reason\":\"$nf_check_why\""
  else
    NF_STEP_REASON=$1
    nf_check_place=${nf_check_said:+",\"said\":$nf_check_said,\"log\":$(nf_size "$NF_LOG")"}
    nf_event check ",\"check\":\"$1\",\"ok\":false,\"reason\":\"$nf_check_why\"$nf_check_place"
    return 1
  fi
}

# nf_refuse TOKEN WORDS: what is wrong. False.
# sets: nf_check_why
nf_refuse() {
  nf_check_why=$1
  nf_say "preflight: $2"
  return 1
}

# sets: nf_check_why
nf_check_tools() {
  for nf_check_tools_tool in $NF_TOOLS; do
    if nf_has "$nf_check_tools_tool"; then continue; fi
    case $nf_check_tools_tool in git) if nf_is_stub; then nf_refuse stub "$NF_STUB"; return; fi ;; esac
    nf_check_tools_left=${NF_PATH_LEFT:+; others than root can write to$NF_PATH_LEFT}
    nf_refuse missing "$nf_check_tools_tool is not in PATH ($PATH)$nf_check_tools_left"
    return
  done
}

# sets: nf_check_why
nf_check_unit() {
  nf_check_unit_state=$(nf_service_state)
  case $nf_check_unit_state in loaded) nf_can_load; return ;; esac
  nf_refuse "$nf_check_unit_state" "the agent's service $NF_UNIT is $nf_check_unit_state"
}

# On a Mac, an agent for gui/UID can be loaded only while the user is logged in at the screen.
# sets: nf_check_why
nf_can_load() {
  if [ "$NF_MANAGER" != launchd ] || nf_agent_target "$(nf_agent_domain)" >/dev/null; then return 0; fi
  nf_refuse no-session "launchd has no domain here that takes $(nf_plist); it is for $(nf_session_types |
    grep . || echo Aqua) sessions"
}

# sets: nf_check_why
nf_check_disk() {
  nf_has_room "$NF_ROOT/nix/store" "$NF_DISK_NEEDED" && nf_has_room "$NF_JOB" 20480 &&
    nf_has_room "$NF_ROOT$NF_CHECKOUT" 10240
}

# nf_has_room DIR KIB
# sets: nf_check_why
nf_has_room() {
  nf_has_room_free=$(df -Pk "$1" 2>/dev/null | awk 'NR==2 {print $4}')
  if [ "${nf_has_room_free:-0}" -ge "$2" ]; then return 0; fi
  nf_refuse full "${nf_has_room_free:-0} KiB free in $1, $2 KiB wanted"
}

# sets: nf_check_why
nf_check_memory() {
  nf_check_memory_free=$(awk '/^MemAvailable:/ {print $2}' "$NF_ROOT/proc/meminfo" 2>/dev/null)
  if [ "${nf_check_memory_free:-$NF_MEMORY_NEEDED}" -ge "$NF_MEMORY_NEEDED" ]; then return 0; fi
  nf_check_memory_free=$((nf_check_memory_free / 1024))
  nf_refuse low "$nf_check_memory_free MiB of memory are free, $((NF_MEMORY_NEEDED / 1024)) are wanted"
}

# sets: nf_check_why
nf_check_checkout() {
  # macOS may keep a job from the user's own folders
  if [ "$NF_KERNEL" = Darwin ] && [ -d "$NF_ROOT$NF_CHECKOUT" ] &&
    ! ls "$NF_ROOT$NF_CHECKOUT/" >/dev/null 2>&1; then
    nf_refuse denied "macOS does not let this job read $NF_CHECKOUT, though ssh may"
    return
  fi
  if ! cd "$NF_ROOT$NF_CHECKOUT" 2>/dev/null; then
    nf_refuse missing "there is no directory $NF_CHECKOUT"
    return
  fi
  nf_owner . || { nf_check_why=missing; return 1; }
  nf_folder "$NF_ROOT$NF_CHECKOUT"
  case $nf_folder_state in
    ok) ;;
    ownerless) nf_refuse ownerless "$NF_CHECKOUT belongs to $NF_OWNER, who is no user of this host"; return ;;
    closed) nf_refuse closed "$NF_CHECKOUT belongs to $NF_OWNER, who cannot enter it"; return ;;
    *) nf_refuse "$nf_folder_state" "$NF_CHECKOUT: ${nf_folder_said:-git finds no commit there}"; return ;;
  esac
  nf_know_ssh
  if [ -e flake.nix ] && ! nf_is_tracked flake.nix; then
    nf_refuse untracked "git does not track $NF_CHECKOUT/flake.nix, so Nix does not see it"
    return
  fi
  nf_check_checkout_foreign=$(nf_foreign | tr '\n' ' ')
  if [ -z "$nf_check_checkout_foreign" ]; then return 0; fi
  nf_check_checkout_words="these belong to root, the pull as $NF_OWNER would fail"
  nf_refuse root-owned "$nf_check_checkout_words: $nf_check_checkout_foreign"
}

# Wait for somebody else's rebuild, visibly and not for ever. After the wait, --force goes on all the same,
# but never while an activation runs.
# sets: nf_check_idle_told (1 if it had to wait), nf_check_why
nf_check_idle() {
  nf_check_idle_told=''
  nf_clock_start
  while nf_is_busy; do
    nf_check_why=busy
    if [ -z "$nf_check_idle_told" ] && [ "$NF_WAIT" -gt 0 ]; then
      nf_event waiting ",\"reason\":\"switch\",\"limit\":$NF_WAIT$nf_is_busy_event"
      nf_say "preflight: waiting for $nf_is_busy_with"
      nf_check_idle_told=1
    fi
    if ! nf_is_within "$NF_WAIT"; then nf_idle_is_over; return; fi
    nf_pause 1 || return 1
  done
  nf_check_why=''
}

# The wait is over. A process of another user's, who may run any program under that name, never refuses a
# forced update, even one that does not wait.
nf_idle_is_over() {
  case $nf_other_of,$NF_GO_ON,$NF_FORCED in
    user,*,1 | root,1,* | agent,1,*) ;;
    *)
      nf_say "preflight: another rebuild is running on this host: $nf_is_busy_with"
      return 1
      ;;
  esac
  nf_say "preflight: still running: $nf_is_busy_with. The update was forced, and goes on all the same"
}

# nf_is_busy: true if an activation runs, or a rebuild that would collide with ours. The agent's own would
# die with the agent.
# sets: nf_is_busy_with (for people), nf_is_busy_event, nf_other_of ("" for an activation)
nf_is_busy() {
  nf_other_of='' nf_is_busy_event=''
  if nf_switch_lives; then nf_is_busy_with='an activation'; return 0; fi
  nf_see_systemd
  # shellcheck disable=SC2046 # two numbers are one word
  nf_find_other $(nf_suspects) || return 1
  nf_is_busy_with=$nf_other${nf_other_pid:+, process $nf_other_pid}
  nf_is_busy_event=",\"program\":\"$nf_other\"${nf_other_pid:+,\"pid\":$nf_other_pid}"
}

# The detached job cannot use the operator's ssh agent, and neither does this check.
# sets: nf_check_why
nf_check_remote() {
  nf_pulls || return 0
  if ! nf_check_remote_branch=$(nf_git symbolic-ref -q --short HEAD); then
    nf_refuse detached "$NF_CHECKOUT is on no branch (detached HEAD)"
    return
  fi
  nf_fetch "$nf_check_remote_branch" && return
  if [ -z "$nf_fetch_ref" ]; then
    nf_refuse no-upstream "the branch $nf_check_remote_branch has no upstream branch"
    return
  fi
  if nf_lan_is_denied; then nf_check_why=lan; else nf_check_why=fetch; fi
  return 1
}

nf_git() { nf_logged nf_step_down 30 git "$@"; }

# Will the pull succeed? The check changes nothing of the user's.
# sets: nf_check_why
nf_check_pull() {
  nf_pulls || return 0
  if nf_check_pull_state=$(nf_unfinished); then
    nf_refuse unfinished "a merge or rebase is unfinished ($nf_check_pull_state)"
    return
  fi
  nf_pull_places || { nf_check_why=broken; return 1; }
  # the host went down in the pull of another job
  if [ -e "$nf_pull_places_scratch/begun" ] && ! nf_undo_tree 137; then nf_check_why=half-way; return 1; fi
  nf_git merge-base --is-ancestor "$(nf_upstream)" HEAD && return
  nf_git merge-base --is-ancestor HEAD "$(nf_upstream)"
  case $? in
    0) nf_fits ;;
    1) nf_refuse diverged "the branch and its upstream have diverged: HEAD has commits that upstream lacks" ;;
    *) nf_refuse broken "git cannot compare HEAD with its upstream" ;;
  esac
}

# sets: NF_LOCK_SUM, nf_check_why
nf_check_input() {
  if ! nf_lock_fits; then nf_check_why=$nf_lock_fits_why; return 1; fi
  if [ "$nf_lock_fits_kind" = file ]; then NF_LOCK_SUM=$(nf_sum_of_lock); fi
  if ! nf_read_lock; then
    nf_refuse lock-broken "flake.lock cannot be read"
    return
  fi
  if [ "$NF_LOCK_VALUES" = missing ]; then nf_refuse missing "the flake has no input '$NF_INPUT'"; return; fi
  # nothing is moved: what the input's repository has does not matter
  if [ -n "$NF_AS_LOCKED" ]; then return 0; fi
  nf_want
  nf_check_input_url=$(nf_field 2)
  case $nf_want_commit,$nf_want_why in
    none,no-ref)
      nf_refuse no-ref "$nf_check_input_url has no '$(nf_field 3)', which $NF_INPUT is to follow"
      ;;
    none,refused) nf_refuse refused "$nf_check_input_url refuses git, with which Nix fetches $NF_INPUT" ;;
    none,*) nf_refuse unreachable "$nf_check_input_url does not name a commit for ${NF_INPUT}" ;;
    unknown,refused)
      nf_check_why=refused
      nf_say "preflight: $nf_check_input_url refuses git. Nix may have other credentials, as access-tokens"
      ;;
  esac
}

# With --commit-lock the commit is the owner's own, and signed if the owner signs.
# sets: nf_check_why
nf_check_commit() {
  if [ -z "$NF_COMMIT_LOCK" ]; then return 0; fi
  if [ "$NF_GOAL" = commit ] && ! nf_may_commit; then return 1; fi
  # git must not make up an author from the host's name
  if ! nf_git -c user.useConfigOnly=true var GIT_COMMITTER_IDENT >/dev/null; then
    nf_refuse identity "flake.lock is not committed: git knows no user.name and user.email of $NF_OWNER"
    return
  fi
  if nf_can_sign; then return 0; fi
  nf_refuse signing "flake.lock is not committed: git is to sign commits of $NF_OWNER, and cannot"
}

# A job that only commits: is it on a branch, and is the flake.lock the one that was agreed on?
# sets: nf_check_why
nf_may_commit() {
  if nf_may_commit_state=$(nf_unfinished); then
    nf_refuse unfinished "a merge or rebase is unfinished ($nf_may_commit_state)"
  elif ! nf_git symbolic-ref -q HEAD >/dev/null; then
    nf_refuse detached "$NF_CHECKOUT is on no branch (detached HEAD)"
  elif [ "$(nf_sum_of_lock)" != "$NF_LOCK_SEEN" ]; then
    nf_refuse lock-changed "flake.lock is no longer the one that was to be committed"
  else
    printf '%s\n' "$NF_LOCK_SEEN" >"$NF_RUN/lock-updated"
  fi
}

# Is there such a configuration? An earlier update may have left flake.lock dirty: so find out what the flake
# does with a dirty tree, unless it is known.
# sets: NF_DIRTY_TREES, nf_check_said, nf_check_why
nf_check_attribute() {
  NF_DIRTY_TREES=$(nf_remembered)
  if [ "$NF_DIRTY_TREES" = refuses ] && nf_may_be_committed nf_has_configuration; then
    cd /
    return 0
  fi
  nf_check_why=''
  nf_takes_tree_as_it_is
  nf_check_attribute_code=$?
  cd /
  if [ "$nf_check_attribute_code" = 0 ]; then return 0; fi
  if [ -n "$nf_check_why" ]; then return 1; fi
  nf_check_why=evaluation
  if nf_lacks_name; then nf_check_why=missing; fi
  return 1
}

# nf_has_configuration FLAKE
# sets: nf_check_said
nf_has_configuration() {
  nf_check_said=$(nf_size "$NF_LOG")
  nf_within "$NF_EVALUATION" nf_run nix --extra-experimental-features 'nix-command flakes' eval \
    --no-write-lock-file --apply 'x: true' "$1#$(nf_configuration)"
}

# The same for the checkout as it lies there. What a flake refuses can stand deep in the configuration.
# sets: nf_check_said, nf_check_why
nf_takes_tree_as_it_is() {
  nf_was_evaluated || nf_has_configuration "$NF_ROOT$NF_CHECKOUT"
  nf_takes_tree_as_it_is_code=$?
  case $nf_takes_tree_as_it_is_code,$NF_DIRTY_TREES in
    0,takes) return ;;
    # the pull may bring what the changes need
    0,*) if nf_pulls && nf_is_behind; then return; fi ;;
  esac
  if nf_cancelled || ! nf_refuses_tree; then return "$nf_takes_tree_as_it_is_code"; fi
  nf_may_be_committed :
}

# nf_was_evaluated: true if this job's look has evaluated the agent in this configuration, and from this very
# tree: nobody was waited for since, and no commit stood for the tree.
nf_was_evaluated() {
  if [ -n "$nf_check_idle_told" ]; then return 1; fi
  case $NF_DIRTY_TREES in
    takes) ;;
    *) if ! nf_tree_status || nf_is_dirty "$probe_status"; then return 1; fi ;;
  esac
  [ -n "$(nf_record expected.path <"$NF_JOB/before")" ]
}

# nf_may_be_committed FUNCTION: true if a commit of flake.lock can stand for this dirty tree, and FUNCTION
# works for it. Nothing is left of that commit.
# sets: nf_check_why
nf_may_be_committed() {
  if ! nf_tree_status || ! nf_is_dirty "$probe_status"; then return 1; fi
  if nf_is_plain "$probe_status" && nf_logged nf_write_commit '' ''; then
    nf_may_be_committed_place=$nf_commit_place nf_may_be_committed_flake=$nf_commit_flake
    if nf_is_same_source; then
      set -- "$@" "$nf_may_be_committed_flake"
      "$@"
      nf_may_be_committed_code=$?
      nf_forget_commit "$nf_may_be_committed_place"
      return "$nf_may_be_committed_code"
    fi
    nf_forget_commit "$nf_may_be_committed_place"
  fi
  nf_check_why=dirty
  nf_say "preflight: these changes are to be committed or corrected:"
  nf_changed_files
  return 1
}

# nf_lacks_name: true if the names of the flake's configurations can be listed, and ours is not among them.
# They then stand in the log, one a line.
# sets: nf_check_said
nf_lacks_name() {
  nf_lacks_name_all=$(nf_logged attributes_in "$NF_ROOT$NF_CHECKOUT") || return
  if printf '%s\n' "$nf_lacks_name_all" | grep -Fqx -e "$NF_ATTRIBUTE"; then return 1; fi
  nf_say "preflight: the flake has no $(nf_configuration), but these:"
  nf_check_said=$(nf_size "$NF_LOG")
  nf_say "$nf_lacks_name_all"
}
