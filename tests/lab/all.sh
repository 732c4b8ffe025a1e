#!/bin/sh
# all.sh PYTEST - runs the whole lab. Three workers, each with a fleet of its own, take file after file, those
# with the most tests first; one of them gets the chaos suite, which has a pool of its own. A test can time out
# on a busy machine, so failed tests run once more, alone. A test that fails again fails the lab.
set -u
cd "$(dirname "$0")/../.." || exit
pytest=$1
kept=$(mktemp -d) || exit
trap 'rm -rf "$kept"' EXIT
# ctrl-c does not reach the background; a killed lab removes itself
trap 'kill "$running"; exit 130' INT TERM HUP

# run [OPTION...]
run() {
  "$pytest" -o cache_dir="$kept" "$@" tests/lab &
  running=$!
  wait "$running"
}

run --numprocesses 3 --dist loadfile && exit
ended=$?
[ "$ended" = 1 ] || exit "$ended"
echo 'Once more, alone, what failed:'
run --last-failed --last-failed-no-failures=none
