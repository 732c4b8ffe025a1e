# shellcheck shell=sh
# What /dev of a root file system has to have.

# make_dev ROOT
make_dev() {
  mount -t tmpfs -o mode=755,size=1m,nosuid dev "$1/dev"
  for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$1/dev/${node%:*}" c 1 "${node#*:}"
  done
  mknod -m 666 "$1/dev/tty" c 5 0
  mkdir "$1/dev/pts" "$1/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/dev/pts"
  ln -s pts/ptmx "$1/dev/ptmx"
  mount -t tmpfs -o mode=1777 shm "$1/dev/shm"
  ln -s /proc/self/fd "$1/dev/fd"
  for fd in stdin:0 stdout:1 stderr:2; do
    ln -s "/proc/self/fd/${fd#*:}" "$1/dev/${fd%:*}"
  done
}
