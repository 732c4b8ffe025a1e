#!/bin/sh
# all.sh PYTEST - the whole lab, in two parts at once: they wait more than they work. What the chaos suite
# prints comes after that of the rest. On a machine that is short of time a test can wait in vain: what
# failed is run once more, alone, and both are printed; what fails again fails the lab.
set -u
cd "$(dirname "$0")/../.." || exit
pytest=$1
kept=$(mktemp -d) || exit
trap 'rm -rf "$kept"' EXIT

# part NAME WORD...
part() {
  name=$1
  shift
  "$pytest" -o cache_dir="$kept/$name" "$@"
}

# again NAME WORD...
again() {
  echo "Once more, alone, what failed of the $1:"
  part "$@" --last-failed --last-failed-no-failures=none
}

part 'chaos suite' tests/lab/chaos > "$kept/printed" 2>&1 &
chaos=$!
# in the background ctrl-c does not reach it
trap 'kill "$chaos"; wait; exit 130' INT TERM HUP
part rest tests/lab --ignore=tests/lab/chaos
rest=$?
wait "$chaos"
code=$?
cat "$kept/printed"
if [ "$rest" = 1 ]; then
  again rest tests/lab --ignore=tests/lab/chaos
  rest=$?
fi
if [ "$code" = 1 ]; then
  again 'chaos suite' tests/lab/chaos
  code=$?
fi
[ "$rest" = 0 ] && [ "$code" = 0 ]
