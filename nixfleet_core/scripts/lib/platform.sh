# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # its variables go to the other scripts, or come from them
# What kind of host this is, who runs its agent, and where its jobs are.
# From the prelude: NF_PLATFORM_GIVEN; if it is empty, we find it out. After nf_platform:
#   NF_PLATFORM  nixos, home-manager, nix-darwin or unknown
#   NF_MANAGER   what runs the agent: systemd, user (a user's systemd) or launchd
#   NF_UNIT      the agent's name there
#   NF_UPGRADE_UNIT  what upgrades the host, or the home, by a timer
#   NF_CARRIER   what a job runs under: one of these, or guard if no user manager outlives a login
#   NF_USER, NF_STATE_HOME  who is logged in, and their XDG_STATE_HOME
#   NF_PROFILE   the profile that a switch moves
#   NF_JOBS      has one directory for each job
#   NF_STATE     has what a reboot may lose, in memory if possible
#   NF_NO_PLACE  why this host has no place for jobs, "" if it has one
#   NF_HIDDEN    1 if only root can see which place it is

NF_JOB_UNIT=nixfleet-job.service
NF_FINISH_UNIT=nixfleet-finish.service
NF_JOB_LABEL=com.nixfleet.job
NF_SWITCH_UNIT=nixos-rebuild-switch-to-configuration
NF_SWITCH_UNITS='nixos-rebuild-switch-to-configuration*'
NF_COMIN_UNIT=comin.service

# sets: NF_CARRIER, NF_HIDDEN, NF_JOBS, NF_KERNEL, NF_MANAGER, NF_NO_PLACE, NF_PLATFORM, NF_PROFILE, NF_STATE,
#   NF_STATE_HOME, NF_UNIT, NF_UPGRADE_UNIT, NF_USER
nf_platform() {
  NF_NO_PLACE='' NF_HIDDEN=''
  NF_KERNEL=$(uname -s)
  NF_STATE_HOME=${XDG_STATE_HOME:-${HOME:-}/.local/state}
  NF_USER=${USER:-$(id -un)}
  nf_home_profile
  NF_PLATFORM=$NF_PLATFORM_GIVEN
  if [ -z "$NF_PLATFORM" ]; then nf_find_platform; fi
  NF_UNIT=nixfleet-agent.service NF_UPGRADE_UNIT=nixos-upgrade.service
  if [ "$NF_PLATFORM" != home-manager ]; then
    NF_MANAGER=systemd NF_CARRIER=systemd
    NF_PROFILE=$NF_ROOT/nix/var/nix/profiles/system
    nf_places
    return
  fi
  NF_PROFILE=$NF_HOME_PROFILE NF_UPGRADE_UNIT=home-manager-auto-upgrade.service
  NF_JOBS=$NF_STATE_HOME/nixfleet/jobs NF_STATE=$NF_STATE_HOME/nixfleet/run
  if [ "$NF_KERNEL" = Darwin ]; then
    NF_MANAGER=launchd NF_CARRIER=launchd NF_UNIT=com.nixfleet.agent
    return
  fi
  NF_MANAGER=user NF_CARRIER=guard
  nf_platform_runtime=$NF_ROOT/run/user/$NF_UID
  if [ -d "$nf_platform_runtime" ]; then XDG_RUNTIME_DIR=$nf_platform_runtime; export XDG_RUNTIME_DIR; fi
  # without lingering, the user's manager and its services end with the last login
  if nf_lingers && [ -S "$nf_platform_runtime/bus" ] && nf_has systemd-run; then
    NF_CARRIER=user NF_STATE=$nf_platform_runtime/nixfleet
  fi
}

# Find the places of root's jobs. If there is no place, the paths are ones that nobody can make.
# sets: NF_HIDDEN, NF_JOBS, NF_NO_PLACE, NF_STATE
nf_places() {
  NF_NO_PLACE='' NF_HIDDEN='' NF_JOBS=/dev/null/nixfleet NF_STATE=/dev/null/nixfleet
  nf_trust_ahead "$NF_ROOT/var/lib/nixfleet/jobs" "$NF_ROOT/var/lib/nixfleet-update/jobs" \
    "$NF_ROOT/var/lib/nixfleet/proofs" "$NF_ROOT/var/lib/nixfleet-update/proofs" \
    "$NF_ROOT/run/nixfleet" "$NF_ROOT/run/nixfleet-update"
  nf_place "$NF_ROOT/var/lib/nixfleet" /jobs && NF_JOBS=$nf_place_found
  nf_place "$NF_ROOT/run/nixfleet" '' && NF_STATE=$nf_place_found
}

# nf_place DIR SUB: DIR and SUB; or DIR-update and SUB if DIR is somebody else's (say, a service's
# StateDirectory=). Root and others find the same place. Once DIR-update exists, it stays the place.
# sets: nf_place_found, NF_HIDDEN, NF_NO_PLACE (what is wrong with both), NF_TRUSTED, nf_trust_mode,
#   nf_trust_uid
nf_place() {
  nf_place_found=$1-update$2
  nf_is_trusted "$nf_place_found" && return
  nf_place_why=$nf_trust_why nf_place_words=$(nf_trust_words)
  nf_place_found=$1$2
  if nf_is_trusted "$nf_place_found" || [ "$nf_trust_why" = missing ]; then return 0; fi
  if [ "$nf_trust_why" = hidden ]; then NF_HIDDEN=1; return 0; fi
  nf_place_found=$1-update$2
  if [ "$nf_place_why" = missing ]; then return 0; fi
  # shellcheck disable=SC2034 # the launcher says it
  NF_NO_PLACE="$(nf_trust_words); $nf_place_words"
  return 1
}

nf_lingers() { [ -e "$NF_ROOT/var/lib/systemd/linger/$NF_USER" ]; }

# Find Home Manager's profile: in the user's state directory, or where older versions keep it.
# sets: NF_HOME_PROFILE
nf_home_profile() {
  NF_HOME_PROFILE=$NF_STATE_HOME/nix/profiles/home-manager
  if [ -L "$NF_HOME_PROFILE" ]; then return; fi
  nf_home_profile_old_home=$NF_ROOT/nix/var/nix/profiles/per-user/$NF_USER/home-manager
  if [ -L "$nf_home_profile_old_home" ]; then NF_HOME_PROFILE=$nf_home_profile_old_home; fi
}

# sets: NF_PLATFORM
nf_find_platform() {
  if [ -e "$NF_ROOT/etc/NIXOS" ]; then NF_PLATFORM=nixos
  elif [ -L "$NF_HOME_PROFILE" ]; then NF_PLATFORM=home-manager
  elif [ "$NF_KERNEL" = Darwin ] && [ -e "$NF_ROOT/run/current-system" ]; then NF_PLATFORM=nix-darwin
  else NF_PLATFORM=unknown; fi
}

# nf_systemctl ...: ask the systemd that runs the agent and the job.
nf_systemctl() {
  case $NF_MANAGER in user) systemctl --user "$@" ;; *) systemctl "$@" ;; esac
}
