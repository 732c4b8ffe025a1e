#!/bin/bash
# Stand-in for home-manager: home-manager {switch|build} [-b EXT] [--flake URI[#NAME]] [nix options], and
# generations. As the real one: it is a script of bash, so it removes its temporary folder also when a signal
# ends it; activates through its own link in that folder; rejects --fallback, --quiet and --offline; the profile
# moves before the activation, whose exit code is ours; the news are built last, and without them it fails after
# all is done. It turns no feature of Nix on.
set -eu
: "${USER:?}"
[ ! -d /opt/mac/gnu ] || PATH=/opt/mac/gnu:$PATH # the real one brings GNU's tools along

profile=${XDG_STATE_HOME:-$HOME/.local/state}/nix/profiles/home-manager

# nix reads the attribute as part of a URL
encoded() { printf %s "$1" | sed -e 's/%/%25/g' -e 's/@/%40/g' -e 's/ /%20/g'; }

# The user's name, or the last that the flake has of its names with the host's: long, then short.
found_name() {
  name=$USER
  for candidate in "$USER@$(hostname -f)" "$USER@$(hostname)" "$USER@$(hostname -s)"; do
    [ "$(nix eval "$flake#homeConfigurations" --apply "x: x ? \"$candidate\"" 2>/dev/null)" != true ] ||
      name=$candidate
  done
  echo "$name"
}

# build ATTRIBUTE LINK [OPTION]: the store path is left in $out
build() {
  # shellcheck disable=SC2086 # the options are words without blanks
  nix build $options ${3:-} --out-link "$tmp/$2" "$flake#homeConfigurations.\"$(encoded "$name")\".$1" >&2
  out=$(readlink "$tmp/$2")
}

# Newest first.
generations() {
  current=$(readlink "$profile")
  for link in "$profile"-*-link; do
    number=${link#"$profile-"}
    echo "${number%-link}"
  done | sort -rn | while read -r number; do
    link=$profile-$number-link mark=''
    [ "${link##*/}" != "${current##*/}" ] || mark=' (current)'
    # shellcheck disable=SC2012 # the link's own time; its name is known
    echo "$(LC_ALL=C ls -ld --time-style='+%Y-%m-%d %H:%M' "$link" | cut -d ' ' -f 6,7) : id $number -> $(readlink "$link")$mark"
  done
}

action='' flake="${XDG_CONFIG_HOME:-$HOME/.config}/home-manager" name='' options=''
while [ $# -gt 0 ]; do
  case $1 in
    switch | build | generations) action=$1 ;;
    --version) echo 26.11-pre; exit 0 ;;
    --flake) flake=${2%%#*} name=${2#*#}; [ "$name" != "$2" ] || name=''; shift ;;
    -b) export HOME_MANAGER_BACKUP_EXT="$2"; shift ;;
    --option) options="$options --option $2 $3"; shift 2 ;;
    --log-format | -j | --max-jobs | --cores) options="$options $1 $2"; shift ;;
    --refresh | --keep-going | --substitute | --no-substitute | --impure | -L | --print-build-logs | \
      -v | --verbose | --show-trace) options="$options $1" ;;
    *) echo "home-manager: unknown option '$1'" >&2; exit 1 ;;
  esac
  shift
done
case $action in
  '') echo "home-manager: no command" >&2; exit 1 ;;
  generations) generations; exit 0 ;;
esac

tmp=$(mktemp -d "${TMPDIR:-/tmp}/home-manager-build.XXXXXXXXXX")
trap 'rm -r "$tmp"' EXIT
name=${name:-$(found_name)}
build activationPackage generation
[ "$action" != build ] || { ln -sfn "$out" result; exit 0; }
mkdir -p "${profile%/*}"
[ "$(readlink "${profile%/*}/$(readlink "$profile" || :)" || :)" = "$out" ] ||
  nix-env --profile "$profile" --set "$out"
"$tmp/generation/activate" --driver-version 1
build config.news.json.output news --quiet
