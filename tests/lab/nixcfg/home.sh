# shellcheck shell=sh disable=SC2154 # Nix sets what is used here
# Builds a Home Manager generation.
mkdir -p "$out/home-path/bin"
echo 1 > "$out/gen-version"
ln -s "$agent/bin/nixfleet-agent" "$out/home-path/bin/nixfleet-agent"
printf '#!/bin/sh\necho "Starting Home Manager activation"\n' > "$out/activate"
chmod +x "$out/activate"
