# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds the user's packages: home-manager only, whose stand-in lies on the host.
mkdir -p "$out/bin"
ln -s /usr/local/libexec/lab/home-manager "$out/bin/home-manager"
