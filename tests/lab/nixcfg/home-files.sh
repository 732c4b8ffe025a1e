# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds what a generation puts into the home: a unit on Linux, a launchd agent on a Mac.
mkdir -p "$out/.config/lab"
echo "Home Manager has written this" > "$out/.config/lab/agent.conf"
if [ -n "$unit" ]; then
  units=$out/.config/systemd/user
  mkdir -p "$units/default.target.wants"
  sed "s|@agent@|$agent|g" "$unit" > "$units/nixfleet-agent.service"
  ln -s ../nixfleet-agent.service "$units/default.target.wants/nixfleet-agent.service"
else
  # As Home Manager's module writes it: its own shell waits for the store, then starts what was asked for.
  mkdir -p "$out/LaunchAgents" "$out/LaunchAgentDomains"
  quoted=$(printf %s "$start" | sed "s/'/'\\\\''/g")
  program=$(printf "/bin/wait4path /nix/store && exec /bin/bash -c '%s\n'" "$quoted" |
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g')
  case $session in user) type='<key>LimitLoadToSessionType</key><string>Background</string>' ;; *) type='' ;; esac
  while IFS= read -r line; do
    case $line in
      @program@) printf '<string>%s</string>\n' "$program" ;;
      @session@) printf '%s\n' "$type" ;;
      *) printf '%s\n' "$line" ;;
    esac
  done < "$plist" > "$out/LaunchAgents/com.nixfleet.agent.plist"
  echo "$session" > "$out/LaunchAgentDomains/com.nixfleet.agent.domain"
fi
