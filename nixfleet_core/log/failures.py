"""What failed, by the text that a command printed.

Hosts decide by it whether a command is tried again (scripts/job/command.sh), and we name the cause
by it. Both read the same messages and rank the same rows; tests hold the two equal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nixfleet_core.log.failure_table import FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixfleet_core.log.failure_table import Failure

BUILDERS: Final = r'^(@nix \{"action":"result"| *[^ ]*> )'
"""A pattern for `grep -E`: a line that a builder printed, also in the tail of its log that Nix
repeats."""

PROGRESS: Final = (
    "retrying (in|from offset [0-9]+ in) [0-9]+ ms|cannot build on '|disabling binary cache '"
)
"""A pattern for `grep -E`: a tool goes on by itself: it tries again, or without that builder or
that cache."""

WARNINGS: Final = '(^|"msg":") *((trace: )?evaluation |trace: )?[Ww]arning: '
"""A pattern for `grep -E`: a message about something that a tool does without. `TOLD` has those
that count; if Nix kept what it had, all do."""

TOLD: Final = "|".join(row.pattern for row in FAILURES if row.from_warnings)

_KINDS: Final = ("stale", "transient", "permanent")
_LINE_LIMIT: Final = 4096
"""Characters of a line that are read: a row's frame is near its beginning."""


def find_failure(lines: Iterable[str]) -> Failure | None:
    """What went wrong, by the lines of a failed step; None when no line is known.

    The row with the most weight counts; of equal weight a permanent one; among equals the last
    line, and its first row. The lines may be log.txt's or raw.
    """
    any_row = re.compile(_ANY)  # here, and kept by `re`: most commands look for no failure
    best: Failure | None = None
    for text, from_builder in _messages(lines):
        if not any_row.search(text):
            continue
        rows = [row for row in FAILURES if row.from_builders or not from_builder]
        found = [row for row in rows if re.search(row.pattern, text)]
        if found:
            row = max(found, key=_rank)
            best = row if best is None or _rank(row) >= _rank(best) else best
    return best


def _rank(row: Failure) -> tuple[int, int]:
    return row.weight, _KINDS.index(row.kind)


def _messages(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The lines of each message that tells of a failure, and whether a builder printed them."""
    said: list[str] = []
    for line in map(strip_colours, lines):
        if re.search(BUILDERS, line):
            yield line[:_LINE_LIMIT], True
        elif not re.search(PROGRESS, line):
            said.append(line)
    # Nix prints the server's answer between its warning and the words that it kept what it had
    kept_old = any(re.search(stale_pattern(), line) for line in said)
    for line in said:
        if kept_old or not re.search(WARNINGS, line) or re.search(TOLD, line):
            for part in line.split("\\n"):  # as JSON has them
                yield part[:_LINE_LIMIT], re.search(BUILDERS, part) is not None


def strip_colours(line: str) -> str:
    """The line without colours, also where they are escaped as in JSON."""
    return _COLOUR.sub("", line)


def ranked_patterns(*, switch: bool = False) -> str:
    """For a host: lines `KIND WHERE (PATTERN)` for `grep -E`, the most weight first. The first
    pattern that is found decides whether another try is worth it.

    WHERE says which lines it counts in: `said` or `built` (by a builder). `switch`: only what can
    fail a switch after its build.
    """
    rows = [row for row in FAILURES if not switch or row.source in ("switch", "system")]
    ranks = sorted({_rank(row) for row in rows if row.kind != "stale"}, reverse=True)
    lines = []
    for rank in ranks:
        equal = [row for row in rows if _rank(row) == rank]
        for where, chosen in (
            ("said", equal),
            ("built", [row for row in equal if row.from_builders]),
        ):
            if chosen:
                pattern = "|".join(row.pattern for row in chosen)
                lines.append(f"{chosen[0].kind} {where} ({pattern})")
    return "\n".join(lines)


def refused_pattern() -> str:
    """One pattern for `grep -E` and Python: a git server refuses us, or hides the repository from
    us (GitHub says "Repository not found" of a private one). Nix may still have what opens it."""
    rows = (row for row in FAILURES if row.cause == "auth" and row.source in ("git", "ssh"))
    return "|".join((*(row.pattern for row in rows), "Repository not found"))


def stale_pattern() -> str:
    """One pattern for `grep -E`: Nix says that it kept what it had, whatever its exit code."""
    return "|".join(row.pattern for row in FAILURES if row.kind == "stale")


_COLOUR: Final = re.compile(r"(?:\x1b|\\u001[bB])\[[0-9;:]*m")
_ANY: Final = "|".join(row.pattern for row in FAILURES)
