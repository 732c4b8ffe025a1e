# shellcheck shell=sh
# shellcheck disable=SC2034,SC3013 # for its callers; -ef: POSIX since 2024, and in all shells long before
# What a process runs: its program as the kernel knows it, or its script if the program is an interpreter.
# Its command line is a mere claim: we read it, and never run it.

# The store's real path, behind links: a file's real path can then be compared with it.
NF_REAL_STORE=$(cd "$NF_ROOT/nix/store" 2>/dev/null && pwd -P)

# nf_exe PID: the path of its program; nothing if we may not look.
nf_exe() {
  if [ -d "$NF_ROOT/proc/$1" ]; then readlink "$NF_ROOT/proc/$1/exe" 2>/dev/null; return; fi
  if ! nf_has lsof; then return 1; fi
  # the first mapped text of a process is its program
  nf_bounded 10 lsof -a -p "$1" -d txt -Fn 2>/dev/null | sed -n 's/^n//p' | head -n 1
}

# nf_words PID: its command line, a word a line; a newline within a word becomes \001. It has a time
# limit, as a process can make this read wait. A Mac's ps prints a newline as \012.
nf_words() {
  if [ -r "$NF_ROOT/proc/$1/cmdline" ]; then
    nf_bounded 5 head -c 65536 "$NF_ROOT/proc/$1/cmdline" 2>/dev/null | tr '\000\n' '\n\001'
  else
    nf_bounded 5 ps -ww -o args= -p "$1" 2>/dev/null | sed "s/\\\\012/$nf_newline/g" | tr ' ' '\n'
  fi
}

nf_newline=$(printf '\001')

# nf_runs PID EXE FILE: true if its program is that very file. The same path proves nothing: in its own
# mount namespace a process can have another file there, and a file can be replaced.
nf_runs() {
  nf_runs_exe=$NF_ROOT/proc/$1/exe
  [ -e "$nf_runs_exe" ] || nf_runs_exe=$2
  [ "$nf_runs_exe" -ef "$3" ]
}

