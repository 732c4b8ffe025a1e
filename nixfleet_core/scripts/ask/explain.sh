# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the probe
# The part of a look that explains an old agent: the booted system, the last job, the checkout beside
# ours.

probe_why() {
  if [ -e "$NF_ROOT/run/booted-system" ]; then
    put_path system.booted "$(nf_real "$NF_ROOT/run/booted-system")"
  fi
  probe_why_active=$(nf_active)
  if ! [ "$probe_why_active" -ef "$NF_PROFILE" ]; then probe_apart "$probe_why_active"; fi
  probe_last_job
  probe_default_branch
  if [ "$NF_DEEP" = why ]; then probe_more; fi
  probe_other
}

# probe_apart ACTIVE: what the profile names is not what is active: what holds the active one, and what keeps
# a switch from reaching the other.
probe_apart() {
  put_some system.active "$(nf_holding "$1" | cut_off 4000)"
  probe_apart_others=${NF_PROFILE%/*}/system-profiles
  if [ -d "$probe_apart_others" ] && ! [ -r "$probe_apart_others" ]; then put system.hidden 1; fi
  if nf_needs_boot "$NF_PROFILE" "$1"; then put system.init differs; fi
  put_some system.inhibitors "$(nf_inhibitors "$1")"
  put_some system.inhibitors-new "$(nf_inhibitors "$NF_PROFILE")"
}

# Each of the two files is one line that root wrote.
probe_last_job() {
  probe_last_job_dir=none probe_last_job_text=''
  for probe_last_job_dir in $(nf_jobs); do :; done
  probe_last_job_dir=$NF_JOBS/$probe_last_job_dir
  [ -r "$probe_last_job_dir/result" ] || return 0
  read -r probe_last_job_text <"$probe_last_job_dir/result"
  put job.result "$probe_last_job_text"
  put_some job.checkout "$(cut_off 4000 2>/dev/null <"$probe_last_job_dir/checkout")"
  if [ -r "$probe_last_job_dir/latest" ] && read -r probe_last_job_text <"$probe_last_job_dir/latest"; then
    put job.latest "$probe_last_job_text"
  fi
  [ "$NF_DEEP" = why ] || return 0
  put_some job.said "$(tail -c 262144 "$probe_last_job_dir/log" 2>/dev/null |
    grep -E 'using cached version|most recent version|expired cached ref|^fatal: |^error: ' |
    tail -n 2 | cut_off 500)"
}

# The remote's default branch, which its HEAD names.
probe_default_branch() {
  probe_default_branch_ref=${probe_dir:-/nowhere}/.git/refs/remotes/origin/HEAD
  [ -r "$probe_default_branch_ref" ] || return 0
  if [ "$NF_UID" = "${NF_OWNER_UID:-}" ]; then
    read -r probe_default_branch_ref <"$probe_default_branch_ref"
  else
    probe_default_branch_ref=$(nf_owner_cat "$probe_default_branch_ref" | cut_off 300)
  fi
  put checkout.default "$probe_default_branch_ref"
}

# The questions that take a while, or need root.
probe_more() {
  put_some journal "$(probe_last_words 2>/dev/null | tail -n 1 | cut_off 500)"
  case ${agent_installed:-} in
    /nix/store/*)
      probe_more_path=$(printf '%s\n' "$agent_installed" | cut -d/ -f1-4)
      put_some installed.at "$(nf_bounded 10 nix --extra-experimental-features nix-command path-info --json \
        "$probe_more_path" 2>/dev/null | sed -n 's/.*"registrationTime":\([0-9]*\).*/\1/p')"
      ;;
  esac
  if (cd "${probe_dir:-/nowhere}") 2>/dev/null && nf_owner "$probe_dir"; then
    (cd "$probe_dir" && probe_incoming)
  fi
}

probe_last_words() {
  case $NF_MANAGER in
    systemd) nf_bounded 10 journalctl -q -o cat -n 1 _SYSTEMD_UNIT="$NF_UNIT" ;;
    user) nf_bounded 10 journalctl --user -q -o cat -n 1 _SYSTEMD_USER_UNIT="$NF_UNIT" ;;
    *) nf_service_log 1 ;;
  esac
}

