"""Without a hosts.toml: this machine, and the hosts of the nixcfg on this machine, if it is there.

To read their names we must evaluate that flake, so we say so. Evaluation does nothing else: it
builds nothing (import from derivation), it fetches nothing, and it takes no setting from the flake.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from nixfleet_core.host import (
    DEFAULT_CHECKOUT,
    BadNameError,
    Host,
    SshAddress,
    check_host_name,
    parse_address,
)
from nixfleet_core.inventory import this_machine
from nixfleet_core.log.failures import strip_colours
from nixfleet_core.plan.steps import FEATURES
from nixfleet_core.transport.process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """The names under an attribute of a flake; `problem` says why they could not be read."""

    names: tuple[str, ...] = ()
    problem: str = ""


def hosts_without_inventory(say: Callable[[str], None]) -> tuple[Host, ...]:
    """This machine first, then the others; ssh reaches those by their names.

    `say` gets a line before the flake is evaluated, and one if that fails. Nix's words in it are
    untrusted text.
    """
    here = this_machine()
    systems, homes = _flake_names(Path(DEFAULT_CHECKOUT).expanduser(), say)
    if here.name in systems:
        here = replace(here, attribute=here.name)
    found = {here.name: here}
    for name in systems:
        found.setdefault(name, Host(name=name, address=SshAddress(name), attribute=name))
    for home in map(_home, homes):
        # a NixOS host switches its homes itself; a Mac's second user gets a host name of their own
        if home is not None and home.name not in (here.name, *systems):
            user = home.address.user if home.address else None
            name = home.name if home.name not in found else f"{home.name}-{user}"
            found.setdefault(name, replace(home, name=name))
    return tuple(found.values())


def _flake_names(
    checkout: Path, say: Callable[[str], None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names under nixosConfigurations that can be hosts, and those under homeConfigurations;
    empty if there is no flake or no Nix."""
    nix = shutil.which("nix")
    if nix is None or not (checkout / "flake.nix").is_file():
        return (), ()
    say(f"Reading the names of hosts from the flake {checkout} ...")
    systems, homes = asyncio.run(_evaluate(nix, checkout))
    for problem in dict.fromkeys(found.problem for found in (systems, homes) if found.problem):
        say(f"Some names could not be read; nothing is built or fetched for them: {problem}")
    return tuple(name for name in systems.names if _is_host_name(name)), homes.names


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
