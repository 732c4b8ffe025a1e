#!/bin/sh
# Stand-in for nixos-rebuild-ng: nixos-rebuild ACTION --flake URI#HOST [nix options]
# As the real one: first builds config.system.build.nixos-rebuild and becomes it; the activation's
# stdout and at last the store path on stdout, all else on stderr; profile before activation; the
# activation runs in a unit of its own, and its exit code is ours.
set -eu

usage() {
  echo "usage: nixos-rebuild [-h] {switch,boot,test,build,dry-build,dry-activate} ..." >&2
  echo "nixos-rebuild: error: $1" >&2
  exit 2
}

# Run a command; say what failed as the real one does, and leave with its exit code. Of one that a
# signal killed Python takes the signal's number from 256.
run() {
  rc=0
  "$@" || rc=$?
  [ "$rc" != 0 ] || return 0
  if [ "$rc" -gt 128 ] && [ "$rc" -le 192 ]; then
    echo "Command '$*' died with signal $((rc - 128))." >&2
    exit "$((256 + 128 - rc))"
  fi
  echo "Command '$*' returned non-zero exit status $rc." >&2
  exit "$rc"
}

# build ATTRIBUTE: the store path is left in $out
build() {
  # shellcheck disable=SC2086 # the options are words without blanks
  run nix --extra-experimental-features 'nix-command flakes' build $options \
    --out-link "$tmp/result" "$flake#nixosConfigurations.\"$host\".$1" >&2
  out=$(readlink -f "$tmp/result")
}

original=$(printf '%s\n' "$@")
action='' flake='' host='' special='' options='' reexec=${_NIXOS_REBUILD_REEXEC:+no}
while [ $# -gt 0 ]; do
  case $1 in
    switch | boot | test | build | dry-build | dry-activate) action=$1 ;;
    --flake) flake=${2%%#*} host=${2#*#}; [ "$host" != "$2" ] || host=$(hostname); shift ;;
    --flake=*) usage "argument --flake: give it as two words here" ;;
    --option) options="$options --option $2 $3"; shift 2 ;;
    --log-format | --max-jobs | -j | --cores) options="$options $1 $2"; shift ;;
    -L | --print-build-logs | --show-trace | --verbose | -v | --impure | --refresh | --fallback | \
      --keep-going | -k | --offline | --repair) options="$options $1" ;;
    --no-reexec | --fast) reexec=no ;;
    --sudo | --use-remote-sudo) ;;
    --specialisation | -c) special=$2; shift ;;
    *) usage "unrecognized arguments: $1" ;;
  esac
  shift
done
[ -n "$action" ] || usage "the following arguments are required: action"
[ -n "$flake" ] || usage "the lab only knows flakes: --flake URI#HOST"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [ "$reexec" != no ]; then
  build config.system.build.nixos-rebuild
  rm -rf "$tmp"
  IFS='
'
  # shellcheck disable=SC2086 # one word a line
  _NIXOS_REBUILD_REEXEC=1 exec "$out/bin/nixos-rebuild" $original
fi

echo "building the system configuration..." >&2
build config.system.build.toplevel
case $action in
  dry-build) exit 0 ;;
  build) ln -sfn "$out" result ;;
esac
run test -f "$out/nixos-version"
case $action in
  switch | boot) run nix-env -p /nix/var/nix/profiles/system --set "$out" >&2 ;;
esac
if [ "$action" != build ]; then
  if [ -n "$special" ]; then
    [ -d "$out/specialisation/$special" ] || { echo "error: specialisation not found: $special" >&2; exit 1; }
  fi
  run test -d /run/systemd/system
  run systemd-run -E LOCALE_ARCHIVE -E NIXOS_INSTALL_BOOTLOADER --collect --no-ask-password --pipe \
    --quiet --service-type=exec --unit=nixos-rebuild-switch-to-configuration \
    "$out${special:+/specialisation/$special}/bin/switch-to-configuration" "$action"
fi
printf 'Done. The new configuration is ' >&2
echo "$out"
