#!/bin/dash
# scutil --get {LocalHostName|ComputerName|HostName}: the names that do not change with the network
case "${1:-} ${2:-}" in
  '--get LocalHostName') cat /opt/mac/local-host-name ;;
  '--get ComputerName') cat /opt/mac/local-host-name ;;
  '--get HostName') echo 'HostName: not set'; exit 1 ;;
  *) echo 'usage: scutil --get pref' >&2; exit 64 ;;
esac