# nf_first_line FILE: the interpreter that a script's first line names, and its one argument; false if
# FILE is not a script, or if it names env, which may find any program.
# sets: nf_first_line_program nf_first_line_word
nf_first_line() {
  # shellcheck disable=SC2016 # the inner shell expands
  nf_first_line_first=$(nf_bounded 5 sh -c '[ -f "$1" ] && exec head -c 512 "$1"' sh "$1" 2>/dev/null |
    LC_ALL=C tr -d '\000' | sed -n '1s/^#!//p')
  IFS="$nf_blanks" read -r nf_first_line_program nf_first_line_word <<EOT
$nf_first_line_first
EOT
  case $nf_first_line_program in */env) return 1 ;; /*) ;; *) return 1 ;; esac
}
nf_blanks=$(printf ' \t')

# nf_script PID EXE: the script that the process runs: the first word after its program and options, if
# that file's first line names the program. Allowed options are the first line's own argument and flags
# that run nothing else (never -c, -s, -i); with any other word there is no proof.
nf_script() { nf_words "$1" | nf_find_script "$1" "$2"; }
nf_find_script() {
  IFS= read -r nf_find_script_word || return 1
  nf_find_script_file='' nf_find_script_options='' nf_find_script_left=8
  while [ "$nf_find_script_left" -gt 0 ] && IFS= read -r nf_find_script_word; do
    nf_find_script_left=$((nf_find_script_left - 1))
    case $nf_find_script_word in
      /*) nf_find_script_file=$nf_find_script_word; break ;;
      -*) nf_find_script_options="$nf_find_script_options $nf_find_script_word" ;;
      *) return 1 ;;
    esac
  done
  [ -n "$nf_find_script_file" ] && nf_first_line "$nf_find_script_file" || return 1
  nf_find_script_rest=$nf_find_script_options
  case "$nf_find_script_options " in
    " $nf_first_line_word "*) nf_find_script_rest=${nf_find_script_options#" $nf_first_line_word"} ;;
  esac
  while [ -n "$nf_find_script_rest" ]; do
    nf_find_script_rest=${nf_find_script_rest# } nf_find_script_word=${nf_find_script_rest%% *}
    case $nf_find_script_word in -*[!euxvf]* | -) return 1 ;; -*) ;; *) return 1 ;; esac
    nf_find_script_rest=${nf_find_script_rest#"$nf_find_script_word"}
  done
  nf_runs "$1" "$2" "$nf_first_line_program" || return 1
  printf '%s\n' "$nf_find_script_file"
}

# nf_unwrapped NAME: a program's own name. nixpkgs' wrappers turn it into .NAME-wrapped, sometimes with "_"
# at the end.
nf_unwrapped() {
  case $1 in
    .*-wrapped | .*-wrapped_) nf_unwrapped_name=${1#.}; printf '%s\n' "${nf_unwrapped_name%-wrapped*}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# --- in the store

# nf_in_host PATH: a path of this machine, as the host names it.
nf_in_host() {
  case $1 in
    "${NF_REAL_STORE:-/nowhere}"/*) printf '/nix/store/%s\n' "${1#"$NF_REAL_STORE"/}" ;;
    *) printf '%s\n' "${1#"$NF_ROOT"}" ;;
  esac
}

# nf_stored FILE: its real path, as the host names it; false if that is not in the store.
nf_stored() {
  nf_stored_at=$(nf_real "$1")
  nf_stored_at=$(nf_in_host "$nf_stored_at")
  case $nf_stored_at in /nix/store/?*) ;; *) return 1 ;; esac
  printf '%s\n' "$nf_stored_at"
}

# nf_package PATH: the store path that contains it; any other path stays as it is.
nf_package() {
  case $1 in
    /nix/store/?*) nf_package_name=${1#/nix/store/}; printf '/nix/store/%s\n' "${nf_package_name%%/*}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# nf_starts PATH: the store files that a program starts, as its file names them, and the files that these
# start, through at most five wrappers. If the program is a link, its target comes first.
nf_starts() {
  nf_starts_now=$(nf_stored "$NF_ROOT$1" | nf_plain_paths)
  [ -n "$nf_starts_now" ] || return 0
  if [ "$nf_starts_now" != "$1" ]; then printf '%s\n' "$nf_starts_now"; fi
  nf_starts_left=5
  while [ -n "$nf_starts_now" ] && [ "$nf_starts_left" -gt 0 ]; do
    nf_starts_left=$((nf_starts_left - 1))
    nf_starts_now=$(printf '%s\n' "$nf_starts_now" | nf_all_named)
    if [ -n "$nf_starts_now" ]; then printf '%s\n' "$nf_starts_now"; fi
  done
}

nf_plain_paths() { grep -Ex '[0-9A-Za-z+._=/-]+'; }

nf_all_named() {
  while IFS= read -r nf_all_named_by; do nf_named "$nf_all_named_by"; done | sort -u | head -n 20
}

# nf_named PATH: the programs that one file names, narrowly. In a script (makeWrapper, writeShellScript):
# agents after "exec", or files of the script's own name; never its interpreter. In a program
# (makeBinaryWrapper holds the path as text): files of its own name.
nf_named() {
  nf_named_file=$NF_ROOT$1
  [ -f "$nf_named_file" ] || return 0
  case $(head -c 2 "$nf_named_file" 2>/dev/null | LC_ALL=C tr -d '\000') in
    '#!') nf_named_all=$(nf_exec_lines <"$nf_named_file" | nf_store_files) nf_named_kind=script ;;
    *) nf_named_all=$(head -c 67108864 "$nf_named_file" | nf_store_files) nf_named_kind=program ;;
  esac
  nf_named_like=$(nf_unwrapped "${1##*/}")
  for nf_named_one in $nf_named_all; do
    case $nf_named_kind,$(nf_unwrapped "${nf_named_one##*/}"),$nf_named_one in
      *",$nf_named_like,"* | script,*nixfleet-agent*) ;;
      *) continue ;;
    esac
    [ -f "$NF_ROOT$nf_named_one" ] || continue
    nf_stored "$NF_ROOT$nf_named_one" | nf_plain_paths | grep -vxF -e "$1"
  done
}

# nf_exec_lines: the text after "exec" in the first part of a script, with continued lines joined.
nf_exec_lines() {
  head -c 1048576 | LC_ALL=C tr -d '\000' |
    sed -e ':join' -e '/\\$/{N;s/\\\n/ /;b join' -e '}' |
    sed -n -e '/^[[:space:]]*#/d' -e 's/^\(.*[[:space:];&|({]\)\{0,1\}exec[[:space:]]\{1,\}//p'
}

# nf_store_files: the paths of store files in a text or a program. Not every grep has -a.
nf_store_files() {
  LC_ALL=C tr -c '0-9A-Za-z+._=/-' '\n' | grep -Eo '/nix/store/[0-9a-z]{32}-[^/]+(/.*)?' |
    sort -u | head -n 200
}

# --- what the agent's service runs

