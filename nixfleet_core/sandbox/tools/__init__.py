"""What Nix's and NixOS's shims run: imitations of their commands."""
