# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# What each step of the chain does around its command.

# nf_field N: of NF_LOCK_VALUES: kind, url, ref, rev, pinned, pin, what the URL hides
nf_field() { printf '%s\n' "$NF_LOCK_VALUES" | cut -f "$1"; }

# nf_want: puts the commit that the lock should name into nf_want_commit: 40 hex digits; "none" if the
# remote names none (a missing branch and a captive portal both exit 0); or "unknown".
# sets: NF_LIMIT, NF_OUT, nf_want_commit
nf_want() {
  nf_want_commit=$NF_WANT_REV
  if [ -z "$nf_want_commit" ]; then nf_want_commit=$(nf_field 5); fi
  nf_want_url=$(nf_field 2)
  nf_want_hides=$(nf_field 7)
  # git would get the query as an argument, and everybody can read arguments
  if [ "$nf_want_hides" = query ]; then nf_want_url=''; fi
  if [ -z "$nf_want_commit" ] && [ -z "$nf_want_url" ]; then nf_want_commit=unknown; return; fi
  if [ -z "$nf_want_commit" ]; then
    nf_want_ref=$(nf_field 3)
    case $nf_want_ref in '') nf_want_ref=HEAD ;; refs/*) ;; *) nf_want_ref=refs/heads/$nf_want_ref ;; esac
    nf_want_limit_was=$NF_LIMIT NF_LIMIT=60 NF_OUT=$NF_RUN/ls-remote
    : >"$NF_OUT"
    case $nf_want_hides in
      '') nf_quietly git ls-remote -- "$nf_want_url" "$nf_want_ref" ;;
      *)
        nf_quietly sh -c "$NF_ASK_URL" sh nix --extra-experimental-features 'nix-command flakes' \
          eval --impure --raw --argstr lock "$NF_ROOT$NF_CHECKOUT/flake.lock" \
          --argstr input "$NF_INPUT" --expr "$NF_LOCK_NIX" given AND ls-remote -- URL "$nf_want_ref"
        ;;
    esac
    nf_want_commit=$(sed -n '1s/^\([0-9a-f]\{40\}\)[[:space:]].*/\1/p' "$NF_OUT")
    nf_want_commit=${nf_want_commit:-none} NF_LIMIT=$nf_want_limit_was NF_OUT=''
  fi
}

nf_has_commit() { case $nf_want_commit in none | unknown) return 1 ;; esac; }

# nf_fail TOKEN WORDS: why the step fails. False.
# sets: NF_STEP_REASON
nf_fail() {
  NF_STEP_REASON=$1
  nf_say "$2"
  return 1
}

# nf_pin: lock the input to the wanted commit. It keeps the input's source, so a later plain update
# follows the branch again. It refuses a URL with a login or a query: they would stand in the arguments.
# sets: NF_STEP_REASON
nf_pin() {
  if [ -n "$(nf_field 7)" ]; then
    nf_pin_hidden="its URL has a user name, a password or a query, which everybody could read then"
    nf_fail credentials "$NF_INPUT is not locked to a commit: $nf_pin_hidden"
    return
  fi
  nf_say "flake.lock gets $NF_INPUT at $nf_want_commit, which its repository names"
  nf_quietly nix --extra-experimental-features 'nix-command flakes' flake lock \
    --override-input "$NF_INPUT" "$(nf_field 6)$nf_want_commit"
}

# sets: NF_STEP_REASON
nf_do_stop() {
  nf_stop "$@" && return 0
  # a cancellation ended the command, but not the stop that it asked for
  if nf_cancelled; then nf_stop "$@" && return 0; fi
  nf_say "the agent did not stop in time: it is killed"
  NF_STEP_REASON=killed
  nf_service_kill >>"$NF_LOG" 2>&1
  nf_stop "$@"
}

nf_stop() { case $NF_MANAGER in launchd) nf_launchd_unload ;; *) nf_run "$@" ;; esac; }

nf_profile() { nf_real "$NF_PROFILE"; }

# nf_lock_kind FILE: what its owner sees: missing, link, large, other (not a regular file) or file.
nf_lock_kind() {
  # shellcheck disable=SC2016 # the inner shell expands
  nf_step_down 20 sh -c 'if [ -L "$1" ]; then echo link; elif ! [ -e "$1" ]; then echo missing
    elif ! [ -f "$1" ]; then echo other
    elif [ "$(($(wc -c <"$1")))" -gt "$2" ]; then echo large; else echo file; fi' \
    sh "$1" "$NF_LOCK_LIMIT" 2>/dev/null | head -c 20
}

