"""What fits on a screen: a line has 110 columns, a function 40 lines."""

from __future__ import annotations

import re
from typing import Final

from scopes.flow import Fault

COLUMNS: Final = 110
LINES: Final = 40

_BEGIN: Final = re.compile(r"(\w+)\(\) [({]$")


def too_large(text: str) -> list[Fault]:
    """The lines and functions of a part that do not fit."""
    faults = []
    name, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS:
            faults.append(Fault(number, f"{len(line)} columns, {COLUMNS} are allowed"))
        if match := _BEGIN.match(line):
            name, first = match[1], number
        elif line in ("}", ")") and name:
            if (lines := number - first + 1) > LINES:
                faults.append(Fault(first, f"{name} has {lines} lines, {LINES} are allowed"))
            name = ""
    return faults
