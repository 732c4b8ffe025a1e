# shellcheck shell=sh
# shellcheck disable=SC2154 # nf_run is the runner's
# The agent as a job of launchd: macOS.

nf_plist() { echo "${HOME:-}/Library/LaunchAgents/$NF_UNIT.plist"; }

# nf_agent_domain: the domain that has the agent loaded; newer home-manager uses user/UID.
nf_agent_domain() { nf_domain_of "$NF_UNIT"; }

# nf_any_domain: a domain that can load it. Without a login at the screen there is no gui domain.
nf_any_domain() {
  if launchctl print "gui/$NF_UID" >/dev/null 2>&1; then echo "gui/$NF_UID"; else echo "user/$NF_UID"; fi
}

# nf_printed: launchd's description of the agent; nothing if it is not loaded.
nf_printed() { nf_printed_in=$(nf_agent_domain) && launchctl print "$nf_printed_in/$NF_UNIT" 2>/dev/null; }

# nf_value NAME: that top-level value in the description.
nf_value() { sed -n "s/^$NF_TAB$1 = //p" | head -n 1; }
NF_TAB=$(printf '\t')

nf_pid_value() { nf_value pid | grep -E '^[1-9][0-9]*$'; }
nf_launchd_pid() { nf_printed | nf_pid_value; }

nf_plist_agent() {
  { plutil -convert xml1 -o - "$(nf_plist)" || cat "$(nf_plist)"; } 2>/dev/null | nf_agent_paths | head -n 1
}

# nf_launchd_logs: the files that the agent's stderr and stdout go to: as it is loaded, else by its plist.
nf_launchd_logs() {
  if nf_agent_domain >/dev/null; then
    nf_launchd_logs_printed=$(nf_printed)
    for nf_launchd_logs_of in stderr stdout; do
      printf '%s\n' "$nf_launchd_logs_printed" | nf_value "$nf_launchd_logs_of path"
    done
  else
    # a key, and its value in the next line
    plutil -convert xml1 -o - "$(nf_plist)" 2>/dev/null |
      sed -n -e '/<key>Standard[EO][a-z]*Path<\/key>/{n' -e 's/^.*<string>\(.*\)<\/string>.*$/\1/p' -e '}' |
      sed -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&amp;/\&/g'
  fi | awk '!seen[$0]++'
}

# Load the agent as its plist is now: kickstart alone would start the loaded one, however old.
nf_launchd_start() {
  nf_launchd_start_domain=$(nf_agent_domain || nf_any_domain)
  nf_launchd_start_loaded=$(nf_printed | nf_agent_paths | head -n 1)
  if [ -n "$nf_launchd_start_loaded" ] && [ "$nf_launchd_start_loaded" = "$(nf_plist_agent)" ]; then
    nf_run launchctl kickstart -k "$nf_launchd_start_domain/$NF_UNIT"
    return
  fi
  nf_launchd_unload
  nf_run launchctl bootstrap "$nf_launchd_start_domain" "$(nf_plist)"
}

# The agent is gone when this returns. bootout alone may return while it is still at work.
nf_launchd_unload() {
  nf_launchd_unload_domain=$(nf_agent_domain) || return 0
  nf_launchd_unload_pid=$(nf_launchd_pid)
  nf_run launchctl bootout "$nf_launchd_unload_domain/$NF_UNIT"
  nf_launchd_unload_until=$(($(nf_now) + 30))
  while nf_agent_domain >/dev/null || nf_is_process "$nf_launchd_unload_pid"; do
    [ "$(nf_now)" -lt "$nf_launchd_unload_until" ] || return 1
    sleep 1
  done
}

nf_is_process() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
