# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# The steps of the highest force levels before the switch. They build and compare the agent's derivation
# alone, nothing else of the system.

NF_AGENT_DRVS=''

# nf_find_agent: puts the agent's derivations into NF_AGENT_DRVS, dependencies first: those that its command
# refers to, and the agent behind a wrapper. Hashes pin the Go modules: no cache can forge them.
# sets: NF_AGENT_DRVS, NF_STEP_REASON
nf_find_agent() {
  if [ -n "$NF_AGENT_DRVS" ]; then return 0; fi
  nf_owner "$NF_ROOT$NF_CHECKOUT" || return
  nf_from_flake nf_agent_refers || return
  # shellcheck disable=SC2046 # a store path is one word
  NF_AGENT_DRVS=$(nf_ask --requisites $(cat "$NF_RUN/agent-refers") |
    grep -E -e '-nixfleet-agent(-[^/]*)?\.drv$' | grep -v -e '-go-modules\.drv$')
  if [ -z "$NF_AGENT_DRVS" ]; then
    nf_fail no-derivation "the configuration does not say which derivation the agent is"
  fi
}

# nf_agent_refers: the derivations to which the agent's command refers go to NF_RUN/agent-refers.
nf_agent_refers() {
  nf_agent_refers_all="builtins.attrNames (builtins.getContext ($(nf_agent_words) start))"
  nf_eval_into "$NF_RUN/agent-refers" --option eval-cache false \
    --apply "start: builtins.concatStringsSep \" \" ($nf_agent_refers_all)" "$(nf_flake)#$(nf_agent_start)"
}

# nf_ask QUERY PATH...: query the store about these paths.
nf_ask() { nf_bounded 60 nix-store --query "$@" 2>>"$NF_LOG"; }

nf_are_valid() { nf_bounded 60 nix-store --check-validity "$@" >/dev/null 2>&1; }

nf_realise() { nf_run nix-store --realise --log-format internal-json "$@"; }

# build-agent: build the agent from source, never from a cache; its build tools may come from caches.
# An agent in the store is not replaced: it is built once more and compared.
nf_do_build() {
  nf_find_agent || return
  for nf_do_build_drv in $NF_AGENT_DRVS; do
    nf_do_build_needs=$(nf_ask --references "$nf_do_build_drv" | grep '\.drv$')
    # shellcheck disable=SC2086 # a store path is one word
    if [ -n "$nf_do_build_needs" ]; then nf_realise $nf_do_build_needs || return; fi
    # shellcheck disable=SC2046 # a store path is one word
    if nf_are_valid $(nf_ask --outputs "$nf_do_build_drv"); then
      nf_compare "$nf_do_build_drv" || return
    else
      nf_realise --option substitute false "$nf_do_build_drv" || return
    fi
  done
}

# sets: NF_STEP_REASON
nf_compare() {
  nf_realise --check "$1"
  nf_compare_code=$?
  if [ "$nf_compare_code" = 0 ]; then
    nf_say "built here once more, the agent has the hash that Nix noted"
  elif nf_said | grep -q 'may not be deterministic'; then
    NF_STEP_REASON=not-reproduced
    nf_say "the agent in the store is not what its source builds here; the system was not rebuilt"
  fi
  return "$nf_compare_code"
}

# repair-agent: compare the installed agent's files with the hashes that Nix noted, and the files of the
# agent to be installed, if the store has it already.
nf_do_repair() {
  nf_see_units 2>/dev/null
  nf_find_agent || return
  # shellcheck disable=SC2086 # a store path is one word
  nf_do_repair_paths=$(nf_ask --outputs $NF_AGENT_DRVS)
  nf_do_repair_rest=${agent_installed#/nix/store/}
  if [ "$nf_do_repair_rest" != "$agent_installed" ]; then
    nf_do_repair_paths="$nf_do_repair_paths /nix/store/${nf_do_repair_rest%%/*}"
  fi
  nf_do_repair_seen=''
  for nf_do_repair_path in $nf_do_repair_paths; do
    case "$nf_do_repair_seen " in *" $nf_do_repair_path "*) continue ;; esac
    nf_do_repair_seen="$nf_do_repair_seen $nf_do_repair_path"
    if nf_are_valid "$nf_do_repair_path"; then nf_repair "$nf_do_repair_path" || return; fi
  done
}

# sets: NF_STEP_REASON
nf_repair() {
  nf_verify_path "$1"
  nf_repair_code=$?
  # 1: the content differs; 4: some of it cannot be read; other codes (a killed command) prove nothing
  case $nf_repair_code in 1 | 4 | 5) ;; *) return "$nf_repair_code" ;; esac
  if nf_cancelled; then return "$nf_repair_code"; fi
  nf_say "$1 is damaged: it is fetched or built again"
  nf_run nix-store --repair-path "$1" && nf_verify_path "$1" && return 0
  NF_STEP_REASON=damaged
  return 1
}

nf_verify_path() { nf_run nix --extra-experimental-features nix-command store verify --no-trust "$1"; }
