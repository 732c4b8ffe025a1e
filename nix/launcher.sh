#!/bin/sh
# nixfleet-launch: start the update of this host, detached, as root. For those whom the sudo rule names.
# What is updated, and from where, comes from the system's configuration. The caller chooses one word,
# on stdin:
#   update           nothing runs if the agent is proven to be the latest
#   force            every step runs, past the cache
#   as-locked        flake.lock stays at its commit; nothing runs if the agent is proven to be that
#   force-as-locked  every step runs, past the cache, and flake.lock stays at its commit
# Takes no arguments, and nothing of the caller's environment. Prints one line of JSON; exit codes as of
# nixfleet-update, where 9 is: detached, still running.
set -u
update=@update@
PATH=/run/wrappers/bin:/run/current-system/sw/bin:/usr/bin:/bin
export PATH

refuse() {
  echo "nixfleet-launch: $1" >&2
  exit 2
}

# sudo's rule says so, too, but some versions let the one argument "" (two quotes) through
[ $# = 0 ] || refuse 'it takes no arguments'
[ "$(id -u)" = 0 ] || refuse 'run it through sudo'

case $(head -c 32) in
  update) set -- ;;
  force) set -- --force ;;
  as-locked) set -- --as-locked ;;
  force-as-locked) set -- --force --as-locked ;;
  *) refuse 'say "update", "force", "as-locked" or "force-as-locked" on stdin' ;;
esac

# Who asked: sudo sets this itself. The job's log is readable to that user.
caller=${SUDO_UID:-0}
case $caller in *[!0-9]*) caller=0 ;; esac

cd / || exit 1
exec env -i PATH="$PATH" HOME=/root USER=root LOGNAME=root LC_ALL=C \
  SUDO_UID="$caller" "$update" --detach --json "$@" </dev/null
