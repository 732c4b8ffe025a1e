#!/bin/dash
# uname as on a Mac with Apple's silicon
kernel=Darwin release=24.6.0 machine=arm64 node=$(hostname)
version="Darwin Kernel Version $release: Mon Jul 14 11:30:55 PDT 2025; root:xnu-11417/RELEASE_ARM64_T6031"
[ $# -gt 0 ] || set -- -s
out=''
add() { out="$out${out:+ }$1"; }
for word; do
  case $word in
    -a) add "$kernel $node $release $version $machine" ;;
    -s) add $kernel ;;
    -n) add "$node" ;;
    -r) add $release ;;
    -v) add "$version" ;;
    -m) add $machine ;;
    -p) add arm ;;
    -sm | -ms) add "$kernel $machine" ;;
    -snm) add "$kernel $node $machine" ;;
    -sr) add "$kernel $release" ;;
    *) echo "uname: illegal option -- ${word#-}" >&2; exit 1 ;;
  esac
done
echo "$out"
