# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the parts beside it
# One look at a host. Prints records (records.sh). Never asks the agent anything, runs nothing that a
# process or a unit names, never writes, never calls sudo.
# From the prelude: NF_CHECKOUT NF_INPUT NF_ATTRIBUTE, each may be empty, and
# NF_DEEP=1 to also build proof: expected path and hashes (slow: evaluates the flake); NF_DEEP=why to
# also look for what explains a proof that fails (asks nixcfg's remote).

NF_JOB='' # where a job looks: its directory

# put_path KEY PATH: as the host names it
put_path() { put_some "$1" "${2#"$NF_ROOT"}"; }
# cut_off BYTES: what is larger is not worth reading, and must not fill the client
cut_off() { head -c "$1"; }

probe() {
  printf 'nixfleet-probe 1\n'
  # shellcheck disable=SC2046 # three words
  set -- $(uname -snm)
  put hostname "$(probe_name "$2")"
  put machine "$3"
  put now "$(nf_now)"
  put uid "$NF_UID"
  put user "$(id -un)"
  if [ "$NF_UID" = 0 ] || [ -n "$NF_ROOT" ]; then put elevated 1; fi
  probe_system
  probe_tools
  probe_trust
  probe_units
  probe_checkout
  (probe_why) # in a subshell: it asks as the other owner, and has variables of common names
  printf 'end 0\n'
}

# probe_name NAME: a Mac's name changes with its network, this one does not.
probe_name() { { nf_has scutil && scutil --get LocalHostName 2>/dev/null; } || printf '%s\n' "$1"; }

probe_system() {
  put platform "$NF_PLATFORM"
  put manager "$NF_MANAGER"
  put os "$(probe_os)"
  put_path system.current "$(nf_real "$(probe_active)")"
  put_path system.profile "$(nf_real "$NF_PROFILE")"
  put_some system.link "$(readlink "$NF_PROFILE" 2>/dev/null)"
  put_some disk.free "$(df -Pk "$NF_ROOT/nix/store" 2>/dev/null | awk 'NR==2 {print $4}')"
  put_some memory.free "$(awk '/^MemAvailable:/ {print $2}' "$NF_ROOT/proc/meminfo" 2>/dev/null)"
  put_some boot "$(nf_boot)"
  if [ "$NF_MANAGER" = user ] && ! nf_lingers; then put no-linger 1; fi
}

# probe_active: the link to what is active. Home Manager keeps one, moved at each activation.
probe_active() {
  if [ "$NF_PLATFORM" != home-manager ]; then echo "$NF_ROOT/run/current-system"; return; fi
  for probe_active_link in "$NF_STATE_HOME/home-manager/gcroots/current-home" "$NF_ROOT/nix/var/nix/gcroots/per-user/$NF_USER/current-home"; do
    if [ -L "$probe_active_link" ]; then echo "$probe_active_link"; return; fi
  done
  echo "$NF_PROFILE"
}

probe_os() {
  if [ -r "$NF_ROOT/run/current-system/nixos-version" ]; then
    printf 'NixOS %s\n' "$(cut_off 200 <"$NF_ROOT/run/current-system/nixos-version")"
  elif [ -r "$NF_ROOT/etc/os-release" ]; then
    sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$NF_ROOT/etc/os-release" | cut_off 200
  elif nf_has sw_vers; then printf 'macOS %s\n' "$(sw_vers -productVersion)"
  else uname -sr; fi
}

probe_tools() {
  probe_tools_found=
  for probe_tools_tool in git nix nixos-rebuild home-manager systemctl systemd-run launchctl sudo doas setpriv timeout; do
    if nf_has "$probe_tools_tool"; then probe_tools_found="$probe_tools_found $probe_tools_tool"; fi
  done
  put tools "${probe_tools_found# }"
  if nf_has nix; then put nix "$(nf_bounded 10 nix --version 2>/dev/null | cut_off 200)"; fi
}

# Whether the nix daemon lets this user set what is restricted. Root may, and builds on NixOS.
probe_trust() {
  if [ "$NF_UID" = 0 ] || [ "$NF_PLATFORM" != home-manager ] || ! nf_has nix; then return 0; fi
  case $(nf_bounded 10 nix --extra-experimental-features nix-command store ping --json 2>/dev/null | tr -d ' ') in
    *'"trusted":'[1t]*) put nix.trusted 1 ;;
    *'"trusted":'[0f]*) put nix.trusted 0 ;;
    *) probe_trusted_users ;;
  esac
}

