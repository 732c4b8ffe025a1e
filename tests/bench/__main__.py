"""`make bench`: how fast the app is, and the look for restart debt, as a table; `--short` is quick,
and fails if a ratio is far off.

The figures are medians of several rounds of one run, with half of their range; a ratio compares
with a peer that was measured in turn with it. What a terminal gets is read from a real one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from . import debt, flow, logs, many_hosts, starting
from .figures import Row, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUNDS: Final = 5
_SHORT_ROUNDS: Final = 3


def _whole() -> Iterator[Row]:
    yield from starting.rows(_ROUNDS)
    yield from logs.rows(_ROUNDS)
    yield from many_hosts.rows(_ROUNDS)
    yield from debt.rows(_ROUNDS)
    yield from flow.rows(_SHORT_ROUNDS)  # minutes each


def _short() -> Iterator[Row]:
    yield from starting.rows(_SHORT_ROUNDS)
    yield from logs.rows(_SHORT_ROUNDS, lines=200_000)
    yield from many_hosts.rows(_SHORT_ROUNDS, seconds=3)
    yield from debt.rows(_SHORT_ROUNDS, sizes=(100,))
    yield from flow.rows(_SHORT_ROUNDS, seconds=3, stuck=3)


def main() -> None:
    is_short = sys.argv[1:] == ["--short"]
    found: list[Row] = []
    for row in _short() if is_short else _whole():
        found.append(row)
        sys.stderr.write(f"{row.what}: {row.cells()[4]}\n")
    sys.stdout.write(f"{table(found)}\n")
    if is_short:
        sys.exit(any(not row.passes_short for row in found))


if __name__ == "__main__":
    main()
