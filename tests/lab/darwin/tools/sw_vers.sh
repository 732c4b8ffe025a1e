#!/bin/dash
# sw_vers of macOS 26, or of the version in /etc/lab-macos
version=$(cat /etc/lab-macos 2> /dev/null || echo 26.1)
case ${1:-} in
  '') printf '%s\t\t%s\n' ProductName: macOS ProductVersion: "$version" BuildVersion: 25B78 ;;
  -productName | --productName) echo macOS ;;
  -productVersion | --productVersion) echo "$version" ;;
  -buildVersion | --buildVersion) echo 25B78 ;;
  *) echo "sw_vers: unrecognized option \`$1'" >&2; exit 1 ;;
esac
