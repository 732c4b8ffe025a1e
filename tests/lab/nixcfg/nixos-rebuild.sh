# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# The stand-in itself lies on the host: this package only leads there.
mkdir -p "$out/bin"
ln -s /usr/local/libexec/lab/nixos-rebuild "$out/bin/nixos-rebuild"
