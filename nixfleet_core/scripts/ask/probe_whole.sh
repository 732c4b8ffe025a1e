# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the parts beside it
# One look at a host (probe.sh), and at the units that run programs of an older system (old_units.sh). A job
# looks so at its end; while it runs, nobody else looks at the units.

probe_whole() {
  printf 'nixfleet-probe 1\n'
  probe_records
  if [ -n "$NF_JOB" ] || ! nf_is_at_work; then put_debt; fi
  printf 'end 0\n'
}
