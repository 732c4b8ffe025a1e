"""Advice says as data what of it can be done at once, so each door can offer it.

The words are searched here only: no program does. A cause that names a command in its cure, and
forgets its remedy, fails here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

import pytest
from seen_hosts import HOST, NEW
from test_causes import verdicts
from test_diagnosis import CASES

from nixfleet_core.errors import ClientFailed, Unreachable
from nixfleet_core.judge.causes import expectation, find_cause, find_job
from nixfleet_core.log.failure_table import FAILURES
from nixfleet_core.plan.refusals import REASONS
from nixfleet_core.session.conduct import failed_verdict
from nixfleet_core.vocabulary import CAUSES, KEYS, STEP_REASONS, Advice, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

SAYS: Final[dict[str, tuple[Remedy, ...]]] = {
    r"force update|nixfleet update|\bupdate again": ("update",),
    r"nixfleet restart|\ba restart is enough": ("restart",),
    r"flake\.lock has the commit": ("as-locked",),
    r"force level [1-7]": ("update",),
    r"try again": ("update", "refresh"),
    r"nixfleet rollback|roll back": ("rollback",),
    r"\bverify\b|prove it": ("verify",),
    r"nixfleet commit|\bcommit flake\.lock": ("commit",),
    r"nixfleet attach|attach again|for its verdict": ("attach",),
    r"\bthe log\b|read its log for": ("log",),
    r"nixfleet connect": ("connect",),
    r"look again": ("refresh",),
}
"""What words name, and which remedies that may be."""


def forgotten(advice: Advice) -> list[str]:
    """What the words name, and no remedy does."""
    return [
        words
        for words, wanted in SAYS.items()
        if re.search(words, advice.text, re.IGNORECASE) and not {*wanted} & {*advice.remedies}
    ]


def in_vocabulary() -> Iterator[tuple[str, Advice]]:
    for table in (CAUSES, STEP_REASONS, REASONS):
        for name, words in table.items():
            yield str(name), words.advice
    for row in FAILURES:
        yield row.id, row.advised


def said_of_hosts() -> Iterator[tuple[str, Advice]]:
    for name, (facts, *_) in CASES.items():
        found = find_job(facts) or find_cause(facts, expectation(HOST, facts, NEW))
        yield name, found.advised
    for told in verdicts():
        yield told.sentence, Advice(told.advice, told.remedies)


def test_each_advice_that_names_a_command_carries_it_as_a_remedy() -> None:
    found = {name: forgotten(advice) for name, advice in (*in_vocabulary(), *said_of_hosts())}
    assert {name: words for name, words in found.items() if words} == {}


def test_a_cause_that_forgets_its_remedy_is_found() -> None:
    for words in ("wait, then nixfleet rollback h", "Force update starts it", "the log says why"):
        assert forgotten(Advice(words))
    assert forgotten(Advice("force update starts it", ("rollback",)))
    assert not forgotten(Advice("push it by hand"))


def test_the_command_that_cures_is_a_remedy() -> None:
    for facts, *_ in CASES.values():
        found = find_cause(facts, expectation(HOST, facts, NEW))
        assert {*found.command[:1]} <= {*found.remedies}, found


def test_each_remedy_has_a_key_of_its_own() -> None:
    assert tuple(KEYS) == get_args(Remedy)
    assert len({*KEYS.values()}) == len(KEYS)


@pytest.mark.parametrize(
    ("error", "remedies"),
    [
        (Unreachable("no key", "nixfleet connect h", at_terminal=True), ("connect",)),
        (Unreachable("no route", "look at the VPN"), ()),
        (ClientFailed("no room", "make room, then attach again"), ("attach",)),
    ],
)
def test_a_host_that_cannot_be_reached_says_what_helps_at_once(
    error: Unreachable, remedies: tuple[Remedy, ...]
) -> None:
    assert failed_verdict(HOST, error).remedies == remedies
