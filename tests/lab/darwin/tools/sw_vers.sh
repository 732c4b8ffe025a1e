#!/bin/sh
# sw_vers of macOS 15
case ${1:-} in
  '') printf '%s\t\t%s\n' ProductName: macOS ProductVersion: 15.6.1 BuildVersion: 24G90 ;;
  -productName | --productName) echo macOS ;;
  -productVersion | --productVersion) echo 15.6.1 ;;
  -buildVersion | --buildVersion) echo 24G90 ;;
  *) echo "sw_vers: unrecognized option \`$1'" >&2; exit 1 ;;
esac
