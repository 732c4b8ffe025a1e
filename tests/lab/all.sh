#!/bin/sh
# all.sh PYTEST - runs the whole lab in two halves at a time, about as long as each other. The output of the
# chaos suite, the homes and the ways in comes after the rest. A test can time out on a busy machine, so failed
# tests run once more, alone, and both outputs are printed. A test that fails again fails the lab.
set -u
cd "$(dirname "$0")/../.." || exit
pytest=$1
kept=$(mktemp -d) || exit
trap 'rm -rf "$kept"' EXIT

homes='test_home_manager test_lab_homes test_lab_mac'
ways_in='test_roots test_ssh_options test_unreached test_login_shells test_many_hosts'

# part NAME [OPTION...]
part() {
  name=$1
  shift
  case $name in
    chaos) set -- "$@" tests/lab/chaos ;;
    homes) for file in $homes; do set -- "$@" "tests/lab/$file.py"; done ;;
    ways-in) for file in $ways_in; do set -- "$@" "tests/lab/$file.py"; done ;;
    *)
      set -- "$@" tests/lab --ignore=tests/lab/chaos
      for file in $homes $ways_in; do set -- "$@" "--ignore=tests/lab/$file.py"; done
      ;;
  esac
  "$pytest" -o cache_dir="$kept/$name.cache" "$@" &
  running=$!
  wait "$running"
  echo $? > "$kept/$name.code"
}

# ctrl-c does not reach the background; a killed lab removes itself
{
  trap 'kill "$running"; exit 143' TERM
  part chaos
  part homes
  part ways-in
} > "$kept/printed" 2>&1 &
beside=$!
trap 'kill "$running" "$beside"; exit 130' INT TERM HUP
part rest
wait "$beside"
cat "$kept/printed"

ended=0
for name in chaos homes ways-in rest; do
  if [ "$(cat "$kept/$name.code")" = 1 ]; then
    echo "Once more, alone, what failed of the part $name:"
    part "$name" --last-failed --last-failed-no-failures=none
  fi
  if [ "$(cat "$kept/$name.code")" != 0 ]; then ended=1; fi
done
exit "$ended"
