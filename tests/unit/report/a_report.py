"""A report with something in each of its places."""

from __future__ import annotations

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.job.work import BuildTime
from nixfleet_core.judge.coming import Coming, InputCommit
from nixfleet_core.judge.left_behind import Left
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.report.model import (
    Compared,
    Excerpt,
    Incident,
    IncidentReport,
    InputChange,
    LogLine,
    LogPart,
    Moment,
    NoIncident,
)

AT = 1_795_400_000


def make_report(text: str = "", *, log: str = "") -> IncidentReport:
    """Two hosts: one with a failed job, one that does not answer. `text` stands in each field that
    may be foreign, `log` in each line of the log."""
    verdict = Verdict(
        kind="failed",
        cause="build-failed",
        sentence=f"the step rebuild failed with code 1{text}",
        advice=f"read the log's last lines{text}",
        before=Snapshot(version=f"2.1.0{text}"),
        after=Snapshot(version=f"2.2.0{text}"),
        notes=(f"flake.lock is changed{text}",),
        left=(Left(what=f"a stopped unit{text}", help=f"start it{text}"),),
        changes=(Change(name=f"glibc{text}", before="2.40-61", after=f"2.40-66{text}"),),
    )
    lines = (
        LogLine(7, f"$ nixos-rebuild switch{log}"),
        LogLine(8, f"\x1b[31;1merror:\x1b[0m build of agent failed{log}", is_error=True),
        LogLine(9, f"last{log}"),
    )
    incident = Incident(
        host=f"csb0{text}",
        job=f"20261123-004101-ab12{text}",
        goal=f"update, level 2{text}",
        asked_by=f"ops from 192.0.2.7{text}",
        progress="over",
        began=AT - 3600,
        ended=AT - 3450,
        verdict=verdict,
        remarks=(f"The host does not answer{text}",),
        compared=(Compared(f"version{text}", f"2.1.0{text}", f"2.2.0{text}"),),
        commits=(Compared(f"nixcfg{text}", None, f"9f2c1ab{text}"),),
        brought=InputChange(
            f"nixfleet{text}",
            "in the running agent",
            Coming(
                running="1" * 40,
                target="2" * 40,
                count=12,
                commits=(
                    InputCommit("9f2c1ab" + "0" * 33, f'Revert "Limit"{text}', AT, reverts=True),
                    InputCommit("8e1d0bc" + "0" * 33, f"Limit the log{text}", None),
                ),
                lost=1,
                losses=(InputCommit("7d0caff" + "0" * 33, f"Fix the reconnect{text}", AT),),
            ),
        ),
        evidence=((f"running path{text}", f"/nix/store/x{text}"), ("expected path", None)),
        evidence_from="after the job",
        moments=(
            Moment(AT - 3600, "The job began"),
            Moment(AT - 3590, f"Rebuild{text}", f"failed, code 1{text}", 140),
        ),
        left_out=3,
        slowest=(BuildTime(f"agent-2.2.0{text}", "agent", 90),),
        log=LogPart(12431, 1, around=1, excerpts=(Excerpt(lines, f"Rebuild{text}"),)),
    )
    away = NoIncident(f"imac0{text}", f"No route to host{text}")
    return IncidentReport(AT, (incident, away))
