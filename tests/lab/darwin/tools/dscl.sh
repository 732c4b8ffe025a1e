#!/bin/dash
# dscl . -read /Users/NAME KEY..., dscl . -list /Users
case "${2:-} ${3:-}" in
  '-list /Users' | 'list /Users') cut -d: -f1 /etc/passwd ;;
  '-read /Users/'* | 'read /Users/'*)
    user=${3#/Users/}
    line=$(grep "^$user:" /etc/passwd) || { echo '<dscl_cmd> DS Error: -14136 (eDSRecordNotFound)' >&2; exit 56; }
    shift 3
    for key; do
      case $key in
        NFSHomeDirectory) field=6 ;;
        UniqueID) field=3 ;;
        PrimaryGroupID) field=4 ;;
        UserShell) field=7 ;;
        *) echo "No such key: $key"; continue ;;
      esac
      echo "$key: $(echo "$line" | cut -d: -f"$field")"
    done ;;
  *) echo 'dscl (v20.4)' >&2; exit 64 ;;
esac
