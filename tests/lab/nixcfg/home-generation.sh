# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds a Home Manager generation: the files it puts into the home, and their activation.
mkdir "$out"
echo 1 > "$out/gen-version"
echo "$chain" > "$out/lab"
ln -s "$files" "$out/home-files"
[ ! -d "$files/LaunchAgents" ] || ln -s "$files/LaunchAgents" "$out/LaunchAgents"
[ ! -d "$files/LaunchAgents" ] || ln -s "$files/LaunchAgentDomains" "$out/LaunchAgentDomains"
ln -s "$packages" "$out/home-path"
sed -e "s|@out@|$out|g" -e "s|@packages@|$packages|g" -e "s|@files@|$files|g" \
  -e "s|@fail@|$fail_switch|g" -e "s|@restart@|$restart|g" "$activate" > "$out/activate"
chmod +x "$out/activate"
