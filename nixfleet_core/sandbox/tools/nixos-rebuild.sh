# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `nixos-rebuild switch --flake FLAKE#HOST`, as nixos-rebuild-ng does it: it builds itself, then the system
# (two Nix runs), moves the profile, then activates in a unit of its own. Options go to Nix.

tools=${0%/*}
case "${1:-} ${2:-} ${3:-}" in
  'switch --flake '*'#'*) flake=$3; shift 3 ;;
  *)
    printf 'usage: nixos-rebuild [-h] [--flake FLAKE_URI] {switch}\n' >&2
    printf "nixos-rebuild: error: argument {switch}: invalid choice: '%s'\n" "$*" >&2
    exit 2
    ;;
esac

# build WHAT OPTION...: print its store path.
build() {
  place=${flake%%#*}#nixosConfigurations."\"${flake#*#}\"".config.system.build.$1
  shift
  set -- build --print-out-paths "$place" --no-link "$@"
  "$tools/nix" --extra-experimental-features 'nix-command flakes' "$@" && return
  printf '%s\n' "Command 'nix build ${place#"$root"}' returned non-zero exit status 1." >&2
  exit 1
}

build nixos-rebuild "$@" >/dev/null
echo 'building the system configuration...' >&2
out=$(build toplevel "$@") || exit
real=$root${out#"$root"}
"$tools/nix-env" -p "$root/nix/var/nix/profiles/system" --set "$real" || exit
"$tools/systemd-run" --collect --no-ask-password --pipe --quiet --service-type=exec \
  --unit=nixos-rebuild-switch-to-configuration "$real/bin/switch-to-configuration" switch ||
  { code=$?; echo "Command 'systemd-run' returned non-zero exit status $code." >&2; exit "$code"; }
printf 'Done. The new configuration is ' >&2
printf '%s\n' "$out"
