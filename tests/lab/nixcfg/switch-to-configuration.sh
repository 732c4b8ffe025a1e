#!/bin/sh
# switch-to-configuration ACTION: activate @out@, as far as the agent is concerned.
# The knob fail_switch makes it fail as NixOS's fails with that exit code.
fail=@fail@
unit=nixfleet-agent.service
case ${1:-} in
  check) exit 0 ;;
  boot) mkdir -p /boot; echo "@out@" > /boot/lab-default; exit 0 ;;
  dry-activate) echo "would activate the configuration..." >&2; exit 0 ;;
  switch | test) ;;
  *) echo "Usage: $0 [check|switch|boot|test|dry-activate]" >&2; exit 1 ;;
esac

mkdir -p /run/nixos
exec 9> /run/nixos/switch-to-configuration.lock
flock --nonblock 9 || { echo "Could not acquire lock" >&2; exit 1; }

# named FILE: a name and its text a line, of the flat JSON that Nix writes
named() { sed 's/^{//; s/}$//; s/","/"\n"/g' "$1"; }

# What must not change while the system runs. NixOS asks jq: names that both systems have, with other texts.
# When the file was new it held paths, and any difference counted.
inhibited() {
  old=/run/current-system/switch-inhibitors new=@out@/switch-inhibitors
  [ "${NIXOS_NO_CHECK:-}" != 1 ] && [ -f "$old" ] || return 1
  case $(cat "$new") in
    '{'*)
      named "$new" | while IFS= read -r line || [ -n "$line" ]; do
        name=${line%%\":*}
        ! named "$old" | grep -F -e "$name\":" | grep -qvxF -e "$line" || echo "$name"
      done | grep -q .
      ;;
    *) ! cmp -s "$old" "$new" ;;
  esac
}
if inhibited; then fail=inhibited; fi
# the boot loader comes after the checks, and before all else
case $1,$fail in test,* | *,1 | *,inhibited) ;; *) mkdir -p /boot; echo "@out@" > /boot/lab-default ;; esac
/usr/local/libexec/lab/gate switch

if [ "$fail" = inhibited ]; then
  echo "Checking switch inhibitors..." >&2
  echo "There are changes to critical components of the system:" >&2
  diff "$old" "$new" >&2 || :
  echo "Switching into this system is not recommended." >&2
  echo "You probably want to run 'nixos-rebuild boot' and reboot your system instead." >&2
  echo "Pre-switch check 'switchInhibitors' failed" >&2
  echo "Pre-switch checks failed" >&2
  exit 1
fi
if [ "$fail" = 1 ]; then
  echo "Pre-switch check 'lab' failed" >&2
  exit 1
fi
if [ "$fail" = 100 ]; then
  echo "The new configuration has an 'init' that is incompatible with the current configuration." >&2
  echo "The new configuration won't take effect until you reboot the system." >&2
  exit 100
fi

changed=$(cmp -s "@out@/etc/systemd/system/$unit" "/etc/systemd/system/$unit" || echo yes)
active=$(systemctl is-active "$unit")
echo "activating the configuration..." >&2
echo "setting up /etc..."
cp "@out@/etc/systemd/system/$unit" "/etc/systemd/system/$unit"
ln -sfn "@out@" /run/current-system.tmp
mv -T /run/current-system.tmp /run/current-system
[ "$fail" != 2 ] || echo "Activation script snippet 'lab' failed (1)" >&2
[ "$changed$active" != yesactive ] || echo "NOT restarting the following changed units: $unit" >&2
systemctl daemon-reload
systemctl enable -q "$unit"
# Starts what is wanted and not running: also an agent that someone stopped.
systemctl start multi-user.target
[ "$fail" != 4 ] || echo "warning: the following units failed: lab-broken.service" >&2
exit "$fail"
