"""`nixfleet attach`: a job is watched to its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.options import host_argument, json_option, on_finish_option

if TYPE_CHECKING:
    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.session.conduct import Conductor, Report
    from nixfleet_core.session.protocol import HostSession


@click.command()
@host_argument
@on_finish_option
@json_option
@click.pass_obj
def attach(setup: Setup, host: str, on_finish: str | None, as_json: bool) -> None:
    """Watch the host's running job, or its last one, to the verdict. ctrl-c only detaches.

    \b
      nixfleet attach csb0
    """
    from nixfleet_core.cli.log import newest_job
    from nixfleet_core.cli.run import run_hosts
    from nixfleet_core.cli.sessions import session_of
    from nixfleet_core.errors import NoSuchJob

    session = session_of(setup, host)

    async def act(conductor: Conductor, session: HostSession) -> Report:
        try:
            return await conductor.watch(session, await newest_job(session))
        except NoSuchJob as error:
            raise click.ClickException(str(error)) from error

    told = setup.on_finish(on_finish)
    raise SystemExit(run_hosts((session,), act, as_json=as_json, ctrl_c="detach", on_finish=told))
