# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds what a generation puts into the home: a unit on Linux, a launchd agent on a Mac.
if [ -n "$unit" ]; then
  units=$out/.config/systemd/user
  mkdir -p "$units/default.target.wants"
  sed "s|@agent@|$agent|g" "$unit" > "$units/nixfleet-agent.service"
  ln -s ../nixfleet-agent.service "$units/default.target.wants/nixfleet-agent.service"
else
  mkdir -p "$out/LaunchAgents"
  sed "s|@agent@|$agent|g" "$plist" > "$out/LaunchAgents/com.nixfleet.agent.plist"
fi
