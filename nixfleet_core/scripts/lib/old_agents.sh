# shellcheck shell=sh
# shellcheck disable=SC2154,SC3013 # its variables come from the parts beside it; -ef as in process.sh
# Restart debt on a Mac: agents of launchd that Home Manager has put there, and that run or map a store path
# outside the closure of the active home. Prints the lines of old_units.sh, as far as ps and lsof tell:
#   - lsof has no name for a deleted file. A program is known to be deleted if the command line names a store
#     file that is gone; of a deleted library nothing is known.
#   - in an optimised store lsof names any hard link of a file (nf_look_name). So what the active home has
#     under another name counts as the home's.
#   - who has left the agent for another parent is no longer known as the agent's.

# nf_agents_running: the agents that launchd has loaded, and their processes. Of launchd both domains are
# asked: `launchctl list` only tells of the one that asks, which is another one over ssh than at the screen.
nf_agents_running() {
  {
    nf_agents_labels
    for nf_agents_running_domain in gui user; do
      echo "@launchd $nf_agents_running_domain"
      nf_gently 10 launchctl print "$nf_agents_running_domain/$NF_UID"
    done
    echo '@ps'
    nf_gently 10 ps -A -ww -o pid= -o ppid= -o uid= -o etime= -o args=
  } 2>/dev/null | nice -n 19 awk -v store="$NF_REAL_STORE" "$NF_DEBT_PATHS$NF_AGENTS_RUNNING"
}

# nf_agents_labels: those that the active home has, then those that older generations have. Home Manager names
# each plist after its label.
nf_agents_labels() {
  for nf_agents_labels_plist in "$(nf_active)"/LaunchAgents/*.plist; do
    nf_agents_label home "$nf_agents_labels_plist"
  done
  for nf_agents_labels_plist in "$NF_PROFILE"-*-link/LaunchAgents/*.plist; do
    nf_agents_label not-found "$nf_agents_labels_plist"
  done
}

# nf_agents_label WHERE PLIST
nf_agents_label() {
  if ! [ -e "$2" ]; then return; fi
  nf_agents_label_name=${2##*/}
  case ${nf_agents_label_name%.plist} in
    '' | *[!0-9A-Za-z:_.@-]*) ;;
    *) printf '%s %s\n' "$1" "${nf_agents_label_name%.plist}" ;;
  esac
}

# shellcheck disable=SC2016 # awk's own $
NF_AGENTS_RUNNING='
# [[DAYS-]HOURS:]MINUTES:SECONDS
function seconds(age,   parts, n) {
  n = split(age, parts, /[-:]/)
  return parts[n] + 60 * parts[n - 1] + 3600 * (n > 2 ? parts[n - 2] : 0) + 86400 * (n > 3 ? parts[n - 3] : 0)
}
function label_of(pid,   n) {
  for (n = 0; n < 50 && pid > 1; n++) {
    if (pid in agent) return agent[pid]
    pid = parent[pid]
  }
  return ""
}

BEGIN { OFS = "\t" }
part != "@ps" && /^@/ { part = $1; domain = $2; is_table = 0; next }
part == "" { if (!($2 in where)) where[$2] = $1; next }
part == "@launchd" && $0 == "\tservices = {" { is_table = 1; tables++; next }
part == "@launchd" && $0 == "\t}" { is_table = 0; next }
part == "@launchd" {
  if (!is_table || NF != 3 || $1 < 1 || !($3 in where)) next
  agent[$1] = $3
  if ($3 in main) next
  main[$3] = $1
  print "agent", $3, domain, where[$3], $1
  next
}
# an argument of several lines can look like anything
$1 !~ /^[0-9]+$/ || $2 !~ /^[0-9]+$/ || $3 !~ /^[0-9]+$/ || $4 !~ /^[0-9:-]+$/ || NF < 5 { next }
$1 in parent { next }
{
  parent[$1] = $2
  process[$1] = $1 "\t" $3 "\t" seconds($4) "\t" plain(stored($5)) "\t" plain(script_of(5))
}

