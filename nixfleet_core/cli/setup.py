"""What every command is given: where the hosts are listed, what opens the app, the settings, and
the options of the app."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from nixfleet_core.cli.app_options import NOTHING_GIVEN, Look
from nixfleet_core.cli.faults import UsageFault
from nixfleet_core.cli.key_settings import key_reader
from nixfleet_core.config import Loaded, load_config, read_words
from nixfleet_core.inventory import default_inventory_path
from nixfleet_core.sandbox.here import fleet_here

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.cli.screen import Screen


@dataclass(frozen=True, slots=True)
class Setup:
    """The same as one object. `path`: the inventory; it may not exist."""

    path: Path
    screen: Screen | None
    settings: Loaded
    look: Look = NOTHING_GIVEN

    @classmethod
    def read(
        cls, path: Path | None, screen: Screen | None, look: Look, *, keys: bool = False
    ) -> Setup:
        """The setup of a command line, with the settings that hold here. `keys`: those of the app,
        too, which loads it if somebody has chosen any."""
        settings = load_config(
            os.environ,
            refresh=look.refresh,
            theme=look.theme,
            themes=screen.themes if screen is not None else None,
            fps=look.fps,
            columns=screen.columns if screen is not None else None,
            on_finish=look.on_finish,
            keys=key_reader(screen.keys) if screen is not None and keys else None,
        )
        return cls(path or default_inventory_path(), screen, settings, look)

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


def require_terminal() -> None:
    """Raises UsageFault unless stdin, stdout and stderr are terminals: the app draws on stderr."""
    if not all(os.isatty(fd) for fd in (0, 1, 2)):
        raise UsageFault("the app needs a terminal; the commands do not, see nixfleet --help")
