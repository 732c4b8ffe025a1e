# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # NF_UID comes from the other parts
# What we ask launchd about any job of this user, and how we load one and remove it: macOS.

# nf_domain_of LABEL: the launchd domain that has it loaded.
nf_domain_of() {
  for nf_domain_of_try in "gui/$NF_UID" "user/$NF_UID"; do
    if launchctl print "$nf_domain_of_try/$1" >/dev/null 2>&1; then echo "$nf_domain_of_try"; return; fi
  done
  return 1
}

# nf_has_domain DOMAIN: true if it is there. gui/UID is there while the user is logged in at the screen.
nf_has_domain() { launchctl print "$1" >/dev/null 2>&1; }

# nf_value NAME: that top-level value in launchd's description of a job. The lines of an argument are printed
# as they are, so they can look like values.
nf_value() {
  awk -v name="$NF_TAB$1 = " -v tab="$NF_TAB" '
    $0 == tab "arguments = {" { inside = 1 }
    inside { if ($0 == tab "}") inside = 0; next }
    index($0, name) == 1 && !found { print substr($0, length(name) + 1); found = 1 }'
}
NF_TAB=$(printf '\t')

# nf_pid_value: the process in the description; false if there is none.
nf_pid_value() { nf_value pid | grep -E '^[1-9][0-9]*$'; }

# nf_bootstrap DOMAIN LABEL PLIST: load a job and start it. Its label can stay taken for seconds after a
# bootout (error 5), and launchd may leave the start of what it has loaded to a kickstart (macOS 26).
nf_bootstrap() {
  nf_bootstrap_left=15
  until nf_bounded 30 launchctl bootstrap "$1" "$3"; do
    nf_bootstrap_code=$?
    nf_bootstrap_left=$((nf_bootstrap_left - 1))
    if [ "$nf_bootstrap_code" != 5 ] || [ "$nf_bootstrap_left" = 0 ]; then return "$nf_bootstrap_code"; fi
    sleep 1
  done
  nf_kick "$1" "$2"
}

# nf_kick DOMAIN LABEL: start a loaded job that has no process, and leave one that has.
nf_kick() {
  if launchctl print "$1/$2" 2>/dev/null | nf_pid_value >/dev/null; then return 0; fi
  nf_bounded 30 launchctl kickstart "$1/$2"
}

# nf_await_gone LABEL PID: wait until launchd has forgotten the job, and its process has ended.
nf_await_gone() {
  nf_clock_start
  while nf_domain_of "$1" >/dev/null || nf_is_process "$2"; do
    nf_is_within 30 || return 1
    sleep 1
  done
}

nf_is_process() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
