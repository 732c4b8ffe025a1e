#!/opt/mac/gnu/python3 -IS
"""lsof -a -p PID [-d txt] -Fn: the program of one's own process, and its open files. Of a file
with hard links it tells any name, here the one that Nix gives it when it optimises the store."""

import os
import re
import sys
from pathlib import Path

LINKS = Path("/nix/store/.links")
words = sys.argv[1:]

match = re.search(r"-p ?(\d+)", " ".join(words))
only = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-d"]
if match is None or only not in ([], ["txt"]) or not any(w.startswith("-F") for w in words):
    sys.exit("lsof: only -p PID [-d txt] -Fn here")
proc = Path("/opt/mac/proc") / match[1]
try:
    files = [("txt", os.readlink(proc / "exe"))]
    if not only:
        files += [(fd.name, os.readlink(fd)) for fd in sorted((proc / "fd").iterdir())]
except OSError:
    sys.exit(1)
print(f"p{match[1]}")
for fd, name in files:
    if name.startswith("/nix/store/") and os.path.exists(name):
        same = os.stat(name)
        for link in LINKS.iterdir() if same.st_nlink > 1 else ():
            if os.path.samestat(link.stat(), same):
                name = str(link)
    print(f"f{fd}\nn{name}")
