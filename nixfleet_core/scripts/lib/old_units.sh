# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154,SC3013 # its variables are of the parts beside it; -ef as in process.sh
# Restart debt on Linux: units of which a process runs or maps a store path outside the closure of the active
# system, or of the home if it is a user's unit. Asks Nix and systemd, and passes over /proc once, with the
# lowest priority. It only tells what it sees: what of it is debt, the client judges (judge/debt.py).
#
# nf_debt prints lines of fields with tabs between them, "-" for what is not known:
#   failed WHAT              closure, units or processes: nothing could be seen; homes: no user's units;
#                            older: what older generations had; names: what some processes run, on a Mac;
#                            cut: there is more
#   looked PROCESSES UNSEEN  of units: those that were looked at, and those that only root may look at
#   loose PROCESSES          of sessions and scopes: those that run something outside the closure
#   unit KEY MAIN FLAGS PROGRAM
#                            KEY: its name, UID/NAME for a user's, or systemd itself; MAIN: the main process's
#                            program; PROGRAM: what a start of it runs; FLAGS: words (nf_debt_flags)
#   process PID KEY SINCE STATE EXE SCRIPT MAPPED
#                            SINCE: seconds since the epoch; STATE: here, gone (a file of it is deleted) or
#                            apart (in a container, or with a store of its own); MAPPED: how many store paths
#                            it maps that are not in the closure
#   maps PID PATH            one of these, if its program is not: the first ten
#   old PATH                 a store path in these lines that is not in the closure
#   newer PATH NEW           the one path of the closure that has PATH's name
#   older PATH               an older generation's closure has it
#   boot PART OLD NEW        what was booted, against what a boot takes now: kernel, initrd, kernel-modules

# put_debt: the record of it. Each part comes after the other, so that few processes are there at once.
put_debt() {
  nf_debt_see
  put_debt_told=$(nf_debt)
  put debt "$(put_text "$put_debt_told" | nf_debt_cut)"
}

# nf_debt_see: look at everything once.
# sets: nf_debt_seen
nf_debt_see() {
  if [ "$NF_MANAGER" = launchd ]; then
    nf_debt_seen=$(nf_agents_running)
    nf_debt_seen=$(nf_agents_look "$nf_debt_seen")
  else
    nf_debt_see_system=$(nf_stored "$NF_ROOT/run/current-system")
    nf_debt_see_homes=$(nf_debt_all_homes)
    nf_debt_seen=$(nf_debt_look "$nf_debt_see_system" "$nf_debt_see_homes")
  fi
} 2>/dev/null

# nf_debt: the lines, of what was seen.
# sets: nf_debt_of_users, nf_debt_old
nf_debt() {
  nf_debt_old='' nf_debt_of_users=''
  if [ "$NF_MANAGER" = launchd ]; then
    nf_agents_tell <<EOT
$nf_debt_seen
EOT
  else
    nf_debt_tell <<EOT
$nf_debt_seen
EOT
  fi
  if [ -n "$nf_debt_old" ]; then nf_debt_older || nf_debt_line failed older; fi
  case $NF_PLATFORM in home-manager) ;; *) nf_debt_boot ;; esac
} 2>/dev/null

# nf_gently SECONDS COMMAND...: the same as nf_bounded, and everything else on the host comes first.
nf_gently() {
  nf_gently_seconds=$1
  shift
  if nf_has taskpolicy; then set -- taskpolicy -b "$@"; elif nf_has ionice; then set -- ionice -c 3 "$@"; fi
  nf_bounded "$nf_gently_seconds" nice -n 19 "$@"
}

# nf_debt_look SYSTEM HOMES: what needs no look at single files, outside these store paths; HOMES as
# nf_debt_all_homes prints them.
# sets: NF_EXEC (for the last command)
nf_debt_look() {
  (
    nf_debt_closure "$1" || echo '@failed closure'
    nf_debt_look_paths=''
    while IFS= read -r nf_debt_look_line; do
      case $nf_debt_look_line in
        @*)
          nf_debt_closure "$nf_debt_look_paths" || echo '@failed homes'
          nf_debt_look_paths=''
          printf '%s\n' "$nf_debt_look_line"
          ;;
        *) nf_debt_look_paths=$nf_debt_look_paths$nf_debt_look_line$nf_debt_line_end ;;
      esac
    done <<EOT
