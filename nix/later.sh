#!/bin/sh
# nixfleet-update after a random time, for launchd, whose timers all ring at once.
seconds=@seconds@
number=$(od -A n -N 4 -t u4 /dev/urandom) || number=0
sleep "$((number % (seconds + 1)))"
exec @update@
