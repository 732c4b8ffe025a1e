"""The panel beside the fleet names the cause, and the key that cures it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from fakes import CURRENT, JOB, NOT_RESTARTED, NOW, OLD, STALE, FakeSession, make_host, make_plan

from nixfleet_core.facts.model import ActiveGeneration, Checkout, Facts, LastJob, System, Unit
from nixfleet_core.job.events import StepEnd, StepStart
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.plan.model import Options
from tui.details import host_details
from tui.fleet import HostEntry, Seen
from tui.glyphs import ASCII, UNICODE
from tui.jobs import JobWatcher
from tui.screens.fleet import state_cell
from tui.screens.many import many_row

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.job.events import JobEvent
    from nixfleet_core.nix.git_url import Latest
    from tui.glyphs import Glyphs

NEW = "9f2c1ab" + "0" * 33


OLD_VERDICT: Final = Verdict(kind="stale", sentence="old", advice="force update restarts it")


def make_entry(
    facts: Facts, folder: Path, answer: Latest, verdict: Verdict | None = None
) -> HostEntry:
    """A host of which these facts were seen just now."""
    entry = HostEntry(FakeSession(make_host("csb0"), folder, probe=facts))
    asked = entry.ask()
    entry.learn(asked, Seen(NOW, facts), verdict)
    entry.learn_latest(asked, answer)
    return entry


def panel(facts: Facts, folder: Path, glyphs: Glyphs = UNICODE) -> list[str]:
    """The panel's lines for a host of which these facts were seen."""
    return host_details(make_entry(facts, folder, NEW), glyphs, NOW).plain.split("\n")


def test_panel_says_why_the_client_may_not_ask_and_what_allows_it(tmp_path: Path) -> None:
    entry = make_entry(CURRENT, tmp_path, NotKnown("the client may not ask h", "list it"))
    lines = host_details(entry, UNICODE, NOW).plain.split("\n")
    assert any(line.endswith("the client may not ask h") for line in lines), lines
    assert any("list it" in line for line in lines), lines


def behind(**changes: object) -> Facts:
    assert STALE.checkout is not None
    return replace(STALE, checkout=replace(STALE.checkout, **changes))  # type: ignore[arg-type]


CAUSES = {
    "not restarted": (
        NOT_RESTARTED,
        "▲ stale · not-restarted",
        "why: not restarted: 2.2.0 (k3vdk3vd…) is installed, but 2.1.0 (9x4k9x4k…) still runs",
        (
            "cure: a restart is enough; by hand: systemctl restart nixfleet-agent → r restart · "
            "u update"
        ),
    ),
    "lock behind": (
        STALE,
        "▲ stale · lock-behind",
        "why: flake.lock has nixfleet at 1a2b3c4, latest is 9f2c1ab",
        "cure: force update moves it → u update",
    ),
    "behind its upstream": (
        behind(behind=2, upstream="origin/main"),
        "▲ stale · nixcfg-behind",
        (
            "why: flake.lock has nixfleet at 1a2b3c4, latest is 9f2c1ab: /home/ops/Code/nixcfg is "
            "2 commits behind origin/main"
        ),
        "cure: force update pulls first → u update",
    ),
    "masked": (
        replace(STALE, unit=Unit("masked", "inactive"), running=None),
        "✖ down · unit-masked",
        "why: the agent is not running: its unit is masked",
        "cure: systemctl unmask nixfleet-agent, then force update → u update",
    ),
    "reboot": (
        replace(
            STALE,
            system=System(
                "/nix/store/old", "/nix/store/new", 2, active=ActiveGeneration(1), needs_reboot=True
            ),
            proofs=(),
        ),
        "▲ stale · reboot-pending",
        "why: the new system needs a reboot: it is installed, but the old one still runs",
        "cure: reboot the host when it suits you, then verify → v verify",
    ),
}


@pytest.mark.parametrize(("facts", "state", "why", "cure"), CAUSES.values(), ids=CAUSES)
def test_the_cause_comes_first(
    tmp_path: Path, facts: Facts, state: str, why: str, cure: str
) -> None:
    assert panel(facts, tmp_path)[1:4] == [state, why, cure]


