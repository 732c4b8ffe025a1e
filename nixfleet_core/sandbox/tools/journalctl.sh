# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `journalctl`: the last lines of a unit's log.

case "$*" in
  '--quiet --no-pager --lines='*) lines=${3#*=} unit=${4#*=} ;;
  '-q -o cat -n '*) lines=$5 unit=${6#*=} ;;
  *) echo "journalctl: unrecognized option '${1:-}'" >&2; exit 1 ;;
esac
tail -n "$lines" "$root/var/log/journal/$unit.log" 2>/dev/null || :
