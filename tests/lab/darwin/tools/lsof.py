#!/opt/mac/gnu/python3 -IS
"""lsof -a -p PID[,PID...] [-d txt] -Fn: the program of one's own processes, what else they have
mapped, and their open files. Of a file with hard links it tells any name, here the one that Nix
gives it when it optimises the store. A deleted file has no name, and is left out. The system's own
libraries lie in a cache that all processes share: of them only the loader is told."""

import os
import re
import sys
from pathlib import Path

LINKS = Path("/nix/store/.links")


def name_of(path: str) -> str:
    same = os.stat(path)
    for link in LINKS.iterdir() if same.st_nlink > 1 and LINKS.exists() else ():
        if os.path.samestat(link.stat(), same):
            return str(link)
    return path


def mapped(proc: Path) -> list[str]:
    program = os.readlink(proc / "exe")
    lines = (proc / "maps").read_text().splitlines()
    others = [words[5] for line in lines if len(words := line.split(None, 5)) == 6]
    found = dict.fromkeys((program, *(path for path in others if path.startswith("/nix/store/"))))
    return [path for path in found if not path.endswith(" (deleted)")]


def files(pid: str, only_mapped: bool) -> list[tuple[str, str]]:
    proc = Path("/opt/mac/proc") / pid
    found = [("txt", path) for path in (*mapped(proc), "/usr/lib/dyld")]
    if not only_mapped:
        found += [(fd.name, os.readlink(fd)) for fd in sorted((proc / "fd").iterdir())]
    return found


def main() -> int:
    words = sys.argv[1:]
    match = re.search(r"-p ?([0-9,]+)", " ".join(words))
    only = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-d"]
    if match is None or only not in ([], ["txt"]) or not any(w.startswith("-F") for w in words):
        sys.exit("lsof: only -p PID [-d txt] -Fn here")
    code = 0
    for pid in match[1].split(","):
        try:
            found = files(pid, bool(only))
        except OSError:
            code = 1
            continue
        print(f"p{pid}")
        for fd, name in found:
            is_stored = name.startswith("/nix/store/") and os.path.exists(name)
            print(f"f{fd}\nn{name_of(name) if is_stored else name}")
    return code


sys.exit(main())