def test_a_healthy_host_needs_no_cure(tmp_path: Path) -> None:
    lines = panel(CURRENT, tmp_path)
    assert lines[1] == "✔ current"
    assert lines[2].startswith("why: proven: 2.2.0 (k3vdk3vd…) runs, is installed, and is")
    assert not any(line.startswith("cure: ") for line in lines)


def test_panel_explains_only_the_job_while_one_runs(tmp_path: Path) -> None:
    lines = panel(replace(NOT_RESTARTED, job_running=JOB), tmp_path)
    assert lines[1:4] == [
        "▶ updating · job-running",
        f"why: job {JOB} is running",
        "cure: wait for its verdict → ⏎ show the job",
    ]


def test_panel_shows_the_other_checkout(tmp_path: Path) -> None:
    other = Checkout("/var/lib/nixfleet-agent/repo", "unreadable")
    facts = replace(behind(ahead=1, behind=2), other=other)
    lines = panel(facts, tmp_path)
    assert "checkout   ~/Code/nixcfg, clean, main, 1 ahead, 2 behind" in lines
    assert "beside it  /var/lib/nixfleet-agent/repo, unreadable" in lines


def test_words_of_the_core_use_only_glyphs_of_the_terminal(tmp_path: Path) -> None:
    facts = replace(STALE, last_job=LastJob("done", latest="3" * 40))
    assert f"at {OLD[:7]} again" in "\n".join(panel(facts, tmp_path / "a", ASCII))
    text = "\n".join(panel(NOT_RESTARTED, tmp_path / "b", ASCII))
    assert "k3vdk3vd.." in text
    assert text.isascii()


class Following(NamedTuple):
    """The panel of a host with a job, and what else names its step."""

    panel: str
    row: str
    many: str


def following(folder: Path, *events: JobEvent, ended: bool = False) -> Following:
    entry = make_entry(NOT_RESTARTED, folder, NEW, OLD_VERDICT)
    session = entry.session
    plan = make_plan("csb0", Options(force=True))
    watcher = JobWatcher(session, JOB, plan=plan, clock=lambda: NOW, changed=lambda: None)
    for event in events:
        watcher.event(session.host, event, watcher.state.after(event))
    if ended:
        watcher.ended.set()
    entry.watcher = watcher
    return Following(
        host_details(entry, UNICODE, NOW).plain,
        state_cell(entry, UNICODE, 0).text,
        many_row(entry, UNICODE, 80).cells["step"].text,
    )


KILLED: Final = StepEnd(step="pull", at=NOW, status="failed", log=0, reason="interrupted")


@pytest.mark.parametrize(
    ("events", "place"),
    [
        ((StepStart(step="pull", at=NOW, log=0),), "3/7 Pull nixcfg"),
        ((KILLED, StepStart(step="start", at=NOW, log=0)), "6/7 Start agent"),
    ],
)
def test_row_and_panel_name_the_same_step(
    tmp_path: Path, events: tuple[JobEvent, ...], place: str
) -> None:
    seen = following(tmp_path, *events)
    assert (
        f"▶ updating · {place}\nwhy: job {JOB} is running\ncure: → ⏎ show the job\n" in seen.panel
    )
    assert seen.many == place
    assert seen.row.endswith(f" {place.partition(' ')[0]}")


def test_no_cure_is_offered_while_a_job_runs(tmp_path: Path) -> None:
    assert "force update" not in following(tmp_path).panel
    assert (
        "a restart is enough; by hand: systemctl restart nixfleet-agent → r restart"
        in following(tmp_path, ended=True).panel
    )


def test_no_verdict_of_before_stands_beside_somebody_elses_job(tmp_path: Path) -> None:
    facts = replace(NOT_RESTARTED, job_running=JOB)
    entry = make_entry(facts, tmp_path, NEW, OLD_VERDICT)
    panel = host_details(entry, UNICODE, NOW).plain
    assert "force update" not in panel
    assert "cure: wait for its verdict → ⏎ show the job" in panel
