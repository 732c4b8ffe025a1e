# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `nix-env -p PROFILE --set PATH`: add a generation, unless the newest one is the same;
# `nix-env -p PROFILE --switch-generation NUMBER`: go to one that is there.

refuse() { echo "error: $1" >&2; exit 1; }

profile=$root${2#"$root"}
case $1,$3,$# in
  -p,--set,4) target=$(cd "$root${4#"$root"}" && pwd -P) || exit ;;
  -p,--switch-generation,4)
    [ -L "$profile-$4-link" ] || refuse "profile version $4 does not exist"
    ln -sfn "${profile##*/}-$4-link" "$profile"
    exit
    ;;
  *) refuse 'no operation specified' ;;
esac
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
