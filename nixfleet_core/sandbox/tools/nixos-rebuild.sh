# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `nixos-rebuild switch`, as nixos-rebuild-ng does it: two Nix runs (its own newer self, then the system), the profile
# moved before the activation, and the activation in a unit of its own.

tools=${0%/*}
action=${1:-} flake='' unknown=''
if [ $# -gt 0 ]; then shift; fi

# What is not its own goes to Nix: $@ is rotated once.
count=$#
while [ "$count" -gt 0 ]; do
  option=$1 words=1
  case $option in
    --flake) flake=$2; shift 2; count=$((count - 2)); continue ;;
    --option) words=3 ;;
    --log-format | --max-jobs | --cores) words=2 ;;
    --fallback) ;;
    *) unknown="$unknown $option" ;;
  esac
  count=$((count - words))
  while [ "$words" -gt 0 ]; do
    set -- "$@" "$1"
    shift
    words=$((words - 1))
  done
done

usage() {
  printf 'usage: nixos-rebuild [-h] [--flake FLAKE_URI] {switch}\nnixos-rebuild: error: %s\n' "$1" >&2
  exit 2
}
if [ "$action" != switch ]; then usage "argument {switch}: invalid choice: '$action'"; fi
if [ -n "$unknown" ]; then usage "unrecognized arguments:$unknown"; fi

# build WHAT OPTION...: print its store path.
build() {
  attribute="nixosConfigurations.\"${flake#*#}\".config.system.build.$1"
  shift
  "$tools/nix" --extra-experimental-features 'nix-command flakes' build --print-out-paths \
    "${flake%%#*}#$attribute" --no-link "$@" && return
  printf '%s\n' "Command 'nix --extra-experimental-features nix-command flakes build --print-out-paths ${flake#"$root"}' \
returned non-zero exit status 1." >&2
  exit 1
}

build nixos-rebuild "$@" >/dev/null
echo 'building the system configuration...' >&2
out=$(build toplevel "$@") || exit
real=$root${out#"$root"}
"$tools/nix-env" -p "$root/nix/var/nix/profiles/system" --set "$real" || exit
"$tools/systemd-run" --collect --no-ask-password --pipe --quiet --service-type=exec \
  --unit=nixos-rebuild-switch-to-configuration "$real/bin/switch-to-configuration" switch || {
  code=$?
  echo "Command 'systemd-run $out/bin/switch-to-configuration switch' returned non-zero exit status $code." >&2
  exit "$code"
}
printf 'Done. The new configuration is ' >&2
printf '%s\n' "$out"
