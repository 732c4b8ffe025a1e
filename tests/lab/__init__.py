"""The lab: real hosts with systemd, sshd, sudo, git and Nix, in namespaces of this machine."""
