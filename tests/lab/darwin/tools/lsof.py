#!/opt/mac/gnu/python3 -IS
"""lsof -a -p PID -d txt -Fn: the program of one's own process."""

import os
import re
import sys

match = re.search(r"-p ?(\d+)", " ".join(sys.argv[1:]))
if match is None or "txt" not in sys.argv or not any(word.startswith("-F") for word in sys.argv):
    sys.exit("lsof: only -p PID -d txt -Fn here")
try:
    print(f"p{match[1]}\nftxt\nn{os.readlink(f'/opt/mac/proc/{match[1]}/exe')}")
except OSError:
    sys.exit(1)
