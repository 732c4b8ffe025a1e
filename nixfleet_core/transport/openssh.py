"""What this machine's OpenSSH client knows, and what holds for a host. The client itself is asked.

`ssh -G HOST` prints what holds after all files are read; its `Match exec` lines run their commands.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Final

from nixfleet_core.transport.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ASK_SECONDS: Final = 20.0
"""With CanonicalizeHostname, ssh asks the name server."""

_UNKNOWN: Final = re.compile(r"Bad configuration option: (\S+)")

SESSION: Final = (
    "RemoteCommand=none",
    "SessionType=default",
    "StdinNull=no",
    "ForkAfterAuthentication=no",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "VisualHostKey=no",
    "ConnectionAttempts=1",
)
"""What people set for their own sessions, and a program's session cannot stand. ssh takes the first
value of an option, and reads the command line before its files."""


@cache
def session_options() -> tuple[str, ...]:
    """Those of SESSION that the client knows; it refuses others. SessionType, StdinNull and
    ForkAfterAuthentication came with OpenSSH 8.7, RemoteCommand with 7.6. What the client does not
    know, its files cannot set. IgnoreUnknown is no help: ours would replace the operator's own, and
    ssh would refuse the operator's files."""
    options = list(SESSION)
    while options:
        # no file is read, and nobody is contacted
        argv = ("ssh", "-F", "/dev/null", "-G", *as_words(options), "--", "localhost")
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASK_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired):
            break
        unknown = _UNKNOWN.search(done.stderr)
        rest = [one for one in options if not unknown or _name(one) != unknown[1].lower()]
        if len(rest) == len(options):
            break
        options = rest
    return tuple(options)


def _name(option: str) -> str:
    return option.partition("=")[0].lower()


def as_words(options: Sequence[str]) -> tuple[str, ...]:
    """The options as words of ssh's command line."""
    return tuple(word for option in options for word in ("-o", option))


async def ask_settings(options: Sequence[str], destination: str) -> Mapping[str, str]:
    """What holds for a destination, by the options' names in lower case; empty if ssh does not say.
    Of an option that comes more than once it is the first value."""
    try:
        done = await run(("ssh", "-G", *options, "--", destination), limit=_ASK_SECONDS)
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines() if done.rc == 0 else ():
        name, _, value = line.partition(" ")
        found.setdefault(name, value)
    return found


def first_jump(settings: Mapping[str, str]) -> str:
    """The first ProxyJump, as [user@]host[:port]; "" if there is none."""
    return settings.get("proxyjump", "").partition(",")[0]


def jump_of(settings: Mapping[str, str]) -> str:
    """What the connection goes through: the first jump's address, or the ProxyCommand; "" if it
    goes through nothing. Two users share a jump, and its limit."""
    first = first_jump(settings).rpartition("@")[2]
    command = settings.get("proxycommand", "")
    return first or ("" if command.lower() == "none" else command)


def not_held(settings: Mapping[str, str]) -> tuple[str, ...]:
    """The options of SESSION that do not hold although our command line has them."""
    found = []
    for option in SESSION:
        name, _, value = option.partition("=")
        now = settings.get(name.lower(), value)
        if now != value and (name, now) != ("RequestTTY", "false"):
            found.append(name)
    return tuple(found)


def in_the_way(jump: Mapping[str, str]) -> tuple[str, ...]:
    """The options of a jump that can break the connection through it. `ssh -W`, which ProxyJump
    runs, gets nothing of our command line but `-F`. It opens no session and, unless it is told
    otherwise, no other forwarding."""
    if jump.get("clearallforwardings") != "no" or jump.get("exitonforwardfailure") != "yes":
        return ()
    return tuple(name for name in _FORWARDS if name.lower() in jump)


_FORWARDS: Final = ("LocalForward", "RemoteForward", "DynamicForward")
