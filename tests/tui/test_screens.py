"""What the screens look like, and that they fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import JOB, NOW, STEP_IDS, UPDATED, FakeSession
from owing import DEBT
from screen_text import screen_text, settle
from test_path import press
from test_update_screen import WITH_CHANGES

from nixfleet_core.job.durations import Usual
from nixfleet_core.job.events import JobEnd, JobStart, StepEnd, StepStart, Tick
from nixfleet_core.job.history import JobLine
from nixfleet_core.job.work import BuildNow, BuildTime, BuildTimes, DownloadNow, RetryNow, Work
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.activity import Tally
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.session.protocol import Commit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.pilot import Pilot

    from conftest import MakeApp, MakeFirstRun

    SnapCompare = Callable[..., bool]

HISTORY = (
    JobLine(JOB, NOW - 3600, "ops from 192.0.2.7", "update", "done", seconds=200),
    JobLine("20261122-004101-cd34", NOW - 90000, "root", "update", "failed", "rebuild", 2700),
    JobLine("20261121-004101-ef56", NOW - 180000, "root", "rollback", "interrupted"),
)
FAILED = Verdict(
    kind="failed",
    cause="build-failed",
    sentence="the rebuild failed: the builder of x.drv failed with exit code 1",
    advice="mend what the log tells of, and update again",
    remedies=("update", "log"),
    before=UPDATED.before,
    after=UPDATED.before,
)
SAYS: dict[str, object] = {
    "jobs": HISTORY,
    "debt": DEBT,
    "terminal_argv": ("ssh", "cs0"),
    "usual": Usual(
        steps={"preflight": 4, "stop": 2, "rebuild": 190, "start": 1},
        rest={"rebuild": 200},
        builds={"linux": 240, "git": 40},
    ),
    "incoming": (
        Commit("c0ffee" + "0" * 34, "Use the new cache"),
        Commit("1a2b3c" + "0" * 34, "Bump nixfleet"),
    ),
}


WORK = Work(
    builds=(
        BuildNow("linux-6.12.3", "linux", NOW - 103, "buildPhase"),
        BuildNow("git-2.47.0", "git", NOW - 12, "checkPhase", "ssh://builder"),
        BuildNow("etc", "etc", NOW - 1),
    ),
    building=3,
    downloads=(
        DownloadNow("glibc-2.40-66", "https://cache.nixos.org", 7_000_000, 12_000_000, NOW - 4),
        DownloadNow("https://api.github.com/repos/x/tarball", "", 51_000, 0, NOW - 2),
    ),
    downloading=2,
    fetched=Tally(41_000_000, 90_000_000),
    rate=3_300_000,
    waiting=31,
    names=("system-path", "unit-nixfleet-agent.service", "nixos-system-csb0-25.11"),
    retries=(
        RetryNow("error: unable to download 'https://a.example/x.nar': HTTP error 503", 9, NOW - 6),
    ),
)
BUILT = BuildTimes(
    tuple(
        BuildTime(name, name, seconds)
        for name, seconds in {
            "linux-6.12.3": 244,
            "git-2.47.0": 31,
            "nixfleet-agent-2.2.0": 17,
            "system-path": 4,
            "etc": 2,
            "hwdb.bin": 1,
        }.items()
    )
)


async def play_rebuild(session: FakeSession) -> None:
    """A job in the middle of its rebuild."""
    await session.say(JobStart(at=NOW - 134))
    for number, step in enumerate(STEP_IDS[:4]):
        at = NOW - 134 + 4 * number
        await session.say(
            StepStart(step=step, at=at, log=0), StepEnd(step=step, at=at + 3, status="ok", log=0)
        )
    await session.say(StepStart(step="rebuild", at=NOW - 118, log=0), Progress(12, 47), WORK)
    building = "building '/nix/store/{}-\x1b[1mpackage-{}\x1b[0m.drv'...\n"
    await session.log("".join(building.format("abcd" * 8, number) for number in range(1, 400)))
    await session.log("\x1b[31;1merror:\x1b[0m builder for '/nix/store/x.drv' failed\n")
    await session.say(Tick(at=NOW, log=0))


async def fail(session: FakeSession) -> None:
    """The end of a job whose rebuild has failed."""
    await play_rebuild(session)
    await session.say(
        StepEnd(step="rebuild", at=NOW, status="failed", log=0, rc=1),
        StepEnd(step="start", at=NOW, status="ok", log=0),
        StepEnd(step="verify", at=NOW, status="skipped", log=0),
        JobEnd(at=NOW, outcome="failed"),
        BUILT,
        None,
    )


SCREENS: dict[str, tuple[Callable[[FakeSession], Awaitable[None]] | str, ...]] = {
    "fleet": ("space",),
    "filter": ("slash", "c", "s"),
    "help": ("question_mark",),
    "host": ("d", "down"),
    "debt": ("D",),
    "menu": ("full_stop", "down"),
    "offline": ("G", "enter"),
    "plan": ("enter", "down", "space"),
    "level": ("enter", "L"),
    "plans": ("ctrl+a", "u", "space"),
    "generations": ("b",),
    "rollback": ("b", "enter"),
    "history": ("H",),
    "verified": ("v",),
    "update": ("enter", "enter", play_rebuild),
    "cancel": ("enter", "enter", play_rebuild, "c"),
    "log": ("enter", "enter", play_rebuild, "z", "t", "e"),
    "updated": ("enter", "enter", FakeSession.run_job),
    "failed": ("enter", "enter", fail, "e"),
    "many": ("ctrl+a", "u", "enter", play_rebuild),
}
"""How to get to each screen: keys, and what the first host's job does meanwhile."""