END {
  if (!tables) print "failed", "units"
  for (pid in process) {
    n++
    if (label_of(pid) != "") print "process", label_of(pid), process[pid]
  }
  if (!n) print "failed", "processes"
}
'

# nf_agents_look RUNNING: what needs no look at single files. For nf_agents_tell the lines have more:
#   unit KEY MAIN DOMAIN WHERE
#   process ... STATE ... MAPPED NEW NAME
#                        STATE may also be lost: its program has no name, and EXE is what its command line
#                        says; or a path of lsof that has to be EXE. NEW: what the active home has in the
#                        place of EXE. NAME: what lsof calls the program
#   maps PID PATH FILE NEW   NEW: what the active home has in the place of FILE
nf_agents_look() {
  nf_agents_look_pids=$(printf '%s\n' "$1" | awk '
    $1 == "process" { printf "%s%s", n++ ? "," : "", $3 }')
  {
    nf_debt_closure "$(nf_agents_homes)" || echo '@failed closure'
    printf '@running\n%s\n@files\n' "$1"
    # its answer is 1 if one of them has ended meanwhile
    if [ -n "$nf_agents_look_pids" ]; then nf_gently 10 lsof -a -p "$nf_agents_look_pids" -d txt -Fpn; fi
  } 2>/dev/null | nice -n 19 awk -v store="$NF_REAL_STORE" -v uid="$NF_UID" -v now="$(nf_now)" \
    "$NF_DEBT_PATHS$NF_AGENTS_LOOK"
}

# nf_agents_homes: the store paths of the home, and of the profiles that an agent may also run programs of.
nf_agents_homes() {
  nf_stored "$(nf_active)" || return
  for nf_agents_homes_link in "$NF_STATE_HOME/nix/profiles/profile" "$HOME/.nix-profile" \
    "$NF_ROOT/run/current-system" "$NF_ROOT/nix/var/nix/profiles/default"; do
    nf_stored "$nf_agents_homes_link"
  done
}

# shellcheck disable=SC2016 # awk's own $
NF_AGENTS_LOOK='
function is_old(path) { return path != "" && !has("home", package_of(path)) }
function given(field) { return field == "-" ? "" : field }

# what the active home has in the place of a file
function instead(file,   new) {
  new = newer(package_of(file))
  return new == "" ? "-" : new substr(file, length(package_of(file)) + 1)
}

# a name that lsof has; the first is that of the program, if it has one
function take_file(name,   path) {
  if (!(pid in first)) first[pid] = name
  path = stored(name)
  if (!is_old(path) || (pid, package_of(path)) in mapped) return
  mapped[pid, package_of(path)] = 1
  if (++count[pid] <= 10) files[pid] = files[pid] "\t" path
  want(package_of(path))
}

# find out what a process runs: exe, and how far that is known: state
function judge(   name) {
  name = first[pid]
  state[pid] = "here"
  if (index(name, store "/.links/") == 1) state[pid] = name
  else if (name == "" || name == "/usr/lib/dyld" || name ~ /\.dylib$/) state[pid] = "lost"
  exe[pid] = state[pid] == "here" ? stored(name) : said[pid]
  # what the command line says is believed if it is of the home; but if its file has no name, it is gone
  if (exe[pid] == "" && state[pid] != "here" || state[pid] == "lost" && !is_old(exe[pid])) {
    failed["names"] = 1
    state[pid] = "here"
    exe[pid] = ""
  }
  if (!is_old(script[pid])) script[pid] = ""
  if (is_old(exe[pid])) want(package_of(exe[pid]))
  if (script[pid] != "") want(package_of(script[pid]))
  return is_old(exe[pid]) || script[pid] != "" || count[pid]
}

BEGIN { OFS = "\t" }
$1 == "@failed" { failed[$2] = 1; next }
$0 == "@running" || $0 == "@files" { part = $0; next }
part == "" { keep("home", $0); next }
part == "@running" && $1 == "failed" { failed[$2] = 1; next }
part == "@running" && $1 == "agent" { domain[$2] = $3; where[$2] = $4; main[$2] = $5; next }
part == "@running" && $1 == "process" {
  key_of[$3] = $2; owner[$3] = $4; since[$3] = now - $5; said[$3] = given($6); script[$3] = given($7)
  next
}
part == "@running" { next }
/^p/ { pid = substr($0, 2); is_told = pid in key_of; if (is_told) looked[pid] = 1; next }
/^n/ { if (is_told) take_file(substr($0, 2)) }

function add(path) {
  if (path == "" || path == "-" || !is_old(path)) return
  path = package_of(path)
  if (path in old) return
  old[path] = 1
  print "old", path
  if (newer(path) != "") print "newer", path, newer(path)
}

function tell(   key, run, new, paths, n, i) {
  key = key_of[pid]
  if (!(key in told)) {
    told[key] = 1
    print "unit", uid "/" key, plain(exe[main[key]]), domain[key], where[key]
  }
  run = plain(exe[pid])
  new = is_old(exe[pid]) ? instead(run) : "-"
  print "process", pid, uid "/" key, since[pid], state[pid], run, plain(script[pid]), count[pid] + 0, new, \
    plain(first[pid])
  add(exe[pid])
  add(script[pid])
  n = split(substr(files[pid], 2), paths, "\t")
  for (i = 1; i <= n; i++) {
    if (package_of(paths[i]) == package_of(run)) continue
    add(paths[i])
    print "maps", pid, package_of(paths[i]), paths[i], instead(paths[i])
  }
}

END {
  for (pid in key_of) {
    if (pid in looked) n_looked++
    else if (owner[pid] != uid) unseen++
    else ended++ # or lsof says nothing at all
  }
  if (ended && !n_looked) failed["processes"] = 1
  if (!("home" in kept)) failed["closure"] = 1
  if (!("closure" in failed || "units" in failed || "processes" in failed)) {
    for (pid in looked) if (judge()) owes[pid] = 1
    find_newer()
    for (pid in owes) tell()
    print "looked", n_looked + 0, unseen + 0
  }
  for (what in failed) print "failed", what
}
'

# nf_agents_tell: the lines of nf_agents_look on stdin, with what single files say.
# sets: nf_debt_old
nf_agents_tell() {
  nf_agents_tell_lost=''
  while IFS=$NF_TAB read -r nf_agents_tell_what nf_agents_tell_1 nf_agents_tell_2 nf_agents_tell_3 \
    nf_agents_tell_4 nf_agents_tell_5 nf_agents_tell_6 nf_agents_tell_7 nf_agents_tell_8 nf_agents_tell_9; do
    case $nf_agents_tell_what in
      old) nf_debt_old="$nf_debt_old $nf_agents_tell_1" ;;
      unit)
        nf_agents_see "${nf_agents_tell_1#*/}" "$nf_agents_tell_3" "$nf_agents_tell_4"
        nf_agents_tell_3=$nf_agents_words nf_agents_tell_4=$nf_agents_program
        ;;
      process)
        nf_agents_exe "$nf_agents_tell_4" "$nf_agents_tell_5" "$nf_agents_tell_8"
        nf_agents_tell_4=$nf_agents_state nf_agents_tell_5=$nf_agents_file
        if ! nf_agents_interprets "$nf_agents_file" "$nf_agents_tell_9" "$nf_agents_tell_6"; then
          nf_agents_tell_6=-
        fi
        ;;
      maps)
        if nf_agents_are_one "$nf_agents_tell_3" "$nf_agents_tell_4"; then continue; fi
        nf_agents_tell_3='' nf_agents_tell_4=''
        ;;
    esac
    nf_debt_line "$nf_agents_tell_what" "$nf_agents_tell_1" "$nf_agents_tell_2" "$nf_agents_tell_3" \
      "$nf_agents_tell_4" "$nf_agents_tell_5" "$nf_agents_tell_6" "$nf_agents_tell_7"
  done
  if [ -n "$nf_agents_tell_lost" ]; then nf_debt_line failed names; fi
}