# nf_look_at PID PATH: find out what a service's process runs; the service names the program PATH.
# sets: nf_look_path ("" where it cannot be seen), nf_look_waits (1 if it is not yet the agent), nf_look_exe,
#   nf_look_files, nf_look_proof and nf_look_starts:
#   exe      the kernel runs this file: of the program's package, of one that it names, or an agent's
#   script   the kernel runs the interpreter of this script, which is such a file. Weaker: what script it
#            is, only the command line says, and a process can rewrite that
#   other    the kernel runs this file, and nothing shows that it is an agent's
#   claimed  without the right to look: what the command line says
#   starts   the store paths that PATH's file names, where what runs lies in another than PATH
nf_look_at() {
  nf_look_proof=claimed nf_look_starts='' nf_look_files='' nf_look_waits=''
  nf_look_exe=$(nf_exe "$1")
  nf_look_path=$(nf_in_host "${nf_look_exe% (deleted)}")
  if [ -n "$nf_look_path" ] && [ "$nf_look_path" = "$2" ] &&
    nf_runs "$1" "$nf_look_exe" "$NF_ROOT$nf_look_path"; then
    nf_look_proof=exe
    return 0
  fi
  if nf_becomes "$1" "$nf_look_exe"; then nf_look_waits=1 nf_look_path=''; return 0; fi
  if [ -z "$nf_look_exe" ]; then
    nf_look_path=$(nf_claimed "$1")
    if [ -n "$nf_look_path" ] && ! nf_is_one "$nf_look_path" "$2" ''; then nf_look_into "$2"; fi
    return 0
  fi
  nf_look_proof=other
  if ! nf_is_one "$nf_look_path" "$2" ''; then nf_look_into "$2"; fi
  if nf_look_at_script=$(nf_script "$1" "$nf_look_exe") &&
    nf_look_at_script=$(nf_stored "$nf_look_at_script") &&
    nf_is_agents "$nf_look_at_script" "$2"; then
    nf_look_proof=script nf_look_path=$nf_look_at_script
  elif nf_is_agents "$nf_look_path" "$2" && nf_is_or_was "$1" "$2" &&
    ! nf_interprets "$1" "$nf_look_exe" "$2"; then
    nf_look_proof=exe
  fi
}

# nf_becomes PID EXE: true if the process is not yet the agent, but becomes it: it is what systemd or launchd
# starts every program with, or an interpreter with a text (-c) that will "exec" the agent, once the network
# is there.
nf_becomes() {
  case $2 in
    /usr/lib/systemd/systemd* | /lib/systemd/systemd* | /nix/store/*/lib/systemd/systemd*) return 0 ;;
    /usr/libexec/xpcproxy) return 0 ;;
  esac
  nf_words "$1" | awk 'NR == 2 { is = /^-[a-z]*c$/ } NR > 2 { text = text " " $0 }
    END { exit !(is && text ~ /(^|[^a-z])exec[^a-z]/ && text ~ /nixfleet-agent/) }'
}

# sets: nf_look_files, nf_look_starts, nf_look_path
nf_look_into() {
  [ -n "$1" ] || return 0
  nf_look_files=$(nf_starts "$1")
  nf_look_starts=$(for nf_look_into_file in $nf_look_files; do nf_package "$nf_look_into_file"; done |
    sort -u | tr '\n' ' ')
  nf_look_starts=${nf_look_starts% }
  nf_look_name "$1"
}

# A file of an optimised store has several names, hard links of equal content, and a Mac's lsof tells any of
# them, such as /nix/store/.links/HASH. Prefer the name that the service has for that very file. Linux tells
# the name that was started.
# sets: nf_look_path
nf_look_name() {
  case $NF_KERNEL,$nf_look_exe in Darwin,/*) ;; *) return 0 ;; esac
  for nf_look_name_file in "$1" $nf_look_files "${agent_loaded:-}"; do
    if [ -n "$nf_look_name_file" ] && [ "$nf_look_exe" -ef "$NF_ROOT$nf_look_name_file" ]; then
      nf_look_path=$nf_look_name_file
      return
    fi
  done
}

# nf_is_agents PATH PROGRAM: true for a file of this agent or an older one.
nf_is_agents() {
  case $1 in /nix/store/*nixfleet-agent*) return 0 ;; esac
  nf_is_one "$1" "$2" "$nf_look_starts"
}

# nf_is_or_was PID PROGRAM: true for the file at $nf_look_path, or one that is gone from the store, as old
# agents are. But if the unit's own program is gone, nothing can be compared.
nf_is_or_was() {
  nf_runs "$1" "$nf_look_exe" "$NF_ROOT$nf_look_path" && return
  ! [ -e "$NF_ROOT$nf_look_path" ] && ! nf_is_one "$nf_look_path" "$2" "$nf_look_starts"
}

# nf_interprets PID EXE PROGRAM: true if the process runs the interpreter of PROGRAM, or of a file it names.
nf_interprets() {
  [ "$nf_look_path" != "$3" ] || return 1
  for nf_interprets_file in "$3" $nf_look_files; do
    if nf_first_line "$NF_ROOT$nf_interprets_file" && nf_runs "$1" "$2" "$nf_first_line_program"; then
      return 0
    fi
  done
  return 1
}

# nf_is_one PATH PROGRAM STARTS: true if the store path of PATH is PROGRAM's, or one that it starts. The
# client has the same rule (Binary.is_run_by).
nf_is_one() {
  nf_is_one_way=$(nf_package "$1")
  [ -n "$nf_is_one_way" ] || return 1
  case " $(nf_package "$2") $3 " in *" $nf_is_one_way "*) return 0 ;; *) return 1 ;; esac
}

# nf_claimed PID: the first agent in the store that its command line names.
nf_claimed() {
  nf_words "$1" | while IFS= read -r nf_claimed_word; do
    nf_claimed_word=${nf_claimed_word#"$NF_ROOT"}
    case $nf_claimed_word in
      *[!0-9A-Za-z+._=/-]* | */../* | */..) ;;
      /nix/store/*nixfleet-agent*) printf '%s\n' "$nf_claimed_word"; break ;;
    esac
  done
}
