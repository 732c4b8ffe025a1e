# shellcheck shell=sh
# shellcheck disable=SC2034,SC2012 # its variables are used by the scripts that follow it
# What every script on a host begins with. NF_ROOT comes from the transport's prelude.
set -u
umask 022
LC_ALL=C LANGUAGE='' # git and sudo translate their messages
export LC_ALL LANGUAGE
unset CDPATH ENV BASH_ENV GIT_DIR GIT_WORK_TREE SSH_AUTH_SOCK SSH_ASKPASS GIT_ASKPASS

# A non-interactive ssh command has no nix in PATH; wrappers first, or NixOS finds a sudo without setuid.
nf_path() {
  if [ -r "$NF_ROOT/nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh" ]; then
    set +u
    # shellcheck source=/dev/null
    . "$NF_ROOT/nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh"
    set -u
  fi
  nf_dirs=$NF_ROOT/run/wrappers/bin:${HOME:-/}/.nix-profile/bin:${HOME:-/}/.local/state/nix/profile/bin
  nf_dirs=$nf_dirs:$NF_ROOT/etc/profiles/per-user/${USER:-$(id -un)}/bin
  nf_dirs=$nf_dirs:$NF_ROOT/nix/var/nix/profiles/default/bin:$NF_ROOT/run/current-system/sw/bin
  PATH=$nf_dirs:$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
  export PATH
}
nf_path

nf_has() { command -v "$1" >/dev/null 2>&1; }

# nf_bounded SECONDS COMMAND...: an external command that may not take longer.
# With NF_EXEC=exec it replaces the (sub)shell, whose pid then is the one to signal.
nf_bounded() {
  nf_seconds=$1
  shift
  # without timeout (macOS): SIGALRM survives exec, and its default action ends the process
  if nf_has timeout; then
    $NF_EXEC timeout -k 5 "$nf_seconds" "$@" </dev/null
  else
    $NF_EXEC perl -e 'alarm shift; exec @ARGV or exit 127' "$nf_seconds" "$@" </dev/null
  fi
}
NF_EXEC=

NF_UID=$(id -u)

nf_now() { date +%s; }

# nf_size FILE: its size in bytes, 0 when it is not there (BSD's wc pads with blanks).
nf_size() { if [ -e "$1" ]; then echo $(($(wc -c <"$1"))); else echo 0; fi; }

# nf_owner DIR: who owns it (NF_OWNER, NF_OWNER_UID, NF_OWNER_GID), behind any link. ls, because stat
# differs everywhere.
nf_owner() {
  nf_ids=$(ls -ldn "$1/." 2>/dev/null | awk 'NR == 1 {print $3, $4}')
  NF_OWNER_UID=${nf_ids% *} NF_OWNER_GID=${nf_ids#* }
  [ -n "$NF_OWNER_UID" ] || return 1
  NF_OWNER=$(id -un "$NF_OWNER_UID" 2>/dev/null) || NF_OWNER=$NF_OWNER_UID
}

# nf_as_owner SECONDS COMMAND...: run it as the owner found by nf_owner, bounded, never prompting.
# As root this steps down; root's git would leave files behind that the owner cannot write.
nf_as_owner() {
  # BatchMode is added to the configured command, not put in its place: deploy keys live there
  nf_ssh=$(nf_step_down 10 git config core.sshCommand 2>/dev/null)
  NF_GIT_SSH="${nf_ssh:-ssh} -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=6"
  nf_step_down "$@"
}
NF_GIT_SSH=ssh
NF_NIX_CONFIG='' # settings for the next command

nf_step_down() {
  nf_seconds=$1
  shift
  # somebody's own settings are left alone: they may hold tokens, which no argv must show
  if [ -n "$NF_NIX_CONFIG" ] && [ -z "${NIX_CONFIG:-}" ]; then set -- "NIX_CONFIG=$NF_NIX_CONFIG" "$@"; fi
  set -- env LC_ALL=C LANGUAGE= PATH="$PATH" GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="$NF_GIT_SSH" \
    GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=30 "$@"
  if [ "$NF_UID" = "$NF_OWNER_UID" ]; then
    :
  elif nf_has setpriv; then
    set -- setpriv --reuid "$NF_OWNER_UID" --regid "$NF_OWNER_GID" --init-groups --reset-env "$@"
  else
    set -- runuser -u "$NF_OWNER" -- env HOME="$(nf_home)" USER="$NF_OWNER" LOGNAME="$NF_OWNER" "$@"
  fi
  nf_bounded "$nf_seconds" "$@"
}

# nf_owner_cat FILE: its content as the owner may see it; root does not follow the owner's links.
nf_owner_cat() { nf_step_down 20 cat "$1" 2>/dev/null; }

nf_home() { getent passwd "$NF_OWNER_UID" | cut -d: -f6; }

NF_JOBS=$NF_ROOT/var/lib/nixfleet/jobs
NF_STATE=$NF_ROOT/run/nixfleet
NF_JOB_UNIT=nixfleet-job.service
NF_FINISH_UNIT=nixfleet-finish.service
NF_SWITCH_UNIT=nixos-rebuild-switch-to-configuration
NF_SWITCH_UNITS='nixos-rebuild-switch-to-configuration*'

# A job id becomes a path: nothing else may look like one.
nf_is_job_id() {
  case $1 in
    *[!0-9a-f-]*) return 1 ;;
    [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]-????) return 0 ;;
    *) return 1 ;;
  esac
}

