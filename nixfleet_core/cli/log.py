"""`nixfleet log`: a job's log. We first fetch as much of it as the host has."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.output import print_bare_log_line, print_bytes, say, say_away
from nixfleet_core.errors import ClientFailed, NeedsPassword, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.ids import check_job_id
from nixfleet_core.job.events import CopyHalt, Heartbeat, LogGrew
from nixfleet_core.judge.exit_codes import EXIT_CODES
from nixfleet_core.log.plain_file import open_plain, reading
from nixfleet_core.session.boundary import one_host

if TYPE_CHECKING:
    from nixfleet_core.job.copies import JobFiles
    from nixfleet_core.session.protocol import HostSession


async def newest_job(session: HostSession) -> str:
    """The host's running job, else its last one. Raises ClickException when there is none."""
    with one_host(session.host.name):
        job = await session.newest_job()
    if job is None:
        raise click.ClickException(f"{session.host.name} has had no job")
    return job


async def print_log(session: HostSession, job: str | None, *, raw: bool) -> int:
    """Print the log as it is now; do not wait for a running job."""
    try:
        job = check_job_id(job) if job else await newest_job(session)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except Unreachable as error:
        say_away(session.host.name, str(error), error.advice)
        return EXIT_CODES["unreachable"]
    try:
        with one_host(session.host.name):
            await _bring(session, job)
    except Unreachable as error:
        say(f"{session.host.name}: {error}; this is the copy on this machine", err=True)
    except NoSuchJob as error:
        raise click.ClickException(str(error)) from error
    except (NeedsPassword, NotAllowed) as error:
        raise click.ClickException(f"{error}: log in as the one who started the job") from error
    try:
        with one_host(session.host.name):
            _print_copy(session.files(job), raw=raw)
    except ClientFailed as error:
        say_away(session.host.name, str(error), error.advice)
        return EXIT_CODES["unreachable"]
    return 0


def _print_copy(files: JobFiles, *, raw: bool) -> None:
    if raw:
        if sys.stdout.isatty():
            say(
                "--raw: this terminal obeys control characters in the log; a pipe or a file does "
                "not",
                err=True,
            )
        with reading(files.log) as file:
            print_bytes(file)
    else:
        text = os.fdopen(open_plain(files.text), encoding="utf-8", errors="replace", newline="\n")
        with text:
            for line in text:
                print_bare_log_line(line.removesuffix("\n"))
    sys.stdout.flush()


async def _bring(session: HostSession, job: str) -> None:
    size = 0
    events = session.follow(job)
    try:
        async for event in events:
            match event:
                case LogGrew():
                    size = event.size
                case CopyHalt(why=why):
                    say(f"{session.host.name}: {why}; this is the copy as far as it goes", err=True)
                    return
                case Heartbeat() if size >= event.log:
                    return
                case _ if getattr(event, "up", True) is False:
                    say(
                        f"{session.host.name} does not answer; this is the copy on this machine",
                        err=True,
                    )
                    return
    finally:
        await events.aclose()
