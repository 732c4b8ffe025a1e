"""Without a hosts.toml: this machine, and the hosts of the nixcfg on this machine, if it is there.

This machine alone counts only if it has an agent, a job of ours, or was named; else there are no
hosts, and we say where we looked (`nixfleet_core.session.no_hosts`).

To read their names we must evaluate that flake, so we say so. Evaluation does nothing else: it
builds nothing (import from derivation), it fetches nothing, and it takes no setting from the flake.
If it fails, the hosts are those of the last time that it worked, and marked so.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from nixfleet_core.errors import HostError
from nixfleet_core.host import (
    DEFAULT_CHECKOUT,
    DEFAULT_INPUT,
    BadNameError,
    Host,
    SshAddress,
    check_host_name,
    parse_address,
)
from nixfleet_core.inventory import default_inventory_path, this_machine
from nixfleet_core.log.failures import strip_colours
from nixfleet_core.log.plain_file import read_plain
from nixfleet_core.nix.lock import LOCK_LIMIT, LockError, parse_lock
from nixfleet_core.plan.steps import FEATURES
from nixfleet_core.session import flake_names
from nixfleet_core.session.no_hosts import Searched
from nixfleet_core.transport.process import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterator, Mapping

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.session.no_hosts import FlakeSays

EVAL_SECONDS: Final = 30.0
"""The names alone need no host's configuration, so Nix answers in a second or two."""

_HARMLESS: Final = (
    "--no-write-lock-file",
    "--offline",
    *("--option", "allow-import-from-derivation", "false"),
    *("--option", "accept-flake-config", "false"),
)

_NOWHERE: Final = "http://127.0.0.1:9"
"""A proxy that does not exist: port 9 is the discard port, and nothing listens there."""

_NO_NETWORK: Final = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_TERMINAL_PROMPT": "0",
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _NOWHERE),
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE),
}
"""With --offline Nix still fetches what it never fetched before, so git and curl are told too."""


class Names(NamedTuple):
    """The names under an attribute of a flake; `problem` says why they could not be read now, and
    `at` when they were: then they are from that time (0: never)."""

    names: tuple[str, ...] = ()
    problem: str = ""
    at: int = 0


class FoundHosts(NamedTuple):
    """`problems` has a line for each reason why names are unknown. Nix's words in it are untrusted
    text. If there are no hosts, `searched` says where they were looked for."""

    hosts: tuple[Host, ...]
    problems: tuple[str, ...] = ()
    searched: Searched | None = None


async def hosts_without_inventory(
    say: Callable[[str], None],
    look: Callable[[Host], Awaitable[Facts]],
    named: Container[str] = (),
) -> FoundHosts:
    """This machine first, then the others; ssh reaches those by their names.

    `say` gets a line before the flake is evaluated. `look` asks this machine whether it has an
    agent, if nothing else makes it a host: neither is it one of the `named`, nor does the flake
    name any host.
    """
    here, checkout = this_machine(), _usual_checkout()
    nix = shutil.which("nix")
    why_not = _why_not_asked(checkout, nix)
    sources = {} if why_not or nix is None else await _flake_names(nix, checkout, say)
    systems, homes = (sources.get(source, Names()) for source in _SOURCES)
    hosts = _hosts(here, systems, homes)
    problems = tuple(_problems(checkout, sources))
    is_of_flake = here.name in systems.names or here.name in _home_hosts(homes)
    if len(hosts) > 1 or is_of_flake or here.name in named or await _is_kept(here, look):
        return FoundHosts(hosts, problems)
    path = default_inventory_path().absolute()
    searched = Searched(
        path,
        has_folder=path.parent.is_dir(),
        flake=why_not or ("not-read" if problems else "no-names"),
        problems=problems,
        here=here.name,
        user=login_name(),
        checkout=known_checkout(),
    )
    return FoundHosts((), problems, searched)


async def _is_kept(here: Host, look: Callable[[Host], Awaitable[Facts]]) -> bool:
    """Whether this machine is one that we look after; also if it cannot say."""
    try:
        facts = await look(here)
    except HostError:
        return True
    unit = facts.unit
    has_unit = unit is not None and unit.load not in ("", "not-found")
    has_agent = has_unit or facts.running is not None or facts.installed is not None
    return has_agent or facts.job_running is not None or facts.job_last is not None


def login_name() -> str:
    """The operator's name on this machine; empty if the machine does not know it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def known_checkout() -> str:
    """The flake on this machine that seems to be the operator's: the usual one, else the one of the
    current directory if the operator owns it, and its flake.lock has the agent's input. Empty if
    there is none: root builds what is there, so it is nobody else's."""
    if (_usual_checkout() / "flake.nix").is_file():
        return DEFAULT_CHECKOUT
    with suppress(OSError):  # the directory may be gone
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "flake.nix").is_file():
                is_own = folder.stat().st_uid == os.geteuid()
                return _short(folder) if is_own and _has_input(folder) else ""
    return ""