# nf_lock_fits: true if flake.lock is missing or can be kept.
# sets: nf_lock_fits_kind (as nf_lock_kind has it) and nf_lock_fits_why (a token for what is wrong)
nf_lock_fits() {
  nf_lock_fits_why='' nf_lock_fits_kind=$(nf_lock_kind "$NF_ROOT$NF_CHECKOUT/flake.lock")
  case $nf_lock_fits_kind in
    file | missing) return 0 ;;
    link)
      nf_lock_fits_why=lock-link
      nf_say "flake.lock is a link: it is not copied, and not updated; put a file there"
      ;;
    large)
      nf_lock_fits_why=lock-large
      nf_say "flake.lock is larger than $((NF_LOCK_LIMIT / 1024)) KiB: it is not copied, and not updated"
      ;;
    *) nf_lock_fits_why=lock-broken; nf_say "flake.lock is no file that $NF_OWNER can read" ;;
  esac
  return 1
}

# nf_save_lock NAME: keep one copy of flake.lock with the job; half a copy is deleted.
# sets: NF_STEP_REASON
nf_save_lock() {
  nf_save_lock_file=$NF_ROOT$NF_CHECKOUT/flake.lock
  if [ -e "$NF_JOB/$1" ]; then return 0; fi
  if ! nf_lock_fits; then NF_STEP_REASON=$nf_lock_fits_why; return 1; fi
  if [ "$nf_lock_fits_kind" = missing ]; then return 0; fi
  if nf_into "$NF_JOB/.$1" nf_owner_cat "$nf_save_lock_file" &&
    [ "$(cksum <"$NF_JOB/.$1")" = "$(nf_owner_cat "$nf_save_lock_file" | cksum)" ]; then
    nf_share "$NF_JOB/.$1"
    mv -f "$NF_JOB/.$1" "$NF_JOB/$1"
    nf_keep "$1"
  else
    rm -f "$NF_JOB/.$1"
    nf_say "flake.lock could not be saved"
    return 1
  fi
}

# nf_put_lock FILE: the owner puts that copy back, whole at once. On a full disk the owner overwrites
# the lock in place.
nf_put_lock() {
  [ -r "$1" ] || return 0
  (
    cd "$NF_ROOT$NF_CHECKOUT" || exit 1
    if [ "$(cksum <"$1")" = "$(nf_owner_cat flake.lock | cksum)" ]; then exit 0; fi
    # shellcheck disable=SC2016 # the inner shell expands
    nf_step_down 30 sh -c 'new=.flake.lock.nixfleet
      { cat <&3 >$new && mv -f $new flake.lock; } || { rm -f $new; cat <&4 >flake.lock; }' 3<"$1" 4<"$1" &&
      nf_say "flake.lock is as it was again"
  )
}

# After a failure before the profile moved: bring back a dirty lock, and the lock that a failed update
# left half written.
nf_undo_lock() {
  if nf_is_sharing; then
    if [ "$NF_STEP" = push ]; then nf_in_checkout nf_take_back_commit; fi
    return
  fi
  if [ "$(nf_profile)" != "$(cat "$NF_RUN/profile" 2>/dev/null)" ]; then return; fi
  case $NF_STEP in
    pull | update | repair | build | rebuild) ;;
    rollback) nf_put_lock "$NF_JOB/flake.lock.before"; return ;; # cut short, but the profile is back
    *) return ;;
  esac
  if [ -e "$NF_RUN/lock-restored" ]; then
    nf_put_lock "$NF_JOB/flake.lock.before"
  elif [ "$NF_STEP" = update ]; then
    nf_put_lock "$NF_JOB/flake.lock.pulled"
  fi
}

# sets: NF_STEP_REASON
nf_do_pull() {
  nf_save_lock flake.lock.before || return
  if [ -e "$NF_RUN/restore-lock" ] && [ ! -e "$NF_RUN/lock-restored" ]; then
    if [ "$(cksum <"$NF_JOB/flake.lock.before")" != "$NF_RESTORE_LOCK" ]; then
      nf_fail lock-changed "flake.lock was changed by somebody since the plan was made"
      return
    fi
    : >"$NF_RUN/lock-restored"
    nf_run git checkout --quiet HEAD -- flake.lock || return
  fi
  nf_run "$@"
}

