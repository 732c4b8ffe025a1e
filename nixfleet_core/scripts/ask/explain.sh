# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the probe
# The part of a look that explains an old agent: the system that was booted, the last job, the checkout
# beside ours.

probe_why() {
  if [ -e "$NF_ROOT/run/booted-system" ]; then put_path system.booted "$(nf_real "$NF_ROOT/run/booted-system")"; fi
  if probe_reboots; then put system.init differs; fi
  probe_last_job
  probe_default_branch
  if [ "$NF_DEEP" = why ]; then probe_more; fi
  probe_other
}

# probe_reboots: the profile's system wants another init, so that a switch leaves it for the next boot.
probe_reboots() {
  runs='' next=''
  { read -r runs <"$NF_ROOT/run/current-system/init-interface-version" || [ -n "$runs" ]; } 2>/dev/null || return 1
  { read -r next <"$NF_ROOT/nix/var/nix/profiles/system/init-interface-version" || [ -n "$next" ]; } 2>/dev/null || return 1
  [ "$runs" != "$next" ]
}

# Both files are a line that root wrote.
probe_last_job() {
  job=none text=''
  for job in $(nf_jobs); do :; done
  job=$NF_JOBS/$job
  [ -r "$job/result" ] || return 0
  read -r text <"$job/result"
  put job.result "$text"
  if [ -r "$job/latest" ] && read -r text <"$job/latest"; then put job.latest "$text"; fi
  [ "$NF_DEEP" = why ] || return 0
  put_some job.said "$(tail -c 262144 "$job/log" 2>/dev/null |
    grep -E 'using cached version|most recent version|expired cached ref|^fatal: |^error: ' |
    tail -n 2 | cut_off 500)"
}

# The branch that the remote's own HEAD names.
probe_default_branch() {
  ref=${dir:-/nowhere}/.git/refs/remotes/origin/HEAD
  [ -r "$ref" ] || return 0
  if [ "$NF_UID" = "${NF_OWNER_UID:-}" ]; then read -r ref <"$ref"; else ref=$(nf_owner_cat "$ref" | cut_off 300); fi
  put checkout.default "$ref"
}

# What takes a while, or root.
probe_more() {
  put_some journal "$(probe_last_words 2>/dev/null | tail -n 1 | cut_off 500)"
  case ${installed:-} in
    /nix/store/*)
      put_some installed.at "$(nf_bounded 10 nix --extra-experimental-features nix-command path-info --json \
        "$(printf '%s\n' "$installed" | cut -d/ -f1-4)" 2>/dev/null | sed -n 's/.*"registrationTime":\([0-9]*\).*/\1/p')"
      ;;
  esac
  if (cd "${dir:-/nowhere}") 2>/dev/null && nf_owner "$dir"; then (cd "$dir" && probe_incoming); fi
}

probe_last_words() {
  case $NF_MANAGER in
    systemd) nf_bounded 10 journalctl -q -o cat -n 1 _SYSTEMD_UNIT="$NF_UNIT" ;;
    user) nf_bounded 10 journalctl --user -q -o cat -n 1 _SYSTEMD_USER_UNIT="$NF_UNIT" ;;
    *) nf_service_log 1 ;;
  esac
}

# The upstream's newest commit, unless HEAD has it.
probe_incoming() {
  ref=$(nf_step_down 10 git rev-parse --symbolic-full-name '@{upstream}' 2>/dev/null) || return 0
  remote=${ref#refs/remotes/} remote=${remote%%/*}
  newest=$(nf_as_owner 20 git ls-remote -- "$remote" "refs/heads/${ref#"refs/remotes/$remote/"}" 2>/dev/null | sed -n '1s/^\([0-9a-f]\{40\}\)[[:space:]].*/\1/p')
  [ -n "$newest" ] || return 0
  nf_step_down 10 git merge-base --is-ancestor "$newest" HEAD 2>/dev/null || put checkout.incoming "$newest"
}

# The agent pulls into a checkout of its own, operators into theirs: the one that is not configured.
probe_other() {
  theirs=${HOME:-/nowhere}
  # root looks on behalf of who logged in, in a job on behalf of the checkout's owner
  theirs_is=${SUDO_USER:-${NF_OWNER_UID:-0}}
  if [ "$NF_UID" = 0 ] && [ "$theirs_is" != 0 ]; then theirs=$(getent passwd "$theirs_is" | cut -d: -f6); fi
  for other in "$NF_ROOT/var/lib/nixfleet-agent/repo" "$theirs/.local/state/nixfleet-agent/repo" "$theirs/Code/nixcfg"; do
    above=${other%/*}
    if [ -d "$other" ] || { [ -d "$above" ] && ! [ -x "$above" ]; }; then
      if [ -z "$NF_ROOT" ]; then other=$(physical "$other"); fi
      if [ "$other" != "${dir:-}" ]; then probe_other_at "$other"; return; fi
    fi
  done
}

# probe_other_at DIR: no more of it than what a comparison needs.
probe_other_at() {
  put_path other.path "$1"
  if ! nf_owner "$1" || ! cd "$1" 2>/dev/null || { [ "$NF_UID" != 0 ] && [ "$NF_UID" != "$NF_OWNER_UID" ]; }; then
    put other.state unreadable
    return 0
  fi
  put other.owner "$NF_OWNER"
  if ! status=$(nf_step_down 20 git --no-optional-locks status --porcelain=v2 --branch --untracked-files=no 2>/dev/null); then
    put other.state not-git
    cd /
    return 0
  fi
  put other.state ok
  put other.status "$(printf '%s\n' "$status" | cut_off 20000)"
  if [ -r flake.lock ]; then put other.lock "$(nf_owner_cat flake.lock | cut_off "$((NF_LOCK_LIMIT + 1))")"; fi
  if [ "$NF_DEEP" = why ] && [ -n "$NF_ATTRIBUTE" ]; then probe_other_expected "$1"; fi
  cd /
}

# probe_other_expected DIR: what it would install, if what is installed is not what ours would.
probe_other_expected() {
  case ${built:-} in *"${installed:-/nowhere}"*) return 0 ;; esac
  record=$(probe_expected "$1")
  case $record in
    "expected.path "*)
      put other.expected.path "${record#*
}"
      ;;
  esac
}
