#!/bin/dash
# sysctl [-n] NAME...: what tells one boot from the next, and the machine
quiet=''
[ "${1:-}" != -n ] || { quiet=yes; shift; }
for name; do
  case $name in
    kern.bootsessionuuid) value=$(tr a-f A-F < /opt/mac/proc/sys/kernel/random/boot_id) ;;
    kern.boottime)
      # of this host: Linux's own is the machine's
      seconds=$(awk '$1 == "btime" { boot = $2 } NF > 40 { ticks = $22 } END { print boot + int(ticks / 100) }' \
        /opt/mac/proc/stat /opt/mac/proc/1/stat)
      value="{ sec = $seconds, usec = 0 } $(LC_ALL=C date -r "$seconds")" ;;
    kern.hostname) value=$(hostname) ;;
    kern.osrelease) value=$(uname -r) ;;
    hw.ncpu | hw.logicalcpu) value=2 ;;
    hw.memsize) value=17179869184 ;;
    *) echo "sysctl: unknown oid '$name'" >&2; exit 1 ;;
  esac
  echo "${quiet:-$name: }$value" | sed 's/^yes//'
done
