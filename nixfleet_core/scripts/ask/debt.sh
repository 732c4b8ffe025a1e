# shellcheck shell=sh
# shellcheck disable=SC2154 # its variables come from the parts beside it
# Which units of the host run programs of an older system (old_units.sh), as records of a probe. While a job
# runs, it does not look: "job.running" then says which one.

debt() {
  printf 'nixfleet-probe 1\n'
  put platform "$NF_PLATFORM"
  put manager "$NF_MANAGER"
  put uid "$NF_UID"
  put user "$NF_USER"
  if nf_is_at_work; then
    put job.running "$(nf_current_job)"
  else
    put_debt
  fi
  printf 'end 0\n'
}
