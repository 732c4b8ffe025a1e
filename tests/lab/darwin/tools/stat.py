#!/opt/mac/gnu/python3 -IS
"""stat of BSD: stat [-L] [-n] -f FORMAT FILE..., with the usual letters."""

import grp
import os
import pwd
import re
import stat
import sys

USAGE = "usage: stat [-FLnq] [-f format | -l | -r | -s | -x] [-t timefmt] [file ...]"


def values(path: str, status: os.stat_result) -> dict[str, object]:
    mode = status.st_mode
    return {
        "%": "%",
        "N": path,
        "Y": os.readlink(path) if stat.S_ISLNK(mode) else "",
        "z": status.st_size,
        "m": int(status.st_mtime),
        "a": int(status.st_atime),
        "c": int(status.st_ctime),
        "d": status.st_dev,
        "i": status.st_ino,
        "l": status.st_nlink,
        "u": status.st_uid,
        "g": status.st_gid,
        "Su": pwd.getpwuid(status.st_uid).pw_name,
        "Sg": grp.getgrgid(status.st_gid).gr_name,
        "p": f"{mode:o}",
        "Sp": stat.filemode(mode),
        "Lp": f"{mode & 0o777:o}",
        "OLp": f"{mode & 0o777:o}",
    }


def main() -> int:
    words, form, follow, end = sys.argv[1:], "", False, "\n"
    while words and words[0].startswith("-"):
        option = words.pop(0)
        match option[:2], option[2:]:
            case "-L", rest:
                follow = True
                if rest:
                    words.insert(0, f"-{rest}")
            case "-n", "":
                end = ""
            case "-f", rest:
                form = rest or words.pop(0)
            case letter, _:
                sys.exit(f"stat: illegal option -- {letter[1:]}\n{USAGE}")
    if not form or not words:
        sys.exit(USAGE)
    code = 0
    for path in words:
        try:
            known = values(path, os.stat(path) if follow else os.lstat(path))
        except OSError as error:
            print(f"stat: {path}: stat: {error.strerror}", file=sys.stderr)
            code = 1
        else:
            parts = re.split(r"%(OLp|Lp|S[a-z]|[a-zA-Z%])", form)
            parts[1::2] = [str(known[letters]) for letters in parts[1::2]]
            print("".join(parts), end=end)
    return code


sys.exit(main())
