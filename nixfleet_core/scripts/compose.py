"""Scripts for hosts, put together from the parts in `lib/`, `ask/` and `job/`.

A part holds functions only. The call comes last, in braces: a shell runs braces only after it has
read them whole, so a script that was cut off on its way does nothing. Values are quoted; nothing is
taken from the host's environment.
"""

from __future__ import annotations

import shlex
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

_FOLDERS: Final = ("lib", "ask", "job")
_ALWAYS: Final = ("trust", "common", "platform", "launchctl", "carrier", "rights", "idle")
_NEEDS: Final = {
    "service": ("process", "rebuilds"),
    "follow": ("frames",),
    "journal": ("frames", "launchd"),
    "probe": (
        *("service", "launchd", "agent", "records", "checkout", "source", "flake", "system"),
        "proven",
        "explain",
    ),
    "profile": ("process", "records", "system"),
    "old_units": ("process", "records", "system", "old_agents"),
    "debt": ("old_units",),
    "probe_whole": ("probe", "old_units"),
    "generations": ("probe", "profile"),
    "back": ("profile",),
    "doctor": ("probe", "attributes", "become_root"),
    "preflight": ("checkout", "pull", "attributes", "switch"),
    "runner": ("place", "pipe", "command", "watch", "carry", "probe_whole"),
    "lock": ("latest",),
    "chain": ("lock", "proof", "switch", "from_commit", "back"),
    "switch": ("system",),
}
"""The further parts that a part uses; they are added."""


@cache
def part(name: str) -> str:
    """The text of a part, without the comments for the linter."""
    text = _file(name).read_text(encoding="utf-8")
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("# shellcheck")
    )


def _file(name: str) -> Traversable:
    folders = (files("nixfleet_core.scripts") / folder for folder in _FOLDERS)
    return next(file for folder in folders if (file := folder / f"{name}.sh").is_file())


def assignments(values: Mapping[str, str]) -> str:
    """Shell assignments, one a line. Raises ValueError for a NUL, which sh cannot hold."""
    for name, value in values.items():
        if "\0" in value:
            raise ValueError(f"{name} holds a NUL byte")
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def compose(*parts: str, root: str, call: str, values: Mapping[str, str] | None = None) -> str:
    """A whole script: the prelude, the parts of every script, the named ones, and the call.

    `root` is where the host's file system begins; it is empty except in the sandbox. The call exits
    the shell, so the shell reads nothing behind it: the file may be somebody else's by then. `set
    +vx` ends tracing (SHELLOPTS), since a trace on stderr would pass for the script's own words.
    """
    prelude = "set +vx\n" + assignments(
        {"NF_ROOT": root, "NF_PLATFORM_GIVEN": "", "NF_IDLE": "", **(values or {})}
    )
    return (
        prelude
        + "".join(part(name) + "\n" for name in (*_ALWAYS, *_with_needs(parts)))
        + f"{{\nnf_platform\n{call}\nexit\n}}\n"
    )


def question(name: str, root: str, values: Mapping[str, str]) -> str:
    """The script that runs one part's function of the same name, with the parts that it needs."""
    return compose(name, root=root, values=values, call=f"{name} </dev/null")


def _with_needs(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Each part once, after the parts that it needs."""
    found: dict[str, None] = {}
    for name in parts:
        for needed in (*_with_needs(_NEEDS.get(name, ())), name):
            found[needed] = None
    return tuple(found)
