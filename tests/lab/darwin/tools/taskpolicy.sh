#!/bin/dash
# taskpolicy -b [-p PID | COMMAND...]: in the background, as far as the lab's hosts know such a thing
if [ "$1" != -b ]; then echo 'usage: taskpolicy [-b] [-p pid] [program [arg1 [...]]]' >&2; exit 64; fi
shift
[ "$1" != -p ] || exec true
exec "$@"