# nf_unit_lives UNIT...: one of them is active, starting or stopping.
nf_unit_lives() {
  nf_states=$(systemctl is-active "$@" 2>/dev/null)
  case "
$nf_states
" in
    *"
active
"* | *activating* | *reloading*) return 0 ;; # deactivating, too
    *) return 1 ;;
  esac
}

# nf_switch_lives: an activation is under way (newer nixos-rebuild adds a suffix to its unit's name).
nf_switch_lives() {
  systemctl list-units --plain --no-legend --all "$NF_SWITCH_UNITS" 2>/dev/null |
    grep -Eq '[[:space:]](active|activating|deactivating|reloading)[[:space:]]'
}

# nf_jobs: the ids of the jobs kept here, oldest first.
nf_jobs() {
  for nf_dir in "$NF_JOBS"/*; do
    if nf_is_job_id "${nf_dir##*/}"; then echo "${nf_dir##*/}"; fi
  done
}

# nf_running_job: the id of the job that runs now; nothing when there is none.
nf_running_job() { nf_unit_lives "$NF_JOB_UNIT" "$NF_FINISH_UNIT" && nf_current_job; }

# nf_current_job: the id of the job that last took the lock.
nf_current_job() {
  nf_id=$(cat "$NF_STATE/current" 2>/dev/null) || return 1
  nf_is_job_id "$nf_id" || return 1
  echo "$nf_id"
}

# Values from flake.lock, by Nix itself: kind, url, ref, rev, pinned, separated by tabs; or "missing".
# shellcheck disable=SC2016 # Nix's own $ and quotes
NF_LOCK_NIX='{ lock, input }: let
  file = builtins.fromJSON (builtins.readFile lock);
  resolve = target: if builtins.isString target then target else builtins.foldl'"'"' (key: name: resolve (file.nodes.${key}.inputs.${name})) file.root target;
  inputs = file.nodes.${file.root}.inputs or { };
  node = file.nodes.${resolve inputs.${input}};
  original = node.original or { };
  forges = { github = "github.com"; gitlab = "gitlab.com"; sourcehut = "git.sr.ht"; };
  kind = original.type or "";
  url = if kind == "git" then original.url or ""
    else if forges ? ${kind} then "https://${original.host or forges.${kind}}/${builtins.replaceStrings [ "%2F" "%2f" ] [ "/" "/" ] original.owner}/${original.repo}"
    else "";
in { fields = if inputs ? ${input} then builtins.concatStringsSep "\t" [ kind url (original.ref or "") (node.locked.rev or "") (original.rev or "") ] else "missing"; }'

# nf_lock FILE INPUT: the above for that lock file, read as its owner.
nf_lock() {
  nf_as_owner 60 nix --extra-experimental-features 'nix-command flakes' eval --impure --raw \
    --argstr lock "$1" --argstr input "$2" --expr "$NF_LOCK_NIX" fields
}
