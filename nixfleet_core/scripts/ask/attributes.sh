# shellcheck shell=sh
# The names under homeConfigurations, one a line, as the flake's owner evaluates them.
# From the prelude: NF_CHECKOUT (absolute).

attributes() {
  attributes_dir=$NF_ROOT$NF_CHECKOUT
  if ! cd "$attributes_dir" 2>/dev/null || ! nf_owner .; then
    echo "cannot enter $NF_CHECKOUT" >&2
    return 1
  fi
  attributes_names=$(nf_eval 120 --no-write-lock-file \
    --apply 'all: builtins.concatStringsSep "\n" (builtins.attrNames all)' \
    "$attributes_dir#homeConfigurations") || return 1
  printf '%s\n' "$attributes_names" | head -c 65536
}
