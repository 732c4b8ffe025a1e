# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds one step of the chain: $lines lines with a $pause after each; the third waits at the gate.
# as nixpkgs' setup.sh says it
echo '@nix {"action":"setPhase","phase":"buildPhase"}' >&"$NIX_LOG_FD"
i=1
while [ "$i" -le "$lines" ]; do
  echo "step $n line $i (agent $version)"
  [ "$pause" = 0.000000 ] || sleep "$pause"
  i=$((i + 1))
done
[ "$n" != 3 ] || /usr/local/libexec/lab/gate build
[ -z "$hungry" ] || tail /dev/zero # takes all the memory there is
if [ -n "$fail" ]; then
  echo "error: undefined reference to nixfleet_main" >&2
  exit 2
fi
echo "$n $after" > "$out"
