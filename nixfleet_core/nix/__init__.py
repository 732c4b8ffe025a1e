"""What Nix itself writes: versions, lock files, logs."""
