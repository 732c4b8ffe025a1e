"""`nixfleet-update`: updates the host on which it runs; for people, timers and Ansible."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nixfleet_core import __version__
from nixfleet_core.cli.options import checkout_option, on_finish_option
from nixfleet_core.cli.plan_options import UpdateCommand, plan_options

if TYPE_CHECKING:
    from nixfleet_core.cli.run import CtrlC
    from nixfleet_core.plan.model import Options
    from nixfleet_core.session.conduct import Conductor, Report
    from nixfleet_core.session.protocol import HostSession


@click.command(cls=UpdateCommand, context_settings={"help_option_names": ["-h", "--help"]})
@plan_options
@checkout_option
@click.option(
    "--hosts",
    "path",
    type=click.Path(path_type=Path),
    help="The inventory that has this host; default: hosts.toml in ~/.config/nixfleet.",
)
@click.option("--dry-run", is_flag=True, help="Print the exact commands; change nothing.")
@click.option("--verify", is_flag=True, help="Prove which agent runs; alone it changes nothing.")
@click.option("--detach", is_flag=True, help="Start the job and leave it alone (exit 9).")
@on_finish_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.version_option(__version__, message="nixfleet-update %(version)s")
def nixfleet_update(
    options: Options,
    checkout: str | None,
    path: Path | None,
    dry_run: bool,
    verify: bool,
    detach: bool,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Update this host: stop, pull, update the input, rebuild past the cache, start, prove.

    Without --force nothing runs if the agent is proven to be the latest.
    """
    from nixfleet_core.cli.run import run_hosts
    from nixfleet_core.cli.sessions import session_here
    from nixfleet_core.cli.show_plan import show_plans
    from nixfleet_core.config import load_config

    settings = load_config(os.environ, on_finish=on_finish)
    session = session_here(path, settings, checkout)
    if dry_run:
        raise SystemExit(show_plans((session,), options, as_json=as_json))

    only_looks = verify and not options.force

    async def act(conductor: Conductor, session: HostSession) -> Report:
        if only_looks:
            return await conductor.verify(session, as_locked=options.as_locked)
        return await conductor.update(session, options, detach=detach)

    ctrl_c: CtrlC = "stop" if only_looks else "cancel"
    told = settings.config.on_finish
    raise SystemExit(run_hosts((session,), act, as_json=as_json, ctrl_c=ctrl_c, on_finish=told))


def main() -> None:
    """The console script."""
    nixfleet_update(prog_name="nixfleet-update")
