#!/bin/dash
# sed: -i wants a suffix, which may be empty: sed -i '' ...
export POSIXLY_CORRECT=1
case ${1:-} in
  -i)
    suffix=$2
    shift 2
    [ $# -gt 0 ] || { echo 'usage: sed script [-EHalnru] [-i extension] [file ...]' >&2; exit 1; }
    exec /opt/mac/gnu/sed -i"$suffix" "$@" ;;
  --*) echo 'sed: illegal option -- -' >&2; exit 1 ;;
  -z | -s | -zE | -Ez) echo "sed: illegal option -- ${1#-}" >&2; exit 1 ;;
esac
exec /opt/mac/gnu/sed "$@"
