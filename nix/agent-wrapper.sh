#!/bin/sh
# nixfleet-agent, and a way to replace it that needs nothing of it:
#   nixfleet-agent --self-update [--force-rebuild]
# starts the update of this host, detached, prints the job's id and exits 0. With any other arguments
# this becomes the real agent.
#
# Exit codes of --self-update: 0 started, or there is nothing to do; 2 wrong arguments; 6 another job is
# running (its id is printed); else as nixfleet-update says.
set -u
agent=@agent@       # the real one
update=@update@     # nixfleet-update, for root
launcher=@launcher@ # does the same for others, through sudo; empty: nobody needs to become root
sudo=@sudo@

if [ "${1:-}" != --self-update ]; then exec "$agent" "$@"; fi
case $#:${2:-} in
  1:) request=update ;;
  2:--force-rebuild) request=force ;;
  *)
    echo 'usage: nixfleet-agent --self-update [--force-rebuild]' >&2
    exit 2
    ;;
esac

# An agent's PATH may hold little.
PATH=${PATH:+$PATH:}/run/wrappers/bin:/run/current-system/sw/bin:/usr/bin:/bin
export PATH

if [ -n "$launcher" ] && [ "$(id -u)" != 0 ]; then
  answer=$(echo "$request" | "$sudo" -n -- "$launcher")
elif [ "$request" = force ]; then
  answer=$("$update" --detach --json --force </dev/null)
else
  answer=$("$update" --detach --json </dev/null)
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