$2
@units
EOT
    nf_debt_units || echo '@failed units'
    echo '@words'
    nf_gently 10 ps -A -ww -o pid= -o uid= -o args=
    echo '@processes'
    # in this order, which awk relies on; its answer is 2 if a process has ended meanwhile
    NF_EXEC='exec'
    cd "$NF_ROOT/proc" &&
      nf_gently 10 grep -HaE "$NF_DEBT_LINES" stat [0-9]*/cgroup [0-9]*/stat [0-9]*/maps
  ) 2>/dev/null | nice -n 19 awk -v store="$NF_REAL_STORE" -v manager="$NF_MANAGER" -v uid="$NF_UID" \
    "$NF_DEBT_PATHS$NF_DEBT_LOOK"
}

# nf_debt_closure PATHS: all that these store paths need, themselves included. A path a line.
nf_debt_closure() {
  nf_debt_closure_ifs=$IFS
  IFS=$nf_debt_line_end
  set -f
  # shellcheck disable=SC2086 # a line a word
  set -- $1
  set +f
  IFS=$nf_debt_closure_ifs
  if [ "$#" -gt 0 ]; then nf_gently 20 nix-store --query --requisites "$@"; fi
}

nf_debt_line_end='
'

# the boot's time; of a process: its cgroup, its times and its store files
NF_DEBT_LINES='^btime |^(0:|[0-9]+:name=systemd):|^[0-9]+ \(|/nix/store/'

# nf_debt_units: those that can have processes, but for sessions and scopes.
nf_debt_units() {
  case $NF_MANAGER in user) set -- systemctl --user show ;; *) set -- systemctl show ;; esac
  nf_gently 10 "$@" '*.service' '*.mount' '*.socket' '*.swap' -p Id -p LoadState -p MainPID -p ExecStart \
    -p ControlGroup -p ActiveState -p Type -p FragmentPath -p DropInPaths -p Transient -p NeedDaemonReload \
    -p RefuseManualStop
}

# awk: store paths. A closure is kept as text, a piece for each first sign of a hash: an array of its
# paths would take more memory. newer(path) is the one path of the closures with the name of `path`, but for
# hash and version; "" if there are several. As Nix reads names, a version begins with the first digit behind
# a dash; the word behind the version's last dash, such as "lib", is an output's.
# shellcheck disable=SC2016 # awk's own $
NF_DEBT_PATHS='
function plain(text) { gsub(/[[:cntrl:]]/, "?", text); return text == "" ? "-" : text }
function package_of(path) {
  if (path == "") return ""
  path = substr(path, 12)
  sub(/\/.*/, "", path)
  return "/nix/store/" path
}

# the path as the host names it; "" if it is not in the store
function stored(path) {
  if (index(path, store "/") == 1) path = "/nix/store" substr(path, length(store) + 1)
  if (package_of(path) !~ /^\/nix\/store\/[0-9a-z]+-[0-9A-Za-z+._?=-]+$/) return ""
  return index(path, "/nix/store/") == 1 && substr(path, 44, 1) == "-" ? path : ""
}

# of a line of ps: the first word behind the program and its options, if it is a file in the store
function script_of(program,   words, n, i, path) {
  n = split($0, words, " ")
  for (i = program + 1; i <= n && i <= program + 8 && words[i] ~ /^-/; i++) ;
  path = i <= n ? stored(words[i]) : ""
  # what lies in etc is read, not run
  return path ~ /^[^-]*-[^\/]*\/etc\// ? "" : path
}

