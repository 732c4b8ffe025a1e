# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `journalctl`: a unit's log, as its lines or in the export format. Each line of the file is an entry; its
# cursor is its number.

unit='' lines='' first=1 follow='' output=cat
while [ $# -gt 0 ]; do
  case $1 in
    --system) exit 0 ;; # everybody may read it
    --unit=* | _SYSTEMD_UNIT=*) unit=${1#*=} ;;
    --lines=*) lines=${1#*=} ;;
    -n) lines=$2; shift ;;
    -o) output=$2; shift ;;
    --output=*) output=${1#*=} ;;
    --cursor=*) first=${1##*=} ;;
    --follow) follow=1 ;;
    -q | --quiet | --no-pager | --no-tail | --output-fields=* | --since=*) ;;
    *) echo "journalctl: unrecognized option '$1'" >&2; exit 1 ;;
  esac
  shift
done
log=$root/var/log/journal/$unit.log

count() { if [ -e "$log" ]; then echo $(($(wc -l <"$log"))); else echo 0; fi; }

# entries FROM TO: these lines in the export format; the file's time is that of its newest line
entries() {
  awk -v from="$1" -v to="$2" -v at="$(date -r "$log" +%s 2>/dev/null || date +%s)" '
    NR >= from && NR <= to {
      printf "__CURSOR=i=%d\n__REALTIME_TIMESTAMP=%d000000\n", NR, at
      printf "PRIORITY=6\nSYSLOG_IDENTIFIER=nixfleet-agent\nMESSAGE=%s\n\n", $0
    }' "$log"
}

if [ "$output" = cat ]; then
  tail -n "${lines:-10}" "$log" 2>/dev/null || :
  exit
fi
last=$(count)
if [ -n "$lines" ] && [ "$lines" -lt "$last" ]; then first=$((last - lines + 1)); fi
while :; do
  if [ "$first" -le "$last" ]; then entries "$first" "$last"; fi
  if [ -z "$follow" ]; then exit; fi
  first=$((last + 1))
  sleep 0.3
  last=$(count)
done