# An older Nix does not say: then the names in its configuration, of which a group begins with "@".
probe_trusted_users() {
  probe_trusted_users_all=$(nf_bounded 10 nix --extra-experimental-features nix-command show-config 2>/dev/null |
    sed -n 's/^trusted-users = //p')
  [ -n "$probe_trusted_users_all" ] || return 0
  probe_trusted_users_mine=$(echo '*'; id -un; id -Gn | tr ' ' '\n' | sed 's/^/@/')
  if printf '%s\n' "$probe_trusted_users_all" | tr ' ' '\n' | grep -Fxq -e "$probe_trusted_users_mine"; then put nix.trusted 1; else put nix.trusted 0; fi
}

# One question to systemd, which is what a look at a host mostly waits for: the agent's unit, what it
# would start ($installed), what runs ($pid, $path, and how that is known), our job, and an activation.
# sets: nf_look_path, nf_look_proof, nf_look_starts, probe_installed, probe_pid, probe_job_lives
probe_units() {
  probe_installed='' probe_pid='' nf_look_path='' nf_look_proof='' nf_look_starts='' probe_job_lives=''
  case $NF_MANAGER in
    launchd) nf_has launchctl && probe_launchd ;;
    *) nf_has systemctl && probe_systemd ;;
  esac
  case $NF_CARRIER in launchd | guard) if nf_job_lives; then probe_job_lives=1; fi ;; esac
  if [ -n "$probe_job_lives" ]; then put_some job.running "$(nf_current_job)"; fi
  put_some job.last "$(nf_jobs | tail -n 1)"
}

# sets: unit_active, unit_exec, unit_group, unit_id, unit_load, unit_main, unit_restarts, unit_result,
#   unit_sub, probe_job_lives
probe_systemd() {
  case $NF_MANAGER in user) set -- systemctl --user ;; *) set -- systemctl ;; esac
  probe_systemd_blocks=$(nf_bounded 10 "$@" show "$NF_UNIT" "$NF_JOB_UNIT" "$NF_FINISH_UNIT" "$NF_SWITCH_UNITS" -p Id \
    -p LoadState -p ActiveState -p SubState -p Result -p MainPID -p NRestarts -p ExecStart -p ControlGroup 2>/dev/null) || return 0
  unit_clear
  while IFS='=' read -r probe_systemd_key probe_systemd_value; do
    case $probe_systemd_key in
      '') unit_seen; unit_clear ;;
      Id) unit_id=$probe_systemd_value ;;
      LoadState) unit_load=$probe_systemd_value ;;
      ActiveState) unit_active=$probe_systemd_value ;;
      SubState) unit_sub=$probe_systemd_value ;;
      Result) unit_result=$probe_systemd_value ;;
      NRestarts) unit_restarts=$probe_systemd_value ;;
      MainPID) unit_main=$probe_systemd_value ;;
      ExecStart) unit_exec=$(probe_exec "$probe_systemd_value") ;;
      ControlGroup) unit_group=$probe_systemd_value ;;
    esac
  done <<EOF
$probe_systemd_blocks

EOF
}

# probe_exec VALUE: the program of an ExecStart; the agent's where a shell starts it.
probe_exec() {
  probe_exec_program=${1#*path=} probe_exec_program=${probe_exec_program%%[ ;]*}
  case $probe_exec_program in *nixfleet-agent*) ;; *) probe_exec_named=$(printf '%s\n' "$1" | nf_agent_paths | head -n 1) probe_exec_program=${probe_exec_named:-$probe_exec_program} ;; esac
  printf '%s\n' "$probe_exec_program"
}

# sets: unit_active, unit_exec, unit_group, unit_id, unit_load, unit_main, unit_restarts, unit_result,
#   unit_sub
unit_clear() { unit_id='' unit_load='' unit_active='' unit_sub='' unit_result='' unit_restarts='' unit_main='' unit_exec='' unit_group=''; }

# The properties of one unit have been read.
# sets: probe_job_lives
unit_seen() {
  case $unit_id in
    '') ;;
    "$NF_UNIT") probe_agent ;;
    "$NF_JOB_UNIT" | "$NF_FINISH_UNIT") case $unit_active in active | *ing) probe_job_lives=1 ;; esac ;;
    *) case $unit_active in active | *ing) put switch.running 1 ;; esac ;;
  esac
}

# sets: probe_installed, probe_pid
probe_agent() {
  put unit.load "$unit_load"
  put unit.active "$unit_active"
  put unit.sub "$unit_sub"
  put unit.result "$unit_result"
  put_some unit.restarts "$unit_restarts"
  put_some unit.pid "$unit_main"
  probe_installed=$unit_exec probe_pid=$unit_main
  probe_binary installed "$probe_installed" "$NF_ROOT$probe_installed"
  case $probe_pid in '' | 0 | *[!0-9]*) ;; *) probe_process "$probe_pid" ;; esac
  # shellcheck disable=SC2046 # a number is one word
  probe_busy $(nf_group_processes "$unit_group")
}

