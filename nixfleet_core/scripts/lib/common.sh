# shellcheck shell=sh
# shellcheck disable=SC2034,SC2012,SC3013 # for the scripts that follow it; -ef: POSIX since 2024
# Every script on a host begins with this part. NF_ROOT comes from the transport's prelude.
set -u
umask 022
LC_ALL=C LANGUAGE='' # git and sudo translate their messages
export LC_ALL LANGUAGE
unset CDPATH ENV BASH_ENV SSH_AUTH_SOCK SSH_ASKPASS GIT_ASKPASS
# as `git rev-parse --local-env-vars` has them: a hook or an alias of git may have started us
unset GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT \
  GIT_OBJECT_DIRECTORY GIT_DIR GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE GIT_INDEX_FILE \
  GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE GIT_PREFIX GIT_INTERNAL_SUPER_PREFIX GIT_SHALLOW_FILE \
  GIT_COMMON_DIR

# nix.conf may leave the features out that flakes need. Each Nix that we start gets them, also one that
# nixos-rebuild or home-manager starts in turn: by the environment, which comes after nix.conf (Nix 2.8 to
# 2.34 and Lix), and behind the user's own settings there: the last line counts. Those may hold tokens, so
# they stay in the environment: an argv would show them.
NF_FEATURES='extra-experimental-features = nix-command flakes'
NF_OWN_NIX_CONFIG=${NIX_CONFIG:-}
case $NF_OWN_NIX_CONFIG in
  *"$NF_FEATURES") NIX_CONFIG=$NF_OWN_NIX_CONFIG ;;
  *) NIX_CONFIG=$(printf '%s\n' "$NF_OWN_NIX_CONFIG" "$NF_FEATURES") ;;
esac
export NIX_CONFIG

# A non-interactive ssh command has no nix in PATH. Wrappers come first, or NixOS finds a sudo without setuid.
# sets: NF_UID, PATH, nf_path_was, and NF_PATH_LEFT (folders of root's PATH that others can write to)
nf_path() {
  nf_path_was=$PATH NF_PATH_LEFT=''
  # only the system's own folders, until we know who we are
  PATH=$NF_ROOT/run/wrappers/bin:/usr/bin:/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin
  NF_UID=$(id -u 2>/dev/null) || { PATH=$nf_path_was; NF_UID=$(id -u); }
  if [ "$NF_UID" = 0 ]; then nf_path_of_root; else nf_path_of_user; fi
  export PATH
}

# sets: PATH
nf_path_of_user() {
  PATH=$nf_path_was
  nf_path_profile
  PATH=$NF_ROOT/nix/var/nix/profiles/default/bin:$NF_ROOT/run/current-system/sw/bin:$PATH
  PATH=$NF_ROOT/etc/profiles/per-user/${USER:-$(id -un)}/bin:$PATH
  PATH=${HOME:-/}/.nix-profile/bin:${HOME:-/}/.local/state/nix/profile/bin:$PATH
  PATH=$NF_ROOT/run/wrappers/bin:$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
}

