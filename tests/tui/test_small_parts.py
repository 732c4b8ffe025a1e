from __future__ import annotations

import pytest

from tui.glyphs import ASCII, UNICODE
from tui.text import (
    ago,
    bar,
    duration,
    local_time,
    plain,
    short_store_path,
    shorten,
    stopwatch,
)
from tui.widgets.columns import Column, fit_columns

COLUMNS = (
    Column("host", "Host", worth=9, least=4),
    Column("where", "Where", worth=1, least=6),
    Column("state", "State", worth=8, least=5),
)
WANTED = {"host": 10, "where": 20, "state": 8}


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (50, {"host": 10, "where": 20, "state": 8}),
        (42, {"host": 10, "where": 20, "state": 8}),
        (35, {"host": 10, "where": 13, "state": 8}),
        (28, {"host": 10, "where": 6, "state": 8}),
        (22, {"host": 7, "where": 6, "state": 5}),
        (18, {"host": 10, "state": 6}),
        (12, {"host": 5, "state": 5}),
        (5, {"host": 5}),
        (0, {"host": 4}),
    ],
)
def test_the_least_important_columns_go_first(room: int, widths: dict[str, int]) -> None:
    assert fit_columns(COLUMNS, WANTED, room) == widths


@pytest.mark.parametrize(
    ("at", "shown"), [(1_795_394_461, "2026-11-23 00:41"), (10**18, ""), (-(10**30), "")]
)
def test_a_time_outside_the_calendar_is_left_out(at: int, shown: str) -> None:
    assert local_time(at) == shown


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (4, "4 s", "00:04"),
        (118, "1m 58s", "01:58"),
        (7500, "2h 05m", "2:05:00"),
        (-3, "0 s", "00:00"),
    ],
)
def test_durations(seconds: int, long: str, short: str) -> None:
    assert (duration(seconds), stopwatch(seconds)) == (long, short)


@pytest.mark.parametrize("seconds", [2.0**33, 10.0**18, float("inf")])
def test_any_age_can_be_shown(seconds: float) -> None:
    assert ago(seconds) == "136 years ago"
    assert ago(-seconds) == "now"


def test_foreign_text_stays_on_its_line() -> None:
    assert plain("a\nb\x1b[2Jc\u202ed\x9be") == "a\ufffdb\ufffd[2Jc\ufffdd\ufffde"
    assert len(plain("x" * 5000)) == 1000


def test_shortening() -> None:
    assert shorten("nixfleet", 8, UNICODE) == "nixfleet"
    assert shorten("nixfleet", 5, UNICODE) == "nixf…"
    assert shorten("nixfleet", 5, ASCII) == "nix.."
    assert shorten("日本語", 4, UNICODE) == "日 …"
    assert (
        short_store_path(f"/nix/store/{'9x4k' * 8}-nixfleet-agent-2.1.0", UNICODE) == "9x4k…-2.1.0"
    )
    assert short_store_path("/opt/agent", UNICODE) == "/opt/agent"
    assert bar(0.5, 4, ASCII) == "##.."
    assert bar(7.0, 4, ASCII) == "####"


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (130, ["host", "where", "state", "commit", "job"]),
        (121, ["host", "where", "state", "commit"]),
        (100, ["host", "where", "state"]),
        (99, ["host", "where", "state"]),
        (30, ["host", "where", "state"]),
    ],
)
def test_for_a_spare_column_nothing_shrinks(room: int, shown: list[str]) -> None:
    columns = (
        *COLUMNS,
        Column("commit", "Commit", worth=0, spare=True),
        Column("job", "Last job", worth=-1, spare=True),
    )
    wanted = {**WANTED, "where": 90, "commit": 7, "job": 4}
    widths = fit_columns(columns, wanted, room)
    assert list(widths) == shown
    assert len(shown) == len(COLUMNS) or widths["where"] == wanted["where"]


def test_a_spare_column_is_for_a_large_table_only() -> None:
    columns = (*COLUMNS, Column("commit", "Commit", worth=0, spare=True))
    for room, has_it in ((99, False), (100, True)):
        assert ("commit" in fit_columns(columns, {**WANTED, "commit": 7}, room)) is has_it