# nf_agents_are_one FILE NEW: true if what lsof calls FILE is the active home's file.
nf_agents_are_one() { [ "$NF_ROOT$1" -ef "$NF_ROOT$2" ]; }

# nf_agents_exe STATE EXE NEW: what a process runs, if that can be told.
# sets: nf_agents_state, nf_agents_file, nf_agents_tell_lost
nf_agents_exe() {
  nf_agents_state=here nf_agents_file=$2
  case $1 in
    here) ;;
    lost) if [ -e "$NF_ROOT$2" ]; then nf_agents_file=-; else nf_agents_state=gone; fi ;;
    *) [ "$1" -ef "$NF_ROOT$2" ] || nf_agents_file=- ;;
  esac
  if [ "$1,$nf_agents_file" != here,- ] && [ "$nf_agents_file" = - ]; then nf_agents_tell_lost=1; fi
  if nf_agents_are_one "$nf_agents_file" "$3"; then nf_agents_file=$3; fi
}

# nf_agents_interprets EXE NAME PATH: true if the program interprets that file; EXE is "-" if it is not in the
# store. A Mac's sh is a program that becomes another shell.
nf_agents_interprets() {
  case $1,$2 in
    -,/bin/bash | -,/bin/dash | -,/bin/zsh) nf_debt_is_script "$2" "$3" || nf_debt_is_script /bin/sh "$3" ;;
    -,*) nf_debt_is_script "$2" "$3" ;;
    *) nf_debt_is_script "$1" "$3" ;;
  esac
}

