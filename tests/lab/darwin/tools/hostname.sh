#!/bin/dash
# hostname [-s]: -f is taken, too
case ${1:-} in
  '' | -f) exec /opt/mac/gnu/hostname ;;
  -s) name=$(/opt/mac/gnu/hostname); echo "${name%%.*}" ;;
  *) echo "hostname: illegal option -- ${1#-}" >&2; exit 1 ;;
esac
