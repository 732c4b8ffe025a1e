# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds a system: the unit that names the agent, switch-to-configuration, and what sw/bin has.
mkdir -p "$out/bin" "$out/sw/bin" "$out/etc/systemd/system"
fill() { sed -e "s|@out@|$out|g" -e "s|@agent@|$agent|g" -e "s|@fail@|$fail_switch|g" "$1"; }

printf '26.05.lab (Yarara)' > "$out/nixos-version"
echo "$host $chain $special" > "$out/lab"
printf '%s' "$inhibitors" > "$out/switch-inhibitors"
if [ -n "$specialised" ]; then
  mkdir "$out/specialisation"
  ln -s "$specialised" "$out/specialisation/$specialisation"
fi
# systemd has it from its own sources; a switch to another one has to wait for the boot
[ "$fail_switch" = 100 ] && init='systemd 3' || init='systemd 2'
printf '%s' "$init" > "$out/init-interface-version"
fill "$unit" > "$out/etc/systemd/system/nixfleet-agent.service"
fill "$switch" > "$out/bin/switch-to-configuration"
cat > "$out/sw/bin/nixos-version" <<'SH'
#!/bin/sh
case ${1:-} in
  --json) echo '{"configurationRevision":"@revision@","nixosVersion":"26.05.lab"}' ;;
  *) echo '26.05.lab (Yarara)' ;;
esac
SH
sed -i "s/@revision@/$revision/" "$out/sw/bin/nixos-version"
ln -s "$rebuilder/bin/nixos-rebuild" "$out/sw/bin/nixos-rebuild"
chmod +x "$out/bin/switch-to-configuration" "$out/sw/bin/nixos-version"