function title(name,   at, end) {
  at = match(name, /-[0-9]/)
  if (!at) return name
  end = match(name, /-[a-z]+$/) > at ? substr(name, RSTART) : ""
  return substr(name, 1, at - 1) " " end
}
function keep(closure, path) {
  piece[closure, substr(path, 12, 1)] = piece[closure, substr(path, 12, 1)] "\n" substr(path, 12) "\n"
  kept[closure] = 1
}
function has(closure, path,   at) {
  at = closure SUBSEP substr(path, 12, 1)
  return at in piece && index(piece[at], "\n" substr(path, 12) "\n") > 0
}
function find_newer(   i, j, n, names, name, path) {
  for (i in piece) {
    n = split(piece[i], names, "\n")
    for (j = 1; j <= n; j++) {
      name = title(substr(names[j], 34))
      if (names[j] == "" || !(name in wanted)) continue
      path = "/nix/store/" names[j] # which a home may share with the system
      if (name in found && found[name] != path) found[name] = ""
      else found[name] = path
    }
  }
}
function want(path) { wanted[title(substr(path, 45))] = 1 }
function newer(path) { return found[title(substr(path, 45))] }
'

# shellcheck disable=SC2016 # awk's own $
NF_DEBT_LOOK='
function owner(key) { return substr(key, 1, index(key, "/") - 1) } # the user whose unit it is
function is_old(path, key) {
  path = package_of(path)
  return !(has("system", path) || key ~ /\// && has(owner(key), path))
}

# the unit of a cgroup: its name, UID/NAME below the manager of a user, "" for sessions and scopes
function unit_of(group,   at, key, parts, i) {
  at = group
  while (at != "" && !(at in units)) sub(/\/[^\/]*$/, "", at)
  if (at == "") return ""
  key = units[at]
  if (key !~ /^user@[0-9]+\.service$/) return key
  split(substr(group, length(at) + 2), parts, "/")
  for (i = 1; parts[i] ~ /\.slice$/; i++) ;
  if (parts[i] == "" || parts[i] == "init.scope") return key
  sub(/^_/, "", parts[i]) # how systemd escapes what the kernel would take for its own
  # a user can name a cgroup as they like
  if (parts[i] !~ /^[0-9A-Za-z:_.@\\-]+\.(service|socket|mount|swap)$/) return ""
  gsub(/[^0-9]/, "", key)
  return key "/" parts[i]
}

function take_unit(   key, starts, files) {
  if (value["ControlGroup"] != "") {
    key = (manager == "user" ? uid "/" : "") value["Id"]
    units[value["ControlGroup"]] = key
    main[key] = value["MainPID"]
    about[key] = value["LoadState"] \
      (value["Type"] value["ActiveState"] == "oneshotactivating" ? " task" : "") \
      (value["Transient"] == "yes" ? " transient" : "") \
      (value["NeedDaemonReload"] == "yes" ? " needs-reload" : "") \
      (value["RefuseManualStop"] == "yes" ? " refuses-stop" : "")
    starts = value["ExecStart"]
    sub(/^[^=]*path=/, "", starts)
    sub(/ ;.*/, "", starts)
    files = value["FragmentPath"] " " value["DropInPaths"]
    about[key] = plain(about[key]) "\t" plain(starts) "\t" plain(files)
  }
  for (key in value) delete value[key]
}

function take_words(   path) {
  path = script_of(3)
  if (path != "") script[$1] = path
}

# a number of stat, as maps writes addresses: in hexadecimal, with eight digits or more
function address(number,   text, digit) {
  for (text = ""; number >= 1; number = int(number / 16)) {
    digit = number % 16
    text = substr("0123456789abcdef", digit + 1, 1) text
  }
  while (length(text) < 8) text = "0" text
  return text
}
function is_below(a, b) { return length(a) < length(b) || length(a) == length(b) && (a "") < (b "") }

function take_stat(pid, line,   fields) {
  sub(/.*\) /, "", line) # the name in brackets may hold anything
  split(line, fields, " ")
  since[pid] = sprintf("%.0f", btime + fields[20] / 100)
  if (fields[24] > 1) code[pid] = address(fields[24])
  if (key_of[pid] == "") return
  if (fields[24] == 1) unseen++
  else if (fields[24] > 1) looked++
  if (key_of[pid] ~ /\//) parent[pid] = fields[2]
}

# a mapped file: ADDRESS-ADDRESS MODE OFFSET DEVICE INODE PATH. A file has several such lines, which follow
# each other.
function take_map(pid, line,   at, text, path) {
  at = index(line, "/")
  text = substr(line, at)
  if (exe[pid] == "" && has_code(pid, line)) exe[pid] = file(line, at, text)
  if (text != last_text) {
    last_text = text
    path = package_of(file(line, at, text))
    outside = path != "" && is_old(path, "") ? path : ""
  }
  path = outside
  if (path == "" || mapped_by[text] == pid) return
  mapped_by[text] = pid
  if (!is_old(path, key_of[pid])) return
  if (text ~ / \(deleted\)$/) gone[pid] = 1
  if (had_by[path] == pid) return
  had_by[path] = pid
  if (++count[pid] <= 11) maps[pid] = maps[pid] "\t" path
}
# whether the program begins in this part of the memory
function has_code(pid, line,   ends) {
  if (!(pid in code)) return 0
  split(substr(line, 1, index(line, " ") - 1), ends, "-")
  return !is_below(code[pid], ends[1]) && is_below(code[pid], ends[2])
}
# the file, if it is one in the store
function file(line, at, text,   fields) {
  if (split(substr(line, 1, at - 1), fields, " ") != 5) return ""
  sub(/ \(deleted\)$/, "", text)
  return stored(text)
}

BEGIN { OFS = "\t" }
part == "@processes" { take_process(); next }
$1 == "@failed" { failed[$2] = 1; next }
/^@/ { part = $1; uid_of_home = $2; next }
part == "" { keep("system", $0); next }
part == "@homes" { keep(uid_of_home, $0); next }
part == "@units" {
  at = index($0, "=")
  if (at) value[substr($0, 1, at - 1)] = substr($0, at + 1)
  else if ($0 == "" && "Id" in value) take_unit() # a command may have empty lines
  next
}
part == "@words" { if (!n_words++) take_unit(); take_words() }

# FILE:LINE of a process, or of the whole machine
function take_process(   at, name, line, pid, group) {
  at = index($0, ":")
  name = substr($0, 1, at - 1)
  line = substr($0, at + 1)
  at = index(name, "/")
  pid = substr(name, 1, at - 1)
  name = substr(name, at + 1)
  if (name == "maps") take_map(pid, line)
  else if (pid == "") { if (line ~ /^btime /) btime = substr(line, 7) }
  else if (name == "stat") take_stat(pid, line)
  else {
    group = line
    sub(/^[^:]*:[^:]*:/, "", group)
    if (pid in key_of && (group == "/" || key_of[pid] != "")) return
    # for a home, the first process is nobody to look at: it is of the system
    key_of[pid] = pid != 1 ? unit_of(group) : manager == "user" ? "" : "systemd"
    if (pid == 1) main["systemd"] = 1
  }
}

# a process that runs or maps something old
function tell(pid,   key, state, paths, n, i) {
  key = key_of[pid]
  if (!(key in told)) {
    told[key] = 1
    print "unit", key, plain(exe[main[key]]), key in about ? about[key] : "-\t-\t-"
  }
  state = pid in gone ? "gone" : "here"
  print "process", pid, key, since[pid], state, plain(exe[pid]), plain(script[pid]), count[pid] + 0
  add(script[pid], key)
  if (add(exe[pid], key)) return
  n = split(substr(maps[pid], 2), paths, "\t")
  for (i = 1; i <= n && i <= 10; i++) { add(paths[i], key); print "maps", pid, paths[i] }
}
# true if it is old
function add(path, key) {
  path = package_of(path)
  if (path == "" || !is_old(path, key)) return 0
  if (!(path in old)) { old[path] = 1; want(path) }
  return 1
}

# the system only knows the main processes of its own units; of a user, what the manager has started first
function find_mains(   pid, key) {
  for (pid in parent) {
    key = key_of[pid]
    if (key_of[parent[pid]] != "user@" owner(key) ".service") continue
    if (!(key in main) || since[pid] + 0 < since[main[key]] + 0) main[key] = pid
  }
}

END {
  if (n_words == 0 || btime == "") failed["processes"] = 1
  for (what in kept) n_kept++
  if (manager == "user" ? "homes" in failed || !n_kept : !("system" in kept)) failed["closure"] = 1
  for (what in failed) print "failed", what
  if ("closure" in failed || "units" in failed || "processes" in failed) exit
  if (manager != "user") find_mains()
  # of what only root may look at, a command line is not enough
  for (pid in script) {
    if (pid in code && is_old(script[pid], key_of[pid])) count[pid] += 0
    else script[pid] = ""
  }
  for (pid in count) {
    if (key_of[pid] == "") loose++
    else if (!("homes" in failed && key_of[pid] ~ /\//)) tell(pid)
  }
  find_newer()
  for (path in old) { print "old", path; if (newer(path) != "") print "newer", path, newer(path) }
  print "looked", looked + 0, unseen + 0
  if (loose) print "loose", loose
}
'

# nf_debt_tell: the lines of nf_debt_look on stdin, with what single files say.
# sets: nf_debt_of_users, nf_debt_old
nf_debt_tell() {
  while IFS=$NF_TAB read -r nf_debt_tell_what nf_debt_tell_1 nf_debt_tell_2 nf_debt_tell_3 nf_debt_tell_4 \
    nf_debt_tell_5 nf_debt_tell_6 nf_debt_tell_7; do
    case $nf_debt_tell_what in
      old) nf_debt_old="$nf_debt_old $nf_debt_tell_1" ;;
      unit)
        case $nf_debt_tell_1 in */*) nf_debt_of_users=1 ;; esac
        nf_debt_flags "$nf_debt_tell_1" "$nf_debt_tell_3" "$nf_debt_tell_5" "$nf_debt_tell_4"
        nf_debt_tell_3=$nf_debt_words nf_debt_tell_4=$nf_debt_program nf_debt_tell_5=''
        ;;
      process)
        if nf_debt_is_apart "$nf_debt_tell_1" "$nf_debt_tell_5" "$nf_debt_tell_4"; then
          nf_debt_tell_4=apart
        fi
        nf_debt_tell_exe=$nf_debt_tell_5
        case $nf_debt_tell_5,$nf_debt_tell_6 in # an interpreter outside the store
          -,/*)
            nf_debt_tell_exe=$(nf_exe "$nf_debt_tell_1")
            nf_debt_tell_exe=${nf_debt_tell_exe#"$NF_ROOT"}
            ;;
        esac
        if ! nf_debt_is_script "$nf_debt_tell_exe" "$nf_debt_tell_6"; then
          nf_debt_tell_6=-
        fi
        ;;
    esac
    nf_debt_line "$nf_debt_tell_what" "$nf_debt_tell_1" "$nf_debt_tell_2" "$nf_debt_tell_3" \
      "$nf_debt_tell_4" "$nf_debt_tell_5" "$nf_debt_tell_6" "$nf_debt_tell_7"
  done
}

# nf_debt_line FIELD...: print them, up to the first that is missing.
nf_debt_line() {
  printf '%s' "$1"
  shift
  for nf_debt_line_field in "$@"; do
    if [ -n "$nf_debt_line_field" ]; then printf '\t%s' "$nf_debt_line_field"; fi
  done
  echo
}

# nf_debt_is_apart PID EXE STATE: true if it is in a container, or sees another store. A container has its own
# process ids and its own root, even if it shares our store. A confined service has its own folder for the
# store, and our files in it; one that has shut itself into an empty folder has no store there.
nf_debt_is_apart() {
  nf_debt_is_apart_at=$NF_ROOT/proc/$1
  [ -e "$nf_debt_is_apart_at/root/nix/store" ] || return 1
  if [ -e "$nf_debt_is_apart_at/ns/pid" ] &&
    ! [ "$nf_debt_is_apart_at/ns/pid" -ef "$NF_ROOT/proc/self/ns/pid" ] &&
    ! [ "$nf_debt_is_apart_at/root/." -ef "$NF_ROOT/." ]; then return 0; fi
  [ "$3" = here ] && # a file that is gone cannot be compared
    ! [ "$nf_debt_is_apart_at/root/nix/store" -ef "$NF_ROOT/nix/store" ] &&
    ! [ "$nf_debt_is_apart_at/root$2" -ef "$NF_ROOT$2" ]
}

# nf_debt_is_script EXE PATH: true if EXE interprets that file: it is the interpreter that the file's first
# line names; or the file is no program, and lies in a package. A launcher, such as unshare, names a program.
nf_debt_is_script() {
  case $2 in -) return 1 ;; esac
  if ! [ -e "$NF_ROOT$2" ]; then
    case $2 in /nix/store/*/bin/* | /nix/store/*/libexec/*) return 0 ;; *) return 1 ;; esac
  fi
  [ -f "$NF_ROOT$2" ] && nf_debt_is_script_first=$(head -c 512 "$NF_ROOT$2") || return 1
  case $nf_debt_is_script_first in
    '#!'*) nf_debt_interprets "$1" "${nf_debt_is_script_first#??}" ;;
    "$NF_ELF"* | "$NF_MACH_O"* | "$NF_MACH_O_OF_TWO"*) return 1 ;;
    *) case $2 in /nix/store/*/*) ;; *) return 1 ;; esac ;;
  esac
} 2>/dev/null
NF_ELF=$(printf '\177ELF')
NF_MACH_O=$(printf '\317\372\355\376') NF_MACH_O_OF_TWO=$(printf '\312\376\272\276')

