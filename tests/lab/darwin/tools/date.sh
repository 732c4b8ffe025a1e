#!/bin/dash
# date [-ju] [-r SECONDS] [+FORMAT]: no -d, -I or %N
refuse() {
  echo "date: illegal option -- $1" >&2
  echo 'usage: date [-jnRu] [-I[FMT]] [-r seconds|file] [-v[+|-]val[y|m|w|d|H|M|S]]' >&2
  exit 1
}
at='' utc='' format='+%a %b %e %H:%M:%S %Z %Y'
while [ $# -gt 0 ]; do
  case $1 in
    -u | -ju | -uj) utc=-u ;;
    -j) ;;
    -r) at=$2; shift ;;
    +*%*N*) format=$(printf %s "$1" | sed 's/%N/N/g; s/%[0-9]N/N/g') ;;
    +*) format=$1 ;;
    --*) refuse - ;;
    -*) letter=${1#-}; refuse "$(printf %.1s "$letter")" ;;
    *) echo "date: illegal time format" >&2; exit 1 ;;
  esac
  shift
done
case $at in
  '') exec /opt/mac/gnu/date $utc "$format" ;;
  *[!0-9]*) exec /opt/mac/gnu/date $utc -r "$at" "$format" ;;
  *) exec /opt/mac/gnu/date $utc -d "@$at" "$format" ;;
esac