# Root's PATH: only folders that root alone can write to, and none in HOME: sudo may keep the caller's HOME.
# sets: NF_PATH_LEFT
nf_path_of_root() {
  nf_path_of_root_home=${HOME:-} nf_path_of_root_home=${nf_path_of_root_home%/}
  if [ -z "$NF_ROOT" ]; then
    HOME=~root # so that root gets its own settings, too
    export HOME
  fi
  nf_path_of_root_first=$PATH
  nf_path_profile
  PATH=$nf_path_of_root_first
  nf_path_of_root_dirs=$NF_ROOT/run/wrappers/bin:$NF_ROOT/nix/var/nix/profiles/default/bin
  nf_path_of_root_dirs=$nf_path_of_root_dirs:$NF_ROOT/run/current-system/sw/bin:$nf_path_was
  nf_path_of_root_dirs=$nf_path_of_root_dirs:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:
  nf_path_of_root_ifs=$IFS
  IFS=:
  set -f
  # shellcheck disable=SC2086 # a folder a word
  nf_trust_ahead $nf_path_of_root_dirs
  set +f
  IFS=$nf_path_of_root_ifs nf_path_of_root_new=''
  while [ -n "$nf_path_of_root_dirs" ]; do
    nf_path_of_root_dir=${nf_path_of_root_dirs%%:*} nf_path_of_root_dirs=${nf_path_of_root_dirs#*:}
    case $nf_path_of_root_dir in
      "$nf_path_of_root_home"/.nix-profile/* | "$nf_path_of_root_home"/.local/* | [!/]*) continue ;;
    esac
    case :$nf_path_of_root_new: in *":$nf_path_of_root_dir:"*) continue ;; esac
    if ! [ -d "$nf_path_of_root_dir" ]; then continue; fi
    if nf_is_trusted "$nf_path_of_root_dir"; then
      nf_path_of_root_new=${nf_path_of_root_new:+$nf_path_of_root_new:}$nf_path_of_root_dir
    else
      NF_PATH_LEFT="$NF_PATH_LEFT $nf_path_of_root_dir"
    fi
  done
  PATH=$nf_path_of_root_new
}

# Run the script with which Nix's installer puts Nix in PATH. Its words are no answer of ours.
nf_path_profile() {
  nf_path_profile_script=$NF_ROOT/nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh
  if ! [ -r "$nf_path_profile_script" ]; then return; fi
  if [ "$NF_UID" = 0 ] && ! nf_is_trusted "$nf_path_profile_script"; then return; fi
  set +u
  # shellcheck source=/dev/null
  . "$nf_path_profile_script" >/dev/null 2>&1
  set -u
}
nf_path

# nf_has TOOL: true if PATH has it. A Mac's own git counts only if it works.
nf_has() {
  command -v "$1" >/dev/null 2>&1 || return
  case $1 in git) ! nf_is_stub ;; esac
}

# True if git is /usr/bin/git of a Mac without Apple's command line tools: a stub that opens a dialog on the
# Mac's screen. Another git in PATH, such as Nix's, counts if it comes first. Only a Mac has xcode-select.
nf_is_stub() {
  nf_has xcode-select && [ "$(command -v git)" -ef "$NF_ROOT/usr/bin/git" ] &&
    ! xcode-select -p >/dev/null 2>&1
}
NF_STUB="git is Apple's stub, which only asks at the screen for the command line tools"

# nf_bounded SECONDS COMMAND...: run an external command; end it and its children when the time is up.
# Its clock stands still while the host sleeps. With NF_EXEC=exec it replaces the (sub)shell, whose pid is
# then the one to signal. Others may read the files that it makes, even if they may not read ours.
nf_bounded() {
  nf_bounded_seconds=$1
  shift
  umask 022
  if nf_has timeout; then
    $NF_EXEC timeout -k 5 "$nf_bounded_seconds" "$@" </dev/null
  elif nf_has perl; then
    $NF_EXEC perl -e "$NF_TIMEOUT" "$nf_bounded_seconds" "$@" </dev/null
  else
    $NF_EXEC bash -c "$NF_TIMEOUT_BASH" bash "$nf_bounded_seconds" "$@" </dev/null
  fi
  nf_bounded_code=$?
  umask "$NF_UMASK"
  return "$nf_bounded_code"
}
NF_UMASK=022
# A `timeout` for macOS: it runs the command in a process group of its own, and ends the whole group.
# shellcheck disable=SC2016 # Perl's own $
NF_TIMEOUT='use POSIX ":sys_wait_h"; my $left = shift; my $late = 0; setpgrp(0, 0);
my $pid = fork; defined $pid or exit 126; if (!$pid) { exec { $ARGV[0] } @ARGV; exit 127 }
sub relay { my $name = shift; local $SIG{$name} = "IGNORE"; kill $name, -$$ }
for my $name (qw(TERM INT HUP)) { $SIG{$name} = sub { relay($name) } }
$SIG{ALRM} = sub { $late++ ? kill("KILL", -$$) : relay("TERM"); alarm 5 };
alarm $left; 1 while waitpid($pid, 0) < 0 && $!{EINTR}; my $end = $?;
exit($late ? 124 : WIFSIGNALED($end) ? 128 + WTERMSIG($end) : WEXITSTATUS($end))'
# The same for a Mac without perl: `set -m` of bash makes a process group of a command, with no terminal.
# shellcheck disable=SC2016 # the inner shell expands
NF_TIMEOUT_BASH='set -m
left=$1 group="" sent="" late="" end=127
shift
pass() { sent=$1; if [ -n "$group" ]; then kill -s "$1" -- "-$group"; fi; }
for name in TERM INT HUP; do trap "pass $name" "$name"; done
trap "late=1; pass TERM" ALRM
exec 3>&2 2>/dev/null # bash tells of the end of each group
"$@" 2>&3 3>&- &
group=$!
exec 3>&-
{ sleep "$left"; kill -s ALRM $$; sleep 5; kill -s KILL -- "-$group"; } &
clock=$!
if [ -n "$sent" ]; then pass "$sent"; fi
while :; do # a signal ends this wait, even if the command has ended, too
  sent=""
  wait "$group"
  code=$?
  if [ "$code" != 127 ]; then end=$code; fi
  if [ -z "$sent" ]; then break; fi
done
kill -s KILL -- "-$clock"
if [ -n "$late" ] && [ "$end" != 137 ]; then end=124; fi
exit "$end"'
NF_EXEC=

nf_now() { date +%s; }

# A wait counts the time that this host is awake. It looks at the clock about once a second; of a longer
# gap between two looks, what is above NF_LOOK counts as sleep.
NF_LOOK=10 # a slow look at a process or a service takes as long

# nf_clock_start: begin a wait.
# sets: NF_CLOCK_AT, NF_CLOCK_AWAKE
nf_clock_start() { NF_CLOCK_AT=$(nf_now) NF_CLOCK_AWAKE=0; }

# nf_clock: look at the clock.
# sets: NF_CLOCK_AT, NF_CLOCK_AWAKE (seconds since the start), NF_CLOCK_SLEPT (since the last look)
nf_clock() {
  nf_clock_gap=$(($(nf_now) - NF_CLOCK_AT)) NF_CLOCK_SLEPT=0
  NF_CLOCK_AT=$((NF_CLOCK_AT + nf_clock_gap))
  if [ "$nf_clock_gap" -lt 0 ]; then nf_clock_gap=0; fi # the clock was set back
  if [ "$nf_clock_gap" -gt "$NF_LOOK" ]; then
    NF_CLOCK_SLEPT=$((nf_clock_gap - NF_LOOK)) nf_clock_gap=$NF_LOOK
  fi
  NF_CLOCK_AWAKE=$((NF_CLOCK_AWAKE + nf_clock_gap))
}

# nf_is_within LIMIT: true until the wait has lasted that many seconds.
nf_is_within() { nf_clock; [ "$NF_CLOCK_AWAKE" -lt "$1" ]; }

# nf_stay_awake PID: while that process lives, a Mac does not fall asleep by itself. Neither ssh nor a job of
# launchd keeps it awake. This runs beside the process, and holds none of its files.
nf_stay_awake() {
  if [ "$NF_KERNEL" = Darwin ] && nf_has caffeinate; then
    caffeinate -i -w "$1" </dev/null >/dev/null 2>&1 &
  fi
}

# nf_size FILE: its size in bytes, 0 if it is missing (BSD's wc pads with blanks).
nf_size() { if [ -e "$1" ]; then echo $(($(wc -c <"$1"))); else echo 0; fi; }

# nf_owner DIR: find its owner, behind any link.
# sets: NF_OWNER, NF_OWNER_UID, NF_OWNER_GID, NF_OWNER_HOME
nf_owner() {
  nf_owner_uid=$(nf_uid_of "$1/.")
  [ -n "$nf_owner_uid" ] && nf_know_owner "$nf_owner_uid"
}

# nf_know_owner UID: who that is; and the group and home with which root steps down to them.
# sets: NF_OWNER, NF_OWNER_UID, NF_OWNER_GID, NF_OWNER_HOME
nf_know_owner() {
  NF_OWNER_UID=$1 NF_OWNER_GID='' NF_OWNER_HOME=''
  NF_OWNER=$(id -un "$1" 2>/dev/null) || NF_OWNER=$1
  if [ "$NF_UID" = "$1" ]; then return 0; fi
  # the user's own group: a folder can have any group
  NF_OWNER_GID=$(id -g "$NF_OWNER" 2>/dev/null) || :
  NF_OWNER_HOME=$(getent passwd "$1" | cut -d: -f6)
}

# nf_uid_of PATH: the owner of PATH itself, even if it is a link. ls, because stat differs everywhere.
nf_uid_of() { ls -ldn "$1" 2>/dev/null | awk 'NR == 1 {print $3}'; }

# nf_as_owner SECONDS COMMAND...: run it as the owner found by nf_owner, bounded, never prompting.
# As root this steps down; root's git would leave files behind that the owner cannot write.
nf_as_owner() {
  if [ "$NF_GIT_SSH_OF" != "$NF_OWNER_UID:$PWD" ]; then nf_know_ssh; fi
  nf_step_down "$@"
}

# nf_know_ssh: the ssh with which the owner's git works in the current folder. BatchMode is added to the
# configured command, not put in its place: deploy keys live there.
# sets: NF_GIT_SSH, NF_GIT_SSH_OF
nf_know_ssh() {
  nf_know_ssh_own=$(nf_step_down 10 git config core.sshCommand 2>/dev/null)
  NF_GIT_SSH="${nf_know_ssh_own:-ssh} -o BatchMode=yes -o ConnectTimeout=10"
  NF_GIT_SSH="$NF_GIT_SSH -o ServerAliveInterval=5 -o ServerAliveCountMax=6"
  NF_GIT_SSH_OF=$NF_OWNER_UID:$PWD
}
NF_GIT_SSH=ssh NF_GIT_SSH_OF=''
NF_NIX_CONFIG='' # settings for the next command

# nf_step_down SECONDS COMMAND...: the same, with the ssh of NF_GIT_SSH.
# sets: NIX_CONFIG (for the command alone)
nf_step_down() {
  nf_step_down_seconds=$1 nf_step_down_config=$NIX_CONFIG
  shift
  # Nix runs git, too
  case $1 in git | nix) if nf_is_stub; then printf '%s\n' "$NF_STUB" >&2; return 127; fi ;; esac
  nf_owners_path
  if [ "$NF_UID" = "$NF_OWNER_UID" ]; then
    # the user's own settings come later, and count more
    if [ -n "$NF_NIX_CONFIG" ]; then NIX_CONFIG=$(printf '%s\n' "$NF_NIX_CONFIG" "$NIX_CONFIG"); fi
  else
    set -- NIX_CONFIG="$(printf '%s\n' "$NF_NIX_CONFIG" "$NF_FEATURES")" "$@" # nothing of root's own
  fi
  set -- env LC_ALL=C LANGUAGE= PATH="$nf_owners_path" GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="$NF_GIT_SSH" \
    GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=30 "$@"
  if [ "$NF_UID" = "$NF_OWNER_UID" ]; then
    :
  elif nf_has setpriv; then
    set -- setpriv --reuid "$NF_OWNER_UID" --regid "$NF_OWNER_GID" --init-groups --reset-env "$@"
  else
    set -- runuser -u "$NF_OWNER" -- env HOME="$NF_OWNER_HOME" USER="$NF_OWNER" LOGNAME="$NF_OWNER" "$@"
  fi
  nf_bounded "$nf_step_down_seconds" "$@"
  nf_step_down_code=$?
  NIX_CONFIG=$nf_step_down_config
  return "$nf_step_down_code"
}

# nf_owner_cat FILE: its content, read as the owner; root does not follow the owner's links. A file that
# is too large for a flake.lock is cut one byte above the limit.
nf_owner_cat() { nf_step_down 20 head -c "$((NF_LOCK_LIMIT + 1))" "$1" 2>/dev/null; }
NF_LOCK_LIMIT=1048576 # as nix/lock.py has it

# sets: nf_owners_path: what root steps down with: the owner's own profiles, which are not in root's PATH.
nf_owners_path() {
  nf_owners_path=$PATH
  if [ "$NF_UID" = "$NF_OWNER_UID" ]; then return; fi
  nf_owners_path=$NF_ROOT/etc/profiles/per-user/$NF_OWNER/bin:$PATH
  if [ -n "$NF_OWNER_HOME" ]; then
    nf_owners_path=$NF_OWNER_HOME/.local/state/nix/profile/bin:$nf_owners_path
    nf_owners_path=$NF_OWNER_HOME/.nix-profile/bin:$nf_owners_path
  fi
  nf_owners_path=$NF_ROOT/run/wrappers/bin:$nf_owners_path
}

# nf_real PATH: its target, behind all links; nothing if the target is missing. An old macOS has no readlink
# that follows links.
nf_real() {
  [ -e "$1" ] || return 1
  readlink -f "$1" 2>/dev/null && return
  nf_real_place=$1
  while [ -L "$nf_real_place" ]; do
    nf_real_target=$(readlink "$nf_real_place")
    case $nf_real_target in
      /*) nf_real_place=$nf_real_target ;;
      *) nf_real_place=${nf_real_place%/*}/$nf_real_target ;;
    esac
  done
  (cd "${nf_real_place%/*}/" && printf '%s/%s\n' "$(pwd -P)" "${nf_real_place##*/}")
}

