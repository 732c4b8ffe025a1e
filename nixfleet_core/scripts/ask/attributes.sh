# shellcheck shell=sh
# The names of the flake's configurations of this platform, one a line, as the flake's owner evaluates them.
# From the prelude: NF_CHECKOUT (absolute), NF_EVALUATION (seconds).

attributes() {
  attributes_dir=$NF_ROOT$NF_CHECKOUT
  if ! cd "$attributes_dir" 2>/dev/null || ! nf_owner .; then
    echo "cannot enter $NF_CHECKOUT" >&2
    return 1
  fi
  attributes_in "$attributes_dir"
}

# attributes_in DIR: those of the flake there, which belongs to the owner that nf_owner has found.
attributes_in() {
  case $NF_PLATFORM in home-manager) attributes_in_kind=home ;; *) attributes_in_kind=nixos ;; esac
  attributes_in_names=$(nf_eval "$NF_EVALUATION" --no-write-lock-file \
    --apply 'all: builtins.concatStringsSep "\n" (builtins.attrNames all)' \
    "$1#${attributes_in_kind}Configurations") || return 1
  printf '%s\n' "$attributes_in_names" | head -c 65536
}
