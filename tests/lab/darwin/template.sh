#!/bin/sh
# template.sh DIR - make DIR, a Debian root file system of ../template.sh, look like a Mac to its users.
#   /opt/mac/bin, /opt/mac/sbin   what lies over /usr/bin and /usr/sbin in view.sh: only what a Mac has
#   /opt/mac/gnu                  the Debian tools that the stand-ins are made of; in no PATH
# The stand-ins themselves come with each run (tools/).
set -eu
dir=$1

cp /etc/resolv.conf "$dir/etc/resolv.conf"
chroot "$dir" sh -eu <<'GUEST'
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o Acquire::Check-Valid-Until=false update
apt-get -qq --no-install-recommends install zsh perl python3-minimal libpython3-stdlib original-awk > /dev/null 2>&1
mv /usr/lib/fish-python/python3* /usr/bin
apt-get clean
rm -rf /var/lib/apt/lists/*

cd /opt
mkdir -p mac/bin mac/sbin mac/gnu mac/proc mac/run
link() { ln -L "$(command -v "$1")" "$2"; }

for tool in '[' basename bash bc cat chgrp chmod chown cksum cmp comm cp csplit cut dash dd df diff dirname \
  du echo egrep env expand expr false fgrep find fold git git-upload-pack git-receive-pack grep gunzip gzip \
  groups head id install join kill less ln locale login logname ls mkdir mkfifo more mv nice nohup od paste patch perl pr \
  printf prove pwd rm rmdir scp sed sftp shasum sleep sort split ssh ssh-add ssh-keygen stat stty sudo \
  tail tar tee test touch tr true tsort tty uniq wc which who whoami xargs xxd yes zcat zsh; do
  command -v "$tool" > /dev/null || continue
  case $(command -v "$tool") in /*) link "$tool" "mac/bin/$tool" ;; esac
done
for tool in '[' echo false kill printf pwd test true; do
  [ -e "mac/bin/$tool" ] || ln -L "/usr/bin/$tool" "mac/bin/$tool"
done
ln -L /usr/bin/bash mac/bin/sh
link original-awk mac/bin/awk
ln -L /usr/bin/chown mac/sbin/chown
ln -L /usr/sbin/sshd mac/sbin/sshd

for tool in cat cp cut date df du find grep head hostname ln ls mkdir mktemp mount mv python3 readlink rm sed \
  seq sleep sort stat tail tee touch uname unshare wc xargs; do
  link "$tool" "mac/gnu/$tool"
done

# Nix as its installer leaves it: nowhere but in its own profile.
nix=/nix/var/nix/profiles/default
mkdir -p $nix/bin $nix/etc/profile.d
for tool in /usr/bin/nix /usr/bin/nix-*; do
  mv "$tool" $nix/bin/
done
cat > $nix/etc/profile.d/nix-daemon.sh <<'SH'
# Only execute this file once per shell.
if [ -n "${__ETC_PROFILE_NIX_SOURCED:-}" ]; then return; fi
export __ETC_PROFILE_NIX_SOURCED=1
export NIX_PROFILES="/nix/var/nix/profiles/default $HOME/.nix-profile"
export PATH="$HOME/.nix-profile/bin:/nix/var/nix/profiles/default/bin:$PATH"
SH
mkdir -p /etc/systemd/system/nix-daemon.service.d
printf '[Service]\nExecStart=\nExecStart=@%s/bin/nix-daemon nix-daemon --daemon\n' $nix \
  > /etc/systemd/system/nix-daemon.service.d/mac.conf

userdel -r ops 2> /dev/null
userdel -r pw 2> /dev/null
rm -rf /home /etc/NIXOS /etc/os-release /usr/lib/os-release /etc/sudoers.d/lab /var/lib/systemd/linger/*
mkdir /Users
useradd --uid 501 --gid staff --groups nix-users --base-dir /Users --create-home --shell /bin/zsh markus
usermod -p '*' markus # or sshd would take it for locked, without PAM
chmod 750 /Users/markus
touch /Users/markus/.zshrc
rm -f /etc/zsh/zshenv
GUEST

cat > "$dir/etc/ssh/sshd_config.d/mac.conf" <<'CONF'
UsePAM no
SetEnv PATH=/usr/bin:/bin:/usr/sbin:/sbin
CONF
