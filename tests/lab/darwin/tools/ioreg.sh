#!/bin/dash
# ioreg -r -k AppleClamshellState -d DEPTH: a laptop's lid, closed while /etc/lab-lid-closed exists
[ "$1 $2 $3" = '-r -k AppleClamshellState' ] || exit 1
[ -e /etc/lab-battery ] || exit 0 # a desktop has no lid
state=No
[ ! -e /etc/lab-lid-closed ] || state=Yes
cat <<IOREG
+-o IOPMrootDomain  <class IOPMrootDomain, id 0x1000001af, registered, matched, active, busy 0 (0 ms), retain 66>
    {
      "IOSleepSupported" = Yes
      "AppleClamshellCausesSleep" = Yes
      "AppleClamshellState" = $state
      "IOPMUserIsActive" = No
    }

IOREG
