"""`nixfleet`: the app without a subcommand, and the commands."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.choice import ALL, Choice, choosing_hosts
from nixfleet_core.cli.commit import commit
from nixfleet_core.cli.options import (
    UpdateCommand,
    checkout_option,
    on_finish_option,
    plan_options,
    queue_options,
)
from nixfleet_core.cli.output import SafeGroup, say
from nixfleet_core.cli.screen import Opened
from nixfleet_core.config import Loaded, check_refresh, check_theme, load_config, read_words
from nixfleet_core.errors import NoSuchJob
from nixfleet_core.host import HELD
from nixfleet_core.inventory import (
    Inventory,
    InventoryError,
    NoHostError,
    UnknownHostError,
    default_inventory_path,
    load_inventory,
)
from nixfleet_core.job.copies import default_copies
from nixfleet_core.judge.verdict import EXIT_CODES, EXIT_USAGE
from nixfleet_core.plan.model import Options
from nixfleet_core.sandbox.here import FleetGoneError, fleet_here, sessions_here
from nixfleet_core.session.discovery import (
    hosts_without_inventory,
    known_checkout,
    login_name,
)
from nixfleet_core.session.no_hosts import Searched, no_hosts_words
from nixfleet_core.session.open import open_session, open_sessions
from nixfleet_core.transport.answer import CARRIER_FAILED
from nixfleet_core.transport.ssh import SocketDirectoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO, Any

    from click.decorators import FC

    from nixfleet_core.cli.screen import Screen
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Host
    from nixfleet_core.job.copies import Copies
    from nixfleet_core.session.conduct import Conductor, Prepared, Report
    from nixfleet_core.session.protocol import HostSession
    from nixfleet_core.session.queue import Queue
    from nixfleet_core.session.shell_session import ShellSession


class UsageFault(click.ClickException):
    """A wrong command line or inventory."""

    exit_code = EXIT_USAGE


class NoHosts(UsageFault):
    """There are no hosts. It is shown with the places where they were looked for, and with what to
    write."""

    def __init__(self, message: str, searched: Searched) -> None:
        super().__init__(message)
        self.searched = searched

    def show(self, file: IO[Any] | None = None) -> None:
        super().show(file)
        words = no_hosts_words(self.searched)
        for line in (*words.before_example(), ""):
            say_aside(line)
        for line in words.example.splitlines():
            say(line, err=True, exact=True)  # it will be copied
        for line in ("", *words.after_example()):
            say_aside(line)


def require_terminal() -> None:
    """Raises UsageFault unless stdin, stdout and stderr are terminals: the app draws on stderr."""
    if not all(os.isatty(fd) for fd in (0, 1, 2)):
        raise UsageFault("the app needs a terminal; the commands do not, see nixfleet --help")


@dataclass(frozen=True, slots=True)
class Look:
    """How the app is to look and what it runs, as the options before a command have it. `refresh`,
    `theme` and `on_finish` are as given."""

    ascii_only: bool = False
    mouse: bool = True
    refresh: str | None = None
    theme: str | None = None
    on_finish: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What every command is given: where the hosts are listed, what opens the app, the settings,
    and the options of the app."""

    path: Path
    screen: Screen | None
    settings: Loaded
    look: Look = Look()

    def inventory(self) -> Inventory:
        """Raises NoHosts if the file has none, and UsageFault if it has a mistake."""
        try:
            return load_inventory(self.path)
        except NoHostError as error:
            path = error.path.absolute()
            searched = Searched(path, has_file=True, user=login_name(), checkout=known_checkout())
            raise NoHosts(str(error), searched) from error
        except InventoryError as error:
            raise UsageFault(str(error)) from error

    def sessions(
        self,
        choice: Choice = ALL,
        checkout: str | None = None,
        warn: Callable[[str], None] | None = None,
        refresh: float | None = None,
    ) -> tuple[ShellSession, ...]:
        """Sessions with the hosts of these names and tags; which states they are in is not known
        yet. They have that checkout, if one is given. `warn` gets the mistakes in the settings, and
        what is not known of the hosts; by default they are printed. `refresh`: seconds between two
        looks at a host."""
        for problem in self.settings.problems:
            (warn or say_aside)(problem)
        if (folder := fleet_here()) is not None:
            return self._of_demo(folder, choice)
        inventory = self.inventory()
        hosts = inventory.hosts
        if not inventory.path:
            hosts = asyncio.run(self._find(say_aside, choice.names, warn))
        return self._open(hosts, choice, checkout, warn, refresh)

    def open(self, refresh: float | None) -> Opened:
        """What the app begins with."""
        notices: list[str] = []
        try:
            return Opened(self.sessions(warn=notices.append, refresh=refresh), notices)
        except NoHosts as none:
            return Opened((), notices, none.searched)

    async def open_again(self, refresh: float | None) -> Opened:
        """The same after the app has opened without hosts; nothing is printed meanwhile."""
        notices: list[str] = []
        try:
            inventory = self.inventory()
            hosts = inventory.hosts
            if not inventory.path:
                hosts = await self._find(lambda _: None, (), notices.append)
        except NoHosts as none:
            return Opened((), notices, none.searched)
        return Opened(self._open(hosts, ALL, None, notices.append, refresh), notices)

    async def _find(
        self, say: Callable[[str], None], names: Sequence[str], warn: Callable[[str], None] | None
    ) -> tuple[Host, ...]:
        """The hosts without an inventory. Raises NoHosts."""

        async def look(host: Host) -> Facts:
            session = open_session(host, copies_here(warn), self.settings.config)
            try:
                return await session.probe()
            finally:
                await session.close()

        found = await hosts_without_inventory(say, look, names)
        if found.searched is not None:
            missing = f"no host {names[0]!r}: " if names else ""
            raise NoHosts(f"{missing}there are no hosts", found.searched)
        for problem in found.problems:
            (warn or say_aside)(problem)
        return found.hosts

    def _open(
        self,
        hosts: Sequence[Host],
        choice: Choice,
        checkout: str | None,
        warn: Callable[[str], None] | None,
        refresh: float | None,
    ) -> tuple[ShellSession, ...]:
        try:
            chosen = choice.of(hosts)
            if checkout is not None:
                chosen = tuple(replace(host, checkout=checkout) for host in chosen)
            return open_sessions(chosen, copies_here(warn), self.settings.config, refresh)
        except (UnknownHostError, SocketDirectoryError) as error:
            raise UsageFault(str(error)) from error

    def _of_demo(self, folder: Path, choice: Choice) -> tuple[ShellSession, ...]:
        try:
            sessions = {one.host.name: one for one in sessions_here(folder)}
            chosen = choice.of([one.host for one in sessions.values()])
        except (FleetGoneError, UnknownHostError) as error:
            raise UsageFault(str(error)) from error
        return tuple(sessions[host.name] for host in chosen)

    def batch(self, choice: Choice, checkout: str | None = None) -> tuple[ShellSession, ...]:
        """The same sessions without the hosts that are held, unless they are named. Raises
        UsageFault if no host is left."""
        sessions = self.sessions(choice, checkout)
        held = [one for one in sessions if one.host.hold and one.host.name not in choice.names]
        if held:
            names = ", ".join(one.host.name for one in held)
            say_aside(f"{names}: left out; {HELD}, unless it is named")
            sessions = tuple(one for one in sessions if one not in held)
            if not sessions:
                raise UsageFault("no host is left")
        return sessions

    def on_finish(self, given: str | None = None) -> tuple[str, ...]:
        """The operator's command for verdicts. `given`: the subcommand's own option. Verdicts in a
        demo get no command of the settings."""
        text = self.look.on_finish if given is None else given
        if text is not None:
            return read_words(text)
        return () if fleet_here() is not None else self.settings.config.on_finish

    def require_screen(self) -> Screen:
        """What opens the app. Raises ClickException if there is no app, or no terminal."""
        if self.screen is None:
            raise click.ClickException("this installation has no app; see nixfleet --help")
        require_terminal()
        return self.screen

    def session(self, name: str, checkout: str | None = None) -> ShellSession:
        return self.sessions(Choice((name,)), checkout)[0]


