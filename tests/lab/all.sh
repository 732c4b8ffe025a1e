#!/bin/sh
# all.sh PYTEST - runs the whole lab, two parts at a time: they wait more than they work. The output of the
# chaos suite and the homes comes after the rest. A test can time out on a busy machine, so failed tests run
# once more, alone, and both outputs are printed. A test that fails again fails the lab.
set -u
cd "$(dirname "$0")/../.." || exit
pytest=$1
kept=$(mktemp -d) || exit
trap 'rm -rf "$kept"' EXIT

# part NAME [OPTION...]
part() {
  name=$1
  shift
  case $name in
    chaos) set -- "$@" tests/lab/chaos ;;
    homes) set -- "$@" tests/lab/test_home_manager.py tests/lab/test_lab_homes.py tests/lab/test_lab_mac.py ;;
    *)
      set -- "$@" tests/lab --ignore=tests/lab/chaos --ignore=tests/lab/test_home_manager.py \
        --ignore=tests/lab/test_lab_homes.py --ignore=tests/lab/test_lab_mac.py
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
} > "$kept/printed" 2>&1 &
beside=$!
trap 'kill "$running" "$beside"; exit 130' INT TERM HUP
part rest
wait "$beside"
cat "$kept/printed"

ended=0
for name in chaos homes rest; do
  if [ "$(cat "$kept/$name.code")" = 1 ]; then
    echo "Once more, alone, what failed of the part $name:"
    part "$name" --last-failed --last-failed-no-failures=none
  fi
  if [ "$(cat "$kept/$name.code")" != 0 ]; then ended=1; fi
done
exit "$ended"
