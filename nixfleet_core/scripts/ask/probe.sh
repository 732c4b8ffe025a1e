# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the parts beside it
# One look at a host. Prints records (records.sh). Never asks the agent, never runs a program that a
# process or a unit names, never calls sudo, and leaves nothing behind: a look for the proof may write a
# commit, in a folder of its own (lib/flake.sh).
# From the prelude: NF_CHECKOUT NF_INPUT NF_ATTRIBUTE NF_NIX_STAMP (the stamp of an earlier look: nix is not
# asked again while it stays), each may be empty; NF_CHOSEN=1 if the attribute is not the operator's word; and
# NF_DEEP=1 to also build proof: expected path and hashes (slow: evaluates the flake); NF_DEEP=why to
# also look for the cause of a failed proof (asks nixcfg's remote).

NF_JOB='' # in a job's own look: the job's directory

# put_path KEY PATH: a record with the path as the host names it
put_path() { put_some "$1" "${2#"$NF_ROOT"}"; }
# cut_off BYTES: larger values are not worth reading, and must not fill the client
cut_off() { head -c "$1"; }

probe() {
  printf 'nixfleet-probe 1\n'
  probe_records
  printf 'end 0\n'
}

# sets: nf_source_name, nf_source_folder, probe_expected_error, probe_expected_path
probe_records() {
  nf_source_name='' nf_source_folder='' probe_expected_error='' probe_expected_path=''
  # shellcheck disable=SC2046 # three words
  set -- $(uname -snm)
  put hostname "$(probe_name "$2")"
  put machine "$3"
  put now "$(nf_now)"
  put uid "$NF_UID"
  put user "$(id -un)"
  if [ "$NF_UID" = 0 ] || [ -n "$NF_ROOT" ]; then put elevated 1; fi
  probe_system
  if [ -n "$NF_JOB" ]; then probe_back; fi
  probe_tools
  probe_units
  probe_checkout
  probe_proofs
  (probe_why) # in a subshell: it changes the owner, and its variables have common names
}

# probe_name NAME: a Mac's NAME changes with its network, its LocalHostName does not.
probe_name() { { nf_has scutil && scutil --get LocalHostName 2>/dev/null; } || printf '%s\n' "$1"; }

probe_system() {
  put platform "$NF_PLATFORM"
  put manager "$NF_MANAGER"
  put os "$(probe_os)"
  put_path system.current "$(nf_real "$(nf_active)")"
  put_path system.profile "$(nf_real "$NF_PROFILE")"
  put_some system.link "$(readlink "$NF_PROFILE" 2>/dev/null)"
  put_some disk.free "$(df -Pk "$NF_ROOT/nix/store" 2>/dev/null | awk 'NR==2 {print $4}')"
  put_some memory.free "$(awk '/^MemAvailable:/ {print $2}' "$NF_ROOT/proc/meminfo" 2>/dev/null)"
  put_some boot "$(nf_boot)"
  if [ "$NF_MANAGER" = user ] && ! nf_lingers; then put no-linger 1; fi
  probe_power
}

# In a job's own look: what it puts the profile back to (job/back.sh).
probe_back() {
  put_some back.profile "$(sed -n 2p "$NF_STATE/${NF_JOB##*/}/back" 2>/dev/null)"
}

# A Mac that runs on its battery: how full it is in percent, and whether the lid is closed.
probe_power() {
  nf_has pmset || return 0
  probe_power_said=$(nf_bounded 10 pmset -g batt 2>/dev/null)
  case $probe_power_said in *"'Battery Power'"*) ;; *) return 0 ;; esac
  put power battery
  put_some power.charge "$(printf '%s\n' "$probe_power_said" |
    sed -n 's/.*[^0-9]\([0-9]\{1,3\}\)%.*/\1/p' | head -n 1)"
  case $(nf_bounded 10 ioreg -r -k AppleClamshellState -d 4 2>/dev/null) in
    *'"AppleClamshellState" = Yes'*) put power.lid closed ;;
  esac
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
  for probe_tools_tool in git nix nixos-rebuild home-manager systemctl systemd-run launchctl sudo doas \
    setpriv timeout; do
    if nf_has "$probe_tools_tool"; then probe_tools_found="$probe_tools_found $probe_tools_tool"; fi
  done
  put tools "${probe_tools_found# }"
  if ! nf_has nix; then return 0; fi
  probe_tools_nix=$(probe_nix_stamp)
  put nix.stamp "$probe_tools_nix"
  if [ "$probe_tools_nix" = "$NF_NIX_STAMP" ]; then return 0; fi
  put nix "$(nf_bounded 10 nix --version 2>/dev/null | cut_off 200)"
  probe_trust
}

