# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# Going back: the active system and the profile, each to what it was.

# nf_active_system: what is active, as the host names it.
nf_active_system() { nf_in_host "$(nf_real "$(nf_active)")"; }

# nf_note_back: write down where this job goes back to. Nothing has been moved yet.
# NF_RUN/back has a line each: the active system, the generation of the profile, and its number.
nf_note_back() {
  nf_profile >"$NF_RUN/profile"
  nf_note_back_active=$(nf_active_system)
  nf_find_back "$nf_note_back_active" "$(nf_in_host "$(nf_profile)")" "$(nf_number)"
  printf '%s\n' "$nf_note_back_active" "$nf_back_profile" "$nf_back_number" >"$NF_RUN/back"
  nf_keep_back
}

# nf_is_back: true if the profile is where this job goes back to.
nf_is_back() { [ "$(nf_in_host "$(nf_profile)")" = "$(sed -n 2p "$NF_RUN/back" 2>/dev/null)" ]; }

# switch-back [SYSTEM PROFILE [NUMBER]]: activate SYSTEM, with PROFILE, generation NUMBER, in the profile.
# Without them: go back to what was before this job, then start and verify the agent.
# sets: NF_BACK, NF_GONE_BACK, NF_STEP_REASON
nf_do_rollback() {
  if [ $# -gt 1 ]; then
    nf_do_rollback_system=$2 nf_do_rollback_profile=${3:-$2} nf_do_rollback_number=${4:-}
  else
    nf_do_rollback_system=$NF_ROOT$(sed -n 1p "$NF_RUN/back")
    nf_do_rollback_profile=$NF_ROOT$(sed -n 2p "$NF_RUN/back")
    nf_do_rollback_number=$(sed -n 3p "$NF_RUN/back")
  fi
  for nf_do_rollback_path in "$nf_do_rollback_system" "$nf_do_rollback_profile"; do
    if ! nf_can_activate "$nf_do_rollback_path"; then
      nf_fail target "there is no generation to go back to at $nf_do_rollback_path"
      return
    fi
  done
  nf_wait_switch
  nf_set_profile "$nf_do_rollback_profile" "$nf_do_rollback_number" || return
  nf_activate "$nf_do_rollback_system" "$nf_do_rollback_profile"
  nf_do_rollback_code=$?
  if [ "$NF_GOAL" = rollback ]; then
    if [ -n "$NF_LOCK_FROM" ]; then nf_put_lock "$NF_JOBS/$NF_LOCK_FROM/flake.lock.before"; fi
    return "$nf_do_rollback_code"
  fi
  nf_put_lock "$NF_JOB/flake.lock.before"
  NF_GONE_BACK=1 NF_BACK=''
  # what is active counts, and the running agent, not the activation's exit code
  nf_do_start && nf_do_verify
}

# nf_set_profile PATH NUMBER: the profile goes to the generation that is PATH, if there is one: to NUMBER if
# that still is PATH, else to its newest. Else PATH becomes a new generation. None is ever removed.
# sets: nf_set_profile_moved
nf_set_profile() {
  nf_set_profile_moved=''
  if [ "$(nf_profile)" = "$(nf_real "$1")" ]; then return 0; fi
  nf_set_profile_moved=1 nf_set_profile_path=$(nf_stored "$1") nf_set_profile_number=$2
  if [ -z "$2" ] || [ "$(nf_generation "$2")" != "$nf_set_profile_path" ]; then
    nf_set_profile_number=$(nf_number_of "$nf_set_profile_path")
  fi
  if [ -z "$nf_set_profile_number" ]; then nf_run nix-env -p "$NF_PROFILE" --set "$1"; return; fi
  nf_run nix-env -p "$NF_PROFILE" --switch-generation "$nf_set_profile_number"
}

# nf_activate SYSTEM PROFILE: run its own activation, as the switch does.
nf_activate() {
  case $NF_PLATFORM in home-manager) nf_activate_home "$1"; return ;; esac
  if [ "$(nf_stored "$1")" = "$(nf_stored "$2")" ] || nf_is_elsewhere "$1"; then
    nf_switch "$1" switch
    return
  fi
  # The boot loader gets the system that is in the profile, and only `test` leaves it alone. So what was
  # staged is staged again, a specialisation lies below its parent, and a tried system is only tried.
  nf_activate_code=0
  if [ -n "$nf_set_profile_moved" ]; then nf_switch "$2" boot || nf_activate_code=$?; fi
  nf_switch "$1" test || nf_activate_code=$?
  return "$nf_activate_code"
}

# nf_is_elsewhere SYSTEM: true if it is a generation of another system profile, such as comin's. Boot loaders
# offer these, too, and its own tool has made it the one to boot.
nf_is_elsewhere() {
  nf_is_elsewhere_path=$(nf_stored "$1")
  for nf_is_elsewhere_link in "$NF_ROOT"/nix/var/nix/profiles/system-profiles/* \
    "$NF_ROOT"/nix/var/nix/profiles/system-profiles/*/*; do
    if ! [ -L "$nf_is_elsewhere_link" ]; then continue; fi
    if [ "$(nf_stored "$nf_is_elsewhere_link")" = "$nf_is_elsewhere_path" ]; then return 0; fi
  done
  return 1
}

nf_switch() {
  nf_run systemd-run --collect --quiet --wait --pipe --no-ask-password --service-type=exec \
    --unit="$NF_SWITCH_UNIT" "$1/bin/switch-to-configuration" "$2"
}

# A newer home's activation leaves the profile to its driver, if it is told that there is one. An older one
# knows no such option, and finds the profile where it wants it.
nf_activate_home() {
  if grep -q -e --driver-version "$1/activate"; then
    nf_run "$1/activate" --driver-version 1
  else
    nf_run "$1/activate"
  fi
}
