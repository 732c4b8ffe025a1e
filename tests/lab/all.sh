#!/bin/sh
# all.sh PYTEST - the whole lab, in three parts at once: they wait more than they work. What the first two
# print comes at the end.
set -u
cd "$(dirname "$0")/../.." || exit
pytest=$1
homes='tests/lab/test_home_manager.py tests/lab/test_lab_homes.py tests/lab/test_lab_mac.py'
printed=$(mktemp -d) || exit
trap 'rm -rf "$printed"' EXIT
"$pytest" tests/lab/chaos > "$printed/chaos" 2>&1 &
chaos=$!
# shellcheck disable=SC2086 # names without blanks
"$pytest" $homes > "$printed/homes" 2>&1 &
mac=$!
# in the background ctrl-c does not reach them
trap 'kill "$chaos" "$mac"; wait; exit 130' INT TERM HUP
set -- "$pytest" tests/lab --ignore=tests/lab/chaos
for file in $homes; do set -- "$@" --ignore="$file"; done
"$@"
codes=$?
for part in "$chaos" "$mac"; do
  wait "$part"
  codes=$codes$?
done
cat "$printed/chaos" "$printed/homes"
[ "$codes" = 000 ]
