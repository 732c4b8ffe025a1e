# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds the generation of home.nix: the lab's own one, and agents of launchd.
mkdir -p "$out/LaunchAgents"
for part in "$base"/*; do
  case ${part##*/} in LaunchAgents) ;; *) ln -s "$part" "$out/${part##*/}" ;; esac
done
cp "$base"/LaunchAgents/* "$out/LaunchAgents"
mkdir "$out/bin"
ln -s "$plain/bin/plain" "$out/bin/linked"

# agent NAME PROGRAM [LIBRARY]
agent() {
  cat >"$out/LaunchAgents/org.nix-community.home.$1.plist" <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>org.nix-community.home.$1</string>
  <key>EnvironmentVariables</key><dict><key>LD_PRELOAD</key><string>${3:-}</string></dict>
  <key>ProgramArguments</key><array><string>$2</string><string>9999</string></array>
  <key>RunAtLoad</key><true/>
</dict>
</plist>
PLIST
}

agent steady "$steady/bin/steady"
agent plain "$plain/bin/plain"
agent linked /Users/markus/.local/state/home-manager/gcroots/current-home/bin/linked
agent script "$script/bin/watch"
agent library "$steady/bin/steady" "$library/lib/libextra.so"
agent deleted "$deleted/bin/deleted"
[ "$release" != 1.0 ] || agent removed "$plain/bin/plain"
