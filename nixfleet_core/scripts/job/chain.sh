# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# What each step of the chain does around its command.

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

nf_do_update() { nf_in_checkout nf_update_here "$@"; }

# nf_update_here [pin-latest] COMMAND...: update the input; `pin-latest` locks it to what git names.
# sets: NF_STEP_REASON
nf_update_here() {
  nf_save_lock flake.lock.before && nf_save_lock flake.lock.pulled || return
  # what the preflight has asked a moment ago still counts if the pull has brought no other lock
  if [ "$nf_try_count" != 1 ] || [ "$nf_save_lock_sum" != "$NF_LOCK_SUM" ]; then
    nf_read_lock || return
    nf_want
  fi
  nf_move_input "$@" || return
  # the branch may have moved while nix fetched it: then the newer answer counts
  case $nf_want_commit in unknown) ;; *) nf_lock_names "$(nf_field 4)" || nf_want ;; esac
  nf_sum_of_lock >"$NF_RUN/lock-updated"
  nf_say "flake.lock has $NF_INPUT at $(nf_field 4); its repository says $nf_want_commit"
  if nf_lock_reached; then return 0; fi
  # exit 0 with the old commit: a failed fetch falls back to the cache without a word
  nf_say "the lock did not reach the latest, whatever nix's exit code says"
  return 65
}

# nf_move_input [pin-latest] COMMAND...: move it, and read what the lock then names.
nf_move_input() {
  if [ "$1" = pin-latest ]; then
    if nf_has_commit || [ -n "$(nf_field 7)" ]; then nf_pin; return; fi
    case $nf_want_commit in none) return 0 ;; esac
    shift # git may not ask, but Nix may be able to
  fi
  nf_run "$@"
  nf_move_input_code=$?
  if [ "$nf_move_input_code" = 0 ]; then
    nf_read_lock || return
    if nf_lock_names "$(nf_field 4)"; then return 0; fi
  fi
  # the forge's API refuses more requests, but git has named the commit: lock to it
  if nf_has_commit && nf_said | grep -Eq 'rate limit|HTTP error (403|429)'; then nf_pin; return; fi
  return "$nf_move_input_code"
}

nf_do_rebuild() {
  nf_wait_switch
  if [ -n "$NF_AS_LOCKED" ]; then nf_in_checkout nf_say_locked; fi
  nf_from_flake nf_rebuild "$@"
  nf_do_rebuild_code=$?
  if [ "$nf_do_rebuild_code" = 0 ] || nf_has_moved; then nf_keep_commit; nf_drop_old_commits; fi
  return "$nf_do_rebuild_code"
}

# nf_say_locked: what is built, where no step has moved the input.
nf_say_locked() {
  if [ "$(nf_sum_of_lock)" != "$NF_LOCK_SUM" ] && ! nf_read_lock; then return; fi
  nf_say "flake.lock has $NF_INPUT at $(nf_field 4), and stays as it is"
}

# nf_rebuild COMMAND... --flake CHECKOUT#NAME: with what is to be built in the place of the checkout. git
# refuses the owner's repository to root, unless root looks like the owner's sudo.
nf_rebuild() {
  nf_rebuild_before=''
  for nf_rebuild_word in "$@"; do
    shift
    case $nf_rebuild_before in
      --flake) set -- "$@" "$(nf_flake)#${nf_rebuild_word##*#}" ;;
      *) set -- "$@" "$nf_rebuild_word" ;;
    esac
    nf_rebuild_before=$nf_rebuild_word
  done
  if nf_keep_specialisation; then set -- "$@" --specialisation "$nf_keep_specialisation_name"; fi
  if [ "$NF_UID" = 0 ]; then SUDO_UID=$NF_OWNER_UID; export SUDO_UID; fi
  nf_run "$@"
  nf_rebuild_code=$?
  unset SUDO_UID
  return "$nf_rebuild_code"
}

# nf_wait_switch: wait for a running activation, whoever runs it; the agent comes after it.
nf_wait_switch() {
  nf_wait_switch_told=''
  nf_clock_start
  while nf_switch_lives && nf_is_within "$NF_ACTIVATION"; do
    if [ -z "$nf_wait_switch_told" ]; then nf_tell_activation; nf_wait_switch_told=1; fi
    sleep 1
  done
}

