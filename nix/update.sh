#!/bin/sh
# nixfleet-update for the host whose inventory the configuration has written. A later --hosts wins.
exec @program@ --hosts @hosts@ "$@"
