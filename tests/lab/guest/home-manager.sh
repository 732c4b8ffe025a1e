#!/bin/sh
# Stand-in for home-manager: home-manager {switch|build} --flake URI#NAME [nix options]
# As the real one: rejects --fallback, --quiet and --offline; the profile moves before the activation,
# whose exit code is ours; the news are built last, and without them it fails after all is done.
set -eu
: "${USER:?}"

# build ATTRIBUTE: the store path is left in $out
build() {
  # shellcheck disable=SC2086 # the options are words without blanks
  nix --extra-experimental-features 'nix-command flakes' build $options \
    --out-link "$tmp/result" "$flake#homeConfigurations.\"$name\".$1" >&2
  out=$(readlink -f "$tmp/result")
}

action='' flake='' name='' options=''
while [ $# -gt 0 ]; do
  case $1 in
    switch | build) action=$1 ;;
    --flake) flake=${2%%#*} name=${2#*#}; [ "$name" != "$2" ] || name=$USER@$(hostname); shift ;;
    --option) options="$options --option $2 $3"; shift 2 ;;
    --log-format | -j | --max-jobs | --cores) options="$options $1 $2"; shift ;;
    --refresh | --keep-going | --substitute | --no-substitute | --impure | -L | -v | --show-trace)
      options="$options $1" ;;
    *) echo "home-manager: unknown option '$1'" >&2; exit 1 ;;
  esac
  shift
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
build activationPackage
[ "$action" != build ] || { ln -sfn "$out" result; exit 0; }
profiles=${XDG_STATE_HOME:-$HOME/.local/state}/nix/profiles
mkdir -p "$profiles"
[ "$(readlink -f "$profiles/home-manager")" = "$out" ] || nix-env -p "$profiles/home-manager" --set "$out"
"$out/activate"
build config.news.json.output
