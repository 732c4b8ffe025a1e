"""The folder of the client's copies fills up or goes away in the middle of an update."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import pytest
from fakes import JOB, NOT_RESTARTED, NOW, STEP_IDS, UPDATED, FakeSession, make_host
from screen_text import screen_text, settle
from test_path import press

from nixfleet_core.job.copies import JobCopy
from nixfleet_core.job.events import CopyHalt, JobEvent, StepStart
from nixfleet_core.job.frames import GREETING
from nixfleet_core.session import follow
from nixfleet_core.session.follow import Follower
from nixfleet_core.transport.answer import Answer
from tui.screens.update import UpdateScreen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from conftest import MakeApp
    from nixfleet_core.transport.shell import Shell

RESULT = b'{"format":1,"outcome":"done","failed":"","rc":0,"ended":9}\n'


class Host:
    """A job on a host, which keeps its log and its events, and whoever follows it."""

    root = "/r"

    def __init__(self) -> None:
        self.files = {"log": b"", "events": b"", "result": b""}
        self.told: list[JobEvent] = []
        self.news = asyncio.Condition()

    async def runs(self, step: str, log: str, *, to: str = "") -> None:
        """A step begins and prints; it ends, too, if its end `to` is given."""
        at = len(self.files["log"])
        self.files["log"] += log.encode()
        events = f'{{"event":"step-start","step":"{step}","at":{NOW},"log":{at}}}\n'
        if to:
            events += (
                f'{{"event":"step-end","step":"{step}","at":{NOW},"status":"{to}",'
                f'"log":{len(self.files["log"])}}}\n'
            )
        await self.writes(events=events.encode())

    async def writes(self, **more: bytes) -> None:
        for name, data in more.items():
            self.files[name] += data
        async with self.news:
            self.news.notify_all()

    async def open(self, script: str, *, elevate: bool = False) -> Connection:  # noqa: ARG002
        at = {name: int(re.findall(rf"^NF_{name.upper()}_AT=(\d+)$", script, re.M)[0])
              for name in ("log", "events")}  # fmt: skip
        return Connection(self, {**at, "result": 0})

    async def follow(self, session: FakeSession) -> AsyncGenerator[JobEvent, None]:
        async def lost() -> None:
            pytest.fail("the host was not lost")

        follower = Follower(cast("Shell", self), JobCopy(session.folder), JOB, lost)
        async with aclosing(follower.events()) as events:
            async for event in events:
                yield event
                async with self.news:
                    self.told.append(event)
                    self.news.notify_all()

    async def until(self, heard: Callable[[list[JobEvent]], object]) -> None:
        """Wait until the app has taken in such events."""
        async with asyncio.timeout(20), self.news:
            await self.news.wait_for(lambda: heard(self.told))


class Connection:
    def __init__(self, host: Host, at: dict[str, int]) -> None:
        self._host, self._at, self._begins = host, at, True

    async def read(self) -> bytes:
        if self._begins:
            self._begins = False
            return GREETING
        async with self._host.news:
            await self._host.news.wait_for(self._has_more)
        name = next(name for name, at in self._at.items() if len(self._host.files[name]) > at)
        at, data = self._at[name], self._host.files[name][self._at[name] :]
        self._at[name] += len(data)
        return b"@%s %d %d\n%s\n" % (name.encode(), at, len(data), data)

    def _has_more(self) -> bool:
        return any(len(self._host.files[name]) > at for name, at in self._at.items())

    async def close(self) -> Answer:
        return Answer(255, b"", "", "lost")


def fill(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The disk takes five more bytes."""
    left, real = [5], os.write

    def write(fd: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(fd, data[: left[0]])
        left[0] -= written
        return written

    def no_room(_: JobCopy) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(follow.os, "write", write)
    patch.setattr(JobCopy, "check_grows", no_room)
    assert folder.is_dir()


def take_away(folder: Path, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file is there instead")


@pytest.mark.parametrize(
    ("spoil", "why"), [(fill, "No space left on device"), (take_away, "is no folder")]
)
async def test_update_goes_on_while_the_copy_cannot_and_the_view_catches_up(
    make_app: MakeApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    why: str,
) -> None:
    monkeypatch.setattr(follow, "HALT_DELAY", 0.01)
    folder = tmp_path / "copy"
    host, session = Host(), FakeSession(make_host("csb0"), folder, probe=NOT_RESTARTED)
    session.says["follow"] = host.follow
    async with make_app([session]).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await host.runs("preflight", "looking\n", to="ok")
        await host.runs("stop", "stopping\n")
        await host.until(lambda told: any(getattr(e, "step", "") == "stop" for e in told))
        with monkeypatch.context() as patch:
            spoil(folder, patch)
            for step in STEP_IDS[2:]:
                await host.runs(step, f"doing {step}\n", to="ok")
            await host.writes(
                events=b'{"event":"job-end","at":%d,"outcome":"done"}\n' % NOW, result=RESULT
            )
            await host.until(lambda told: any(isinstance(e, CopyHalt) for e in told))
            await settle(pilot)
            assert isinstance(pilot.app.screen, UpdateScreen)
            text = " ".join(screen_text(pilot.app).replace("│", " ").split())
            assert "the copy here cannot be written, retrying" in text
            assert why in text
            assert "the job goes on" in text
            assert str(folder).replace("/", "") in re.sub(r"[/ ]", "", text)
            assert "✔ Verify" not in text
        if not folder.is_dir():
            folder.unlink()
        await pilot.app.screen._watcher.ended.wait()
        await settle(pilot)
        text = screen_text(pilot.app)
        for step in ("Preflight", "Pull", "Update", "Rebuild", "Start", "Verify"):
            assert f"✔ {step}" in text
        assert UPDATED.sentence[:20] in text
        assert "cannot be written" not in text
        for line in ("looking", "stopping", *(f"doing {step}" for step in STEP_IDS[2:])):
            assert text.count(line) == 1, line
    starts = [event.step for event in host.told if isinstance(event, StepStart)]
    assert starts == [*STEP_IDS]
    assert (folder / "log").read_bytes() == host.files["log"]
    assert (folder / "events").read_bytes() == host.files["events"]
