"""The table of all cases: `cd tests && python -m lab.chaos.table` plays them and writes it; a whole
run by pytest leaves the same in build/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .cases import CASES
from .pool import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .case import Row

_PROJECT: Final = Path(__file__).parents[3]
DOCUMENT: Final = _PROJECT / "docs/chaos.md"
LAST_RUN: Final = _PROJECT / "build/chaos.md"

_HEAD: Final = ("case", "fault shown by", "verdict", "cause", "agent", "host", "s")


_INTRODUCTION: Final = """\
# Chaos

What `make chaos` does to updates of real hosts, and how they end. A run of
`cd tests && python -m lab.chaos.table` writes this page; a whole `make chaos` leaves the same in
`build/chaos.md`.

Each case must show that its fault happened. After each case the agent is active (if one can be),
the client's raw log equals the host's byte for byte, flake.lock equals byte for byte the old one or
the intended one, uncommitted work is intact, and neither side has a process, follower, lock or unit
left.
"""


def cells(row: Row) -> tuple[str, ...]:
    return (
        *(row.case, row.proof, row.verdict, row.cause, row.agent, row.host),
        f"{row.seconds:.0f}",
    )


def plain(rows: Sequence[Row]) -> str:
    """For a terminal, with the count at the end."""
    lines = [_HEAD, *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
    shown = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join([*shown, f"{len(rows)} cases"])


def markdown(rows: Sequence[Row]) -> str:
    """docs/chaos.md."""
    seconds = sum(row.seconds for row in rows)
    lines = [" | ".join(line) for line in (_HEAD, ["---"] * len(_HEAD), *map(cells, rows))]
    table = "\n".join(f"| {line} |" for line in lines)
    return f"{_INTRODUCTION}\n{table}\n\n{len(rows)} cases of {seconds:.0f} s in all\n"


def main() -> None:
    pool = Pool(CASES)
    try:
        failures = [pool.outcomes[case.name].exception() for case in CASES]
    finally:
        pool.close()
    bad = [(case, why) for case, why in zip(CASES, failures, strict=True) if why is not None]
    for case, why in bad:
        sys.stderr.write(f"{case.name}: {type(why).__name__}: {why}\n")
    if bad:
        raise SystemExit(f"{len(bad)} cases did not end as they must; {DOCUMENT} is left alone")
    rows = [pool.outcomes[case.name].result() for case in CASES]
    DOCUMENT.write_text(markdown(rows))
    sys.stdout.write(plain(rows) + "\n")


if __name__ == "__main__":
    main()
