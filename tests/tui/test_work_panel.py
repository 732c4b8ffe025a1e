"""What Nix does now, in lines, in one line, and on the screen of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import NOW, FakeSession
from screen_text import screen_text, settle
from test_path import press
from test_screens import BUILT, SAYS, WORK, fail, play_rebuild

from nixfleet_core.job.durations import Usual
from nixfleet_core.job.events import JobStart, StepStart, Tick
from nixfleet_core.job.work import BuildNow, BuildTimes, DownloadNow, RetryNow, WordsNow, Work
from nixfleet_core.nix.activity import Tally
from tui.glyphs import UNICODE
from tui.work_rows import (
    slowest_in_one_line,
    slowest_lines,
    work_in_one_line,
    work_lines,
    work_parts,
)

if TYPE_CHECKING:
    from conftest import MakeApp

LINUX = BuildNow("linux-6.12", "linux", NOW - 103, "buildPhase")
USUAL = Usual(builds={"linux": 240})
LOCK = f"waiting for lock on '/nix/store/{'a' * 32}-git-2.47'"
URL = "http://c.example:8080/nar/x.nar.xz"
FAILED = f"warning: error: unable to download '{URL}': HTTP error 503"


def lines(work: Work, *, now: int | None = NOW, width: int = 60, count: int = 9) -> list[str]:
    shown = work_lines(work, USUAL, now, UNICODE, width, count)
    assert all(line.cell_length <= width for line in shown)
    return [" ".join(line.plain.split()) for line in shown]


def one_line(work: Work, width: int) -> str:
    shown = work_in_one_line(work, USUAL, NOW, UNICODE, width)
    assert shown.cell_length <= width
    return shown.plain


@pytest.mark.parametrize(
    ("work", "shown"),
    [
        (Work(), "· nothing runs in Nix"),
        (Work(builds=(LINUX,)), "▶ linux-6.12 buildPhase 1m 43s of ~4m 00s"),
        (Work(builds=(BuildNow("etc", "etc", NOW),)), "▶ etc 0 s"),
        (Work(builds=(BuildNow("etc", "etc", NOW + 9),)), "▶ etc 0 s"),
        (Work(builds=(BuildNow("etc", "etc"),)), "▶ etc"),
        (Work(builds=(BuildNow("linux-7", "linux"),)), "▶ linux-7 ~4m 00s"),
        (Work(builds=(BuildNow("x", "x", NOW, "p", "ssh://b1"),)), "▶ x on ssh://b1 p 0 s"),
        (
            Work(downloads=(DownloadNow("git", "c", 2**20, 4 * 2**20, NOW - 4),)),
            "↓ git 1.0 MiB of 4.0 MiB at 256.0 KiB/s 4 s",
        ),
        (Work(downloads=(DownloadNow("git", "c", 2**20, 0, NOW),)), "↓ git 1.0 MiB 0 s"),
        (Work(downloads=(DownloadNow("git", "c", 0, 0),)), "↓ git 0 Bytes"),
        (Work(waits=(WordsNow(LOCK, NOW - 7),)), "↻ waiting for lock on 'git-2.47' 7 s"),
        (
            Work(retries=(RetryNow(FAILED, 5.2, NOW - 3),)),
            "↻ unable to download c.example:8080: HTTP error 503 again in 3 s",
        ),
        (Work(retries=(RetryNow(FAILED, 2.0, NOW - 3),)), "· nothing runs in Nix"),
        (Work(retries=(RetryNow(FAILED, 2.0),)), "· nothing runs in Nix"),
        (Work(others=(WordsNow("evaluating 'x'", NOW - 2),)), "▶ evaluating 'x' 2 s"),
        (Work(queries=1), "▶ asks the caches about 1 path"),
        (Work(queries=24), "▶ asks the caches about 24 paths"),
        (Work(waiting=1, names=("a", "b")), "· wait: a"),
    ],
)
def test_each_kind_of_work_has_its_line(work: Work, shown: str) -> None:
    assert lines(work, width=70) == [shown]


def test_what_holds_the_work_up_comes_first_and_what_waits_last() -> None:
    work = Work(
        builds=(LINUX,),
        downloads=(DownloadNow("git", "c", 1, 2),),
        waits=(WordsNow("waiting for a machine"),),
        retries=(RetryNow("error: again", 9, NOW),),
        others=(WordsNow("evaluating"),),
        waiting=1,
        names=("system",),
    )
    assert [line.split()[1] for line in lines(work)] == [
        *("again", "waiting", "linux-6.12", "git", "evaluating", "wait:")
    ]
    assert lines(work, count=3)[1:] == ["↻ waiting for a machine", "and 4 more"]


def test_names_stand_in_a_column_and_times_at_the_end_of_their_lines() -> None:
    shown = work_lines(WORK, SAYS["usual"], NOW, UNICODE, 100, 9)  # type: ignore[arg-type]
    phases = zip(shown[1:3], ("buildPhase", "checkPhase"), strict=True)
    assert {line.plain.find(phase) for line, phase in phases} == {42}
    assert all(len(line.plain) == 100 for line in shown if line.plain.endswith((" s", "0s")))


@pytest.mark.parametrize(
    ("work", "parts"),
    [
        (Work(), []),
        (Work(building=1), ["1 build"]),
        (Work(building=2, waiting=3), ["2 builds, 3 wait"]),
        (Work(waiting=3), ["3 wait"]),
        (Work(downloading=1, fetched=Tally(0, 2**20)), ["1 download 0 Bytes of 1.0 MiB"]),
        (
            Work(building=1, downloading=2, fetched=Tally(512, 0), rate=256),
            ["1 build", "2 downloads 512 Bytes at 256 Bytes/s"],
        ),
    ],
)
def test_the_title_counts_what_there_is(work: Work, parts: list[str]) -> None:
    assert work_parts(work) == parts


def test_one_line_tells_the_first_thing_and_as_much_of_the_rest_as_fits() -> None:
    work = Work(
        *((LINUX,), 2, (DownloadNow("git", "c", 1, 2),), 1),
        fetched=Tally(2**20, 2**21),
        waiting=3,
    )
    build = "▶ linux-6.12 buildPhase 1m 43s of ~4m 00s"
    whole = f"{build} · 2 builds, 3 wait · 1 download 1.0 MiB of 2.0 MiB"
    assert one_line(work, 100) == whole
    assert one_line(work, 80) == whole.rpartition(" · ")[0]
    assert one_line(work, 45) == build
    assert one_line(work, 20) == "▶ linux-6.12 buildP…"
    assert one_line(Work(builds=(LINUX,), building=1), 100) == build
    assert one_line(Work(), 100) == "· nothing runs in Nix"


def test_the_five_slowest_builds_are_listed() -> None:
    shown = slowest_lines(BUILT.builds, UNICODE, 40)
    assert [" ".join(line.plain.split()[1:]) for line in shown] == [
        *("linux-6.12.3 4m 04s", "git-2.47.0 31 s", "nixfleet-agent-2.2.0 17 s"),
        *("system-path 4 s", "etc 2 s"),
    ]
    line = slowest_in_one_line(BUILT.builds, UNICODE, 60).plain
    assert line == "slowest: linux-6.12.3 4m 04s, git-2.47.0 31 s, nixfleet-age…"


def panel(app_text: str, title: str) -> list[str]:
    """The lines of the panel with that title; empty if there is none."""
    rows = app_text.splitlines()
    top = next((at for at, row in enumerate(rows) if f"╭─ {title}" in row), len(rows))
    found = []
    for row in rows[top + 1 :]:
        if row.startswith("╰"):
            break
        found.append(" ".join(row.split("│")[1].split()))
    return found


@pytest.mark.parametrize("size", [(120, 40), (200, 60), (90, 44)])
async def test_the_panel_is_there_from_the_first_work_on_and_keeps_its_height(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    async with (app := make_app()).run_test(size=size) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].say(JobStart(at=NOW), StepStart(step="rebuild", at=NOW, log=0))
        await settle(pilot)
        assert not panel(screen_text(app), "Now")
        heights = set()
        for work in (Work(others=(WordsNow("evaluating"),)), WORK, Work()):
            await fleet[0].say(work)
            await settle(pilot)
            shown = panel(screen_text(app), "Now")
            heights.add(len(shown))
        assert heights == {round(size[1] / 5) - 2}
        assert shown[0] == "· nothing runs in Nix"


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("size", [(80, 24), (60, 15), (120, 28)])
async def test_a_small_screen_has_one_line_for_it(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int], plain: bool
) -> None:
    async with (app := make_app(plain=plain)).run_test(size=size) as pilot:
        await press(pilot, "enter", "enter")
        await play_rebuild(fleet[0])
        await fleet[0].say(Work(builds=(LINUX,), building=2, waiting=7))
        await settle(pilot)
        text = screen_text(app)
        assert "Now" not in text
        found = [line for line in text.splitlines() if "linux-6.12 buildPhase" in line]
        assert len(found) == 1
        assert "2 builds, 7 wait" in found[0]
        assert app.screen.query_one("#work").outer_size.height == 1


async def test_times_and_countdowns_follow_the_hosts_clock(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["usual"] = SAYS["usual"]
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await play_rebuild(fleet[0])
        await settle(pilot)
        shown = panel(screen_text(app), "Now")
        assert shown[0].endswith("again in 3 s")
        assert shown[1].endswith("1m 43s of ~4m 00s")
        assert "02:14, ~1m 22s left" in screen_text(app)
        await fleet[0].say(Tick(at=NOW + 5, log=0))
        await settle(pilot)
        shown = panel(screen_text(app), "Now")
        assert shown[0].endswith("1m 48s of ~4m 00s")
        assert "02:19, ~1m 17s left" in screen_text(app)
        await fleet[0].say(Tick(at=NOW + 1000, log=0))
        await settle(pilot)
        assert "longer than usual" in screen_text(app)


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
async def test_after_the_end_the_slowest_builds_have_the_room_below_the_steps(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    async with (app := make_app()).run_test(size=size) as pilot:
        await press(pilot, "enter", "enter")
        await fail(fleet[0])
        await settle(pilot)
        text = screen_text(app)
        assert panel(text, "Slowest builds")[:2] == ["· linux-6.12.3 4m 04s", "· git-2.47.0 31 s"]
        assert not panel(text, "Now")
        steps, work = (app.screen.query_one(name).region for name in ("#steps", "#work"))
        agent = app.screen.query_one("#versions").region
        assert (work.x, work.y, work.width) == (steps.x, steps.bottom, steps.width)
        assert (agent.y, agent.bottom) == (steps.y, work.bottom)


async def test_a_job_that_has_built_nothing_has_no_such_panel(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "enter")
        await fleet[0].run_job()
        await settle(pilot)
        assert app.screen.query_one("#work").display is False


def test_no_build_is_no_line() -> None:
    assert slowest_lines(BuildTimes().builds, UNICODE, 40) == []
