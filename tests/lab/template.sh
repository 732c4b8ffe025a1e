#!/bin/sh
# template.sh SUITE DIR MIRROR - make DIR a Debian root file system with systemd, sshd, sudo and Nix.
# Nothing of one run is in it (no keys, names, repositories), so it can be kept.
# Wants root and mmdebstrap: debootstrap cannot resolve nix-bin.
set -eu
suite=$1 dir=$2 mirror=$3

packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,openssh-server,sudo,git,ca-certificates
packages=$packages,nix-bin,nix-setup-systemd,iproute2,procps,less,locales,zsh,fish,tcsh
# Real hosts have no Python. One has it here, to run the client on the host itself. systemd's run0, in the
# releases that have it, asks polkit.
case $suite in
  bookworm) packages=$packages,python3 ;;
  *) packages=$packages,opendoas,sudo-rs,polkitd ;;
esac
# NixOS has setfacl. One has it here; the others show what happens without.
case $suite in trixie) packages=$packages,acl ;; esac

# A mirror can be a snapshot, whose index has run out.
mmdebstrap --quiet --variant=minbase --include="$packages" \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*/LC_MESSAGES/*' \
  --dpkgopt='path-include=/usr/share/locale/de/LC_MESSAGES/*' \
  "$suite" "$dir" "$mirror"

# fish brings one along, and does without.
case $suite in
  bookworm) ;;
  *)
    mkdir "$dir/usr/lib/fish-python"
    mv "$dir"/usr/bin/python3* "$dir/usr/lib/fish-python"
    ;;
esac

mkdir -p "$dir/etc/nix"
cat > "$dir/etc/nix/nix.conf" <<'CONF'
experimental-features = nix-command flakes
sandbox = false
build-users-group = nixbld
substituters =
flake-registry = /etc/nix/registry.json
warn-dirty = false
CONF
echo '{"flakes":[],"version":2}' > "$dir/etc/nix/registry.json"

cat > "$dir/etc/ssh/sshd_config.d/lab.conf" <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/lab_authorized_keys
PermitRootLogin prohibit-password
UseDNS no
CONF

# Debian's secure_path lacks what NixOS has, and differs between releases.
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
cat > "$dir/etc/sudoers.d/lab" <<CONF
ops ALL=(ALL) NOPASSWD: ALL
pw ALL=(ALL) ALL
Defaults secure_path=$path
CONF
chmod 440 "$dir/etc/sudoers.d/lab"

mkdir -p "$dir/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' > "$dir/etc/systemd/journald.conf.d/lab.conf"

chroot "$dir" sh -eu <<'GUEST'
localedef -i de_DE -f UTF-8 de_DE.UTF-8
useradd --uid 1000 --create-home --shell /bin/bash --groups nix-users ops
useradd --uid 1001 --create-home --shell /bin/bash --groups nix-users pw
echo pw:lab-secret | chpasswd
chmod 700 /home/ops /home/pw
mkdir -p /var/lib/systemd/linger
touch /var/lib/systemd/linger/ops /etc/NIXOS
git config --system user.name lab
git config --system user.email lab@example.invalid
# As NixOS names itself; NixOS writes this file at activation.
rm /etc/os-release
printf '%s\n' ID=nixos NAME=NixOS 'PRETTY_NAME="NixOS 26.05 (lab)"' 'VERSION_ID="26.05"' > /etc/os-release
rm -rf /nix/store /nix/var
mkdir -p /nix/store /nix/var/nix/profiles
chown root:nixbld /nix/store
chmod 1775 /nix/store
systemctl enable -q ssh.service
systemctl mask -q apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  fstrim.timer getty@.service console-getty.service systemd-udevd.service dev-hugepages.mount
GUEST

rm -rf "$dir"/etc/ssh/ssh_host_* "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/*
: > "$dir/etc/machine-id"