# probe_nix_stamp: stays the same while nix, its settings and our groups do, and with them what it answers.
probe_nix_stamp() {
  probe_nix_stamp_file=$(nf_real "$(command -v nix)")
  { printf '%s\n' "$probe_nix_stamp_file"
    ls -lniL "$probe_nix_stamp_file"
    cat "$NF_ROOT"/etc/nix/*.conf
    id -G
  } 2>/dev/null | cksum
}

# Whether the nix daemon lets this user set restricted options. Root may, and builds on NixOS.
probe_trust() {
  if [ "$NF_UID" = 0 ] || [ "$NF_PLATFORM" != home-manager ]; then return 0; fi
  case $(probe_nix store ping --json | tr -d ' ') in
    *'"trusted":'[1t]*) put nix.trusted 1 ;;
    *'"trusted":'[0f]*) put nix.trusted 0 ;;
    *) probe_trusted_users ;;
  esac
}

probe_nix() { nf_bounded 10 nix --extra-experimental-features nix-command "$@" 2>/dev/null; }

# An older Nix does not say so: look at the names in its configuration, where "@" marks a group.
probe_trusted_users() {
  probe_trusted_users_all=$(probe_nix show-config | sed -n 's/^trusted-users = //p')
  [ -n "$probe_trusted_users_all" ] || return 0
  probe_trusted_users_mine=$(echo '*'; id -un; id -Gn | tr ' ' '\n' | sed 's/^/@/')
  if printf '%s\n' "$probe_trusted_users_all" | tr ' ' '\n' | grep -Fxq -e "$probe_trusted_users_mine"; then
    put nix.trusted 1
  else
    put nix.trusted 0
  fi
}

# The units: the agent's, our job, an activation; and what else rebuilds this host.
probe_units() {
  nf_see_units
  if [ -n "$agent_load" ]; then probe_agent; fi
  # shellcheck disable=SC2046 # two numbers are one word
  probe_busy $(nf_suspects)
  if [ -n "$job_lives" ] && probe_units_job=$(nf_current_job) && ! nf_is_over "$probe_units_job"; then
    put job.running "$probe_units_job"
  fi
  put_some job.last "$(nf_jobs | tail -n 1)"
}

probe_agent() {
  put unit.load "$agent_load"
  put_some unit.domain "$agent_domain"
  put_some unit.file "$agent_file"
  put_some unit.session "$agent_session"
  case $NF_MANAGER in launchd) put_path unit.log "$(nf_launchd_logs | head -n 1)" ;; esac
  put_some unit.active "$agent_active"
  put_some unit.sub "$agent_sub"
  put_some unit.result "$agent_result"
  put_some unit.restarts "$agent_restarts"
  put_some unit.pid "$agent_pid"
  put_some loaded.path "$agent_loaded"
  probe_binary installed "$agent_installed" "$NF_ROOT$agent_installed"
  if [ -n "$nf_look_path" ]; then probe_process; fi
  put_some running.waits "$nf_look_waits"
  put_some unit.began "$(nf_began "$agent_pid")"
}

# probe_binary KEY PATH FILE: the path as the host names it, and FILE's hash. It never runs the file:
# the path shows people the version.
probe_binary() {
  [ -n "$2" ] || return 0
  put "$1.path" "$2"
  if [ -n "$NF_DEEP" ] && [ -n "$3" ]; then put_some "$1.sha256" "$(probe_sha256 "$3")"; fi
}

probe_sha256() {
  if nf_has sha256sum; then set -- sha256sum "$1"; else set -- shasum -a 256 "$1"; fi
  nf_bounded 60 "$@" 2>/dev/null | cut_off 64
}

# The program that the agent's process runs.
probe_process() {
  put running.proof "$nf_look_proof"
  put_some installed.starts "$nf_look_starts"
  put_some running.started "$(probe_started "$agent_pid")"
  case $nf_look_proof in
    claimed) probe_binary running "$nf_look_path" '' ;; # the process chose this path: do not even read it
    script) probe_binary running "$nf_look_path" "$NF_ROOT$nf_look_path" ;;
    *) probe_binary running "$nf_look_path" "$(probe_exe_file "$agent_pid")" ;;
  esac
}

# probe_exe_file PID: a name for the file that it runs; the kernel's own works even for a deleted file.
probe_exe_file() {
  if [ -e "$NF_ROOT/proc/$1/exe" ]; then printf '%s\n' "$NF_ROOT/proc/$1/exe"; else nf_exe "$1"; fi
}

# probe_busy SUSPECT...: another's rebuild, and an activation.
probe_busy() {
  if nf_find_other "$@"; then
    put busy.program "$nf_other"
    put_some busy.pid "$nf_other_pid"
    put busy.of "$nf_other_of"
  fi
  if [ -n "$switch_lives" ] || nf_activation_lives "$@"; then put switch.running 1; fi
}

# probe_started PID: when it began, in seconds since the epoch. Every ps knows only its age, as
# [[DAYS-]HOURS:]MINUTES:SECONDS
probe_started() {
  probe_started_age=$(ps -o etime= -p "$1" 2>/dev/null | tr -d ' ' | awk -F '[-:]' '{
    s = $NF + 60 * $(NF - 1); if (NF > 2) s += 3600 * $(NF - 2); if (NF > 3) s += 86400 * $(NF - 3)
    print s }')
  case $probe_started_age in '' | *[!0-9]*) ;; *) echo $(($(nf_now) - probe_started_age)) ;; esac
}

# physical DIR: its path without links; DIR itself if we may not enter it
physical() { if cd "$1" 2>/dev/null; then pwd -P; else printf '%s\n' "$1"; fi; }

# The checkout: NF_CHECKOUT may begin with "~/", the home of the user who looks.
# shellcheck disable=SC2088 # that tilde is text
# sets: nf_source_folder, nf_source_name, probe_dir, probe_expected_error, probe_expected_path
probe_checkout() {
  case $NF_CHECKOUT in
    '') return 0 ;;
    isolated) probe_dir=$(isolated_checkout) ;;
    '~/'*) probe_dir=${HOME:-}/${NF_CHECKOUT#??} ;;
    /*) probe_dir=$NF_ROOT$NF_CHECKOUT ;;
    *) probe_dir=${HOME:-}/$NF_CHECKOUT ;;
  esac
  # without links, so that its owner can go there too
  if [ -z "$NF_ROOT" ] && [ -d "$probe_dir" ]; then probe_dir=$(physical "$probe_dir"); fi
  put_path checkout.path "$probe_dir"
  if ! [ -d "$probe_dir" ]; then
    # below a directory that we may not enter, we cannot tell "missing" from "hidden"
    if probe_hidden "$probe_dir"; then put checkout.state unreadable; else put checkout.state missing; fi
    return 0
  fi
  nf_owner "$probe_dir" || { put checkout.state unreadable; return 0; }
  put checkout.owner "$NF_OWNER"
  if ! cd "$probe_dir" 2>/dev/null || ! probe_may_ask; then
    put checkout.state unreadable
    return 0
  fi
  if ! probe_git_status "$probe_dir" --untracked-files=normal; then
    put checkout.state "$nf_folder_state"
    put_some checkout.said "$(probe_said)"
    return 0
  fi
  if [ -e flake.nix ] && ! nf_is_tracked flake.nix; then put checkout.state untracked; return 0; fi
  put checkout.state ok
  put checkout.status "$(printf '%s\n' "$probe_status" | cut_off 20000)"
  probe_lock
  nf_source "$probe_status"
  if [ -n "$NF_DEEP" ] && [ -n "$NF_ATTRIBUTE" ]; then probe_built; fi
  put_some checkout.dirty-trees "$(nf_remembered)"
  put_some checkout.source "$nf_source_name"
  put checkout.folder "$nf_source_folder"
  put_some checkout.unnamed "$nf_source_why"
  cd /
}

# git runs as the owner: that is us, or root who steps down.
probe_may_ask() { [ "$NF_UID" = 0 ] || [ "$NF_UID" = "$NF_OWNER_UID" ]; }

# probe_git_status DIR OPTION...: in one call: commit, branch, upstream and uncommitted changes, without what
# the owner's settings add. Nix does not look into submodules either. False if git cannot be asked.
# sets: nf_folder_state, nf_folder_said (why not), probe_status
probe_git_status() {
  nf_folder_state=ok nf_folder_said='' probe_status=''
  probe_git_status_dir=$1
  shift
  # root, who steps down to the owner, may enter more folders than the owner
  if [ "$NF_UID" != "$NF_OWNER_UID" ]; then nf_folder "$probe_git_status_dir"; fi
  if [ "$nf_folder_state" != ok ]; then return 1; fi
  probe_status=$(nf_step_down 20 git --no-optional-locks --no-replace-objects -c core.fsmonitor=false \
    -c core.checkStat=default -c core.trustctime=true -c core.quotePath=false -c status.relativePaths=true \
    status --porcelain=v2 --branch --ignore-submodules=dirty "$@" \
    2>/dev/null) && return
  nf_folder "$probe_git_status_dir"
  if [ "$nf_folder_state" = ok ]; then nf_folder_state=broken; fi # it has a commit, but no status
  return 1
}

probe_said() { printf '%s\n' "$nf_folder_said" | head -n 1 | cut_off 500; }

# probe_hidden PATH: true if it may be there, below a folder that we may not enter, also behind links.
probe_hidden() {
  probe_hidden_at=$1 probe_hidden_left=40
  while [ "$probe_hidden_at" != / ] && ! [ -d "$probe_hidden_at" ] && [ "$probe_hidden_left" -gt 0 ]; do
    probe_hidden_left=$((probe_hidden_left - 1))
    if [ -L "$probe_hidden_at" ]; then
      case $(readlink "$probe_hidden_at") in
        /*) probe_hidden_at=$(readlink "$probe_hidden_at") ;;
        *) probe_hidden_at=$(dirname "$probe_hidden_at")/$(readlink "$probe_hidden_at") ;;
      esac
    else
      probe_hidden_at=$(dirname "$probe_hidden_at")
    fi
  done
  ! [ -x "$probe_hidden_at" ]
}

# probe_lock_text: a lock file as it may be kept. A job's files leave out user information and queries of
# URLs; a "?" shows that there was a query. For ssh, only the password is a secret, not the name.
probe_lock_text() {
  if [ -z "$NF_JOB" ]; then
    cat
  else
    sed -e 's|\(https\{0,1\}://\)[^/"?#]*@|\1|g' -e 's|\(://[^/":@?#]*\):[^/"?#]*@|\1@|g' \
      -e 's|\(://[^"?#]*\)[?#][^"]*"|\1?"|g'
  fi | cut_off "$((NF_LOCK_LIMIT + 1))"
}

probe_lock() {
  if ! [ -r flake.lock ]; then return 0; fi
  put checkout.lock "$(nf_owner_cat flake.lock | probe_lock_text)"
  put checkout.lock-cksum "$(nf_owner_cat flake.lock | cksum)"
  case $probe_status in *flake.lock*) ;; *) return 0 ;; esac
  nf_step_down 10 git diff --quiet HEAD -- flake.lock 2>/dev/null && return
  put_some checkout.head-lock "$(nf_step_down 10 git show HEAD:./flake.lock 2>/dev/null | probe_lock_text)"
}

# What our checkout builds. If its state changed meanwhile, nobody knows which state builds that.
# sets: nf_source_folder, nf_source_name, nf_source_why
probe_built() {
  probe_built_was=$nf_source_name
  probe_expected "$probe_dir" ours
  nf_source_name='' nf_source_why=changes
  probe_git_status "$probe_dir" --untracked-files=no && nf_source "$probe_status"
  if [ "$nf_source_name" != "$probe_built_was" ]; then nf_source_name='' nf_source_why=changes; fi
}

# probe_expected DIR [ours]: the agent that the flake there would install as it is locked now: its path,
# without a build. Of our checkout, a commit can stand for a tree that the flake refuses.
# sets: probe_expected_built, probe_expected_error (why there is none), probe_expected_path
probe_expected() {
  probe_expected_path='' probe_expected_error='' probe_expected_built='' probe_expected_code=0
  if [ -n "${2:-}" ] && [ "$(nf_remembered)" = refuses ]; then probe_expected_built=$(probe_from_commit); fi
  if [ -z "$probe_expected_built" ]; then
    probe_expected_built=$(probe_agent_of "$1")
    probe_expected_code=$?
    case $probe_expected_code,${2:-} in
      0,* | 75,* | *,) ;;
      *) probe_expected_built=$(probe_from_commit) && probe_expected_code=0 ;;
    esac
  fi
  if [ "$probe_expected_code" = 0 ]; then
    probe_expected_path=$(probe_program "$probe_expected_built")
    put_some expected.path "$probe_expected_path"
  else
    case $probe_expected_code,$NF_IDLE in
      75,1) probe_expected_error=busy ;;
      *) probe_expected_error='eval' ;;
    esac
    put expected.error "$probe_expected_error"
  fi
}

# probe_agent_of FLAKE: how it starts the agent. flake.lock has to name all inputs: what Nix would look up now
# is no part of the checkout's state.
probe_agent_of() {
  nf_eval "$NF_EVALUATION" --no-update-lock-file --apply "$(nf_agent_words)" "$1#$(nf_agent_start)" \
    2>/dev/null
}

# The same of the commit of the new lock, if it can stand for our checkout.
probe_from_commit() {
  nf_is_plain "$probe_status" && nf_write_commit '' '' 2>/dev/null || return
  probe_from_commit_place=$nf_commit_place
  nf_is_same_source && probe_agent_of "$nf_commit_flake"
  probe_from_commit_code=$?
  nf_forget_commit "$probe_from_commit_place"
  return "$probe_from_commit_code"
}

# probe_program WORDS: the agent in a command line, which may have systemd's prefixes and arguments
probe_program() {
  probe_program_named=$(printf '%s\n' "$1" | nf_agent_paths | head -n 1)
  printf '%s\n' "${probe_program_named:-$(printf '%s\n' "$1" | sed -n '1s/^[-@:+!|]*\([^ ]*\).*/\1/p')}"
}

# The proofs that are kept here, and what this look proves itself.
probe_proofs() {
  if probe_proofs_dir=$(nf_proofs); then
    put_some proofs "$(cat "$probe_proofs_dir"/* 2>/dev/null | cut_off 16000)"
  fi
  if [ -n "$NF_DEEP" ]; then put proof "$(probe_proof)"; fi
}

# isolated_checkout: the agent's own repository
isolated_checkout() {
  if [ "$NF_PLATFORM" = home-manager ]; then
    echo "$NF_STATE_HOME/nixfleet-agent/repo"
  else
    echo "$NF_ROOT/var/lib/nixfleet-agent/repo"
  fi
}
