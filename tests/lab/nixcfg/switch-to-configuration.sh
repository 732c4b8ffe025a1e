#!/bin/sh
# switch-to-configuration ACTION: activate @out@, as far as the agent is concerned.
# The knob fail_switch makes it fail as NixOS's fails with that exit code.
fail=@fail@
unit=nixfleet-agent.service
case ${1:-} in
  boot | check) exit 0 ;;
  dry-activate) echo "would activate the configuration..." >&2; exit 0 ;;
  switch | test) ;;
  *) echo "Usage: $0 [check|switch|boot|test|dry-activate]" >&2; exit 1 ;;
esac

mkdir -p /run/nixos
exec 9> /run/nixos/switch-to-configuration.lock
flock --nonblock 9 || { echo "Could not acquire lock" >&2; exit 1; }
/usr/local/libexec/lab/gate switch

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
