# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `journalctl`: the last lines of a unit's log.

lines='' unit=''
while [ $# -gt 0 ]; do
  case $1 in
    -q | --quiet | --no-pager) ;;
    -o) shift ;; # cat: the lines alone
    -n) lines=$2; shift ;;
    --lines=*) lines=${1#*=} ;;
    --unit=* | _SYSTEMD_UNIT=*) unit=${1#*=} ;;
    *) echo "journalctl: unrecognized option '$1'" >&2; exit 1 ;;
  esac
  shift
done
tail -n "$lines" "$root/var/log/journal/$unit.log" 2>/dev/null || :
