"""Without a hosts.toml: this machine, and the hosts of the nixcfg that lies here, if one does."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from nixfleet_core.host import DEFAULT_CHECKOUT, BadNameError, Host, SshAddress, check_host_name
from nixfleet_core.inventory import this_machine
from nixfleet_core.steps import FEATURES
from nixfleet_core.tee import run

EVAL_SECONDS: Final = 30.0
"""The names alone need no host's configuration: Nix answers in a second or two."""


def hosts_without_inventory() -> tuple[Host, ...]:
    """This machine first; the others are reached by their names, as the ssh config knows them."""
    here = this_machine()
    names = asyncio.run(flake_hosts(Path(DEFAULT_CHECKOUT).expanduser()))
    others = (
        Host(name=name, address=SshAddress(name), attribute=name)
        for name in names
        if name != here.name
    )
    return (replace(here, attribute=here.name) if here.name in names else here, *others)


async def flake_hosts(checkout: Path) -> tuple[str, ...]:
    """The names under nixosConfigurations in that flake; none where there is no flake or no Nix."""
    nix = shutil.which("nix")
    if nix is None or not (checkout / "flake.nix").is_file():
        return ()
    flake = f"{checkout}#nixosConfigurations"
    names = ("eval", "--no-write-lock-file", "--json", "--apply", "builtins.attrNames", flake)
    done = await run((nix, *FEATURES, *names), limit=EVAL_SECONDS)
    try:
        found = msgspec.json.decode(done.stdout, type=list[str]) if done.rc == 0 else []
    except msgspec.DecodeError:
        found = []
    return tuple(name for name in found if _is_host_name(name))


def _is_host_name(name: str) -> bool:
    try:
        check_host_name(name)
    except BadNameError:
        return False
    return True
