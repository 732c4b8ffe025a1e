#!/bin/sh
# prepare.sh - install what the lab needs on this Debian, where it is missing.
set -eu
stop() { echo "The lab cannot run: $1" >&2; exit 1; }

id=''
# shellcheck source=/dev/null
[ ! -r /etc/os-release ] || id=$(. /etc/os-release && echo "$ID")
[ "$id" = debian ] || stop "it needs Debian, whose packages its hosts are made of (this is ${id:-unknown})."
[ "$(id -u)" = 0 ] || stop "it needs root, for namespaces, mounts and a bridge: sudo make lab"

missing=''
for package in busybox chromium dash debian-archive-keyring gcc git iproute2 libc6-dev mmdebstrap \
  openssh-client openssl procps python3-venv tmux util-linux; do
  dpkg-query --show --showformat='${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "Installing$missing ..."
apt-get -qq update
# shellcheck disable=SC2086 # names without blanks
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing > /dev/null
