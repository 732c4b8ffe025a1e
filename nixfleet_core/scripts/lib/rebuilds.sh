# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154,SC3013 # its variables go to and come from the scripts around it; -ef
# Who rebuilds this host, and who activates what was built.
#
# The kernel says which program a process runs, which file an open script is, and whose process it is. A
# command line is a claim: it only says what the program was asked to do. So nothing counts by its name in a
# command line alone, unless it is a process of root's that we may not look at.

# The user whose processes can activate a system. In the sandbox all files belong to us.
NF_ROOT_UID=$(nf_uid_of "$NF_ROOT/.")

# nf_suspects: PID:UID of each process whose command line has a word of the tools below: all of them name
# their own program there. The sandbox's processes name a path in the sandbox.
nf_suspects() {
  # the words are no argument of awk's, or it would be a suspect itself
  nf_bounded 10 ps -A -ww -o pid= -o uid= -o args= 2>/dev/null |
    nf_suspects_root=$NF_ROOT nf_suspects_words=$NF_REBUILD_WORDS awk '
    ENVIRON["nf_suspects_root"] != "" && !index($0, ENVIRON["nf_suspects_root"]) { next }
    $0 ~ ENVIRON["nf_suspects_words"] { print $1 ":" $2 }'
}

NF_REBUILD_WORDS='nixos-rebuild|switch-to-configuration|home-manager|activate|(^|[ /.])nh(-wrapped_?)? '

# nf_program PID: the name of what it runs: its program, or its script if the program is an interpreter.
# If we may not look, the name comes from its command line.
# sets: nf_program
nf_program() {
  nf_program_exe=$(nf_exe "$1")
  nf_program_path=$(nf_in_host "${nf_program_exe% (deleted)}")
  nf_program=$(nf_unwrapped "${nf_program_path##*/}")
  case $nf_program_path in /nix/store/*deploy-rs*/bin/activate) nf_program=deploy-rs; return ;; esac
  if [ -n "$nf_program" ] && nf_is_rebuild "$1"; then return 0; fi
  if [ -n "$nf_program_exe" ]; then
    nf_program_file=$(nf_script "$1" "$nf_program_exe") || return 0
  else
    nf_program_file=$(nf_words "$1" | sed -n -e 1d -e '/^-.*c/q' -e '/^-/d' -e '/^\//p' -e q)
    [ -n "$nf_program_file" ] || nf_program_file=$(nf_words "$1" | head -n 1)
  fi
  nf_program=$(nf_unwrapped "${nf_program_file##*/}")
}

# nf_is_rebuild PID: true if $nf_program, which it runs, was asked to move a profile of this host, or to
# activate what was built. With --target-host it works on another host.
nf_is_rebuild() {
  case $nf_program in
    nixos-rebuild | nixos-rebuild-ng) nf_words "$1" | awk "$NF_REBUILD_ACTION" ;;
    nh) nf_words "$1" | awk "$NF_NH_ACTION" ;;
    home-manager) nf_words "$1" | grep -qxE -e 'switch|--switch' ;;
    switch-to-configuration) nf_words "$1" | grep -qxE 'switch|boot|test' ;;
    deploy-rs)
      nf_is_rebuild_words=$(nf_words "$1")
      printf '%s\n' "$nf_is_rebuild_words" | grep -qxE 'activate|revoke' &&
        ! printf '%s\n' "$nf_is_rebuild_words" | grep -qx -e --dry-activate
      ;;
    *) return 1 ;;
  esac
}

# awk, for nixos-rebuild's words: true if the action is one that activates. The action may stand anywhere; a
# word after an option may be the option's value, so it counts only if there is no other.
# shellcheck disable=SC2016 # awk's own $
NF_REBUILD_ACTION='
/^--target-host(=|$)/ { away = 1 }
/^(switch|boot|test|build|edit|repl|dry-(build|run|activate)|build-(vm|vm-with-bootloader|image))$/ ||
  /^list-generations$/ {
  if (before !~ /^-/ && action == "") action = $0
  else if (value == "") value = $0
}
{ before = $0 }
END { if (action == "") action = value; exit !(action ~ /^(switch|boot|test)$/ && !away) }'

