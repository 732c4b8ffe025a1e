# shellcheck shell=sh
# `ssh`: no host of the fleet may ever reach the network; hsb1's deploy key was revoked.

echo 'git@git.example.org: Permission denied (publickey).' >&2
exit 255
