"""What a line of log.txt is, and which build printed it. Pure.

What stands out on the screen, what is counted and what the keys go to are all decided here. Lines
come without colours.
"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from nixfleet_core.log.failures import PROGRESS, TOLD

Kind = Literal["error", "warning", "retry", "command", "phase"]
"""command: our own heading, with which each command of a step begins. retry: a tool tries again, or
goes on without that builder or cache. phase: a part of a build."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ERROR_WORDS: Final = ("error", "fatal", "failed", "failure", "panicked", "traceback")
_WARNING_WORD: Final = "warning:"
_RETRY_WORDS: Final = ("retrying ", "cannot build on '", "disabling binary cache '")
"""The fixed parts of `PROGRESS`."""

_WORDS: Final = (*ERROR_WORDS, _WARNING_WORD, *_RETRY_WORDS)
_COMMAND: Final = "$ "
"""How a command's line begins (nf_run in command.sh)."""

_ERROR: Final = re.compile(
    rf"(?<!\b0 )(?<!\bno )(?<![\w/.-])(?:{'|'.join(ERROR_WORDS)})(?![\w/-]|\.\w)", re.IGNORECASE
)
"""A word of its own: -Werror is an option, error.c a file, libgpg-error a package."""
_WARNING: Final = re.compile(rf"\b{_WARNING_WORD}", re.IGNORECASE)
_RETRY: Final = re.compile(PROGRESS)
_TOLD: Final = re.compile(TOLD)
_DERIVATION: Final = re.compile(r"([A-Za-z0-9_+][A-Za-z0-9+._?=-]*)(?: \(post\))?> ")
_PHASE: Final = re.compile(
    r"Running phase: "
    r"|(?:unpacking sources|patching sources|configuring|building|running tests|installing"
    r"|post-installation fixup|running install tests)$"
)
"""As nixpkgs' stdenv prints them; since 2023 the first one."""


def kind_of(line: str) -> Kind | None:
    """The kind of a line; None for most. Of an error and a warning in one line the first counts,
    but a warning that tells of a failure is an error."""
    if line.startswith(_COMMAND):
        return "command"
    lowered = line.lower()
    if any(map(lowered.__contains__, _WORDS)):  # the patterns take ten times as long
        if _RETRY.search(line):
            return "retry"
        warning, error = _WARNING.search(line), _ERROR.search(line)
        if warning and not (error and error.start() < warning.start()):
            return "error" if _TOLD.search(line) else "warning"
        if error:
            return "error"
    prefix = _DERIVATION.match(line)
    return "phase" if prefix and _PHASE.match(line, prefix.end()) else None


def lines_of_note(block: bytes) -> set[int]:
    """Where the lines of a raw block begin that may be an error, warning, retry or command.

    It is quick, and names some other lines too: `kind_of` has the last word.
    """
    lowered = block.lower()
    return {
        lowered.rfind(b"\n", 0, match.start()) + 1
        for pattern in _QUICK
        for match in pattern.finditer(lowered)
    }


def _quick() -> tuple[re.Pattern[bytes], ...]:
    """Each finds some words in lower case. A pattern begins with what its words share: then `re`
    finds it fast."""
    groups: dict[str, list[str]] = {}
    for word in _WORDS:
        groups.setdefault(next((one for one in _SHARED if one in word), word), []).append(word)
    found = [
        f"{one}(?:{'|'.join(_way(word, one) for word in group)})" for one, group in groups.items()
    ]
    return tuple(re.compile(pattern.encode()) for pattern in (*found, r"\$ (?<![^\n]\$ )"))


def _way(word: str, shared: str) -> str:
    """What stands around the shared part of a word. An error is a word of its own, as in `_ERROR`;
    the `m` before it may end a colour."""
    before, _, after = word.partition(shared)
    begun = before + shared
    if word in ERROR_WORDS:
        return rf"(?<={begun})(?<![a-ln-z0-9_/.-]{begun}){after}(?![a-z0-9_/-]|\.[a-z0-9_])"
    return f"(?<={begun}){after}"


_SHARED: Final = ("fa", "k", "y")
"""What several words share."""
_QUICK: Final = _quick()


def derivation_of(line: str) -> str:
    """The name of the build that printed the line, as Nix puts it before it; "" if none did."""
    prefix = _DERIVATION.match(line)
    return prefix[1] if prefix else ""
