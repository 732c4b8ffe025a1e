"""What version a commit is said to be: by the name of a tag, or by a file VERSION. Pure.

Both are the word of whoever writes to the repository: a label, never a proof.
"""

from __future__ import annotations

import re
from typing import Final

MOST_BYTES: Final = 100
"""No label is longer, with its line's end."""

_VERSION: Final = r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:[-+~][0-9A-Za-z.+~-]*)?"
_TAG: Final = re.compile(rf"(?:[A-Za-z]+[-/_])*[vV]?({_VERSION})")
_LINE: Final = re.compile(rf"[vV]?({_VERSION})(?:\r?\n)?")


def version_of_tag(name: str) -> str | None:
    """`2.3.0` of `v2.3.0`, `2.3.0`, `release/2.3.0` or `agent-v2.3.0`; None of a name that tells no
    version."""
    found = _TAG.fullmatch(name) if len(name) <= MOST_BYTES else None
    return found[1] if found else None


def version_of_file(data: bytes) -> str | None:
    """The version if that is all that the file has, in one line."""
    found = _LINE.fullmatch(data.decode("utf-8", "replace")) if len(data) <= MOST_BYTES else None
    return found[1] if found else None
