# shellcheck shell=sh
# shellcheck disable=SC2154 # nf_run and NF_RUN are the runner's
# The agent as a job of launchd: macOS.

nf_plist() { echo "${HOME:-}/Library/LaunchAgents/$NF_UNIT.plist"; }

# nf_agent_domain: the domain that has the agent loaded.
nf_agent_domain() { nf_domain_of "$NF_UNIT"; }

# nf_printed: launchd's description of the agent; nothing if it is not loaded.
nf_printed() { nf_printed_in=$(nf_agent_domain) && launchctl print "$nf_printed_in/$NF_UNIT" 2>/dev/null; }

nf_launchd_pid() { nf_printed | nf_pid_value; }

nf_plist_text() { { plutil -convert xml1 -o - "$(nf_plist)" || cat "$(nf_plist)"; } 2>/dev/null; }

nf_plist_agent() { nf_plist_text | nf_agent_paths | head -n 1; }

# nf_plist_strings KEY: what the plist has at that key, a string a line: one, or an array of them.
nf_plist_strings() {
  nf_plist_text | awk -v key="<key>$1</key>" '
    { text = text $0 " " }
    END {
      at = index(text, key); if (!at) exit
      text = substr(text, at + length(key)); sub(/^[ \t]*/, "", text)
      text = substr(text, 1, index(text, index(text, "<array>") == 1 ? "</array>" : "</string>") + 8)
      while (match(text, /<string>[^<]*<\/string>/)) {
        print substr(text, RSTART + 8, RLENGTH - 17)
        text = substr(text, RSTART + RLENGTH)
      }
    }' | sed -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&amp;/\&/g'
}

# nf_session_types: the types of sessions that the plist names.
nf_session_types() { nf_plist_strings LimitLoadToSessionType; }

# nf_agent_target [DOMAIN]: the domain to load the agent into: DOMAIN, or any other one that is there and
# takes its plist. launchd lets a plist into user/UID only if it names the session type Background, and into
# gui/UID only if it names Aqua or no type.
nf_agent_target() {
  nf_agent_target_types=$(nf_session_types)
  for nf_agent_target_try in ${1:+"$1"} "gui/$NF_UID" "user/$NF_UID"; do
    case $nf_agent_target_try,${nf_agent_target_types:-Aqua} in
      gui/*,*Aqua* | user/*,*Background*) ;;
      *) continue ;;
    esac
    if nf_has_domain "$nf_agent_target_try"; then echo "$nf_agent_target_try"; return; fi
  done
  return 1
}

# nf_launchd_files: where the agent's stderr and stdout go, a word and a path a line: as it is loaded, else by
# its plist.
nf_launchd_files() {
  if nf_agent_domain >/dev/null; then
    nf_launchd_files_printed=$(nf_printed)
    for nf_launchd_files_of in stderr stdout; do
      printf '%s\n' "$nf_launchd_files_printed" | nf_value "$nf_launchd_files_of path" |
        sed "s/^/$nf_launchd_files_of /"
    done
  else
    nf_plist_strings StandardErrorPath | sed 's/^/stderr /'
    nf_plist_strings StandardOutPath | sed 's/^/stdout /'
  fi
}

# nf_launchd_logs: the same files, each once.
nf_launchd_logs() { nf_launchd_files | cut -d ' ' -f 2- | awk '!seen[$0]++'; }

# Load the agent as its plist is now: kickstart alone would start the loaded one, however old.
nf_launchd_start() {
  nf_launchd_start_was=$(nf_agent_domain || cat "$NF_RUN/domain" 2>/dev/null)
  nf_launchd_start_loaded=$(nf_printed | nf_agent_paths | head -n 1)
  if [ -n "$nf_launchd_start_loaded" ] && [ "$nf_launchd_start_loaded" = "$(nf_plist_agent)" ]; then
    nf_run launchctl kickstart -k "$nf_launchd_start_was/$NF_UNIT"
    return
  fi
  nf_launchd_unload || return
  if ! nf_launchd_start_domain=$(nf_agent_target "$nf_launchd_start_was"); then
    nf_say "launchd has no domain that takes $(nf_plist)"
    return 1
  fi
  nf_say "\$ launchctl bootstrap $nf_launchd_start_domain $(nf_plist)"
  nf_bootstrap "$nf_launchd_start_domain" "$NF_UNIT" "$(nf_plist)" >>"$NF_LOG" 2>&1
}

# The agent is gone when this returns. bootout alone may return while it is still at work.
nf_launchd_unload() {
  nf_launchd_unload_domain=$(nf_agent_domain) || return 0
  echo "$nf_launchd_unload_domain" >"$NF_RUN/domain"
  nf_launchd_unload_pid=$(nf_launchd_pid)
  nf_run launchctl bootout "$nf_launchd_unload_domain/$NF_UNIT"
  nf_await_gone "$NF_UNIT" "$nf_launchd_unload_pid"
}
