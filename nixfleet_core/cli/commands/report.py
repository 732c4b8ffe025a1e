"""`nixfleet report`: what a job did to hosts, for people who were not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import choosing_hosts

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.cli.choice import Choice
    from nixfleet_core.cli.setup import Setup


def _check_targets(
    _: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[Path, ...]:
    if not values:
        return ()
    from pathlib import Path

    from nixfleet_core.report.save import CannotSave, check_target

    paths = tuple(dict.fromkeys(map(Path, values)))
    try:
        for path in paths:
            check_target(path)
    except CannotSave as error:
        raise click.BadParameter(str(error), param=option) from error
    return paths


@click.command()
@choosing_hosts
@click.option("--job", metavar="JOB", help="Of one host: that job instead of its last one.")
@click.option(
    "-o",
    "--output",
    "targets",
    multiple=True,
    metavar="FILE",
    callback=_check_targets,
    help="A new file, FILE.md or FILE.html; repeat it for both. Nothing is overwritten.",
)
@click.pass_obj
def report(setup: Setup, choice: Choice, job: str | None, targets: tuple[Path, ...]) -> None:
    """Report on the last job of hosts, as Markdown, or as one HTML file that runs nothing.

    It has the time line, before and after, the cause with its evidence, what changed, and the log
    around each error, without credentials. With several hosts it begins with a table:

    \b
      nixfleet report csb0
      nixfleet report csb0 csb1 -o incident.md -o incident.html

    A host that does not answer is reported on from the copy on this machine. Changes nothing.

    Exit 0 if all hosts are in it, 5 if one gives no answer and there is no copy, 1 if one has had
    no such job.
    """
    from nixfleet_core.cli.faults import UsageFault
    from nixfleet_core.cli.report import report_hosts
    from nixfleet_core.cli.sessions import in_states, require_choice, sessions_of
    from nixfleet_core.ids import check_job_id

    require_choice(choice, "report on")
    sessions = in_states(sessions_of(setup, choice), choice)
    if job is not None:
        try:
            check_job_id(job)
        except ValueError as error:
            raise UsageFault(str(error)) from error
        if len(sessions) != 1:
            raise UsageFault("--job is a job of one host: name that host alone")
    raise SystemExit(report_hosts(sessions, job, targets))
