# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # its variables come from and go to the scripts around it
# The agent's service: NF_UNIT is its unit, or its label if launchd runs it.

# nf_service_state: loaded, masked or missing.
nf_service_state() {
  case $NF_MANAGER in
    launchd) if [ -e "$(nf_plist)" ] || nf_agent_domain >/dev/null; then echo loaded; else echo missing; fi ;;
    *)
      case $(nf_systemctl show "$NF_UNIT" -p LoadState 2>/dev/null) in
        LoadState=loaded) echo loaded ;;
        LoadState=masked) echo masked ;;
        *) echo missing ;;
      esac
      ;;
  esac
}

# nf_agent_is_up: true if it is up now. An agent that is stopping, or waits for a restart, is not up.
nf_agent_is_up() {
  case $NF_MANAGER in
    launchd) [ -n "$(nf_launchd_pid)" ] ;;
    *) case $(nf_systemctl is-active "$NF_UNIT" 2>/dev/null) in active | reloading) ;; *) return 1 ;; esac ;;
  esac
}

# nf_is_seen_up: the same, as the last look at the units has it (nf_see_units).
nf_is_seen_up() { case $agent_active in active | reloading) ;; *) return 1 ;; esac; }

# nf_restarts: a text that changes when the manager restarts the agent.
nf_restarts() {
  case $NF_MANAGER in
    launchd) nf_printed | nf_value runs ;;
    *) nf_systemctl show "$NF_UNIT" -p NRestarts 2>/dev/null ;;
  esac
}

# Kill the agent, even if it ignores SIGTERM.
nf_service_kill() {
  case $NF_MANAGER in
    launchd)
      nf_service_kill_pid=$(nf_launchd_pid)
      if [ -n "$nf_service_kill_pid" ]; then kill -KILL "$nf_service_kill_pid"; fi
      ;;
    *) nf_systemctl kill -s KILL "$NF_UNIT" ;;
  esac
}

# Clear an earlier crash loop, which would forbid the start.
nf_service_forgive() {
  case $NF_MANAGER in
    launchd) launchctl enable "$(nf_agent_domain || nf_agent_target)/$NF_UNIT" ;;
    *) nf_systemctl reset-failed "$NF_UNIT" ;;
  esac
}

nf_service_start() { nf_service_to start; }
nf_service_restart() { nf_service_to restart; }
nf_service_to() {
  case $NF_MANAGER in
    launchd) nf_launchd_start ;;
    user) nf_run systemctl --user "$1" "$NF_UNIT" ;;
    *) nf_run systemctl "$1" "$NF_UNIT" ;;
  esac
}

# nf_service_log LINES: the agent's last words.
nf_service_log() {
  case $NF_MANAGER in
    launchd)
      nf_launchd_logs |
        while IFS= read -r nf_service_log_file; do nf_own_log "$nf_service_log_file" "$1"; done
      ;;
    user) nf_bounded 10 journalctl --user --quiet --no-pager --lines="$1" --user-unit="$NF_UNIT" ;;
    *) nf_bounded 10 journalctl --quiet --no-pager --lines="$1" --unit="$NF_UNIT" ;;
  esac
}

# nf_own_log FILE LINES: its last lines. In /tmp anybody can put another file in its place: read only our
# own regular file, and with a time limit.
nf_own_log() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 0; fi
  # shellcheck disable=SC3067 # -O: POSIX of 2024, and every shell before
  if [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; then
    nf_bounded 10 tail -n "$2" "$1" | head -c 65536
    return
  fi
  nf_own_log_uid=$(nf_uid_of "$1")
  if [ "$nf_own_log_uid" = "$NF_UID" ]; then
    printf '%s is not read: it is no regular file\n' "$1"
  else
    printf '%s is not read: it belongs to %s, so this agent cannot log there\n' "$1" \
      "$(id -un "$nf_own_log_uid" 2>/dev/null || echo "uid $nf_own_log_uid")"
  fi
}

# nf_agents_processes: the ids of the processes in the agent's service, as it was seen (nf_see_systemd).
nf_agents_processes() {
  case $NF_MANAGER in
    launchd)
      nf_agents_processes_pid=$(nf_launchd_pid)
      if [ -n "$nf_agents_processes_pid" ]; then nf_descendants "$nf_agents_processes_pid"; fi
      ;;
    *) nf_group_processes "$agent_group" ;;
  esac
}

# nf_group_processes CGROUP: the ids of the processes in it.
nf_group_processes() {
  [ -n "$1" ] || return 0
  for nf_group_processes_base in '' /unified /systemd; do
    cat "$NF_ROOT/sys/fs/cgroup$nf_group_processes_base$1/cgroup.procs" 2>/dev/null
  done
}

nf_descendants() {
  ps -A -o pid= -o ppid= | awk -v top="$1" '{ parent[$1] = $2 } END {
    for (pid in parent) {
      at = pid; while (at in parent && at != top && at > 1) at = parent[at]
      if (at == top) print pid
    } }'
}

# Agents' paths named in a text: a unit, launchd's arguments, a plist.
nf_agent_paths() { grep -Eo '/nix/store/[0-9A-Za-z+._?=/-]*nixfleet-agent[0-9A-Za-z+._?=/-]*'; }

# nf_configuration: the flake's attribute for this host, or this home.
nf_configuration() {
  case $NF_PLATFORM in
    home-manager) echo "homeConfigurations.\"$NF_ATTRIBUTE\"" ;;
    *) echo "nixosConfigurations.\"$NF_ATTRIBUTE\"" ;;
  esac
}

# nf_agent_start: the attribute in it that says how the agent is started.
nf_agent_start() {
  case $NF_MANAGER in
    launchd) echo "$(nf_configuration).config.launchd.agents" ;;
    user) echo "$(nf_configuration).config.systemd.user.services.nixfleet-agent.Service.ExecStart" ;;
    *) echo "$(nf_configuration).config.systemd.services.nixfleet-agent.serviceConfig.ExecStart" ;;
  esac
}

# nf_agent_words: a function in Nix that makes one text of it. Home Manager has lists, and names its
# agents as it likes: only the label is known to launchd.
nf_agent_words() {
  # shellcheck disable=SC2016 # Nix's own $
  case $NF_MANAGER in
    launchd)
      printf '%s' '(agents: builtins.concatStringsSep " " (builtins.concatMap (name: ' \
        'let it = agents.${name}.config or { }; in if (it.Label or name) == "com.nixfleet.agent" ' \
        'then map toString (it.ProgramArguments or [ ]) else [ ]) (builtins.attrNames agents)))'
      ;;
    *)
      printf '%s' '(words: if builtins.isList words ' \
        'then builtins.concatStringsSep " " (map toString words) else toString words)'
      ;;
  esac
}
