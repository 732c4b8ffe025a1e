# shellcheck shell=sh
# shellcheck disable=SC2153,SC2154 # its variables come from the other parts
# A look at all that an update will rest on: the records of a probe, and more that only `nixfleet doctor` asks
# for. It never writes and never becomes root.
# From the prelude: what a probe gets, NF_LAN_NAME, and for become_root_choose NF_FOLDERS, NF_RUN0_FOLDERS and
# NF_ROOT_UID.

doctor() {
  printf 'nixfleet-probe 1\n'
  probe_records
  doctor_login
  doctor_tools
  doctor_nix
  if ! nf_has pmset; then doctor_power; fi
  doctor_rights
  if [ "$NF_MANAGER" = launchd ] && nf_has launchctl; then doctor_launchd; fi
  (doctor_checkout) # in a subshell: it changes the owner and the folder
  put now.last "$(nf_now)"
  printf 'end 0\n'
}

# What a login without a terminal gives: its shell, its PATH and its limits.
doctor_login() {
  put_path home "${HOME:-}"
  put_some login.shell "$(printf '%s\n' "${SHELL##*/}" | cut_off 100)"
  # shellcheck disable=SC2031 # only there
  if (PATH=$nf_path_was; nf_has nix); then put login.nix 1; fi
  # shellcheck disable=SC3045 # every shell has both
  put_some limit.files "$(ulimit -H -n 2>/dev/null)"
}
SHELL=${SHELL:-}

doctor_tools() {
  for doctor_tools_tool in timeout perl bash; do
    if nf_has "$doctor_tools_tool"; then put bounds "$doctor_tools_tool"; break; fi
  done
  if ! nf_has git; then
    if nf_is_stub; then put git.stub 1; fi
    return 0
  fi
  put_some git "$(nf_bounded 10 git --version 2>/dev/null | cut_off 100)"
}

doctor_nix() {
  nf_has nix || return 0
  put nix.features "$(doctor_features)"
  if probe_nix store ping >/dev/null; then put nix.store 1; else put nix.store 0; fi
}

# The features that Nix's own configuration turns on, without those that we add. An old Nix has another name
# for the question, and none answers it without nix-command.
doctor_features() (
  export NIX_CONFIG="$NF_OWN_NIX_CONFIG"
  { nf_bounded 10 nix config show || nf_bounded 10 nix show-config; } 2>/dev/null |
    sed -n 's/^experimental-features = //p' | cut_off 1000
)

# Linux: the first battery that is not of a mouse or the like, if the host draws on it.
doctor_power() {
  for doctor_power_supply in "$NF_ROOT"/sys/class/power_supply/*; do
    case $(cat "$doctor_power_supply/type" "$doctor_power_supply/scope" "$doctor_power_supply/status" \
      2>/dev/null | tr '\n' ' ') in
      'Battery Discharging '* | 'Battery System Discharging '*) ;;
      *) continue ;;
    esac
    put power battery
    put_some power.charge "$(cut_off 10 <"$doctor_power_supply/capacity" 2>/dev/null)"
    return
  done
}

# The way to root, if jobs need it, and the place of the jobs.
doctor_rights() {
  put carrier "$NF_CARRIER"
  if [ "$NF_PLATFORM" = home-manager ]; then
    doctor_rights_at=$NF_JOBS
    until [ -e "$doctor_rights_at" ] || [ -z "$doctor_rights_at" ]; do
      doctor_rights_at=${doctor_rights_at%/*}
    done
    if ! [ -w "$doctor_rights_at" ]; then put_path place.closed "$doctor_rights_at"; fi
    return
  fi
  put_some place.none "$NF_NO_PLACE"
  if [ "$NF_UID" = 0 ]; then put root login
  elif become_root_choose; then
    case $become_root_way in
      DOAS) put root doas ;;
      RUN0) put root run0 ;;
      *) put root sudo ;;
    esac
  fi
}

# What only a Mac can answer.
doctor_launchd() {
  doctor_launchd_printed=$(nf_printed)
  put_some launchd.session "$(nf_bounded 10 launchctl managername 2>/dev/null | cut_off 100)"
  put launchd.domains "$(for doctor_launchd_domain in gui user; do
    if nf_has_domain "$doctor_launchd_domain/$NF_UID"; then echo "$doctor_launchd_domain"; fi
  done)"
  put_some launchd.types "$(nf_session_types)"
  put_some launchd.pended "$(printf '%s\n' "$doctor_launchd_printed" |
    nf_value 'pended nondemand spawn' | cut_off 100)"
  put_some launchd.files "$(nf_bounded 10 launchctl limit maxfiles 2>/dev/null | awk '{ print $3 }')"
  put_some launchd.arguments "$(printf '%s\n' "$doctor_launchd_printed" | doctor_printed_lines)"
  put_some ps.newline "$(doctor_ps_newline)"
}

# How `launchctl print` shows an argument of several lines: raw, indented or escaped; nothing if none has any.
doctor_printed_lines() {
  awk -v tab="$NF_TAB" '
    $0 == tab "arguments = {" { inside = 1; next }
    inside && $0 == tab "}" { exit }
    inside {
      if (index($0, tab tab) != 1) how = "raw"
      else if (++lines > 3 && how == "") how = "indented"
      if (index($0, "\\n") || index($0, "\\012")) how = "escaped"
    }
    END { print how }'
}

# How ps shows a newline in an argument: a short-lived process of our own has one.
doctor_ps_newline() {
  sh -c 'sleep 5; :' sh 'nf-one
two-nf' </dev/null >/dev/null 2>&1 &
  nf_bounded 5 ps -ww -o args= -p "$!" 2>/dev/null |
    sed -n -e 's/.*nf-one\(.*\)two-nf.*/\1/p' -e 's/^two-nf.*/raw/p'
  kill "$!" 2>/dev/null
}

# The checkout, its remote and its flake, asked as the job will: as the owner, who has no ssh agent.
doctor_checkout() {
  cd "${probe_dir:-/nowhere}" 2>/dev/null && nf_owner . && probe_may_ask || return 0
  nf_step_down 20 git rev-parse --git-dir >/dev/null 2>&1 || return 0
  put_some checkout.unfinished "$(nf_unfinished)"
  put_some checkout.foreign "$(nf_foreign | cut_off 1000)"
  if probe_upstream; then doctor_remote; fi
  doctor_attributes
}

# The flake's names, or what Nix said instead, from one evaluation, which can take minutes. The names go past
# the words, on a descriptor of their own.
doctor_attributes() {
  doctor_attributes_names=$( {
    doctor_attributes_said=$(attributes_in "$PWD" 2>&1 >&3) ||
      printf '%s%s' "$nf_newline" "$(printf '%s\n' "$doctor_attributes_said" | tail -c 4096)"
  } 3>&1)
  case $doctor_attributes_names in
    "$nf_newline"*) put attributes.said "${doctor_attributes_names#"$nf_newline"}" ;;
    *) put attributes "$doctor_attributes_names" ;;
  esac
}

# Its URL stays here: only its kind is told, and whether it is in the local network.
doctor_remote() {
  doctor_remote_url=$(nf_step_down 10 git ls-remote --get-url -- "$probe_upstream_remote" 2>/dev/null)
  case $doctor_remote_url in
    https://* | http://* | ssh://* | git://* | file://*) put remote.kind "${doctor_remote_url%%://*}" ;;
    /* | ./* | ../*) put remote.kind file ;;
    *://*) put remote.kind other ;;
    *:*) put remote.kind ssh ;;
  esac
  doctor_remote_server=${doctor_remote_url#*://} doctor_remote_server=${doctor_remote_server%%/*}
  doctor_remote_server=${doctor_remote_server##*@}
  if printf '%s\n' "${doctor_remote_server%:*}" | grep -Eqx "$NF_LAN_NAME"; then put remote.near 1; fi
  if doctor_remote_said=$(nf_as_owner 20 git ls-remote --exit-code -- "$probe_upstream_remote" \
    "$probe_upstream_ref" 2>&1 >/dev/null); then
    put remote.answers 1
  else
    put remote.answers 0
    put_some remote.said "$(printf '%s\n' "$doctor_remote_said" | tail -c 4096)"
  fi
}
