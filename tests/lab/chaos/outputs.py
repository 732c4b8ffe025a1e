"""An activation that prints what no terminal must see, and more than anybody wants."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

from .case import Case
from .scene import read_answer

if TYPE_CHECKING:
    from pathlib import Path

    from ..client import Answer
    from .scene import Scene

_SIZE: Final = 128
"""MiB of log; one line of it has 50."""

_SECRET: Final = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
_HOSTILE: Final = rf"""
printf '\033[2J\033]52;c;aGk=\a\033]0;title\a\302\23331m\302\23552;c;aGk=\302\234\n'
printf '\377\376\000\r\b\n'
printf '@nix {{"action":"msg","level":0,\n@nix not even json\n@nix [1]\n'
echo 'https://ops:{_SECRET}@git.example.org/x [@click=app.quit]x[/]' >&2
head -c 52428800 /dev/zero | tr '\000' x
echo
yes 'a line like many others' | head -c {(_SIZE - 50) * 1024 * 1024}
echo
"""
_PLACE: Final = 'echo "setting up /etc..."\n'

_FORBIDDEN: Final = re.compile(
    rb"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)|\xc2[\x80-\x9f]|" + _SECRET.encode()
)
_LONGEST: Final = 64
"""Bytes that hold any of these, or a colour."""


def _hostile(scene: Scene) -> Answer:
    switch = (scene.repos.path("nixcfg") / "switch-to-configuration.sh").read_text()
    assert switch.count(_PLACE) == 1
    switch = switch.replace(_PLACE, _PLACE + _HOSTILE)
    scene.repos.commit_nixcfg("Print a lot", files={"switch-to-configuration.sh": switch})
    with scene.update("--detach") as running:
        assert running.wait() == 9, running.output
    scene.await_job()
    told = scene.client.folder / "told"
    with told.open("wb") as stderr:
        attached = subprocess.run(
            scene.client.command("attach", scene.host.name, "--json"),
            env=scene.client.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    answer = read_answer(attached.stdout)
    assert answer["job"]
    log = scene.client.log_of(scene.host, answer["job"])
    scene.prove("{} MiB of log", log.stat().st_size // 1024**2 * (log.stat().st_size > _SIZE << 20))
    assert _SECRET.encode() in log.read_bytes()
    for shown in (told, log.with_name("log.txt")):
        assert _first_forbidden(shown) is None, shown.name
    return answer


def _first_forbidden(path: Path) -> bytes | None:
    """The first text that must not reach a terminal, with its neighbourhood."""
    left = b""
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            data = left + block
            # a sequence at the end may go on in the next block
            sure = len(data) - (_LONGEST if block else 0)
            found = _FORBIDDEN.search(data)
            if found and found.start() < sure:
                return data[max(0, found.start() - 40) : found.end() + 40]
            if not block:
                return None
            left = data[max(0, sure) :]


CASES: Final = (Case(name="hostile output", play=_hostile, seconds=300),)
