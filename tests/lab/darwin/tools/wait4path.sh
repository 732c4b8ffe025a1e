#!/bin/dash
# wait4path PATH: the store is always there
[ -e "$1" ]
