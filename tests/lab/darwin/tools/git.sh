#!/bin/dash
# git of a Mac: the tools' one; without the tools it only opens a dialog on the screen
if xcode-select -p > /dev/null 2>&1; then exec /usr/lib/git-core/git "$@"; fi
touch /tmp/dialog-on-screen
echo 'xcode-select: note: No developer tools were found, requesting install.' >&2
exit 1
