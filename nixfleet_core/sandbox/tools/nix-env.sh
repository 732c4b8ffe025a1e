# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `nix-env -p PROFILE --set PATH`: add a generation, unless the last one is the same.

case $1,$3,$# in
  -p,--set,4) ;;
  *) echo 'error: no operation specified' >&2; exit 1 ;;
esac
profile=$root${2#"$root"} target=$root${4#"$root"}
target=$(cd "$target" && pwd -P) || exit
last=0
for link in "$profile"-*-link; do
  number=${link#"$profile"-} number=${number%-link}
  case $number in *[!0-9]*) ;; *) if [ "$number" -gt "$last" ]; then last=$number; fi ;; esac
done
if [ "$(readlink "$profile-$last-link")" != "$target" ]; then
  last=$((last + 1))
  ln -s "$target" "$profile-$last-link" || exit
fi
ln -sfn "${profile##*/}-$last-link" "$profile"