VIEWS = [
    ((200, 60), "dark"),
    ((120, 40), "dark"),
    ((80, 24), "dark"),
    ((120, 40), "light"),
    ((120, 40), "mono"),
    ((80, 24), "ascii"),
]


LOOKS = pytest.mark.parametrize(
    ("size", "look"), VIEWS, ids=[f"{size[0]}x{size[1]}-{look}" for size, look in VIEWS]
)


@LOOKS
@pytest.mark.parametrize("screen", SCREENS)
def test_picture(
    snap_compare: SnapCompare,
    make_app: MakeApp,
    fleet: list[FakeSession],
    monkeypatch: pytest.MonkeyPatch,
    screen: str,
    size: tuple[int, int],
    look: str,
) -> None:
    if look == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    fleet[0].says.update(SAYS)
    fleet[0].says["verdict"] = FAILED if screen == "failed" else WITH_CHANGES

    async def before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for part in SCREENS[screen]:
            if isinstance(part, str):
                await press(pilot, part)
            else:
                await part(fleet[0])
                await settle(pilot)
        # reading the text has drawn a dialog without the screen below it
        pilot.app.screen.refresh()
        await settle(pilot)

    theme = look if look in ("dark", "light") else "auto"
    app = make_app(plain=look == "ascii", theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=before)


@LOOKS
def test_picture_without_hosts(
    snap_compare: SnapCompare,
    make_first_run: MakeFirstRun,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    look: str,
) -> None:
    if look == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    app = make_first_run(plain=look == "ascii", theme=look if look in ("dark", "light") else "auto")
    assert snap_compare(app, terminal_size=size, run_before=settle)


async def visit_all(pilot: Pilot[None], fleet: list[FakeSession]) -> list[str]:
    """Every screen and dialog once."""
    fleet[0].password = "right"
    fleet[0].says["incoming"] = (Commit("c" * 40, "title"),)
    fleet[0].says["jobs"] = HISTORY
    fleet[0].says["usual"] = SAYS["usual"]
    fleet[0].says["debt"] = DEBT
    app = pilot.app
    await settle(pilot)
    seen = [screen_text(app)]  # type: ignore[arg-type]
    start = (["question_mark"], ["escape", "slash"], ["c", "s"], ["escape", "s", "enter"])
    seen += [await press(pilot, *keys) for keys in start]
    seen.append(await press(pilot, "full_stop", "end"))
    await press(pilot, "escape")
    seen.append(await press(pilot, "d", "end"))
    await press(pilot, "escape")
    seen.append(await press(pilot, "L"))
    seen.append(await press(pilot, "2", "enter", "b"))
    seen.append(await press(pilot, "enter"))
    seen.append(await press(pilot, *"right", "enter"))
    await play_rebuild(fleet[0])
    await settle(pilot)
    seen += [await press(pilot, key) for key in ("t", "w", "m", "e", "slash", "escape", "z", "z")]
    seen.append(await press(pilot, "ctrl+s"))
    seen.append(await press(pilot, "escape", "c"))
    await fleet[0].say(JobEnd(at=NOW, outcome="done"), None)
    seen.append(await press(pilot, "escape", "escape", "H"))
    seen.append(await press(pilot, "escape", "D"))
    seen.append(await press(pilot, "escape", "b"))
    seen.append(await press(pilot, "escape", "ctrl+a", "u"))
    seen.append(await press(pilot, "enter"))
    return seen


async def test_ascii_option_shows_only_ascii(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    async with make_app(plain=True).run_test(size=(120, 40)) as pilot:
        for text in await visit_all(pilot, fleet):
            assert_ascii(text)


async def test_ascii_option_without_hosts_shows_only_ascii(make_first_run: MakeFirstRun) -> None:
    async with (app := make_first_run(plain=True)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert_ascii(screen_text(app))


def assert_ascii(text: str) -> None:
    assert sorted(set(text) - set(map(chr, range(32, 127))) - {"\n"}) == []


@pytest.mark.parametrize("size", [(60, 15), (99, 50), (200, 60)])
async def test_every_screen_fits(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    async with make_app().run_test(size=size) as pilot:
        for text in await visit_all(pilot, fleet):
            assert "NixFleet needs" not in text
            assert "csb0" in text or "Keys" in text or "hosts" in text


@pytest.mark.parametrize("size", [(59, 24), (80, 14), (20, 5)])
async def test_a_terminal_that_is_too_small_gets_a_notice(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    said = f"this terminal has {size[0]}×{size[1]}"
    async with (app := make_app()).run_test(size=size) as pilot:
        await settle(pilot)
        assert said in " ".join(screen_text(app).split())
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "csb0" in screen_text(app)
        await press(pilot, "enter")
        await pilot.resize_terminal(*size)
        await settle(pilot)
        assert said in " ".join(screen_text(app).split())
        assert "git merge" not in screen_text(app)


async def test_a_narrow_table_keeps_host_running_and_state(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].host = replace(fleet[0].host, name="a-host-with-quite-a-long-name.example.org")
    async with (app := make_app()).run_test(size=(60, 15)) as pilot:
        await settle(pilot)
        text = screen_text(app)
    for shown in ("Host", "Running", "State", "2.1.0", "▲ stale"):
        assert shown in text
    assert "Where" not in text
