"""What Nix says of a flake that does not evaluate; the names nearest to a wrong one. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEAREST: Final = 5
_MOST_NAMES: Final = 1000
"""Names that are compared; a flake has fewer."""
_MOST_LINES: Final = 3
"""Lines of one error that are shown."""

_ERROR: Final = re.compile(r"^\s*error:(?:\s+(\S.*))?$")
_PLACE: Final = re.compile(r"^\s*at (\S.*:\d+:\d+):?$")
_SOURCE: Final = re.compile(r"^(?:/nix/store/[0-9a-z]{32}-source/|«[^»]*»/)")
"""Where Nix keeps the flake's files: a copy in the store; newer ones may name the flake."""


def evaluation_error(lines: Sequence[str]) -> str:
    """Nix's own error, and the place that it names: the one behind the error, else the nearest one
    before it. Nix 2.8 gives a place only for some errors; newer ones print the way there first, and
    the error last, perhaps below a line `error:`. "" if no error is there."""
    found = [(at, text) for at in range(len(lines)) if (text := _error_at(lines, at))]
    if not found:
        return ""
    at, text = found[-1]
    after = next((p for line in lines[at:] if (p := _place(line))), "")
    place = after or next((p for line in reversed(lines[:at]) if (p := _place(line))), "")
    return f"{text} (at {place})" if place else text


def _error_at(lines: Sequence[str], at: int) -> str:
    """The text of the error that begins in that line, "" if none does."""
    match = _ERROR.match(lines[at])
    if match is None:
        return ""
    if match[1]:
        return str(match[1])
    below = [line.strip() for line in lines[at + 1 : at + 1 + _MOST_LINES] if line.strip()]
    if not below or below[0].startswith(("…", "at ", "error:")):
        return ""  # the way to the error begins there
    return " ".join(line for line in below if not line.startswith(("…", "at ")))


def _place(line: str) -> str:
    match = _PLACE.match(line)
    return _SOURCE.sub("", match[1]) if match else ""


def nearest_names(names: Sequence[str], wanted: str) -> str:
    """The names that come nearest to the wanted one, best first, as words for people."""
    known = [name for name in names[:_MOST_NAMES] if name.strip()]
    if not known:
        return "it has none"
    matcher = SequenceMatcher(b=wanted, autojunk=False)

    def distance(name: str) -> float:
        matcher.set_seq1(name)
        return -matcher.ratio()

    nearest = sorted(known, key=distance)[:_NEAREST]
    more = len(known) - len(nearest)
    rest = f" and {more} more" if more else ""
    return f"it has {', '.join(nearest)}{rest}"
