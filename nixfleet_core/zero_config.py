"""Without a hosts.toml: this machine, and the hosts of the nixcfg that lies here, if one does."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

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
from nixfleet_core.steps import FEATURES
from nixfleet_core.tee import run

EVAL_SECONDS: Final = 30.0
"""The names alone need no host's configuration: Nix answers in a second or two."""


def hosts_without_inventory() -> tuple[Host, ...]:
    """This machine first; the others are reached by their names, as the ssh config knows them."""
    here = this_machine()
    systems, homes = asyncio.run(flake_names(Path(DEFAULT_CHECKOUT).expanduser()))
    if here.name in systems:
        here = replace(here, attribute=here.name)
    found = {here.name: here}
    for name in systems:
        found.setdefault(name, Host(name=name, address=SshAddress(name), attribute=name))
    for home in map(_home, homes):
        # a host of NixOS switches its homes itself; a Mac's second user gets a name of their own
        if home is not None and home.name not in (here.name, *systems):
            user = home.address.user if home.address else None
            name = home.name if home.name not in found else f"{home.name}-{user}"
            found.setdefault(name, replace(home, name=name))
    return tuple(found.values())


async def flake_names(checkout: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names under nixosConfigurations that can be hosts, and those under homeConfigurations;
    none where there is no flake or no Nix."""
    nix = shutil.which("nix")
    if nix is None or not (checkout / "flake.nix").is_file():
        return (), ()
    systems, homes = await asyncio.gather(
        _names(nix, f"{checkout}#nixosConfigurations"),
        _names(nix, f"{checkout}#homeConfigurations"),
    )
    return tuple(name for name in systems if _is_host_name(name)), tuple(homes)


async def _names(nix: str, attributes: str) -> list[str]:
    names = ("eval", "--no-write-lock-file", "--json", "--apply", "builtins.attrNames", attributes)
    done = await run((nix, *FEATURES, *names), limit=EVAL_SECONDS)
    try:
        return msgspec.json.decode(done.stdout, type=list[str]) if done.rc == 0 else []
    except msgspec.DecodeError:
        return []


def _home(attribute: str) -> Host | None:
    """The host of `user@host`; None for other names, which do not say where that is."""
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
