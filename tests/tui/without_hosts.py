"""What an app without hosts begins with, and what it finds when it looks again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nixfleet_core.session.no_hosts import Searched

if TYPE_CHECKING:
    from nixfleet_core.cli.screen import Opened

SEARCHED: Final = Searched(
    Path("/home/markus/.config/nixfleet/hosts.toml"), has_folder=False, here="gpc0", user="markus"
)


class Looks:
    """What each look for hosts finds, or the mistake that it meets; it can be made to wait."""

    def __init__(self) -> None:
        self.finds: list[Opened | str] = []
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self) -> Opened:
        self.asked += 1
        await self.answers.wait()
        found = self.finds.pop(0)
        if isinstance(found, str):
            raise click.ClickException(found)
        return found
