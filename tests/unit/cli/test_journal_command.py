"""`nixfleet journal`: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from fakes import FakeSession

from nixfleet_core.errors import NoLog, NotAllowed, NoTimes, Unreachable
from nixfleet_core.job.events import Link
from nixfleet_core.journal.wanted import Opened, Wanted

if TYPE_CHECKING:
    from fake_fleet import Fleet

TOKEN = f"ghp_{'a1B2' * 9}"


def asked(session: FakeSession) -> str:
    (call,) = (one for one in session.calls if one.startswith("journal "))
    return call.removeprefix("journal ")


def test_the_last_lines_are_printed_without_credentials(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says["journal"] = ("Started", f"fetching {TOKEN}\nagain")
    result = fleet.run("journal", "csb0")
    assert result.exit_code == 0, result.output
    lines = [line[16:] for line in result.stdout.splitlines()]
    assert lines[:2] == ["agent[7]: Started", "agent[7]: fetching ‹redacted›"]
    assert result.stdout.endswith("\n    again\n")
    assert asked(session) == str(Wanted(200, follow=False, patient=False))
    assert not session.journal_copies[0].text.exists()


def test_raw_prints_the_hosts_own_bytes(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["journal"] = (TOKEN,)
    assert fleet.run("journal", "csb0", "--raw").stdout_bytes == TOKEN.encode()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("-n", "7"), Wanted(7, follow=False, patient=False)),
        (("--since", "-1h"), Wanted(None, "-3600s", follow=False, patient=False)),
        (("--since", "10 min ago", "-n3"), Wanted(3, "-600s", follow=False, patient=False)),
    ],
)
def test_the_wanted_part_is_asked_for(fleet: Fleet, words: tuple[str, ...], wanted: Wanted) -> None:
    assert fleet.run("journal", "csb0", *words).exit_code == 0
    assert asked(fleet.sessions["csb0"]) == str(wanted)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "soon"), "'soon' is no time"),
        (("--since", "1 moon ago"), "no unit 'moon'"),
        (("-n", "-1"), "not in the range"),
    ],
)
def test_a_wrong_command_line_asks_nobody(fleet: Fleet, words: tuple[str, ...], says: str) -> None:
    result = fleet.run("journal", "csb0", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert fleet.sessions["csb0"].calls == []


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (Unreachable("no route", "look at the link"), 5, "csb0: no route\n  → look at the link"),
        (NoLog("nothing there keeps a log of the agent"), 1, "csb0: nothing there keeps a log"),
        (NotAllowed("no sudo"), 1, "no sudo; only root and the group systemd-journal"),
    ],
)
def test_a_log_that_cannot_be_read_has_a_code(
    fleet: Fleet, error: Exception, code: int, says: str
) -> None:
    session = fleet.sessions["csb0"]
    session.says["journal"] = error
    result = fleet.run("journal", "csb0")
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert not session.journal_copies[0].text.parent.exists()


def test_a_password_that_nobody_gives_is_an_error(fleet: Fleet) -> None:
    fleet.sessions["csb0"].password = "secret"
    result = fleet.run("journal", "csb0")
    assert result.exit_code == 1
    assert "sudo on csb0 wants a password" in result.stderr


def test_files_without_times_have_no_since(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["journal"] = NoTimes()
    result = fleet.run("journal", "csb0", "--since", "-1h")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "lines have no times: --since cannot be used there; -n N prints" in result.stderr


def test_ctrl_c_ends_a_log_that_is_followed_and_the_link_is_told(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fleet.sessions["csb0"]
    lost = Link(up=False, seconds=1, why="the connection broke")
    session.says["journal"] = (
        *("one", lost, lost, Opened("systemd"), "two"),
        *(Link(up=False, seconds=8, why="no answer"), Link(up=True)),
    )
    waits = session.journal

    async def then_ctrl_c(*given: object) -> object:
        async for event in waits(*given):  # type: ignore[arg-type]
            yield event
            if event == Link(up=True):
                asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)

    monkeypatch.setattr(session, "journal", then_ctrl_c)
    result = fleet.run("journal", "csb0", "-f")
    assert result.exit_code == 0, result.output
    assert [line[16:] for line in result.stdout.splitlines()] == ["agent[7]: one", "agent[7]: two"]
    assert result.stderr.splitlines() == [
        "csb0: the connection broke; waiting for the host",
        "csb0: it answers again",
        "csb0: no answer; waiting for the host",
        "csb0: it answers again",
    ]
    assert not session.journal_copies[0].text.parent.exists()
