#!/bin/sh
# all.sh PYTEST - the whole lab: the chaos suite, which waits more than it works, beside the rest. What it
# prints comes after that of the rest.
set -u
cd "$(dirname "$0")/../.." || exit
pytest=$1
printed=$(mktemp) || exit
trap 'rm -f "$printed"' EXIT
"$pytest" tests/lab/chaos > "$printed" 2>&1 &
chaos=$!
# in the background ctrl-c does not reach it
trap 'kill "$chaos"; wait "$chaos"; exit 130' INT TERM HUP
"$pytest" tests/lab --ignore=tests/lab/chaos
rest=$?
wait "$chaos"
code=$?
cat "$printed"
[ "$rest" = 0 ] && [ "$code" = 0 ]
