#!/bin/dash
# xcode-select -p: where Apple's command line tools are; they are missing if /opt/mac/no-tools is there
if [ "${1:-}" != -p ] && [ "${1:-}" != --print-path ]; then
  echo 'Usage: xcode-select [options]' >&2
  exit 1
fi
if [ -e /opt/mac/no-tools ]; then
  echo 'xcode-select: error: unable to get active developer directory' >&2
  exit 2
fi
echo /Library/Developer/CommandLineTools
