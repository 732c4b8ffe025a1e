# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables are used by the scripts that follow it
# Root and the user who launched a job may read it. A group as such may not: on NixOS all normal users
# share the group "users".

# nf_readers DIR UID: decide how UID gets the right to read a job's DIR.
# sets: NF_READER (UID), NF_READER_GID, and NF_READING: own (a job of ours), acl, group, or root (nobody else)
nf_readers() {
  NF_READER=$2 NF_READING=own NF_READER_GID=0
  if [ "$NF_UID" != 0 ]; then return; fi
  case $2 in '' | 0 | *[!0-9]*) return ;; esac
  if nf_takes_acl "$1"; then NF_READING=acl
  elif nf_has_own_group; then NF_READING=group
  else NF_READING=root; fi
}
NF_READER='' NF_READING=own NF_READER_GID=0

# Some file systems accept an ACL and forget it.
nf_takes_acl() {
  nf_has setfacl && nf_has getfacl || return 1
  setfacl -m "u:$NF_READER:r-x" "$1" 2>/dev/null || return 1
  getfacl -cnp "$1" 2>/dev/null | grep -q "^user:$NF_READER:r-x\$"
}

# True if the reader's own group has no other member. We know this only if we can list all users and groups.
# sets: NF_READER_GID
nf_has_own_group() {
  nf_has getent && nf_has_own_group_name=$(id -un "$NF_READER" 2>/dev/null) || return 1
  NF_READER_GID=$(id -g "$nf_has_own_group_name") || return 1
  if [ "$NF_READER_GID" != 0 ] && nf_lists_all &&
    getent passwd | awk -F: -v gid="$NF_READER_GID" -v uid="$NF_READER" '
      $4 == gid { if ($3 == uid) own = 1; else others = 1 } END { exit !own || others }' &&
    getent group | awk -F: -v gid="$NF_READER_GID" -v name="$nf_has_own_group_name" '
      $3 == gid { found = 1; if ($4 != "" && $4 != name) others = 1 } END { exit !found || others }'; then
    return 0
  fi
  NF_READER_GID=0
  return 1
}

# A network directory need not list all its users.
nf_lists_all() {
  if ! [ -e "$NF_ROOT/etc/nsswitch.conf" ]; then return 0; fi
  awk '{ sub(/#.*/, ""); sub(/:/, ": ") } $1 == "passwd:" || $1 == "group:" || $1 == "initgroups:" {
    for (i = 2; i <= NF; i++) if ($i !~ /^(files|systemd|\[[A-Za-z!=]*\])$/) unknown = 1
  } END { exit unknown }' \
    "$NF_ROOT/etc/nsswitch.conf"
}

# nf_share FILE...: let the reader read it. If the rights cannot be set, root can still read it.
nf_share() {
  case $NF_READING in
    group) chgrp "$NF_READER_GID" "$@" && chmod 640 "$@" ;;
    *)
      if [ "$NF_UID" = 0 ]; then chgrp 0 "$@"; fi
      chmod 600 "$@"
      if [ "$NF_READING" = acl ]; then setfacl -m "u:$NF_READER:r--" "$@"; fi
      ;;
  esac 2>/dev/null || :
}

# nf_share_job DIR: let the reader read a whole job. Its ctl belongs to the launcher, and stays as it is.
nf_share_job() {
  case $NF_READING in
    group) chgrp "$NF_READER_GID" "$1" && chmod 750 "$1" || return ;;
    *)
      if [ "$NF_UID" = 0 ]; then chgrp 0 "$1" || return; fi
      chmod 700 "$1" || return
      # also for files to come
      if [ "$NF_READING" = acl ]; then
        setfacl -m "u:$NF_READER:r-x,d:u::rwx,d:g::---,d:o::---,d:u:$NF_READER:r-x" "$1" || return
      fi
      ;;
  esac
  for nf_share_job_file in "$1"/* "$1"/.[!.]*; do
    if [ -f "$nf_share_job_file" ] && ! [ -L "$nf_share_job_file" ]; then nf_share "$nf_share_job_file"; fi
  done
}
