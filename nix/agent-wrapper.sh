#!/bin/sh
# nixfleet-agent, and a way to replace it that needs nothing of it:
#   nixfleet-agent --self-update [--force-rebuild] [--as-locked]
# starts the update of this host, detached, prints the job's id and exits 0. --force-rebuild runs every
# step, past the cache; --as-locked leaves flake.lock at its commit; together they do both. With any
# other arguments this becomes the real agent.
#
# Exit codes of --self-update: 0 started, or there is nothing to do; 2 wrong arguments; 6 another job is
# running (its id is printed); else as nixfleet-update says.
set -u
agent=@agent@       # the real one
update=@update@     # nixfleet-update, for root
launcher=@launcher@ # does the same for others, through sudo; empty: nobody needs to become root
sudo=@sudo@

if [ "${1:-}" != --self-update ]; then exec "$agent" "$@"; fi
case $#:${2:-}:${3:-} in
  1::) request=update && set -- ;;
  2:--force-rebuild:) request=force && set -- --force ;;
  2:--as-locked:) request=as-locked && set -- --as-locked ;;
  3:--force-rebuild:--as-locked | 3:--as-locked:--force-rebuild)
    request=force-as-locked && set -- --force --as-locked
    ;;
  *)
    echo 'usage: nixfleet-agent --self-update [--force-rebuild] [--as-locked]' >&2
    exit 2
    ;;
esac

# An agent's PATH may hold little.
PATH=${PATH:+$PATH:}/run/wrappers/bin:/run/current-system/sw/bin:/usr/bin:/bin
export PATH

if [ -n "$launcher" ] && [ "$(id -u)" != 0 ]; then
  answer=$(echo "$request" | "$sudo" -n -- "$launcher")
else
  answer=$("$update" --detach --json "$@" </dev/null)
fi
code=$?

case $answer in
  *'"job":"'*)
    job=${answer#*'"job":"'}
    printf '%s\n' "${job%%'"'*}"
    ;;
esac
# 9 is nixfleet-update's word for: detached, still running
if [ "$code" = 9 ]; then exit 0; fi
exit "$code"
