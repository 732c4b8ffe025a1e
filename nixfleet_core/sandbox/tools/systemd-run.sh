# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is the host's folder, set above
# `systemd-run`, as far as the host scripts and nixos-rebuild use it: a service that disappears when it ends.
# `systemd`, beside this, makes the service.

refuse() { printf '%s\n' "$1" >&2; exit 1; }

unit=run-$$.service quiet='' how=launch settings='[Service]'
while [ $# -gt 0 ]; do
  case $1 in
    --collect | --no-ask-password) ;; # always so here: nobody could be asked
    --quiet) quiet=1 ;;
    --wait | --pipe) how='wait' ;; # both: with the caller's streams, until it has ended
    --unit=*.service) unit=${1#*=} ;;
    --unit=*) unit=${1#*=}.service ;;
    --service-type=*) settings="$settings
Type=${1#*=}" ;;
    --setenv=*) settings="$settings
Environment=\"${1#*=}\"" ;;
    -p) settings="$settings
$2"; shift ;;
    --user) refuse 'Failed to connect to bus: No medium found' ;;
    --) shift; break ;;
    -*) refuse "systemd-run: unrecognized option '$1'" ;;
    *) break ;;
  esac
  shift
done
if [ $# = 0 ]; then refuse 'Command line to execute required.'; fi
program=$1
if [ "$1" = "${1##*/}" ]; then
  program=$(IFS=:; for folder in $PATH; do if [ -x "$folder/$1" ]; then echo "$folder/$1"; break; fi; done)
fi
if ! [ -x "$program" ]; then refuse "Failed to find executable $1: No such file or directory"; fi
shift
"${0%/*}/systemd" "$how" "$unit" "$settings
ExecStart=$program $*" "$program" "$@" || exit
case $quiet$how in launch) echo "Running as unit: $unit" >&2 ;; esac
