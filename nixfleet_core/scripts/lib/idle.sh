# shellcheck shell=sh
# An evaluation that no operator waits for (NF_IDLE=1, from the prelude): only while nobody else needs the
# host, with the lowest priority, within limits of time and memory, and without the network.

NF_IDLE_FREE_KIB=2097152
NF_IDLE_HEAP=2147483648 # bytes, for the collector of Nix's evaluator

# nf_eval_idly SECONDS WORD...: as nf_eval. Code 75: not now.
nf_eval_idly() {
  if ! nf_is_idle; then return 75; fi
  renice -n 19 -p "$$" >/dev/null 2>&1
  if nf_has ionice; then ionice -c 3 -p "$$" 2>/dev/null; fi
  if nf_has taskpolicy; then taskpolicy -b -p "$$" 2>/dev/null; fi
  nf_eval_idly_seconds=$1
  shift
  (
    # Linux also bounds all that the process maps; a Mac does not
    # shellcheck disable=SC3045 # in all shells
    ulimit -v "$((NF_IDLE_FREE_KIB * 3))" 2>/dev/null
    GC_MAXIMUM_HEAP_SIZE=$NF_IDLE_HEAP
    export GC_MAXIMUM_HEAP_SIZE
    nf_as_owner "$nf_eval_idly_seconds" nix --extra-experimental-features 'nix-command flakes' --offline \
      --option allow-import-from-derivation false eval --raw "$@"
  )
}

# nf_is_idle: true if memory is free, the load is below the number of cores, and no job runs.
nf_is_idle() {
  if nf_job_lives; then return 1; fi
  nf_is_idle_cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || return 1
  case $NF_KERNEL in
    Darwin)
      nf_is_idle_free=$(($(sysctl -n kern.memorystatus_level) * $(sysctl -n hw.memsize) / 102400))
      nf_is_idle_load=$(sysctl -n vm.loadavg)
      nf_is_idle_load=${nf_is_idle_load#'{ '}
      ;;
    *)
      nf_is_idle_free=$(awk '/^MemAvailable:/ {print $2}' "$NF_ROOT/proc/meminfo")
      read -r nf_is_idle_load <"$NF_ROOT/proc/loadavg"
      ;;
  esac 2>/dev/null
  nf_is_idle_load=${nf_is_idle_load%%[.,]*} # whole numbers are enough
  case $nf_is_idle_load,$nf_is_idle_free,$nf_is_idle_cores in
    *[!0-9,]* | ,* | *, | *,,*) return 1 ;;
  esac
  [ "$nf_is_idle_free" -ge "$NF_IDLE_FREE_KIB" ] && [ "$nf_is_idle_load" -lt "$nf_is_idle_cores" ]
}
