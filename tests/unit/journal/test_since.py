from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.journal.since import EXAMPLES, read_since

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 30, 12, 0, 5)  # noqa: DTZ001 - by the clock of this machine


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("10 min ago", "-600s"),
        ("-1h", "-3600s"),
        ("-1h 30min", "-5400s"),
        ("1h30min ago", "-5400s"),
        ("2 days ago", "-172800s"),
        (" 1  week  ago ", "-604800s"),
        ("-1M", "-2629800s"),
        ("@1796038053", "@1796038053"),
        ("today", "@1795993200"),
        ("yesterday", "@1795906800"),
        ("14:30", "@1796045400"),
        ("14:30:05", "@1796045405"),
        ("2026-11-30", "@1795993200"),
        ("2026-11-30 14:30", "@1796045400"),
        ("2026-11-30T14:30:00", "@1796045400"),
        ("2026-07-01 00:00", "@1782856800"),  # summer time
    ],
)
def test_spans_and_times_become_a_number(text: str, sent: str) -> None:
    assert read_since(text, NOW) == sent


@pytest.mark.parametrize(
    "text",
    [
        *("", "now-ish", "10 min", "-1h ago", "1 fortnight ago", "-99999999 years", "2026-13-01"),
        *("$(id)", "-1h; id", "--until=now", "-1h\0", "'", "10 min ago --all", "-1h\n-2h x"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|no unit|longer ago") as caught:
        read_since(text, NOW)
    assert repr(text) in str(caught.value)
    if "no time" in str(caught.value):
        assert EXAMPLES in str(caught.value)