# sets: NF_LOCK_VALUES, NF_STEP_REASON
nf_do_update() {
  nf_save_lock flake.lock.before || return
  nf_do_update_lock_file=$NF_ROOT$NF_CHECKOUT/flake.lock
  cd "$NF_ROOT$NF_CHECKOUT" || return
  nf_save_lock flake.lock.pulled || { cd /; return 1; }
  NF_LOCK_VALUES=$(nf_logged nf_lock "$nf_do_update_lock_file" "$NF_INPUT") || return
  nf_want
  nf_do_update_code=0
  if [ "$1" != pin-latest ]; then
    nf_run "$@" || nf_do_update_code=$?
    # the forge's API refuses more requests, but git has named the commit: lock to it
    if nf_has_commit && nf_said | grep -Eq 'rate limit|HTTP error (403|429)'; then
      nf_do_update_code=0
      nf_pin || nf_do_update_code=$?
    fi
  elif nf_has_commit || [ -n "$(nf_field 7)" ]; then
    nf_pin || nf_do_update_code=$?
  fi
  if [ "$nf_do_update_code" != 0 ]; then cd /; return "$nf_do_update_code"; fi
  NF_LOCK_VALUES=$(nf_logged nf_lock "$nf_do_update_lock_file" "$NF_INPUT") || return
  # the branch may have moved while nix fetched it: then the newer answer counts
  if [ "$(nf_field 4)" != "$nf_want_commit" ]; then nf_want; fi
  nf_owner_cat "$nf_do_update_lock_file" | cksum >"$NF_RUN/lock-updated"
  cd /
  nf_say "flake.lock has $NF_INPUT at $(nf_field 4); its repository says $nf_want_commit"
  if nf_lock_reached; then return 0; fi
  # exit 0 with the old commit: a failed fetch falls back to the cache without a word
  nf_say "the lock did not reach the latest, whatever nix's exit code says"
  return 65
}

# nf_lock_reached: true if the lock names the commit that its repository names.
# sets: NF_STEP_REASON
nf_lock_reached() {
  NF_STEP_REASON=stale
  case $nf_want_commit in
    # there is no repository to compare with: only Nix can say that its fetch failed
    unknown) if nf_said | grep -Eq "$NF_KEPT_OLD"; then return 1; fi ;;
    none) NF_STEP_REASON=latest-unknown; return 1 ;;
    *)
      echo "$nf_want_commit" >"$NF_JOB/latest" && nf_share "$NF_JOB/latest" && nf_keep latest
      if [ "$(nf_field 4)" != "$nf_want_commit" ]; then return 1; fi
      ;;
  esac
  NF_STEP_REASON=''
}

# git refuses the owner's repository to root, unless root looks like the owner's sudo
nf_do_rebuild() {
  nf_wait_switch 900
  if [ "$NF_UID" = 0 ]; then SUDO_UID=$NF_OWNER_UID; export SUDO_UID; fi
  nf_run "$@"
  nf_do_rebuild_code=$?
  unset SUDO_UID
  return "$nf_do_rebuild_code"
}

# nf_wait_switch LIMIT: wait for a running activation, a unit of its own; the agent comes after it.
nf_wait_switch() {
  nf_wait_switch_told='' nf_wait_switch_until=$(($(nf_now) + $1))
  while nf_switch_lives && [ "$(nf_now)" -lt "$nf_wait_switch_until" ]; do
    if [ -z "$nf_wait_switch_told" ]; then
      nf_event waiting ",\"reason\":\"activation\",\"limit\":$1"
      nf_wait_switch_told=1
    fi
    sleep 1
  done
}

# nf_runs_installed: the last nf_see_units has proof that the installed program, or one that it starts, runs.
nf_runs_installed() {
  case $nf_look_proof in exe | script) ;; *) return 1 ;; esac
  nf_is_one "$nf_look_path" "$agent_installed" "$nf_look_starts"
}

nf_do_start() {
  nf_wait_switch 900
  nf_service_forgive >>"$NF_LOG" 2>&1
  nf_see_units
  if nf_agent_is_up && [ -n "$nf_look_path" ]; then
    # the switch may have started the new agent already; restartIfChanged=false leaves an old one running
    if nf_runs_installed; then nf_say "the agent runs already, from $agent_installed"; return 0; fi
    nf_service_restart
  else
    nf_service_start
  fi
}

# nf_keep_proof: save a probe of the host after the job; in memory if the disk is full.
nf_keep_proof() {
  cd /
  nf_keep_place
  (probe 2>/dev/null) | cat >"$NF_RUN/after" # in a subshell: it has variables of our names
  if cp "$NF_RUN/after" "$NF_JOB/.after" 2>/dev/null && nf_publish after; then
    rm -f "$NF_RUN/after"
  else
    rm -f "$NF_JOB/.after"
  fi
  nf_keep_changes
}