def _usual_checkout() -> Path:
    return Path(DEFAULT_CHECKOUT).expanduser()


def _has_input(flake: Path) -> bool:
    try:
        lock = parse_lock(read_plain(flake / "flake.lock", LOCK_LIMIT))
    except (OSError, LockError):
        return False
    return lock.find(DEFAULT_INPUT) is not None


def _short(folder: Path) -> str:
    """With ~ for the home, which is another one on another host."""
    try:
        return f"~/{folder.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(folder)


def _hosts(here: Host, systems: Names, homes: Names) -> tuple[Host, ...]:
    of_nixos = tuple(name for name in systems.names if _is_host_name(name))
    if here.name in of_nixos:
        here = replace(here, attribute=here.name)
    found = {here.name: here}
    old = bool(systems.problem)
    for name in of_nixos:
        host = Host(name=name, address=SshAddress(name), attribute=name, remembered=old)
        found.setdefault(name, host)
    for home in map(_home, homes.names):
        # a NixOS host switches its homes itself; a Mac's second user gets a host name of their own
        if home is not None and home.name not in (here.name, *of_nixos):
            user = home.address.user if home.address else None
            name = home.name if home.name not in found else f"{home.name}-{user}"
            found.setdefault(name, replace(home, name=name, remembered=bool(homes.problem)))
    return tuple(found.values())


_SOURCES: Final = ("nixosConfigurations", "homeConfigurations")


def _why_not_asked(checkout: Path, nix: str | None) -> FlakeSays | None:
    """Why the flake cannot be asked; None if it can."""
    if not checkout.is_dir():
        return "no-folder"
    if not (checkout / "flake.nix").is_file():
        return "no-flake"
    return "no-nix" if nix is None else None


async def _flake_names(nix: str, checkout: Path, say: Callable[[str], None]) -> dict[str, Names]:
    """The names of each source, remembered ones where the flake cannot be asked."""
    say(f"Reading the names of hosts from the flake {checkout} ...")
    sources = dict(zip(_SOURCES, await _evaluate(nix, checkout), strict=True))
    read = {source: found.names for source, found in sources.items() if not found.problem}
    before = flake_names.remember(str(checkout), read)
    for source, found in sources.items():
        if found.problem and (known := before.get(source)) is not None:
            sources[source] = Names(known.names, found.problem, known.at)
    return sources


def _problems(checkout: Path, sources: Mapping[str, Names]) -> Iterator[str]:
    """Which names are unknown, and why; and what is shown instead."""
    for problem in dict.fromkeys(found.problem for found in sources.values() if found.problem):
        failed = {source: found for source, found in sources.items() if found.problem == problem}
        shown = "none is known from before"
        if at := max(found.at if found.names else 0 for found in failed.values()):
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
            shown = f"those that are marked as remembered are of {day}"
        yield (
            f"The names of hosts under {' and '.join(failed)} in {checkout} could not be read; "
            f"{shown}. Nothing is built or fetched for them: {problem}"
        )


async def _evaluate(nix: str, checkout: Path) -> tuple[Names, Names]:
    environment = {
        name: value for name, value in os.environ.items() if name.lower() != "no_proxy"
    } | _NO_NETWORK
    return await asyncio.gather(
        _names(nix, f"{checkout}#nixosConfigurations", environment),
        _names(nix, f"{checkout}#homeConfigurations", environment),
    )


async def _names(nix: str, attributes: str, environment: Mapping[str, str]) -> Names:
    names = ("eval", *_HARMLESS, "--json", "--apply", "builtins.attrNames", attributes)
    done = await run((nix, *FEATURES, *names), env=environment, limit=EVAL_SECONDS)
    if done.timed_out:
        return Names(problem=f"Nix gave no answer within {EVAL_SECONDS:.0f} s")
    if done.rc != 0:
        return Names(problem=_problem(done.stderr.decode("utf-8", "replace")))
    try:
        return Names(tuple(msgspec.json.decode(done.stdout, type=list[str])))
    except msgspec.DecodeError:
        return Names(problem="Nix gave no list of names")


def _problem(said: str) -> str:
    """Nix's complaint on one line; empty if the flake only lacks such an attribute."""
    lines = [strip_colours(line).strip() for line in said.splitlines()]
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    last = next((error for error in reversed(errors) if error), "Nix failed and did not say why")
    return "" if "does not provide attribute" in last else last


def _home_hosts(homes: Names) -> set[str]:
    return {home.name for home in map(_home, homes.names) if home is not None}


def _home(attribute: str) -> Host | None:
    """The host of `user@host`; None for other names, which do not say where the home is."""
    try:
        address = parse_address(attribute)
        name = check_host_name(address.host)
    except BadNameError:
        return None
    if address.user is None or address.port is not None:
        return None
    return Host(name=name, address=address, platform="home-manager", attribute=attribute)


def _is_host_name(name: str) -> bool:
    try:
        check_host_name(name)
    except BadNameError:
        return False
    return True