# A job id becomes part of a path, so check its form strictly.
nf_is_job_id() {
  case $1 in
    *[!0-9a-f-]*) return 1 ;;
    [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]-????) return 0 ;;
    *) return 1 ;;
  esac
}

# nf_eval SECONDS WORD...: nix eval as the checkout's owner, with raw output.
nf_eval() {
  if [ -n "$NF_IDLE" ]; then nf_eval_idly "$@"; return; fi
  nf_eval_seconds=$1
  shift
  nf_as_owner "$nf_eval_seconds" nix --extra-experimental-features 'nix-command flakes' eval --raw "$@"
}

# Nix itself reads flake.lock. `fields` gives, separated by tabs: kind, url, ref, rev, pinned, the input's
# URL up to the commit, which belongs at its end, the secret in the URL: "login" for user information, "query"
# for a query, which no field contains; "any" if the ref need not be a branch; and the locked commit's date;
# or just "missing". `given` gives the URL as it is. nix/refs.py says what a ref is, and for which Nix.
# shellcheck disable=SC2016 # Nix's own $ and quotes
NF_LOCK_NIX='{ lock, input }: let
  file = builtins.fromJSON (builtins.readFile lock);
  follow = key: name: resolve (file.nodes.${key}.inputs.${name});
  resolve = target:
    if builtins.isString target then target else builtins.foldl'"'"' follow file.root target;
  inputs = file.nodes.${file.root}.inputs or { };
  node = file.nodes.${resolve inputs.${input}};
  original = node.original or { };
  forges = { github = "github.com"; gitlab = "gitlab.com"; sourcehut = "git.sr.ht"; };
  kind = original.type or "";
  owner = builtins.replaceStrings [ "%2F" "%2f" ] [ "/" "/" ] original.owner;
  given = if kind == "git" then original.url or ""
    else if forges ? ${kind} then "https://${original.host or forges.${kind}}/${owner}/${original.repo}"
    else "";
  parts = builtins.match "([A-Za-z0-9+.:-]*://)(([^/?#]*)@)?([^?#]*)(.*)" given;
  scheme = builtins.elemAt parts 0;
  user = builtins.elemAt parts 2;
  ssh = builtins.match ".*ssh://" scheme != null;
  name = if user == null || !ssh then "" else builtins.head (builtins.match "([^:]*).*" user) + "@";
  url = if parts == null then given else scheme + name + builtins.elemAt parts 3;
  hides = if parts == null then "" else if builtins.elemAt parts 4 != "" then "query"
    else if user != null && !ssh then "login" else "";
  text = value: if value == true then "1" else if value == false then "0"
    else builtins.replaceStrings
      [ "%" "&" "#" "+" " " ] [ "%25" "%26" "%23" "%2B" "%20" ] (toString value);
  others = builtins.removeAttrs original
    ([ "type" "url" "owner" "repo" "rev" "narHash" ] ++ (if kind == "git" then [ ] else [ "ref" ]));
  query = builtins.concatStringsSep ""
    (map (name: "${name}=${text others.${name}}&") (builtins.attrNames others));
  base = if kind == "git" then (if builtins.match "git\\+.*" url == null then "git+" else "") + url
    else "${kind}:${original.owner or ""}/${original.repo or ""}";
  pin = if hides == "" then "${base}?${query}rev=" else "";
  folder = builtins.match "/.*|file:.*" url != null;
  old = builtins.compareVersions builtins.nixVersion "2.9" < 0 && kind == "git" && !folder;
  ref = original.ref or (if old then "master" else "");
  any = if kind != "git" || builtins.match ".*lix.*" builtins.nixVersion != null then "any" else "";
  date = toString (node.locked.lastModified or 0);
  fields = [ kind url ref (node.locked.rev or "") (original.rev or "") pin hides any date ];