# probe_binary KEY PATH FILE: the path as the host names it, FILE's hash. Nothing is run: the version
# that people read is the one in the path.
probe_binary() {
  [ -n "$2" ] || return 0
  put "$1.path" "$2"
  if [ -n "$NF_DEEP" ] && [ -n "$3" ]; then put_some "$1.sha256" "$(probe_sha256 "$3")"; fi
}

probe_sha256() {
  if nf_has sha256sum; then nf_bounded 60 sha256sum "$1"; else nf_bounded 60 shasum -a 256 "$1"; fi 2>/dev/null |
    cut_off 64
}

# The agent as launchd has it: what its plist on disk starts, and what was loaded, which may be older.
# sets: probe_installed, probe_pid
probe_launchd() {
  probe_launchd_domain=$(nf_agent_domain)
  probe_launchd_plist=$(nf_plist)
  if [ -z "$probe_launchd_domain" ] && ! [ -e "$probe_launchd_plist" ]; then put unit.load not-found; return; fi
  put unit.load loaded
  put_some unit.domain "${probe_launchd_domain:-$(nf_any_domain)}"
  put unit.file "$probe_launchd_plist"
  probe_launchd_printed=$(nf_printed)
  probe_launchd_state=$(printf '%s\n' "$probe_launchd_printed" | nf_value state) probe_pid=$(printf '%s\n' "$probe_launchd_printed" | nf_pid_value)
  case $probe_pid in '') put unit.active inactive ;; *) put unit.active active; put unit.pid "$probe_pid" ;; esac
  case $probe_launchd_state in 'spawn scheduled') probe_launchd_state='auto-restart, spawn scheduled' ;; esac
  put_some unit.sub "${probe_launchd_state:-not loaded}"
  probe_launchd_runs=$(printf '%s\n' "$probe_launchd_printed" | nf_value runs) # since it was loaded; the first is no restart
  case $probe_launchd_runs in '' | 0 | *[!0-9]*) ;; *) put unit.restarts $((probe_launchd_runs - 1)) ;; esac
  put_some loaded.path "$(printf '%s\n' "$probe_launchd_printed" | nf_agent_paths | head -n 1)"
  probe_installed=$(nf_plist_agent)
  probe_binary installed "$probe_installed" "$probe_installed"
  case $probe_pid in '') ;; *) probe_process "$probe_pid" ;; esac
  # shellcheck disable=SC2046 # a number is one word
  probe_busy $(nf_agents_processes)
}

# probe_process PID: what the agent's process runs, and how that is known: see nf_look_at.
probe_process() {
  nf_look_at "$1" "$probe_installed"
  [ -n "$nf_look_path" ] || return 0
  put running.proof "$nf_look_proof"
  put_some installed.starts "$nf_look_starts"
  put_some running.started "$(probe_started "$1")"
  case $nf_look_proof in
    claimed) probe_binary running "$nf_look_path" '' ;; # a path that a process chose is not even read
    script) probe_binary running "$nf_look_path" "$NF_ROOT$nf_look_path" ;;
    *) probe_binary running "$nf_look_path" "$(probe_exe_file "$1")" ;;
  esac
}

# probe_exe_file PID: a name for the file that it runs; the kernel's own leads to it though it was deleted.
probe_exe_file() {
  if [ -e "$NF_ROOT/proc/$1/exe" ]; then printf '%s\n' "$NF_ROOT/proc/$1/exe"; else nf_exe "$1"; fi
}

# probe_busy PID...: a rebuild among the processes of the agent's service.
probe_busy() {
  nf_find_rebuild "$@" || return 0
  put busy.pid "$nf_find_rebuild_pid"
  put busy.program "$nf_program"
}

# probe_started PID: when it began, in seconds since the epoch; its age is what ps knows everywhere, as
# [[DAYS-]HOURS:]MINUTES:SECONDS
probe_started() {
  probe_started_age=$(ps -o etime= -p "$1" 2>/dev/null | tr -d ' ' | awk -F '[-:]' '{
    s = $NF + 60 * $(NF - 1); if (NF > 2) s += 3600 * $(NF - 2); if (NF > 3) s += 86400 * $(NF - 3); print s }')
  case $probe_started_age in '' | *[!0-9]*) ;; *) echo $(($(nf_now) - probe_started_age)) ;; esac
}

