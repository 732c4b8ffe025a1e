"""The shims of Nix and NixOS run these imitations of their commands."""