in {
  inherit given;
  fields = if inputs ? ${input} then builtins.concatStringsSep "\t" fields else "missing";
}'

# nf_lock FILE INPUT: the `fields` above from that lock file, read as its owner.
nf_lock() {
  nf_eval 60 --impure --argstr lock "$1" --argstr input "$2" --expr "$NF_LOCK_NIX" fields
}

# sh COMMAND... AND WORDS...: run git WORDS; URL in them stands for the URL that COMMAND prints. Its user
# information goes by git's credential protocol, in the environment of git's own process, which only the
# process's user and root can read. This script runs as that user, and git itself decodes it.
# shellcheck disable=SC2016 # the inner shell expands
NF_ASK_URL='
url=$(part=command
  for word in "$@"; do
    shift
    case $part$word in (commandAND) part=words ;; (command*) set -- "$@" "$word" ;; esac
  done
  exec "$@") || exit
login="" place=$url
case $url in
  http://* | https://*)
    scheme=${url%%://*} place=${url#*://}
    server=${place%%[/?#]*}
    path=${place#"$server"}
    case $server in *@*) login=$scheme://$server server=${server##*@} ;; esac
    place=$scheme://$server$path
    ;;
esac
part=command
for word in "$@"; do
  shift
  case $part$word in
    commandAND) part=words ;;
    command*) ;;
    wordsURL) set -- "$@" "$place" ;;
    *) set -- "$@" "$word" ;;
  esac
done
if [ -z "$login" ]; then exec git "$@"; fi
NF_LOGIN=$(echo "url=$login" | GIT_ASKPASS=true git -c credential.helper= credential fill) || exit
key=credential.$scheme://$server
case $login in
  *://*:*@*)
    export NF_LOGIN
    answer="if [ \"\$1\" = get ]; then printf \"%s\\n\" \"\$NF_LOGIN\"; fi"
    set -- -c credential.helper= -c "$key.helper=!f() { $answer; }; f" "$@"
    ;;
  *) # a name alone: its password is where the owner keeps it
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=$key.username
    GIT_CONFIG_VALUE_0=$(echo "$NF_LOGIN" | sed -n "s/^username=//p")
    export GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0
    ;;
esac
exec git "$@"'