# The agent must be up, as the same process, for NF_STABLE seconds; then the proof is written down. A
# process that is not yet the agent (a shell that waits for the network) gets time; the verdict names it.
# sets: NF_BACK, NF_STEP_REASON
nf_do_verify() {
  nf_do_verify_restarts_were=$(nf_restarts)
  nf_do_verify_tries=0 nf_do_verify_pid_was='' nf_do_verify_same=0
  while [ "$nf_do_verify_tries" -lt $((30 + NF_STABLE)) ]; do
    if [ "$nf_do_verify_same" -ge "$NF_STABLE" ] && nf_runs_installed; then break; fi
    nf_see_units
    if [ -n "$nf_look_path" ] && [ "$agent_pid" = "$nf_do_verify_pid_was" ] && nf_agent_is_up; then
      nf_do_verify_same=$((nf_do_verify_same + 1))
    else
      nf_do_verify_same=0
    fi
    nf_do_verify_pid_was=$agent_pid nf_do_verify_tries=$((nf_do_verify_tries + 1))
    sleep 1
  done
  nf_keep_proof
  if [ "$nf_do_verify_same" -ge "$NF_STABLE" ]; then
    nf_say "the agent runs as process $agent_pid, from $nf_look_path"
    nf_ask_agent
    return 0
  fi
  # an agent that crashes at once is never seen running
  NF_STEP_REASON=down
  if [ -n "$nf_look_path" ] || [ "$(nf_restarts)" != "$nf_do_verify_restarts_were" ]; then
    NF_STEP_REASON=unstable
  fi
  if [ -n "$NF_ROLLBACK" ] && [ -z "$NF_GONE_BACK" ] && nf_has_moved; then NF_BACK=1; fi
  nf_say "the agent is not up and stable: $NF_STEP_REASON; its last words:"
  nf_service_log 30 >>"$NF_LOG" 2>&1
  return 1
}

# nf_ask_agent: run the agent's own --check, if it has one. The answer is logged, and decides nothing.
# An agent without that flag could start a second time, so its help must name the flag.
nf_ask_agent() {
  nf_may_ask || return 0
  nf_agent_says --help
  grep -Eq -e '(^|[^[:alnum:]-])--?check([^[:alnum:]-]|$)' "$NF_RUN/said" || return 0
  nf_agent_says --check
  nf_ask_agent_says=$?
  nf_say "the agent's own --check ended with $nf_ask_agent_says; it said:"
  nf_say "$(cat "$NF_RUN/said")"
  case $nf_ask_agent_says in
    0) nf_event check ',"check":"agent","ok":true' ;;
    124 | 137 | 142) nf_event check ',"check":"agent","ok":false,"reason":"timeout"' ;;
    *) nf_event check ',"check":"agent","ok":false,"reason":"failed"' ;;
  esac
}

# nf_may_ask: we run an agent's program only if it provably runs already. It must be in the store, it must
# belong to root or the store's owner, and nobody else may write to it.
# sets: nf_may_ask_program
nf_may_ask() {
  nf_runs_installed && nf_may_ask_program=$(nf_stored "$NF_ROOT$nf_look_path") || return 1
  # shellcheck disable=SC2012 # a store path has a plain name
  nf_may_ask_store_owner=$(ls -ldn "$NF_ROOT/nix/store/." | awk '{print $3}')
  # shellcheck disable=SC2012 # a store path has a plain name
  ls -ldn "$NF_ROOT$nf_may_ask_program" | awk -v owner="$nf_may_ask_store_owner" '
    NR == 1 { exit !($1 ~ /^-....[^w]..[^w]/ && ($3 == 0 || $3 == owner)) }'
}

# nf_agent_says FLAG: run nf_may_ask_program for a few seconds, with the user and the settings of the agent's
# process. The beginning of its output goes to NF_RUN/said.
# sets: NF_OWNER, NF_OWNER_UID
nf_agent_says() {
  : >"$NF_RUN/said"
  nf_agent_says_owner_was=${NF_OWNER:-} nf_agent_says_uid_was=${NF_OWNER_UID:-}
  NF_OWNER_UID=$(nf_status Uid)
  nf_agent_says_rc=126
  if [ -n "$NF_OWNER_UID" ]; then
    NF_OWNER=$(id -un "$NF_OWNER_UID" 2>/dev/null) || NF_OWNER=$NF_OWNER_UID
    cd /
    nf_into "$NF_RUN/said" nf_step_down 5 sh -c "$NF_WITH_SETTINGS" \
      sh "$NF_ROOT/proc/$agent_pid/environ" "$NF_ROOT$nf_may_ask_program" "$1" 2>/dev/null
    nf_agent_says_rc=$?
  fi
  NF_OWNER=$nf_agent_says_owner_was NF_OWNER_UID=$nf_agent_says_uid_was
  return "$nf_agent_says_rc"
}

