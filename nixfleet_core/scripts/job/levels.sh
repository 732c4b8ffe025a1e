# shellcheck shell=sh
# shellcheck disable=SC2034,SC2153,SC2154 # its variables come from and go to the runner
# What the highest force levels do before the switch, with the agent's derivation alone: nothing else
# of the system is built or compared.

nf_drvs=''

# nf_find_agent: the agent's derivations, in nf_drvs, what is needed first: what its command refers to,
# and the agent itself behind a wrapper. Go's modules are pinned by their hash: no cache can forge them.
nf_find_agent() {
  if [ -n "$nf_drvs" ]; then return 0; fi
  nf_owner "$NF_ROOT$NF_CHECKOUT" || return
  nf_who_was=$NF_WHO NF_WHO=owner NF_OUT=$NF_RUN/agent-refers
  : >"$NF_OUT"
  nf_quietly nix --extra-experimental-features 'nix-command flakes' eval --raw --no-write-lock-file --option eval-cache false \
    --apply "start: builtins.concatStringsSep \" \" (builtins.attrNames (builtins.getContext ($(nf_agent_words) start)))" \
    "$NF_ROOT$NF_CHECKOUT#$(nf_agent_start)"
  nf_code=$? NF_WHO=$nf_who_was NF_OUT=''
  if [ "$nf_code" != 0 ]; then return "$nf_code"; fi
  # shellcheck disable=SC2046 # a store path is one word
  nf_drvs=$(nf_ask --requisites $(cat "$NF_RUN/agent-refers") | grep -E -e '-nixfleet-agent(-[^/]*)?\.drv$' | grep -v -e '-go-modules\.drv$')
  if [ -z "$nf_drvs" ]; then
    nf_reason=no-derivation
    nf_say "the configuration does not say which derivation the agent is"
    return 1
  fi
}

# nf_ask QUERY PATH...: what the store knows of these paths.
nf_ask() { nf_bounded 60 nix-store --query "$@" 2>>"$NF_LOG"; }

nf_are_valid() { nf_bounded 60 nix-store --check-validity "$@" >/dev/null 2>&1; }

nf_realise() { nf_run nix-store --realise --log-format internal-json "$@"; }

# build-agent: from its source, whatever caches say of it; what it is built with may come from them.
# What is in the store already is not replaced: it is built once more and compared.
nf_do_build() {
  nf_find_agent || return
  for nf_drv in $nf_drvs; do
    nf_needs=$(nf_ask --references "$nf_drv" | grep '\.drv$')
    # shellcheck disable=SC2086 # a store path is one word
    if [ -n "$nf_needs" ]; then nf_realise $nf_needs || return; fi
    # shellcheck disable=SC2046 # a store path is one word
    if nf_are_valid $(nf_ask --outputs "$nf_drv"); then
      nf_compare "$nf_drv" || return
    else
      nf_realise --option substitute false "$nf_drv" || return
    fi
  done
}

nf_compare() {
  nf_realise --check "$1"
  nf_code=$?
  if [ "$nf_code" = 0 ]; then
    nf_say "built here once more, the agent has the hash that Nix noted"
  elif nf_said | grep -q 'may not be deterministic'; then
    nf_reason=not-reproduced
    nf_say "the agent in the store is not what its source builds here; the system was not rebuilt"
  fi
  return "$nf_code"
}

# repair-agent: the files of the agent that is installed, and of the one that would be, where it is in
# the store already, against the hashes that Nix noted.
nf_do_repair() {
  nf_agent
  nf_find_agent || return
  # shellcheck disable=SC2086 # a store path is one word
  nf_paths=$(nf_ask --outputs $nf_drvs)
  nf_rest=${installed#/nix/store/}
  if [ "$nf_rest" != "$installed" ]; then nf_paths="$nf_paths /nix/store/${nf_rest%%/*}"; fi
  nf_seen=''
  for nf_path in $nf_paths; do
    case "$nf_seen " in *" $nf_path "*) continue ;; esac
    nf_seen="$nf_seen $nf_path"
    if nf_are_valid "$nf_path"; then nf_repair "$nf_path" || return; fi
  done
}

nf_repair() {
  nf_verify_path "$1"
  nf_code=$?
  # 1: another content; 4: not all of it can be read; anything else, as when it is ended, says nothing
  case $nf_code in 1 | 4 | 5) ;; *) return "$nf_code" ;; esac
  if nf_cancelled; then return "$nf_code"; fi
  nf_say "$1 is damaged: it is fetched or built again"
  nf_run nix-store --repair-path "$1" && nf_verify_path "$1" && return 0
  nf_reason=damaged
  return 1
}

nf_verify_path() { nf_run nix --extra-experimental-features nix-command store verify --no-trust "$1"; }
