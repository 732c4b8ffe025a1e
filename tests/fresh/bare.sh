#!/bin/sh
# bare.sh SUITE DIR MIRROR - make DIR a Debian root file system with what the README asks for, and nothing else.
# No shells but Debian's own two, no ps, no ssh. Wants root and mmdebstrap.
set -eu
suite=$1 dir=$2 mirror=$3

# This machine's way to the mirror; it goes into no file of the root file system that is kept.
settings=$(mktemp)
trap 'rm -f "$settings"' EXIT
for scheme in http https; do apt-config dump "Acquire::$scheme"; done > "$settings"

# A mirror can be a snapshot, whose index has run out.
mmdebstrap --quiet --variant=minbase --include=ca-certificates,git,make,python3,python3-venv \
  --aptopt="$settings" \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*/LC_MESSAGES/*' \
  "$suite" "$dir" "$mirror"

rm -rf "$dir"/etc/apt/apt.conf.d/*mmdebstrap* "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/*
chroot "$dir" useradd --uid 1000 --create-home --shell /bin/bash newcomer