# probe_upstream: where the checkout's branch is pulled from; false if it has no upstream.
# sets: probe_upstream_remote (its name here), probe_upstream_ref (the branch there)
probe_upstream() {
  probe_upstream_ref=$(nf_step_down 10 git rev-parse --symbolic-full-name '@{upstream}' 2>/dev/null) ||
    return 1
  probe_upstream_remote=${probe_upstream_ref#refs/remotes/} probe_upstream_remote=${probe_upstream_remote%%/*}
  probe_upstream_ref=refs/heads/${probe_upstream_ref#"refs/remotes/$probe_upstream_remote/"}
}

# The upstream's newest commit, unless HEAD has it.
probe_incoming() {
  probe_upstream || return 0
  probe_incoming_newest=$(nf_as_owner 20 git ls-remote -- "$probe_upstream_remote" "$probe_upstream_ref" \
    2>/dev/null | sed -n '1s/^\([0-9a-f]\{40,64\}\)[[:space:]].*/\1/p')
  [ -n "$probe_incoming_newest" ] || return 0
  nf_step_down 10 git merge-base --is-ancestor "$probe_incoming_newest" HEAD 2>/dev/null ||
    put checkout.incoming "$probe_incoming_newest"
}

# The agent pulls into its own checkout, operators into theirs. This finds the one that is not configured.
probe_other() {
  probe_other_theirs=${HOME:-/nowhere}
  # root looks on behalf of the user who logged in; in a job, of the checkout's owner
  probe_other_theirs_is=${SUDO_USER:-${NF_OWNER_UID:-0}}
  if [ "$NF_UID" = 0 ] && [ "$probe_other_theirs_is" != 0 ]; then
    probe_other_theirs=$(getent passwd "$probe_other_theirs_is" | cut -d: -f6)
  fi
  for probe_other_dir in "$NF_ROOT/var/lib/nixfleet-agent/repo" \
    "$probe_other_theirs/.local/state/nixfleet-agent/repo" "$probe_other_theirs/Code/nixcfg"; do
    probe_other_above=${probe_other_dir%/*}
    if [ -d "$probe_other_dir" ] || { [ -d "$probe_other_above" ] && ! [ -x "$probe_other_above" ]; }; then
      if [ -z "$NF_ROOT" ]; then probe_other_dir=$(physical "$probe_other_dir"); fi
      if [ "$probe_other_dir" != "${probe_dir:-}" ]; then probe_other_at "$probe_other_dir"; return; fi
    fi
  done
}

# probe_other_at DIR: print only as much as a comparison needs.
probe_other_at() {
  put_path other.path "$1"
  if ! nf_owner "$1" || ! cd "$1" 2>/dev/null || ! probe_may_ask; then
    put other.state unreadable
    return 0
  fi
  put other.owner "$NF_OWNER"
  if ! probe_git_status "$1" --untracked-files=no; then
    put other.state "$nf_folder_state"
    put_some other.said "$(probe_said)"
    cd /
    return 0
  fi
  put other.state ok
  put other.status "$(printf '%s\n' "$probe_status" | cut_off 20000)"
  if [ -r flake.lock ]; then put other.lock "$(nf_owner_cat flake.lock | probe_lock_text)"; fi
  if [ "$NF_DEEP" = why ] && [ -n "$NF_ATTRIBUTE" ]; then probe_other_expected "$1"; fi
  cd /
}

# probe_other_expected DIR: the agent it would install, unless ours would install the installed one.
probe_other_expected() {
  case ${probe_expected_built:-} in *"${agent_installed:-/nowhere}"*) return 0 ;; esac
  probe_other_expected_record=$(probe_expected "$1")
  case $probe_other_expected_record in
    "expected.path "*)
      put other.expected.path "${probe_other_expected_record#*
}"
      ;;
  esac
}
