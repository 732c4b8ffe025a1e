"""Each verdict has an exit code, and the worst one counts."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

from nixfleet_core.job.outcome import Kind
from nixfleet_core.judge.exit_codes import (
    EXIT_BUSY,
    EXIT_CODES,
    EXIT_DETACHED,
    EXIT_ORDER,
    EXIT_USAGE,
    worst_exit,
)


def test_every_kind_has_its_exit_code() -> None:
    assert set(EXIT_CODES) == set(get_args(Kind))
    assert {code for code in EXIT_CODES.values() if code} | {
        EXIT_USAGE,
        EXIT_BUSY,
        EXIT_DETACHED,
    } == set(EXIT_ORDER)
    assert {kind for kind, code in EXIT_CODES.items() if code == 0} == {
        *("updated", "current", "restarted"),
    }


def test_the_worst_exit_of_several_hosts_counts() -> None:
    assert EXIT_ORDER == (2, 1, 3, 8, 4, 5, 6, 7, 9)
    for better, worse in zip(EXIT_ORDER[1:], EXIT_ORDER, strict=False):
        assert {worst_exit(list(codes)) for codes in permutations((0, better, worse))} == {worse}
    assert worst_exit([]) == worst_exit([0, 0]) == 0
