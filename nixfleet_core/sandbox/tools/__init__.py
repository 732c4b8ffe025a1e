"""What the shims run: imitations of Nix's and NixOS's commands, and the client of the manager."""