def copies_here(warn: Callable[[str], None] | None = None) -> Copies:
    """The operator's copies of jobs. Raises ClickException if there is no place for any."""
    try:
        return default_copies(warn or say_aside)
    except OSError as error:
        raise click.ClickException(f"there is no place for copies of jobs: {error}") from error


def say_aside(line: str) -> None:
    """Print what must not get into a command's output."""
    say(line, err=True)


def _check_refresh(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            check_refresh(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error
    return value


def _check_theme(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    given = context.obj  # a Setup behind `demo`
    screen: Screen | None = given.screen if isinstance(given, Setup) else given
    try:
        if value is not None:
            check_theme(value, screen.themes if screen is not None else None)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error
    return value


def _look_options(command: FC) -> FC:
    """The options of the app, which also stand behind `demo`."""
    for option in (
        on_finish_option,
        click.option(
            "--refresh",
            metavar="SECONDS",
            callback=_check_refresh,
            help="Seconds between the app's looks at each host, or off.",
        ),
        click.option(
            "--theme",
            metavar="NAME",
            callback=_check_theme,
            help="The app's colours: auto, dark, light, or a theme of Textual.",
        ),
        click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal."),
        click.option("--ascii", "ascii_only", is_flag=True, help="No glyphs beyond ASCII."),
    ):
        command = option(command)
    return command


def _require(choice: Choice, verb: str, ways: str = "--tag or --state") -> None:
    """Raises UsageFault if the command line says nothing of its hosts."""
    if not choice:
        raise UsageFault(f"name the hosts to {verb}, or choose them with {ways}")


def _seen(
    sessions: tuple[ShellSession, ...], choice: Choice, *, unproven: bool = False
) -> tuple[ShellSession, ...]:
    """Of these hosts those in the states of the choice; if it names any, we look at the hosts. Ends
    the command well if there is none."""
    from nixfleet_core.cli.listing import chosen_by_look

    chosen = chosen_by_look(sessions, choice.states, unproven=unproven)
    if sessions and not chosen:
        raise SystemExit(0)
    return chosen


_host_argument = click.argument("host", metavar="HOST")
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a host.")


@click.group(
    cls=SafeGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--hosts",
    "path",
    type=click.Path(path_type=Path),
    help="The inventory; default: hosts.toml in ~/.config/nixfleet.",
)
@_look_options
@click.version_option(package_name="nixfleet-tui", message="nixfleet %(version)s")
@click.pass_context
def nixfleet(
    context: click.Context,
    path: Path | None,
    ascii_only: bool,
    no_mouse: bool,
    refresh: str | None,
    theme: str | None,
    on_finish: str | None,
) -> None:
    """Force-update NixFleet agents, and prove that the new one runs.

    Without a command it opens the app.
    """
    screen: Screen | None = context.obj
    themes = screen.themes if screen is not None else None
    settings = load_config(
        os.environ, refresh=refresh, theme=theme, themes=themes, on_finish=on_finish
    )
    look = Look(ascii_only, not no_mouse, refresh, theme, on_finish)
    context.obj = setup = Setup(path or default_inventory_path(), screen, settings, look)
    if context.invoked_subcommand is None:
        if fleet_here() is None:
            with suppress(NoHosts):  # the app says it
                setup.inventory()  # report a wrong inventory first
        screen = setup.require_screen()
        refresh_after = settings.config.refresh
        code = screen.open(
            setup.open(refresh_after),
            ascii_only=look.ascii_only,
            mouse=look.mouse,
            config=replace(settings.config, on_finish=setup.on_finish()),
            look_again=partial(setup.open_again, refresh_after),
        )
        context.exit(code)


@nixfleet.group(cls=SafeGroup, invoke_without_command=True)
@click.option("--speed", type=click.FloatRange(0.1, 100.0), default=1.0, help="2: twice as fast.")
@_look_options
@click.pass_context
def demo(
    context: click.Context,
    speed: float,
    ascii_only: bool,
    no_mouse: bool,
    refresh: str | None,
    theme: str | None,
    on_finish: str | None,
) -> None:
    """Open the app on a sandbox fleet, which touches nothing else on this machine."""
    setup, context.obj = context.obj, speed
    if context.invoked_subcommand is None:
        before, screen = setup.look, setup.require_screen()
        settings = load_config(
            os.environ,
            refresh=refresh or before.refresh,
            theme=theme or before.theme,
            themes=screen.themes,
        )
        told = before.on_finish if on_finish is None else on_finish
        code = screen.open_demo(
            speed,
            ascii_only=ascii_only or before.ascii_only,
            mouse=before.mouse and not no_mouse,
            # a command of the settings is not for the demo's hosts
            config=replace(settings.config, on_finish=read_words(told or "")),
        )
        context.exit(code)


@demo.command()
@click.pass_obj
def shell(speed: float) -> None:
    """Open a shell in which `nixfleet` means the sandbox fleet. The fleet ends with the shell."""
    from nixfleet_core.sandbox.fleet import SandboxError
    from nixfleet_core.sandbox.shell import run_demo_shell

    say_aside("nixfleet means the demo's fleet here, as in: nixfleet hosts. exit ends both.")
    try:
        code = run_demo_shell(speed)
    except SandboxError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(code)


@nixfleet.command()
@click.option("--check", is_flag=True, help="Exit 2 if anything is wrong.")
@click.pass_obj
def config(setup: Setup, check: bool) -> None:
    """Print the settings that hold, as a config.toml: what each is for, and where it comes from,
    which is a flag, the environment, config.toml, or the default. What is wrong is named on stderr.
    """
    from nixfleet_core.cli.settings import config_lines

    held, problems = setup.settings.held, setup.settings.problems
    for line in config_lines(held):
        say(line, exact=True)
    for problem in problems:
        say_aside(problem)
    raise SystemExit(EXIT_USAGE if check and problems else 0)


@nixfleet.command()
@choosing_hosts
@_json_option
@click.pass_obj
def hosts(setup: Setup, choice: Choice, as_json: bool) -> None:
    """List the hosts and the agent that each runs; one round trip a host, all at once."""
    from nixfleet_core.cli.listing import list_hosts

    list_hosts(setup.sessions(choice), choice.states, as_json=as_json)


@nixfleet.command(cls=UpdateCommand)
@choosing_hosts
@plan_options
@checkout_option
@click.option("--dry-run", is_flag=True, help="Print the exact commands; change nothing.")
@click.option("--detach", is_flag=True, help="Start the job and leave it alone (exit 9).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_options
@on_finish_option
@_json_option
@click.pass_obj
def update(
    setup: Setup,
    choice: Choice,
    options: Options,
    checkout: str | None,
    dry_run: bool,
    detach: bool,
    yes: bool,
    queue: Queue,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Update hosts: stop, pull, update the input, rebuild past the cache, start, prove."""
    from nixfleet_core.cli.run import at_terminal, run_hosts
    from nixfleet_core.cli.show_plan import agree_on_plans, show_plans

    _require(choice, "update")
    if detach and queue.stop:
        raise UsageFault("--detach does not wait, so it cannot see a failure: --stop-on-failure")
    sessions = setup.batch(choice, checkout)
    if not (yes or dry_run or at_terminal()):
        names = ", ".join(session.host.name for session in sessions)
        raise UsageFault(f"{names}: not updated; confirm at a terminal, or add --yes")
    sessions = _seen(sessions, choice)
    if dry_run:
        raise SystemExit(show_plans(sessions, options, as_json=as_json))
    agreed: dict[str, Prepared | Report] = {}
    if not yes:
        agreed = agree_on_plans(sessions, options, partial(click.confirm, err=True))

    async def act(conductor: Conductor, session: HostSession) -> Report:
        prepared = agreed.get(session.host.name)
        return await conductor.update(session, options, prepared=prepared, detach=detach)

    code = run_hosts(
        sessions,
        act,
        as_json=as_json,
        ctrl_c="cancel",
        several=choice.several,
        on_finish=setup.on_finish(on_finish),
        queue=queue,
    )
    raise SystemExit(code)


@nixfleet.command()
@choosing_hosts
@click.option("--unproven", is_flag=True, help="Of these hosts, or all: those that need a proof.")
@checkout_option
@_json_option
@click.pass_obj
def verify(
    setup: Setup, choice: Choice, unproven: bool, checkout: str | None, as_json: bool
) -> None:
    """Prove which agent runs. Changes nothing; exit 0 if it is the right one, else 3."""
    from nixfleet_core.cli.run import run_hosts

    if not unproven:
        _require(choice, "verify", "--tag, --state or --unproven")

    async def act(conductor: Conductor, session: HostSession) -> Report:
        return await conductor.verify(session)

    sessions = _seen(setup.batch(choice, checkout), choice, unproven=unproven)
    code = run_hosts(sessions, act, as_json=as_json, ctrl_c="stop", several=choice.several)
    raise SystemExit(code)


@nixfleet.command()
@choosing_hosts
@_json_option
@click.pass_obj
def why(setup: Setup, choice: Choice, as_json: bool) -> None:
    """Say why hosts have an old agent: one cause, the evidence, and the cure. Changes nothing."""
    from nixfleet_core.cli.why import explain_hosts

    _require(choice, "explain")
    sessions = _seen(setup.sessions(choice), choice)
    raise SystemExit(explain_hosts(sessions, as_json=as_json, several=choice.several))


@nixfleet.command()
@click.argument("hosts", nargs=-1, required=True, metavar="HOST…")
@_json_option
@click.pass_obj
def doctor(setup: Setup, hosts: tuple[str, ...], as_json: bool) -> None:
    """Look at all that an update rests on; exit 3 if something is wrong. Changes nothing.

    The output can be pasted into a bug report: it has no token, and no address but those that you
    gave.
    """
    from nixfleet_core.cli.doctor import examine_hosts

    raise SystemExit(examine_hosts(setup.sessions(Choice(hosts)), as_json=as_json))


@nixfleet.command()
@_host_argument
@on_finish_option
@_json_option
@click.pass_obj
def attach(setup: Setup, host: str, on_finish: str | None, as_json: bool) -> None:
    """Watch the host's running job, or its last one, to the verdict. ctrl-c only detaches."""
    from nixfleet_core.cli.log import newest_job
    from nixfleet_core.cli.run import run_hosts

    session = setup.session(host)

    async def act(conductor: Conductor, session: HostSession) -> Report:
        try:
            return await conductor.watch(session, await newest_job(session))
        except NoSuchJob as error:
            raise click.ClickException(str(error)) from error

    told = setup.on_finish(on_finish)
    raise SystemExit(run_hosts((session,), act, as_json=as_json, ctrl_c="detach", on_finish=told))


@nixfleet.command()
@_host_argument
@click.argument("job", required=False)
@click.option(
    "--raw",
    is_flag=True,
    help="The host's own bytes, with credentials. For a file or a pipe: a terminal would obey "
    "control characters in them.",
)
@click.pass_obj
def log(setup: Setup, host: str, job: str | None, raw: bool) -> None:
    """Print the log of a job: the one named, else the newest."""
    from nixfleet_core.cli.log import print_log

    session = setup.session(host)
    raise SystemExit(asyncio.run(print_log(session, job, raw=raw)))


@nixfleet.command()
@click.argument("hosts", nargs=-1, required=True, metavar="HOST…")
@click.option(
    "--to",
    type=click.IntRange(1),
    metavar="GENERATION",
    help="The generation to go back to, of one host; default: what was active before the last job "
    "that moved something.",
)
@click.option("--keep-lock", is_flag=True, help="Leave flake.lock as it is.")
@checkout_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_options
@on_finish_option
@_json_option
@click.pass_obj
def rollback(
    setup: Setup,
    hosts: tuple[str, ...],
    to: int | None,
    keep_lock: bool,
    checkout: str | None,
    yes: bool,
    queue: Queue,
    on_finish: str | None,
    as_json: bool,
) -> None:
    """Go back to a generation, and to the flake.lock that belonged to it.

    At a terminal it lists the generations of one host, with what is known of each, and asks.
    """
    from nixfleet_core.cli.run import ask_at_terminal, at_terminal, run_hosts
    from nixfleet_core.cli.way_back import ask_way_back, list_ways_back

    sessions = setup.sessions(Choice(hosts), checkout)
    if to is not None and len(sessions) > 1:
        raise UsageFault("--to names a generation of one host; of several, each goes back its own")
    if not yes and to is None and at_terminal() and len(sessions) == 1:
        ways = list_ways_back(sessions[0], as_json=as_json)
        if isinstance(ways, int):
            raise SystemExit(ways)
        if ways.options:
            to = ask_way_back(ways)
    elif not yes:
        names = ", ".join(session.host.name for session in sessions)
        where = f" to generation {to}" if to is not None else ""
        if not ask_at_terminal(f"Roll {names} back{where}?", click.confirm):
            raise UsageFault(f"{names}: not rolled back; confirm at a terminal, or add --yes")

    async def act(conductor: Conductor, session: HostSession) -> Report:
        return await conductor.roll_back(session, Options(), keep_lock=keep_lock, to=to)

    code = run_hosts(
        sessions,
        act,
        as_json=as_json,
        ctrl_c="cancel",
        wanted="rolled-back",
        several=len(hosts) > 1,
        on_finish=setup.on_finish(on_finish),
        queue=queue,
    )
    raise SystemExit(code)


nixfleet.add_command(commit)


@nixfleet.command()
@choosing_hosts
@_json_option
@click.pass_obj
def jobs(setup: Setup, choice: Choice, as_json: bool) -> None:
    """List the jobs of hosts, newest first; a host keeps its last 20."""
    from nixfleet_core.cli.listing import list_jobs

    raise SystemExit(list_jobs(_seen(setup.sessions(choice), choice), as_json=as_json))


@nixfleet.command()
@_host_argument
@click.pass_obj
def connect(setup: Setup, host: str) -> None:
    """Log in at the terminal, for a one-time password, a passphrase or a new host key.

    Later commands use that connection.
    """
    import subprocess

    session = setup.session(host)
    if not session.connect_argv:
        raise UsageFault(f"{host} is this machine: there is nothing to connect to")
    code = subprocess.call(session.connect_argv)
    # any other code is the login shell's, so the connection is open
    raise SystemExit(0 if 0 <= code < CARRIER_FAILED else EXIT_CODES["unreachable"])


@nixfleet.command()
@_host_argument
@click.pass_obj
def cancel(setup: Setup, host: str) -> None:
    """Stop the host's running job; its agent is started again."""
    from nixfleet_core.cli.run import cancel_job

    raise SystemExit(cancel_job(setup.session(host)))