# awk, for the words of nh: the action is the first plain word after "os" or "home".
# shellcheck disable=SC2016 # awk's own $
NF_NH_ACTION='
/^(--target-host(=|$)|--dry$|-n$)/ { away = 1 }
kind != "" && action == "" && !/^-/ { action = $0 }
NR > 1 && kind == "" && /^(os|home)$/ { kind = $0 }
END { exit !(action ~ /^(switch|boot|test|rollback)$/ && !away) }'

# nf_find_rebuild PID...: find the first of these processes that rebuilds or activates.
# sets: nf_find_rebuild_pid, and nf_program for its name
nf_find_rebuild() {
  for nf_find_rebuild_pid; do
    case $(nf_words "$nf_find_rebuild_pid")$(nf_exe "$nf_find_rebuild_pid") in
      *nixos-rebuild* | *switch-to-configuration* | *home-manager* | *nh* | *activate*) ;;
      *) continue ;;
    esac
    nf_program "$nf_find_rebuild_pid"
    if nf_is_rebuild "$nf_find_rebuild_pid"; then return 0; fi
  done
  nf_find_rebuild_pid=''
  return 1
}

# --- another's rebuild

# nf_find_other SUSPECT...: find a rebuild on this host that would collide with ours, before or in its
# activation: among these processes (nf_suspects), the agent's, comin's and the units. What
# systemd says (nf_see_systemd) must be known already.
# sets: nf_other (its name, a word of ours; "" if there is none), nf_other_pid ("" if it is a unit),
#   nf_other_of: agent (it is in the agent's service and ends with it), root (root's, or ours), user (somebody
#   else's: anybody can run a program of that name)
nf_find_other() {
  nf_other='' nf_other_pid='' nf_other_of=agent
  # shellcheck disable=SC2046 # a number is one word
  if nf_find_rebuild $(nf_agents_processes); then
    nf_other=$nf_program nf_other_pid=$nf_find_rebuild_pid
    return 0
  fi
  for nf_find_other_one; do
    nf_other_pid=${nf_find_other_one%:*}
    if nf_collides "$nf_other_pid" "${nf_find_other_one#*:}"; then nf_other=$nf_program; return 0; fi
  done
  nf_other_of=root nf_other_pid=''
  if [ -n "$comin_group" ] && nf_comin_builds; then nf_other=comin; return 0; fi
  if [ -n "$upgrade_lives" ]; then nf_other=${NF_UPGRADE_UNIT%.service}; return 0; fi
  return 1
}

# nf_collides PID UID: true if it rebuilds the profile that we move.
# sets: nf_other_of, nf_program
nf_collides() {
  case $2 in
    "$NF_UID" | "$NF_ROOT_UID") nf_other_of=root ;;
    *) nf_other_of=user ;;
  esac
  if [ "$NF_PLATFORM" = home-manager ]; then [ "$2" = "$NF_UID" ] || return 1; fi
  # a claim of somebody whom we may not look at is worth nothing
  if [ "$nf_other_of" = user ] && [ -z "$(nf_exe "$1")" ]; then return 1; fi
  nf_is_here "$1" || return 1
  nf_program "$1"
  case $NF_PLATFORM,$nf_program in
    home-manager,home-manager | home-manager,deploy-rs) ;;
    home-manager,nh) nf_words "$1" | grep -qx home || return 1 ;;
    home-manager,*) return 1 ;;
    *,home-manager) return 1 ;;
    *,nh) nf_words "$1" | grep -qx os || return 1 ;;
  esac
  nf_is_rebuild "$1"
}

# nf_is_here PID: false for a process in a container of its own, whose root is another folder.
nf_is_here() { ! [ -e "$NF_ROOT/proc/$1/root" ] || [ "$NF_ROOT/proc/$1/root" -ef / ]; }

