# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # its variables go to the parts that use it, and come from them
# The program that the agent's service names, and the one that runs in it. Asks, and prints nothing.

# nf_see_units: look at the agent's unit, its program and the proof for it (nf_look_at), our job, and the
# units of activations and of others' rebuilds.
# sets: agent_load, agent_active, agent_sub, agent_result, agent_restarts, agent_group, agent_domain,
#   agent_file, agent_loaded, agent_installed (the program that the unit names), agent_pid, job_lives,
#   switch_lives, comin_group, upgrade_lives, nf_look_path, nf_look_proof, nf_look_starts, nf_look_waits,
#   agent_session (launchd: missing, if no domain takes the agent)
nf_see_units() {
  agent_load='' agent_active='' agent_sub='' agent_result='' agent_restarts='' agent_domain=''
  agent_file='' agent_loaded='' agent_installed='' agent_pid='' job_lives=''
  nf_look_path='' nf_look_proof='' nf_look_starts='' nf_look_waits='' agent_session=''
  nf_see_systemd
  case $NF_MANAGER in launchd) nf_has launchctl && nf_see_launchd ;; esac
  case $NF_CARRIER in launchd | guard) if nf_job_lives; then job_lives=1; fi ;; esac
  case $agent_pid in '' | 0 | *[!0-9]*) ;; *) nf_look_at "$agent_pid" "$agent_installed" ;; esac
}

# Ask systemd, if it runs the agent, and only once: a look at a host mostly waits for its answer.
# sets: unit_id, unit_load, unit_active, unit_sub, unit_result, unit_restarts, unit_pid, unit_exec,
#   unit_group, agent_load, agent_active, agent_sub, agent_result, agent_restarts, agent_group,
#   agent_installed, agent_pid, job_lives, switch_lives, comin_group, upgrade_lives
nf_see_systemd() {
  agent_group='' switch_lives='' comin_group='' upgrade_lives=''
  if [ "$NF_MANAGER" = launchd ] || ! nf_has systemctl; then return 0; fi
  case $NF_MANAGER in user) set -- systemctl --user ;; *) set -- systemctl ;; esac
  nf_see_systemd_blocks=$(nf_bounded 10 "$@" show \
    "$NF_UNIT" "$NF_JOB_UNIT" "$NF_FINISH_UNIT" "$NF_SWITCH_UNITS" "$NF_UPGRADE_UNIT" "$NF_COMIN_UNIT" \
    -p Id -p LoadState -p ActiveState -p SubState -p Result -p MainPID -p NRestarts -p ExecStart \
    -p ControlGroup 2>/dev/null) || return 0
  nf_forget_unit
  while IFS='=' read -r nf_see_systemd_key nf_see_systemd_value; do
    case $nf_see_systemd_key in
      '') nf_see_unit; nf_forget_unit ;;
      Id) unit_id=$nf_see_systemd_value ;;
      LoadState) unit_load=$nf_see_systemd_value ;;
      ActiveState) unit_active=$nf_see_systemd_value ;;
      SubState) unit_sub=$nf_see_systemd_value ;;
      Result) unit_result=$nf_see_systemd_value ;;
      NRestarts) unit_restarts=$nf_see_systemd_value ;;
      MainPID) unit_pid=$nf_see_systemd_value ;;
      ExecStart) unit_exec=$nf_see_systemd_value ;;
      ControlGroup) unit_group=$nf_see_systemd_value ;;
    esac
  done <<EOF
$nf_see_systemd_blocks

EOF
}

# sets: unit_id, unit_load, unit_active, unit_sub, unit_result, unit_restarts, unit_pid, unit_exec, unit_group
nf_forget_unit() {
  unit_id='' unit_load='' unit_active='' unit_sub='' unit_result='' unit_restarts='' unit_pid='' unit_exec=''
  unit_group=''
}

# The properties of one unit have been read.
# sets: agent_load, agent_active, agent_sub, agent_result, agent_restarts, agent_group, agent_installed,
#   agent_pid, job_lives, switch_lives, comin_group, upgrade_lives
nf_see_unit() {
  case $unit_id in
    '') ;;
    "$NF_UNIT")
      agent_load=$unit_load agent_active=$unit_active agent_sub=$unit_sub agent_result=$unit_result
      agent_restarts=$unit_restarts agent_group=$unit_group agent_pid=$unit_pid
      agent_installed=$(nf_started_program "$unit_exec")
      ;;
    "$NF_JOB_UNIT" | "$NF_FINISH_UNIT") case $unit_active in active | *ing) job_lives=1 ;; esac ;;
    "$NF_UPGRADE_UNIT") case $unit_active in active | *ing) upgrade_lives=1 ;; esac ;;
    "$NF_COMIN_UNIT") comin_group=$unit_group ;;
    *) case $unit_active in active | *ing) switch_lives=1 ;; esac ;;
  esac
}

# nf_started_program VALUE: the program of an ExecStart; the agent's if a shell starts it.
nf_started_program() {
  nf_started_program_first=${1#*path=} nf_started_program_first=${nf_started_program_first%%[ ;]*}
  case $nf_started_program_first in
    *nixfleet-agent*) ;;
    *)
      nf_started_program_named=$(printf '%s\n' "$1" | nf_agent_paths | head -n 1)
      nf_started_program_first=${nf_started_program_named:-$nf_started_program_first}
      ;;
  esac
  printf '%s\n' "$nf_started_program_first"
}

# The agent as launchd has it: the program in its plist on disk, and the loaded one, which may be older.
# sets: agent_load, agent_active, agent_sub, agent_restarts, agent_domain, agent_file, agent_loaded,
#   agent_installed, agent_pid, agent_session
nf_see_launchd() {
  agent_load=not-found agent_domain=$(nf_agent_domain)
  if [ -z "$agent_domain" ] && ! [ -e "$(nf_plist)" ]; then return; fi
  agent_load=loaded agent_file=$(nf_plist)
  nf_see_launchd_target=$(nf_agent_target "$agent_domain") || agent_session=missing
  agent_domain=${agent_domain:-$nf_see_launchd_target}
  nf_see_launchd_printed=$(launchctl print "$agent_domain/$NF_UNIT" 2>/dev/null)
  agent_pid=$(printf '%s\n' "$nf_see_launchd_printed" | nf_pid_value)
  if [ -n "$agent_pid" ]; then agent_active=active; else agent_active=inactive; fi
  agent_sub=$(printf '%s\n' "$nf_see_launchd_printed" | nf_value state)
  case $agent_sub in
    '') agent_sub='not loaded' ;;
    'spawn scheduled') agent_sub="auto-restart, $agent_sub" ;;
  esac
  case $(printf '%s\n' "$nf_see_launchd_printed" | nf_value 'pended nondemand spawn') in
    ?*) agent_sub="$agent_sub, its start pends" ;;
  esac
  # all runs since it was loaded; the first is no restart
  nf_see_launchd_runs=$(printf '%s\n' "$nf_see_launchd_printed" | nf_value runs)
  case $nf_see_launchd_runs in '' | 0 | *[!0-9]*) ;; *) agent_restarts=$((nf_see_launchd_runs - 1)) ;; esac
  agent_loaded=$(printf '%s\n' "$nf_see_launchd_printed" | nf_agent_paths | head -n 1)
  agent_installed=$(nf_plist_agent)
}
