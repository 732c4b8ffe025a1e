# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `uname`: the host is Linux, even if this machine is a Mac.

case ${1:-} in
  -s) echo Linux ;;
  -snm) echo "Linux ${root##*/} x86_64" ;;
  *) echo "uname: invalid option $*" >&2; exit 1 ;;
esac
