#!/bin/sh
# view.sh COMMAND... - run a command that sees this host as a Mac: its tools only, no /run, and of /proc no
# more than Linux's Nix must have: itself. Of the user's folders in LAB_KEPT it can read nothing.
set -eu
if [ -z "${LAB_VIEW:-}" ]; then
  LAB_VIEW=1 exec unshare --mount --propagation slave "$0" "$@"
fi
unset LAB_VIEW
for folder in ${LAB_KEPT:-}; do
  kept=/Users/markus/$folder
  [ -d "$kept" ] || continue
  mount -t tmpfs -o mode=755 none /mnt
  cp -a "$kept" /mnt/
  chmod -R a=X "/mnt/$folder"
  mount --bind "/mnt/$folder" "$kept"
  umount --lazy /mnt
done
export PATH=/opt/mac/gnu
mount --rbind /proc /opt/mac/proc
mount --rbind /run /opt/mac/run
mount --bind /opt/mac/bin /usr/bin
mount --bind /opt/mac/sbin /usr/sbin
mount -t tmpfs -o size=64k,mode=755 none /run
mkdir /run/lab /run/sshd
mount --rbind /opt/mac/run/lab /run/lab
mount -t tmpfs -o size=64k,mode=755 none /proc
ln -s /opt/mac/proc/self /opt/mac/proc/stat /proc/
mount -o remount,ro /proc
[ -z "${NOTIFY_SOCKET:-}" ] || export "NOTIFY_SOCKET=/opt/mac$NOTIFY_SOCKET"
PATH=/usr/bin:/bin:/usr/sbin:/sbin
exec "$@"
