#!/bin/dash
# pmset -g batt: a desktop's answer, or that of a laptop whose charge /etc/lab-battery has, such as 34
[ "$*" = '-g batt' ] || { echo 'Usage: pmset <options>' >&2; exit 64; }
charge=$(cat /etc/lab-battery 2>/dev/null) || { echo "Now drawing from 'AC Power'"; exit 0; }
echo "Now drawing from 'Battery Power'"
printf ' -InternalBattery-0 (id=4653155)\t%s%%; discharging; 3:12 remaining present: true\n' "$charge"