# nf_comin_builds: true if comin runs Nix: it evaluates and builds a commit, then activates it. It fetches
# commits by itself.
# sets: nf_other_pid
nf_comin_builds() {
  for nf_other_pid in $(nf_group_processes "$comin_group"); do
    nf_program "$nf_other_pid"
    case $nf_program in nix | nix-*) return 0 ;; esac
  done
  nf_other_pid=''
  return 1
}

# --- activations

# nf_switch_lives: true if an activation runs: nixos-rebuild's in its unit, which newer versions give a
# suffix; those of comin, colmena, deploy-rs, nh and home-manager in none.
nf_switch_lives() {
  case $NF_PLATFORM in
    home-manager) ;;
    *)
      systemctl list-units --plain --no-legend --all "$NF_SWITCH_UNITS" 2>/dev/null |
        grep -Eq '[[:space:]](active|activating|deactivating|reloading)[[:space:]]' && return
      ;;
  esac
  # shellcheck disable=SC2046 # two numbers are one word
  nf_activation_lives $(nf_suspects)
}

# nf_activation_lives SUSPECT...: true if one of these activates a system, or this user's home.
nf_activation_lives() {
  for nf_activation_lives_one; do
    if nf_activates "${nf_activation_lives_one%:*}" "${nf_activation_lives_one#*:}"; then return 0; fi
  done
  return 1
}

# nf_activates PID UID: only root activates a system, and only its user a home.
nf_activates() {
  if [ "$NF_PLATFORM" = home-manager ]; then
    [ "$2" = "$NF_UID" ] && nf_activates_home "$1"
    return
  fi
  [ "$2" = "$NF_ROOT_UID" ] && nf_is_here "$1" || return 1
  nf_program "$1"
  case $nf_program in switch-to-configuration | deploy-rs) nf_is_rebuild "$1" ;; *) return 1 ;; esac
}

# nf_activates_home PID: true if it is a shell that reads a generation's script. home-manager and nh start it
# through links of their own in a temporary folder, and may remove them while it runs: then only its open
# files say what it reads.
nf_activates_home() {
  nf_program "$1"
  if [ "$nf_program" = deploy-rs ]; then nf_is_rebuild "$1"; return; fi
  nf_activates_home_exe=$(nf_exe "$1")
  if nf_activates_home_file=$(nf_script "$1" "$nf_activates_home_exe") &&
    nf_is_generations "$(nf_real "$nf_activates_home_file")"; then return 0; fi
  nf_open_files "$1" | nf_reads_generation "$1" "$nf_activates_home_exe"
}

# nf_reads_generation PID EXE: true if one of the files, a path a line, is a generation's script, and EXE its
# interpreter. Others may read it too, such as an editor.
nf_reads_generation() {
  while IFS= read -r nf_reads_generation_file; do
    if nf_is_generations "$nf_reads_generation_file" && nf_first_line "$nf_reads_generation_file" &&
      nf_runs "$1" "$2" "$nf_first_line_program"; then return 0; fi
  done
  return 1
}

# nf_is_generations FILE: true for a Home Manager generation's script, by its real path: a store path that has
# the home's files beside it. A file of an optimised store may have another name on a Mac.
nf_is_generations() {
  nf_is_generations_at=$(nf_in_host "$1")
  case $nf_is_generations_at in
    /nix/store/.links/*) [ "$1" -ef "$NF_PROFILE/activate" ]; return ;;
    /nix/store/*/activate) ;;
    *) return 1 ;;
  esac
  [ "$nf_is_generations_at" = "$(nf_package "$nf_is_generations_at")/activate" ] &&
    [ -e "$NF_ROOT${nf_is_generations_at%/activate}/home-files" ]
}

# nf_open_files PID: the real paths of the files that it has open.
nf_open_files() {
  if [ -d "$NF_ROOT/proc/$1/fd" ]; then
    for nf_open_files_one in "$NF_ROOT/proc/$1/fd"/*; do readlink "$nf_open_files_one"; done 2>/dev/null
  elif nf_has lsof; then
    nf_bounded 10 lsof -a -p "$1" -Fn 2>/dev/null | sed -n 's/^n//p'
  fi
}
