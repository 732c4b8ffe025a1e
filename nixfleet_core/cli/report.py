"""`nixfleet report`: one report on the last jobs of hosts."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.output import say, say_away
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import HostError, NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.judge.exit_codes import EXIT_CODES, worst_exit
from nixfleet_core.report.gather import gather
from nixfleet_core.report.markdown import to_markdown
from nixfleet_core.report.model import Incident, IncidentReport, NoIncident
from nixfleet_core.report.save import CannotSave, save
from nixfleet_core.session.coming import InputCommits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nixfleet_core.session.conduct import Conductor
    from nixfleet_core.session.protocol import HostSession

_Found = tuple[Incident | NoIncident, int]
"""What is known of a host, and its exit code."""


def report_hosts(sessions: Sequence[HostSession], job: str | None, targets: Sequence[Path]) -> int:
    """Ask all hosts at once, and print or save one report. Return the exit code."""
    found = for_each(sessions, partial(_report, job, InputCommits()))
    if any(isinstance(one, Incident) for one, _ in found):
        report = IncidentReport(int(time.time()), tuple(one for one, _ in found))
        _give(report, targets)
    return worst_exit([code for _, code in found])


def _give(report: IncidentReport, targets: Sequence[Path]) -> None:
    """Raises ClickException if a file cannot be written."""
    if not targets:
        for line in to_markdown(report).splitlines():
            say(line, exact=True)
    for path in targets:
        try:
            save(report, path)
        except CannotSave as error:
            raise click.ClickException(str(error)) from error
        say(f"saved to {path}", err=True)


async def _report(
    job: str | None, commits: InputCommits, conductor: Conductor, session: HostSession
) -> _Found:
    name = session.host.name
    try:
        incident = await gather(
            conductor.passwords, session, job, commits=commits, here=conductor.latest.here
        )
    except Unreachable as error:
        say_away(name, str(error), error.advice)
        return NoIncident(name, str(error)), EXIT_CODES["unreachable"]
    except NoSuchJob as error:
        say(f"{name}: {error}", err=True)
        return NoIncident(name, str(error)), EXIT_CODES["failed"]
    except (NeedsPassword, NotAllowed) as error:
        why = f"{error}: log in as the one who started the job"
        say(f"{name}: {why}", err=True)
        return NoIncident(name, why), EXIT_CODES["failed"]
    except HostError as error:
        say_away(name, str(error), getattr(error, "advice", ""))
        return NoIncident(name, str(error)), EXIT_CODES["unreachable"]
    for remark in incident.remarks:
        say(f"{name}: {remark}", err=True)
    return incident, 0
