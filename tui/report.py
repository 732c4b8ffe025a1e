"""The conversation that saves a report on jobs: where to, then what is known of them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from nixfleet_core.errors import HostError
from nixfleet_core.report.gather import gather
from nixfleet_core.report.model import Incident, IncidentReport, NoIncident
from nixfleet_core.report.save import CannotSave, check_target, save
from nixfleet_core.session.coming import InputCommits
from tui.screens.path import PathDialog
from tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.fleet import HostEntry
    from tui.stage import Stage


async def save_report(app: Stage, jobs: Sequence[tuple[HostEntry, str]]) -> None:
    """Ask for a new file, and write one report on these jobs to it."""
    entry, job = jobs[0]
    name = f"{entry.name}-{job}" if len(jobs) == 1 else f"{len(jobs)}-hosts-{job}"
    about = "this job" if len(jobs) == 1 else f"the jobs of these {len(jobs)} hosts"
    dialog = PathDialog(
        plain(f"~/nixfleet-{name}.html"),
        title="Save a report",
        what=f"A report on {about} goes to a new file on this machine, .html or .md:",
    )
    chosen = await app.push_screen_wait(dialog)
    if chosen is None or not chosen.strip():
        return
    target = _path(chosen)
    try:
        check_target(target)
        with ExitStack() as held:
            for one, _ in jobs:
                held.enter_context(one.busy("reporting", app.tick))
            commits = InputCommits()
            told = await asyncio.gather(*(_tell(app, commits, *one) for one in jobs))
        report = IncidentReport(int(app.clock()), tuple(told))
        await asyncio.to_thread(save, report, target)
    except CannotSave as error:
        app.notify(str(error), severity="error")
    else:
        app.notify(f"saved to {target}")


def _path(chosen: str) -> Path:
    """The path that the operator means."""
    return Path(chosen.strip()).expanduser()


async def _tell(
    app: Stage, commits: InputCommits, entry: HostEntry, job: str
) -> Incident | NoIncident:
    passwords, here = app.conductor.passwords, app.fleet.latest_source.here
    try:
        return await gather(passwords, entry.session, job, commits=commits, here=here)
    except HostError as error:
        return NoIncident(entry.name, str(error))
