#!/bin/dash
# One program by many names: Debian's tool of that name, without the options that a Mac's lacks.
name=${0##*/}
refuse() { echo "$name: illegal option -- $1" >&2; exit 1; }
case $name in
  readlink) lacks='*[fem]*' ;;
  grep) lacks='*P*' ;;
  mv | cp | ln) lacks='*[Tt]*' ;;
  xargs) lacks='*d*' ;;
  sleep) lacks='*' ;;
  ls | cat) lacks='*Z*' ;;
  *) lacks='' ;;
esac
for word; do
  case $name$word in
    find-printf | find-readable | find-writable | find-executable)
      echo "find: $word: unknown primary or operator" >&2; exit 1 ;;
    sleepinf*) echo 'usage: sleep number[unit] [...]' >&2; exit 1 ;;
    find*) continue ;;
  esac
  # shellcheck disable=SC2254 # a pattern is meant
  case $word in
    --) break ;;
    --*) [ "$name" = grep ] || refuse - ;;
    -?*) case ${word#-} in $lacks) refuse "${word#-}" ;; esac ;;
    *) break ;; # options end here: nothing is sorted to the front
  esac
done
[ "$name" = xargs ] || [ "$name" = find ] || export POSIXLY_CORRECT=1
exec "/opt/mac/gnu/$name" "$@"