# nf_status NAME: the number that the kernel gives under that name for the agent's process.
nf_status() { awk -v name="$1:" '$1 == name {print $2}' "$NF_ROOT/proc/$agent_pid/status" 2>/dev/null; }

# sh ENVIRON PROGRAM FLAG: the settings may be secret: they never stand in an argv, and only the agent's
# own user reads them. Settings that sh cannot export are left out.
# shellcheck disable=SC2016 # the inner shell expands
NF_WITH_SETTINGS='
[ -r "$1" ] || exit 126
exec 3>&1
rc=$({ tr "\000" "\n" <"$1" | {
  while IFS= read -r setting; do
    case $setting in
      NOTIFY_SOCKET=* | [!A-Za-z_]*) ;;
      *=*) if (export "$setting") 2>/dev/null; then export "$setting"; fi ;;
    esac
  done
  "$2" "$3" </dev/null 2>&1 3>&- 4>&-
  echo "$?" >&4
} | head -c 4000 >&3; } 4>&1)
exit "${rc:-126}"'


# --- going back ---

nf_has_moved() { [ "$(nf_profile)" != "$(cat "$NF_RUN/profile" 2>/dev/null)" ]; }

# wait-for-operator SECONDS: somebody must reach the host again; else the switch may have cut it off.
# sets: NF_BACK, NF_STEP_REASON
nf_do_confirm() {
  nf_event waiting ",\"reason\":\"confirmation\",\"limit\":$2"
  nf_do_confirm_until=$(($(nf_now) + $2))
  while [ ! -e "$NF_JOB/ctl/confirmed" ]; do
    if [ "$(nf_now)" -ge "$nf_do_confirm_until" ]; then
      NF_STEP_REASON=unconfirmed
      nf_say "nobody reached this host within $2 s after the switch: it goes back"
      if nf_has_moved; then NF_BACK=1; fi
      return 1
    fi
    if nf_cancelled; then return 1; fi
    sleep 1
  done
}

# switch-back [TARGET]: move the profile, then run that generation's own activation, as the switch does.
# Without a target: go back to the system before this job, then start and verify the agent.
# sets: NF_BACK, NF_GONE_BACK, NF_STEP_REASON
nf_do_rollback() {
  nf_do_rollback_target=${2:-$(cat "$NF_RUN/profile")}
  # root runs the target: it must be a path in the store, whoever named it
  if ! nf_is_store_path "$nf_do_rollback_target" || [ ! -x "$nf_do_rollback_target/$(nf_activation)" ]; then
    nf_fail target "there is no generation to go back to at $nf_do_rollback_target"
    return
  fi
  nf_wait_switch 900
  nf_run nix-env -p "$NF_PROFILE" --set "$nf_do_rollback_target" || return
  nf_activate "$nf_do_rollback_target"
  nf_do_rollback_code=$?
  if [ "$NF_GOAL" = rollback ]; then
    if [ -n "$NF_LOCK_FROM" ]; then nf_put_lock "$NF_JOBS/$NF_LOCK_FROM/flake.lock.before"; fi
    return "$nf_do_rollback_code"
  fi
  nf_put_lock "$NF_JOB/flake.lock.before"
  NF_GONE_BACK=1 NF_BACK=''
  # the running agent counts, not the activation's exit code
  nf_do_start && nf_do_verify
}

# nf_is_store_path PATH: true for a store path of this machine, false for a path inside one.
nf_is_store_path() {
  nf_is_store_path_is=$(nf_stored "$1") && [ "$nf_is_store_path_is" = "$(nf_package "$nf_is_store_path_is")" ]
}

# nf_activation: the path of a generation's activation script inside the generation.
nf_activation() {
  case $NF_PLATFORM in home-manager) echo activate ;; *) echo bin/switch-to-configuration ;; esac
}

nf_activate() {
  case $NF_PLATFORM in
    home-manager) nf_run "$1/activate" ;;
    *)
      nf_run systemd-run --collect --quiet --wait --pipe --no-ask-password --service-type=exec \
        --unit="$NF_SWITCH_UNIT" "$1/bin/switch-to-configuration" switch
      ;;
  esac
}
