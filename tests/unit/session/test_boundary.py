"""The boundary of each host: the errors that it turns into others, passes, and keeps."""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.errors import (
    BadAnswer,
    ClientFailed,
    HostError,
    LaunchFailed,
    NeedsPassword,
    NoSuchJob,
    NotAllowed,
    Unreachable,
)
from nixfleet_core.host import Host
from nixfleet_core.job.copies import Copies
from nixfleet_core.session import boundary
from nixfleet_core.session.boundary import FAULTS_LIMIT, drawn, guard_session, not_seen, one_host
from nixfleet_core.session.protocol import HostSession
from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

UNFORESEEN = (
    ValueError("NF_ATTRIBUTE holds a NUL byte"),
    OverflowError("date value out of range"),
    RecursionError("too deep"),
    KeyError("x"),
    AssertionError(),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
)


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_unforeseen_error_becomes_the_hosts_bad_answer(
    faults: list[Exception], error: Exception
) -> None:
    with pytest.raises(BadAnswer, match=type(error).__name__) as caught, one_host("csb0"):
        raise error
    assert faults == [error]
    assert caught.value.cause == "bad-answer"
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no route"),
        BadAnswer("x"),
        ClientFailed("x"),
        NeedsPassword("csb0"),
        NotAllowed("x"),
        NoSuchJob("x"),
        LaunchFailed("x"),
        MemoryError(),
        BrokenPipeError(),
        KeyboardInterrupt(),
        SystemExit(3),
        asyncio.CancelledError(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_known_errors_and_errors_of_no_host_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, one_host("csb0"):
        raise error
    assert caught.value is error


def test_a_failure_of_this_machine_is_called_its_own() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/home/ops/log")
    with (
        pytest.raises(ClientFailed, match=r"this machine .*/home/ops/log: No space left") as caught,
        one_host("csb0"),
    ):
        raise full
    assert "nixfleet attach csb0" in caught.value.advice
    with pytest.raises(Unreachable, match="no answer in time"), one_host("csb0"):
        raise TimeoutError


@pytest.fixture
def errors_log(faults: list[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "state" / "errors.log"
    monkeypatch.setattr(boundary, "faults_path", lambda: path)
    return path


def fail(error: Exception) -> None:
    secret_value = "hunter2"
    assert secret_value
    raise error


def test_the_traceback_is_kept_once_in_the_errors_log(errors_log: Path) -> None:
    for _ in range(3):
        with pytest.raises(BadAnswer) as caught, one_host("csb0"):
            fail(ValueError("https://ops:s3cret@host/x"))
        assert str(errors_log) in caught.value.advice
        assert "s3cret" not in str(caught.value)
    text = errors_log.read_text()
    assert text.count("Traceback") == 1
    assert "csb0" in text
    assert "in fail" in text
    assert "hunter2" not in text.replace('secret_value = "hunter2"', "")
    assert "s3cret" not in text
    assert stat.S_IMODE(errors_log.stat().st_mode) == 0o600


def test_the_errors_log_has_a_bounded_size(errors_log: Path) -> None:
    for number in range(300):
        with pytest.raises(BadAnswer), one_host(f"host{number}"):
            fail(ValueError("x" * 10_000))
    assert errors_log.stat().st_size < 2 * FAULTS_LIMIT


def test_an_unwritable_errors_log_causes_no_second_error(errors_log: Path) -> None:
    errors_log.parent.write_text("no folder")
    with pytest.raises(BadAnswer), one_host("csb0"):
        fail(ValueError("x"))


def test_a_part_that_cannot_be_drawn_shows_the_reason(faults: list[Exception]) -> None:
    assert drawn("csb0", lambda: "picture", str.upper) == "picture"
    assert "VALUEERROR" in drawn("csb0", lambda: str(int("x")), str.upper)


def test_the_table_distinguishes_a_silent_host_from_a_bad_answer() -> None:
    assert not_seen(Unreachable("x")).state == "offline"
    assert not_seen(BadAnswer("x")).state == "error"
    assert not_seen(ClientFailed("x")).state == "error"


# A session.


def session_methods() -> list[str]:
    return [
        name
        for name, member in vars(HostSession).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]


@pytest.mark.parametrize("name", session_methods())
def test_every_method_of_a_session_stays_behind_the_boundary(name: str) -> None:
    assert hasattr(vars(ShellSession)[name], "__wrapped__")


class _Session:
    host = Host("csb0")

    async def probe(self) -> None:
        raise OverflowError("probe")

    async def follow(self, job: str) -> AsyncGenerator[str, None]:
        yield job
        raise OverflowError("follow")

    def plan(self) -> None:
        raise OverflowError("plan")


async def test_a_guarded_session_raises_host_errors_only(faults: list[Exception]) -> None:
    session = guard_session(_Session)()
    with pytest.raises(BadAnswer, match="probe"):
        await session.probe()
    with pytest.raises(BadAnswer, match="plan"):
        session.plan()
    told: list[str] = []
    with pytest.raises(BadAnswer, match="follow"):
        told += [event async for event in session.follow("x")]


async def test_a_shell_that_cannot_be_started_is_this_machines_failure(tmp_path: Path) -> None:
    shell = Shell("csb0", ("/nowhere/ssh",))
    session = ShellSession(Host("csb0"), shell, Copies(tmp_path))
    with pytest.raises(ClientFailed, match="/nowhere/ssh"):
        await session.probe()


def test_all_errors_of_a_session_are_host_errors() -> None:
    kinds = (Unreachable, NeedsPassword, NotAllowed, NoSuchJob, LaunchFailed)
    assert all(issubclass(kind, HostError) for kind in kinds)


def test_errors_are_kept_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert boundary.faults_path() == Path("/s/nixfleet/errors.log")
    assert os.environ["XDG_STATE_HOME"] == "/s"
