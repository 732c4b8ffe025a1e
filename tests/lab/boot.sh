#!/bin/sh
# boot.sh NAME DIR LAYERS CGROUP - become the systemd of host NAME. Started as process 1 of new pid,
# mount, uts and ipc namespaces, in the host's network namespace.
#   DIR     the host's folder: upper, work, root, notify (the socket systemd reports to)
#   LAYERS  read-only layers under DIR/upper, topmost first, as overlay wants them
#   CGROUP  the host's own cgroup
set -eu
name=$1 dir=$2 layers=$3 cgroup=$4
root=$dir/root

# The cgroup a process is in when it makes a cgroup namespace becomes that namespace's root.
if [ -z "${LAB_IN_CGROUP:-}" ]; then
  echo 0 > "$cgroup/cgroup.procs"
  LAB_IN_CGROUP=1 exec unshare --cgroup "$0" "$@"
fi

hostname "$name"
mount --make-rprivate /
mount -t overlay -o "lowerdir=$layers,upperdir=$dir/upper,workdir=$dir/work" "$name" "$root"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"

# shellcheck source=tests/lab/dev.sh
. "$(dirname "$0")/dev.sh"
make_dev "$root"
mknod -m 600 "$root/dev/console" c 1 3

mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
mkdir -p "$root/run/host" "$root/run/lab" "$root/run/lock"
: > "$root/run/host/notify"
mount --bind "$dir/notify" "$root/run/host/notify"
# The kernel's boot id is the same in every namespace; a host that boots has a new one.
cat /proc/sys/kernel/random/uuid > "$root/run/host/boot_id"
mount --bind "$root/run/host/boot_id" "$root/proc/sys/kernel/random/boot_id"

cd "$root"
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lab NOTIFY_SOCKET=/run/host/notify \
  setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog \
  /lib/systemd/systemd --system --unit=multi-user.target --show-status=false < /dev/null
