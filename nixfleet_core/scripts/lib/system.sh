# shellcheck shell=sh
# shellcheck disable=SC2154,SC3013 # -ef: POSIX since 2024, and in all shells long before
# The system (or home) that is active, and the generations that hold it.

# nf_active: the link to what is active. Home Manager moves its link at each activation.
nf_active() {
  if [ "$NF_PLATFORM" != home-manager ]; then echo "$NF_ROOT/run/current-system"; return; fi
  for nf_active_link in "$NF_STATE_HOME/home-manager/gcroots/current-home" \
    "$NF_ROOT/nix/var/nix/gcroots/per-user/$NF_USER/current-home"; do
    if [ -L "$nf_active_link" ]; then echo "$nf_active_link"; return; fi
  done
  echo "$NF_PROFILE"
}

# nf_activation: the path of a generation's activation script inside the generation.
nf_activation() {
  case $NF_PLATFORM in home-manager) echo activate ;; *) echo bin/switch-to-configuration ;; esac
}

# nf_holding ACTIVE: the generations of the profile, and of NixOS's other system profiles, that hold what
# ACTIVE leads to, as paths below the profile's folder: "system-12-link", or with a specialisation behind it.
# A generation may be another tool's wrapper around it, as deploy-rs makes it.
nf_holding() {
  nf_holding_dir=${NF_PROFILE%/*} nf_holding_script=$(nf_activation)
  for nf_holding_link in "$NF_PROFILE"-*-link "$nf_holding_dir"/system-profiles/*-link; do
    for nf_holding_one in "$nf_holding_link" "$nf_holding_link"/specialisation/*; do
      case $nf_holding_one in *"
"*) continue ;; esac
      if [ "$nf_holding_one" -ef "$1" ] ||
        [ "$nf_holding_one/$nf_holding_script" -ef "$1/$nf_holding_script" ]; then
        printf '%s\n' "${nf_holding_one#"$nf_holding_dir"/}"
      fi
    done
  done
}

# nf_specialisation: the name of the specialisation that is active; false if none is.
nf_specialisation() {
  nf_specialisation_held=$(nf_holding "$(nf_active)" | sed -n 's|.*/specialisation/||p' | head -n 1)
  case $nf_specialisation_held in '' | -* | *[!0-9A-Za-z._+-]*) return 1 ;; esac
  printf '%s\n' "$nf_specialisation_held"
}

# nf_inhibitors SYSTEM: what must not change while that system runs, as NixOS 26.05 writes it: JSON, or paths,
# a line each, as it was at first. NixOS refuses to switch to a system that says something else.
nf_inhibitors() { head -c 4000 "$1/switch-inhibitors" 2>/dev/null; }

# nf_needs_boot SYSTEM ACTIVE: true if ACTIVE cannot switch to SYSTEM, whose init has another interface: then
# switch-to-configuration only tells the boot loader, and ends with 100.
nf_needs_boot() {
  nf_needs_boot_init=$(cat "$1/init-interface-version" 2>/dev/null) || return 1
  [ "$nf_needs_boot_init" != "$(cat "$2/init-interface-version" 2>/dev/null)" ]
}