nf_do_start() {
  nf_see_units 2>/dev/null
  # our own switch has ended, unless it was cut off
  if ! nf_is_well || [ -n "$switch_lives" ]; then nf_wait_switch; nf_see_units 2>/dev/null; fi
  # restarts of before would count against it, and after too many systemd refuses a start
  if ! nf_is_seen_up || [ "${agent_restarts:-0}" != 0 ]; then nf_service_forgive >>"$NF_LOG" 2>&1; fi
  if nf_is_seen_up && [ -n "$nf_look_path$nf_look_waits" ]; then
    # the switch may have started the new agent already; restartIfChanged=false leaves an old one running
    if nf_runs_installed; then nf_say "the agent runs already, from $agent_installed"; return 0; fi
    nf_is_starting || nf_service_restart || return
  else
    nf_service_start || return
  fi
  nf_await_agent
}

# A restart in one go, so that the agent is down only once. In a job that was killed, the agent is only
# brought back.
# sets: NF_STEP_REASON
nf_do_restart() {
  if [ -n "$NF_FINISHING" ]; then nf_do_start; return; fi
  nf_see_units 2>/dev/null
  if ! nf_is_seen_up || [ "${agent_restarts:-0}" != 0 ]; then nf_service_forgive >>"$NF_LOG" 2>&1; fi
  if nf_is_starting; then nf_await_agent; return; fi
  nf_service_restart
  case $? in
    0) nf_await_agent; return ;;
    124)
      nf_say "the agent did not stop in time: it is killed"
      NF_STEP_REASON=killed
      nf_service_kill >>"$NF_LOG" 2>&1
      ;;
  esac
  nf_do_start
}

# nf_is_starting: true if launchd's process still waits, and will become the agent that its plist names.
nf_is_starting() {
  [ "$NF_MANAGER" = launchd ] && [ -n "$nf_look_waits" ] && [ "$agent_loaded" = "$agent_installed" ]
}

# A Mac's agent is started by a shell that first waits up to 60 s for the network. Wait until it is the agent.
nf_await_agent() {
  nf_await_agent_told=''
  nf_clock_start
  while nf_see_units 2>/dev/null; [ -n "$nf_look_waits" ] && nf_is_within 90; do
    # an ordinary start takes a moment, too
    if [ -z "$nf_await_agent_told" ] && [ "$NF_CLOCK_AWAKE" -ge 3 ]; then
      nf_event waiting ",\"reason\":\"agent\",\"limit\":90"
      nf_say "the agent is about to start: what starts it waits, as for the network"
      nf_await_agent_told=1
    fi
    sleep 1
  done
}

# The agent must be up, as the same process, for NF_STABLE seconds; then the proof is written down.
# sets: NF_BACK, NF_STEP_REASON
nf_do_verify() {
  nf_do_verify_restarts_were=$(nf_restarts)
  nf_do_verify_tries=0 nf_do_verify_pid_was='' nf_do_verify_same=0
  while [ "$nf_do_verify_tries" -lt $((30 + NF_STABLE)) ]; do
    nf_see_units 2>/dev/null
    if [ -n "$nf_look_path" ] && [ "$agent_pid" = "$nf_do_verify_pid_was" ] && nf_is_seen_up; then
      nf_do_verify_same=$((nf_do_verify_same + 1))
    else
      nf_do_verify_same=0
    fi
    nf_do_verify_pid_was=$agent_pid nf_do_verify_tries=$((nf_do_verify_tries + 1))
    if [ "$nf_do_verify_same" -ge "$NF_STABLE" ] && nf_runs_installed; then break; fi
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

# --- going back ---

# nf_has_moved: true if the job has moved the profile or the active system.
nf_has_moved() {
  [ "$(nf_profile)" != "$(cat "$NF_RUN/profile" 2>/dev/null)" ] ||
    [ "$(nf_active_system)" != "$(sed -n 1p "$NF_RUN/back" 2>/dev/null)" ]
}

# wait-for-operator SECONDS: somebody must reach the host again; else the switch may have cut it off.
# sets: NF_BACK, NF_STEP_REASON
nf_do_confirm() {
  nf_event waiting ",\"reason\":\"confirmation\",\"limit\":$2"
  nf_clock_start
  while [ ! -e "$NF_JOB/ctl/confirmed" ]; do
    if ! nf_is_within "$2"; then
      NF_STEP_REASON=unconfirmed
      nf_say "nobody reached this host within $2 s after the switch: it goes back"
      if nf_has_moved; then NF_BACK=1; fi
      return 1
    fi
    if nf_cancelled; then return 1; fi
    sleep 1
  done
}
