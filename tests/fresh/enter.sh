#!/bin/sh
# enter.sh LOWER FOLDER WORD... - run a command as `newcomer` in a root file system, in namespaces of its own.
#   LOWER   the root file system; what is written to it goes to memory, and is gone at the end
#   FOLDER  tree.tar, the project, which becomes ~/nixfleet; binds, lines OUTSIDE<tab>INSIDE of what else is
#           seen there; mnt, an empty folder
# All that the command starts ends with it: this is process 1 there.
set -eu
if [ -z "${FRESH_INSIDE:-}" ]; then
  FRESH_INSIDE=1 exec unshare --mount --propagation private --pid --fork --kill-child --ipc --uts "$0" "$@"
fi
unset FRESH_INSIDE
lower=$1 folder=$2
shift 2

hostname fresh
memory=$folder/mnt
root=$memory/root
mount -t tmpfs -o mode=755 fresh "$memory"
mkdir "$memory/upper" "$memory/work" "$root"
mount -t overlay -o "lowerdir=$lower,upperdir=$memory/upper,workdir=$memory/work" fresh "$root"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
# shellcheck source=tests/lab/dev.sh
. "$(dirname "$0")/../lab/dev.sh"
make_dev "$root"

tab=$(printf '\t')
while IFS=$tab read -r outside inside; do
  if [ -d "$outside" ]; then
    mkdir -p "$root$inside"
  else
    mkdir -p "$(dirname "$root$inside")"
    [ -e "$root$inside" ] || : > "$root$inside"
  fi
  mount --bind "$outside" "$root$inside"
done < "$folder/binds"

home=$root/home/newcomer
mkdir "$home/nixfleet"
tar -x -f "$folder/tree.tar" -C "$home/nixfleet"
chown -R 1000:1000 "$home/nixfleet"
for made in .cache .config; do
  [ ! -e "$home/$made" ] || chown 1000:1000 "$home/$made"
done

cd "$root"
mkdir .old
pivot_root . .old
cd /home/newcomer/nixfleet
umount -l /.old
rmdir /.old
# not exec: who is process 1 buries the orphans
setpriv --reuid 1000 --regid 1000 --init-groups --bounding-set=-all -- "$@"
