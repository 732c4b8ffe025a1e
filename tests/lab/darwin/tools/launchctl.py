#!/opt/mac/gnu/python3 -IS
"""launchctl: asks the user's launchd and prints its answer."""

import json
import os
import socket
import sys

words = sys.argv[1:]
if words[:1] in (["bootstrap"], ["bootout"]) and words[1:2] != ["--wait"]:
    words[2:] = [os.path.abspath(word) for word in words[2:]]
uids = [word.split("/")[1] for word in words[1:] if word.startswith(("gui/", "user/"))]
uid = int(uids[0]) if uids and uids[0].isdigit() else os.getuid()
if os.getuid() not in (0, uid):
    sys.exit("Could not print domain: 1: Operation not permitted")
with socket.socket(socket.AF_UNIX) as launchd:
    launchd.connect(f"/run/lab/launchd-{uid}")
    launchd.sendall(json.dumps(words).encode() + b"\n")
    with launchd.makefile() as answer:
        code, out, err = json.loads(answer.readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