# physical DIR: its path without links; DIR itself where we may not go
physical() { if cd "$1" 2>/dev/null; then pwd -P; else printf '%s\n' "$1"; fi; }

# The checkout: NF_CHECKOUT may begin with "~/", the home of whoever looks.
# shellcheck disable=SC2088 # that tilde is text
# sets: probe_dir, probe_status
probe_checkout() {
  case $NF_CHECKOUT in
    '') return 0 ;;
    isolated) probe_dir=$(isolated_checkout) ;;
    '~/'*) probe_dir=${HOME:-}/${NF_CHECKOUT#??} ;;
    /*) probe_dir=$NF_ROOT$NF_CHECKOUT ;;
    *) probe_dir=${HOME:-}/$NF_CHECKOUT ;;
  esac
  # behind its links, where its owner can go too
  if [ -z "$NF_ROOT" ] && [ -d "$probe_dir" ]; then probe_dir=$(physical "$probe_dir"); fi
  put_path checkout.path "$probe_dir"
  if ! [ -d "$probe_dir" ]; then
    # below a directory that we may not enter, "not there" cannot be told from "not shown"
    if probe_hidden "$probe_dir"; then put checkout.state unreadable; else put checkout.state missing; fi
    return 0
  fi
  nf_owner "$probe_dir" || { put checkout.state unreadable; return 0; }
  put checkout.owner "$NF_OWNER"
  if ! cd "$probe_dir" 2>/dev/null || { [ "$NF_UID" != 0 ] && [ "$NF_UID" != "$NF_OWNER_UID" ]; }; then
    put checkout.state unreadable
    return 0
  fi
  # one call: commit, branch, upstream, and what is not committed
  if ! probe_status=$(nf_step_down 20 git --no-optional-locks status --porcelain=v2 --branch 2>/dev/null); then
    put checkout.state not-git
    return 0
  fi
  put checkout.state ok
  put checkout.status "$(printf '%s\n' "$probe_status" | cut_off 20000)"
  probe_lock
  if [ -n "$NF_DEEP" ] && [ -n "$NF_ATTRIBUTE" ]; then probe_expected "$probe_dir"; fi
  cd /
}

probe_hidden() {
  probe_hidden_parent=$(dirname "$1")
  while [ "$probe_hidden_parent" != / ] && ! [ -d "$probe_hidden_parent" ]; do probe_hidden_parent=$(dirname "$probe_hidden_parent"); done
  ! [ -x "$probe_hidden_parent" ]
}

# hide_from_job: user information and queries of URLs are nothing for a job's files, which are kept; that
# there was a query is.
hide_from_job() {
  if [ -z "$NF_JOB" ]; then cat; return; fi
  sed -e 's|\(https\{0,1\}://\)[^/"?#]*@|\1|g' -e 's|\(https\{0,1\}://[^"?#]*\)[?#][^"]*"|\1?"|g'
}

probe_lock() {
  if ! [ -r flake.lock ]; then return 0; fi
  put checkout.lock "$(nf_owner_cat flake.lock | hide_from_job | cut_off "$((NF_LOCK_LIMIT + 1))")"
  put checkout.lock-cksum "$(nf_owner_cat flake.lock | cksum)"
  case "$probe_status " in
    *" flake.lock"[!a-zA-Z0-9._/-]*)
      put_some checkout.head-lock "$(nf_step_down 10 git show HEAD:flake.lock 2>/dev/null |
        hide_from_job | cut_off "$((NF_LOCK_LIMIT + 1))")"
      ;;
  esac
}

# What the flake, as it is locked now, would install: the agent's path without building anything.
# sets: probe_expected_built
probe_expected() {
  if probe_expected_built=$(nf_as_owner 300 nix --extra-experimental-features 'nix-command flakes' eval --raw --no-write-lock-file \
    --apply "$(nf_agent_words)" "$1#$(nf_agent_start)" 2>/dev/null); then
    put_some expected.path "$(probe_program "$probe_expected_built")"
  else
    put expected.error eval
  fi
}

# probe_program WORDS: the agent in a command line; it may carry systemd's prefixes and arguments
probe_program() {
  probe_program_named=$(printf '%s\n' "$1" | nf_agent_paths | head -n 1)
  printf '%s\n' "${probe_program_named:-$(printf '%s\n' "$1" | sed -n '1s/^[-@:+!|]*\([^ ]*\).*/\1/p')}"
}

# isolated_checkout: the agent's own repository
isolated_checkout() {
  if [ "$NF_PLATFORM" = home-manager ]; then echo "$NF_STATE_HOME/nixfleet-agent/repo"; else echo "$NF_ROOT/var/lib/nixfleet-agent/repo"; fi
}