# nf_agents_see LABEL DOMAIN WHERE: its words: launchd and its domain; not-found, if only an older generation
# has it; needs-reload, if its plist names a store file that the loaded job does not know.
# sets: nf_agents_words, nf_agents_program
nf_agents_see() {
  nf_agents_words="launchd $2" nf_agents_program=-
  case $3 in not-found) nf_agents_words="$nf_agents_words not-found"; return ;; esac
  nf_agents_see_plist=${HOME:-}/Library/LaunchAgents/$1.plist
  if ! [ -e "$nf_agents_see_plist" ]; then nf_agents_see_plist=$(nf_active)/LaunchAgents/$1.plist; fi
  nf_agents_see_text=$(plutil -convert xml1 -o - "$nf_agents_see_plist" || cat "$nf_agents_see_plist")
  nf_agents_see_started=$(printf '%s\n' "$nf_agents_see_text" | nf_agents_arguments | head -n 1)
  nf_agents_program=${nf_agents_see_started:--}
  nf_agents_see_loaded=$(nf_gently 10 launchctl print "$2/$NF_UID/$1" | nf_store_files)
  for nf_agents_see_file in $(printf '%s\n' "$nf_agents_see_text" | nf_store_files); do
    case "
$nf_agents_see_loaded
" in
      *"
$nf_agents_see_file
"*) ;;
      *) nf_agents_words="$nf_agents_words needs-reload"; return ;;
    esac
  done
}

# nf_agents_arguments: the store files that a plist starts its job with, in order.
nf_agents_arguments() {
  awk '
    { text = text $0 " " }
    END {
      if (match(text, /<key>ProgramArguments<\/key>/)) end = "</array>"
      else if (match(text, /<key>Program<\/key>/)) end = "</string>"
      else exit
      text = substr(text, RSTART)
      print substr(text, 1, index(text, end))
    }' | tr -c '0-9A-Za-z+._=/-' '\n' | grep -E '^/nix/store/[0-9a-z]{32}-[^/]'
}
