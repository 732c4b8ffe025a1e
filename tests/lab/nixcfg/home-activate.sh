#!/bin/sh
# activate [--driver-version N]: put the generation @out@ into the home and let the agent's service manager
# know. `home-manager switch` has moved the profile already; run by itself this does it.
# The knob fail_switch makes it fail with that exit code once the profile has moved.
set -eu
fail=@fail@ restart=@restart@ files=@files@
profiles=${XDG_STATE_HOME:-$HOME/.local/state}/nix/profiles

# set_profile NAME PATH: no new generation when it is the current one
set_profile() {
  if [ "$(readlink "$profiles/$(readlink "$profiles/$1" || :)" || :)" = "$2" ]; then
    echo "No change so reusing latest profile generation"
  else
    nix-env --profile "$profiles/$1" --set "$2"
  fi
}

# files_of_home: the files that this generation links into the home, except the units, a path a line.
files_of_home() { (cd "$files" && find . -path ./.config/systemd -prune -o \( -type f -o -type l \) -print) | grep '^./[.]' || :; }

# As check-link-targets.sh does it, in its words: a file that is no link of Home Manager's is in the way.
check_link_targets() {
  blocked=''
  for file in $(files_of_home); do
    file=${file#./} target=$HOME/${file#./}
    case $(readlink "$target" || :) in */nix/store/*-home-manager-files/*) continue ;; esac
    [ -e "$target" ] || continue
    backup=$target.${HOME_MANAGER_BACKUP_EXT:-}
    if cmp -s "$files/$file" "$target"; then
      echo "Existing file '$target' is in the way of '$files/$file', will be skipped since they are the same"
    elif [ "$backup" = "$target." ]; then
      blocked="$blocked
Existing file '$target' would be clobbered"
    elif [ -e "$backup" ]; then
      blocked="$blocked
Existing file '$backup' would be clobbered by backing up '$target'"
    else
      echo "Existing file '$target' is in the way of '$files/$file', will be moved to '$backup'"
    fi
  done
  [ -n "$blocked" ] || return 0
  echo "Please do one of the following:
- In standalone mode, use 'home-manager switch -b backup' to back up files automatically.
- Set 'force = true' on the related file options to forcefully overwrite the files below.$blocked"
  exit 1
}

link_generation() {
  for file in $(files_of_home); do
    file=${file#./} target=$HOME/${file#./}
    mkdir -p "${target%/*}"
    [ ! -f "$target" ] || [ -L "$target" ] || mv "$target" "$target.${HOME_MANAGER_BACKUP_EXT:-same}"
    ln -sfn "$files/$file" "$target"
  done
}

# Restarts what changed, as sd-switch does unless the unit forbids it.
reload_systemd() {
  units=$HOME/.config/systemd/user unit=nixfleet-agent.service
  mkdir -p "$units/default.target.wants"
  old=$(cat "$units/$unit" 2>/dev/null || :)
  ln -sfn "$files/.config/systemd/user/$unit" "$units/$unit"
  ln -sfn "$files/.config/systemd/user/default.target.wants/$unit" "$units/default.target.wants/$unit"
  XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
  export XDG_RUNTIME_DIR
  if ! systemctl --user show-environment >/dev/null 2>&1; then
    echo "User systemd daemon not running. Skipping reload." >&2
    return 0
  fi
  systemctl --user daemon-reload
  [ -n "$restart" ] && [ "$old" != "$(cat "$units/$unit")" ] || return 0
  if systemctl --user --quiet is-active "$unit"; then
    echo "Restarting units: $unit"
    systemctl --user restart "$unit"
  else
    echo "Starting units: $unit"
    systemctl --user start "$unit"
  fi
}

# bootout_agent DOMAIN LABEL: home-manager waits for the end of it on macOS 26, and a second before.
bootout_agent() {
  if [ "$(/usr/bin/sw_vers --productVersion | cut -d. -f 1)" -ge 26 ]; then
    said=$(launchctl bootout --wait "$1/$2" 2>&1) && return
  else
    said=$(launchctl bootout "$1/$2" 2>&1) && { sleep 1; return; }
  fi
  case $said in *'No such process'* | *'Domain does not support specified action'*) return 0 ;; esac
  echo "Failed to stop agent '$1/$2': $said" >&2
  return 1
}

# domain_in DIR LABEL
domain_in() { echo "$(cat "$1/LaunchAgentDomains/$2.domain" 2>/dev/null || echo gui)/$(id -u)"; }

# Copies plists, and boots agents that changed out and in again; those that cannot be loaded make it fail.
setup_launch_agents() {
  label=com.nixfleet.agent
  new=@out@/LaunchAgents/$label.plist old=$HOME/Library/LaunchAgents/$label.plist
  domain=$(domain_in @out@ $label) old_domain=$(domain_in "${old_generation:-/none}" $label)
  mkdir -p "${old%/*}"
  if cmp -s "$new" "$old" && [ "$domain" = "$old_domain" ] &&
    launchctl print "$domain/$label" >/dev/null 2>&1; then
    return 0
  fi
  if [ -f "$old" ]; then bootout_agent "$old_domain" $label; fi
  if [ "$domain" != "$old_domain" ]; then bootout_agent "$domain" $label; fi
  rm -f "$old"
  cp "$new" "$old"
  chmod 444 "$old"
  if said=$(launchctl bootstrap "$domain" "$old" 2>&1); then return 0; fi
  echo "Failed to start agent '$domain/$label' with error: $said" >&2
  echo "Failed to activate one or more LaunchAgents" >&2
  return 1
}

echo "Starting Home Manager activation"
/usr/local/libexec/lab/gate switch
old_generation=$(readlink "$profiles/$(readlink "$profiles/home-manager" || :)" || :)
echo "Activating checkLinkTargets"
check_link_targets
echo "Activating linkGeneration"
set_profile home-manager @out@
[ "$fail" = 0 ] || exit "$fail"
link_generation
mkdir -p "$HOME/.local/state/home-manager/gcroots"
ln -sfn @out@ "$HOME/.local/state/home-manager/gcroots/current-home"
echo "Activating installPackages"
set_profile profile @packages@
ln -sfn "$profiles/profile" "$HOME/.nix-profile"
if [ -d @out@/LaunchAgents ]; then
  echo "Activating setupLaunchAgents"
  setup_launch_agents
else
  echo "Activating reloadSystemd"
  reload_systemd
fi