# nf_debt_interprets EXE WORDS: true if EXE is the program of a first line, or the one that env finds,
# whatever its version.
nf_debt_interprets() {
  IFS=" $NF_TAB" read -r nf_debt_interprets_file nf_debt_interprets_name nf_debt_interprets_more <<EOT
$2
EOT
  case $nf_debt_interprets_file in
    "$1") return 0 ;;
    */env) ;;
    *) [ "$NF_ROOT$nf_debt_interprets_file" -ef "$NF_ROOT$1" ]; return ;;
  esac
  case $nf_debt_interprets_name in -S) nf_debt_interprets_name=${nf_debt_interprets_more%% *} ;; esac
  nf_debt_interprets_exe=$(nf_unwrapped "${1##*/}")
  case $nf_debt_interprets_exe in
    "$nf_debt_interprets_name" | "$nf_debt_interprets_name"[.0-9]*) ;;
    *) return 1 ;;
  esac
}

# nf_debt_flags KEY WORDS FILES PROGRAM: what systemd says of a unit (its load state, task, transient,
# needs-reload and refuses-stop), and what its files say to a switch: no-restart, reload-only. Of a user's
# unit, of which the system's systemd knows nothing, the file also says what a start runs.
# sets: nf_debt_words, nf_debt_program
nf_debt_flags() {
  nf_debt_words=$2 nf_debt_program=$4 nf_debt_flags_files=$3
  case $1,$3 in */*,-) nf_debt_words='' nf_debt_flags_files=$(nf_debt_file_of "${1%%/*}" "${1#*/}") ;; esac
  for nf_debt_flags_file in $nf_debt_flags_files; do
    [ -f "$NF_ROOT$nf_debt_flags_file" ] || continue
    while IFS= read -r nf_debt_flags_line; do
      case $nf_debt_flags_line in
        X-RestartIfChanged=false | X-SwitchMethod=keep-old) nf_debt_words="$nf_debt_words no-restart" ;;
        X-ReloadIfChanged=true | X-SwitchMethod=reload) nf_debt_words="$nf_debt_words reload-only" ;;
        ExecStart=*/nix/store/*)
          case $4 in -) ;; *) continue ;; esac
          nf_debt_program=/nix/store/${nf_debt_flags_line#*/nix/store/}
          nf_debt_program=${nf_debt_program%%[ \"]*}
          ;;
      esac
    done <"$NF_ROOT$nf_debt_flags_file"
  done
  nf_debt_words=${nf_debt_words# }
  nf_debt_words=${nf_debt_words:--}
}

# nf_debt_file_of UID UNIT: the unit's file, of the user or of the system. Root reads a file of the user only
# in the store, where a module has it.
nf_debt_file_of() {
  nf_debt_user "$1"
  for nf_debt_file_of_name in "$2" "${2%%@*}@.${2##*.}"; do
    nf_stored "${nf_debt_user_state%/.local/state}/.config/systemd/user/$nf_debt_file_of_name" ||
      nf_stored "$NF_ROOT/etc/systemd/user/$nf_debt_file_of_name" || continue
    return
  done
}

# nf_debt_users: the users who have a manager; on a home's own look the one who looks.
nf_debt_users() {
  if [ "$NF_MANAGER" = user ]; then echo "$NF_UID"; return; fi
  for nf_debt_users_run in "$NF_ROOT"/run/user/[0-9]*; do
    if [ -d "$nf_debt_users_run" ]; then printf '%s\n' "${nf_debt_users_run##*/}"; fi
  done
}

# nf_debt_all_homes: those of each user, behind a line with the user.
nf_debt_all_homes() {
  for nf_debt_all_homes_uid in $(nf_debt_users); do
    printf '@homes %s\n' "$nf_debt_all_homes_uid"
    nf_debt_homes "$nf_debt_all_homes_uid"
  done
}

# nf_debt_homes UID: the store paths of the user's active home and profile.
nf_debt_homes() {
  nf_debt_user "$1"
  for nf_debt_homes_link in "$nf_debt_user_state/home-manager/gcroots/current-home" \
    "$NF_ROOT/nix/var/nix/gcroots/per-user/$NF_OWNER/current-home" \
    "$nf_debt_user_state/nix/profiles/home-manager" "$nf_debt_user_profiles/home-manager"; do
    if nf_stored "$nf_debt_homes_link"; then break; fi
  done
  nf_stored "$nf_debt_user_state/nix/profiles/profile"
  nf_stored "$nf_debt_user_profiles/profile"
}

# nf_debt_user UID
# sets: nf_debt_user_state, nf_debt_user_profiles
nf_debt_user() {
  nf_know_owner "$1"
  nf_debt_user_state=$NF_OWNER_HOME/.local/state
  if [ "$1" = "$NF_UID" ]; then nf_debt_user_state=$NF_STATE_HOME; fi
  nf_debt_user_profiles=$NF_ROOT/nix/var/nix/profiles/per-user/$NF_OWNER
}

# nf_debt_older: a line for each old path that an older generation of the system has, or of a home; false if
# Nix did not say so.
nf_debt_older() {
  nf_debt_older_had=$(nf_debt_generations)
  {
    printf '%s\n' "$nf_debt_old"
    nf_debt_closure "$nf_debt_older_had" || echo '@failed'
  } | awk '
    NR == 1 { n = split($0, paths, " "); for (i = 1; i <= n; i++) old[paths[i]] = 1; next }
    $0 == "@failed" { failed = 1 }
    $0 in old { print "older\t" $0 }
    END { exit failed }'
}

# nf_debt_generations: the store paths of older generations, or links to them. Nix follows the links of the
# system's profiles, which are root's; a dangling one would be an error.
nf_debt_generations() {
  for nf_debt_generations_link in "$NF_ROOT/run/booted-system" "$NF_PROFILE"-*-link \
    "${NF_PROFILE%/*}"/system-profiles/*-link; do
    if [ -e "$nf_debt_generations_link" ]; then printf '%s\n' "$nf_debt_generations_link"; fi
  done
  if [ -z "$nf_debt_of_users" ]; then return; fi
  for nf_debt_generations_uid in $(nf_debt_users); do
    nf_debt_user "$nf_debt_generations_uid"
    for nf_debt_generations_link in "$nf_debt_user_state"/nix/profiles/home-manager-*-link \
      "$nf_debt_user_profiles"/home-manager-*-link; do
      nf_stored "$nf_debt_generations_link"
    done
  done
}

# nf_debt_boot: what only a boot changes, and is not what was booted.
nf_debt_boot() {
  for nf_debt_boot_part in kernel initrd kernel-modules; do
    set -- "$NF_ROOT/run/booted-system/$nf_debt_boot_part" "$NF_ROOT/run/current-system/$nf_debt_boot_part"
    if ! [ -e "$1" ] || ! [ -e "$2" ] || [ "$1" -ef "$2" ]; then continue; fi
    nf_debt_line boot "$nf_debt_boot_part" "$(nf_stored "$1")" "$(nf_stored "$2")"
  done
}

# nf_debt_cut: the lines on stdin, as many as are worth reading; it says if there are more.
nf_debt_cut() {
  awk -v left="$NF_DEBT_LIMIT" '
    (left -= length($0) + 1) < 20 { print "failed\tcut"; exit }
    { print }'
}
NF_DEBT_LIMIT=1000000
