#!/opt/mac/gnu/python3 -IS
"""ps of a Mac: keywords that only Linux has are unknown; comm is the program's whole path."""

import os
import pwd
import sys
import time

PROC = "/opt/mac/proc"
HEADINGS = {
    "args": "ARGS",
    "comm": "COMM",
    "command": "COMMAND",
    "etime": "ELAPSED",
    "lstart": "STARTED",
    "pgid": "PGID",
    "pid": "PID",
    "ppid": "PPID",
    "rss": "RSS",
    "sess": "SESS",
    "stat": "STAT",
    "state": "STAT",
    "time": "TIME",
    "tty": "TTY",
    "uid": "UID",
    "user": "USER",
}
TICKS = os.sysconf("SC_CLK_TCK")


def read(name: str) -> bytes:
    with open(f"{PROC}/{name}", "rb") as file:
        return file.read()


def boot_time() -> int:
    lines = read("stat").decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def clock(seconds: float) -> str:
    """[[dd-]hh:]mm:ss"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = f"{minutes:02}:{rest:02}"
    if days or hours:
        text = f"{hours:02}:{text}"
    return f"{days:02}-{text}" if days else text


def environment(pid: str) -> str:
    """What -E shows behind the arguments: nothing is quoted; empty if it is another user's."""
    try:
        shown = read(f"{pid}/environ").rstrip(b"\0")
    except OSError:
        return ""
    return " " + shown.replace(b"\n", b"\\012").replace(b"\0", b" ").decode(errors="replace")


def look(pid: str, more: bool) -> dict[str, str] | None:
    """The facts about a process, with more also its environment; None when it is gone."""
    try:
        name, _, rest = (
            read(f"{pid}/stat").decode(errors="replace").partition("(")[2].rpartition(")")
        )
        words = rest.split()
        uid = os.stat(f"{PROC}/{pid}").st_uid
        args = read(f"{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
    except OSError:
        return None
    # control characters as vis(3) writes them: a newline is \012
    shown = "".join(c if c >= " " else f"\\{ord(c):03o}" for c in args.decode(errors="replace"))
    command = shown or f"({name})"
    try:
        comm = os.readlink(f"{PROC}/{pid}/exe")
    except OSError:
        comm = command.split(" ")[0]
    if more:
        command += environment(pid)
    started = boot_time() + int(words[19]) / TICKS
    state = words[0] + ("s" if words[3] == pid else "")
    return {
        "args": command,
        "comm": comm,
        "command": command,
        "etime": clock(time.time() - started),
        "lstart": time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(started)),
        "pgid": words[2],
        "pid": pid,
        "ppid": words[1],
        "rss": str(int(words[21]) * 4),
        "sess": words[3],
        "stat": state,
        "state": state,
        "time": clock((int(words[11]) + int(words[12])) / TICKS),
        "tty": "??",
        "uid": str(uid),
        "user": pwd.getpwuid(uid).pw_name,
    }


def columns(formats: list[str]) -> list[tuple[str, str]]:
    """The keywords with their headings; `pid=` has none. An unknown one ends ps."""
    found = []
    for word in ",".join(formats).split(","):
        key, equals, heading = word.partition("=")
        if key not in HEADINGS:
            sys.exit(f"ps: {key}: keyword not found")
        found.append((key, heading if equals else HEADINGS[key]))
    return found


def main() -> int:
    words, formats, users, everyone = sys.argv[1:], list[str](), list[str](), False
    more = False
    pids: list[str] | None = None
    while words:
        letters = words.pop(0).lstrip("-")
        for at, letter in enumerate(letters):
            if letter in "opuU":
                value = letters[at + 1 :] or (words.pop(0) if words else "")
                if letter == "o":
                    formats.append(value)
                elif letter == "p":
                    pids = [*(pids or []), *value.replace(",", " ").split()]
                else:
                    users += value.split(",")
                break
            if letter not in "AacEefjlwxX":
                sys.exit(f"ps: illegal option -- {letter}\nusage: ps [-AaCcEefhjlMmrSTvwXx]")
            everyone = everyone or letter in "Aex"
            more = more or letter == "E"
    shown = columns(formats or ["pid,tty,time,command"])
    if pids is None:
        rows = [row for name in os.listdir(PROC) if name.isdigit() and (row := look(name, more))]
        rows.sort(key=lambda row: int(row["pid"]))
        mine = users or ([] if everyone else [str(os.getuid())])
        rows = [row for row in rows if not mine or row["user"] in mine or row["uid"] in mine]
    else:
        rows = [row for pid in pids if (row := look(pid, more))]
    table = [[row[key] for key, _ in shown] for row in rows]
    if any(heading for _, heading in shown):
        table.insert(0, [heading for _, heading in shown])
    widths = [max((len(row[at]) for row in table), default=0) for at in range(len(shown))]
    for cells in table:
        print(" ".join(map(str.ljust, cells, widths)).rstrip())
    return 0 if rows else 1


sys.exit(main())
