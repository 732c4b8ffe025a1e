#!/bin/dash
# caffeinate [-disu] [-t SECONDS] [-w PID] [COMMAND...]: holds an assertion until PID or COMMAND ends
pid='' seconds=''
while getopts disut:w: option; do
  case $option in
    t) seconds=$OPTARG ;;
    w) pid=$OPTARG ;;
    [disu]) ;;
    *) echo 'usage: caffeinate [-disu] [-t timeout] [-w Process ID] [command arguments...]' >&2; exit 1 ;;
  esac
done
shift $((OPTIND - 1))
[ $# = 0 ] || exec "$@"
[ -n "$pid" ] || exec sleep "${seconds:-99999999}"
while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
