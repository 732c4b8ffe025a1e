"""What comes along of the input: words and lists."""

from __future__ import annotations

import pytest
from seen_hosts import NOT_BUILT

from nixfleet_core.host import Host
from nixfleet_core.judge.coming import (
    Coming,
    InputCommit,
    Side,
    coming,
    commit_lines,
    target_of,
)
from nixfleet_core.judge.fix import Change
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.plan.model import Options

OLD, NEW = "a" * 40, "b" * 40
TITLE = Change("1" * 40, "Reconnect", author="x@y 1795000000")
BACK = Change("2" * 40, 'Revert "Reconnect"', author="x y@z 1795086400")
NOTHING = Side(0)


@pytest.mark.parametrize(
    ("sides", "words", "brief", "takes_back"),
    [
        (
            (Side(1, [TITLE]), NOTHING),
            "1 commit of nixfleet comes along",
            "1 commit of nixfleet",
            False,
        ),
        (
            (Side(2, [BACK, TITLE]), NOTHING),
            "2 commits of nixfleet come along; 1 revert among them",
            "2 commits of nixfleet, 1 revert",
            True,
        ),
        (
            (Side(12, [BACK, *[TITLE] * 9]), NOTHING),
            "12 commits of nixfleet come along; 1 revert among the newest 10",
            "12 commits of nixfleet, at least 1 revert",
            True,
        ),
        (
            (NOTHING, Side(3, [TITLE])),
            "a downgrade: 3 commits of nixfleet run now, and will not",
            "a downgrade by 3 commits of nixfleet",
            True,
        ),
        (
            (Side(1, [TITLE]), Side(1, [BACK])),
            "1 commit of nixfleet comes along; 1 commit of nixfleet runs now, and will not",
            "1 commit of nixfleet, and 1 goes",
            True,
        ),
    ],
)
def test_words_say_what_changes(
    sides: tuple[Side, Side], words: str, brief: str, takes_back: bool
) -> None:
    found = coming(OLD, NEW, *sides)
    assert (found.sentence("nixfleet"), found.brief("nixfleet")) == (words, brief)
    assert found.takes_back == takes_back


def test_the_same_commit_and_what_is_not_known_are_said() -> None:
    same, unknown = Coming(running=OLD, target=OLD), Coming(unknown="no answer")
    assert same.sentence("nixfleet") == "no commit of nixfleet comes along"
    assert same.brief("nixfleet") == "no commit of nixfleet"
    words = unknown.sentence("nixfleet")
    assert words == "which commits of nixfleet come along is not known: no answer"
    assert unknown.brief("nixfleet") == "commits of nixfleet not known"
    assert [same.takes_back, unknown.takes_back] == [False, False]


def test_ten_commits_are_named_and_the_rest_counted() -> None:
    many = [Change(f"{n:040}", f"Change {n}", author="x@y 1795000000") for n in range(12)]
    found = coming(OLD, NEW, Side(12, many), Side(1, [BACK]))
    lines = [" ".join(parts) for parts in commit_lines(found)]
    assert lines[0] == "+ 0000000 2026-11-18 Change 0"
    assert lines[9:] == [
        "+ 0000000 2026-11-18 Change 9",
        "+  and 2 more",
        '- 2222222 2026-11-19 Revert "Reconnect" (a revert)',
    ]


@pytest.mark.parametrize("author", ["", "x@y", "x@y -5", "x@y 99999999999999999999", "x@y 1e9"])
def test_a_date_that_is_none_costs_nothing_else(author: str) -> None:
    found = coming(OLD, NEW, Side(1, [Change("1" * 40, "Title", author=author)]), NOTHING)
    assert found.commits == (InputCommit("1" * 40, "Title", None),)
    assert next(commit_lines(found)) == ("+", "1111111", "no date    Title")


def test_the_options_say_which_commit_will_run() -> None:
    host = Host("csb0")

    def target(latest: str | NotKnown | None, **options: object) -> str | NotKnown:
        return target_of(NOT_BUILT, host, Options(**options), latest)  # type: ignore[arg-type]

    locked = NOT_BUILT.lock_rev("nixfleet")
    assert locked is not None
    assert target(NEW) == NEW
    assert target(NEW, input_rev=OLD) == OLD
    assert target(NEW, as_locked=True) == locked != NEW
    away = NotKnown("no answer", "ask again")
    assert target(away) == away
    assert isinstance(target(None), NotKnown)
