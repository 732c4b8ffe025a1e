# shellcheck shell=sh
# The names under homeConfigurations, one a line, as the flake's owner evaluates them.
# From the prelude: NF_CHECKOUT (absolute).

attributes() {
  dir=$NF_ROOT$NF_CHECKOUT
  if ! cd "$dir" 2>/dev/null || ! nf_owner .; then echo "cannot enter $NF_CHECKOUT" >&2; return 1; fi
  names=$(nf_as_owner 120 nix --extra-experimental-features 'nix-command flakes' eval --raw --no-write-lock-file \
    --apply 'all: builtins.concatStringsSep "\n" (builtins.attrNames all)' "$dir#homeConfigurations") || return 1
  printf '%s\n' "$names" | head -c 65536
}
