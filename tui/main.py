"""The console script `nixfleet`: the commands, and the app that they open.

The app's modules are imported only when it opens, so a command starts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.cli.main import nixfleet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.config import Config
    from nixfleet_core.session.protocol import HostSession


class TerminalScreen:
    """The app at this terminal."""

    def open(
        self,
        sessions: Sequence[HostSession],
        *,
        ascii_only: bool,
        mouse: bool,
        config: Config,
        notices: Sequence[str] = (),
    ) -> int:
        from nixfleet_core.sandbox.here import latest_here
        from tui.app import run
        from tui.driver import speaks_unicode
        from tui.settings import AppSettings

        settings = AppSettings(
            ascii=ascii_only or not speaks_unicode(),
            mouse=mouse,
            refresh=config.refresh,
            theme=config.theme,
            prove_in_background=config.prove == "background",
            notices=tuple(notices),
        )
        return run(sessions, latest_here(), settings)

    def open_demo(self, speed: float, *, ascii_only: bool, mouse: bool, config: Config) -> int:
        from tui.demo import run_demo
        from tui.driver import speaks_unicode
        from tui.settings import AppSettings

        settings = AppSettings(
            ascii=ascii_only or not speaks_unicode(),
            mouse=mouse,
            refresh=config.refresh,
            theme=config.theme,
            prove_in_background=config.prove == "background",
            temporary=True,
        )
        return run_demo(speed, settings)

    def themes(self) -> Sequence[str]:
        from tui.themes import NAMES

        return NAMES


def main() -> None:
    """The console script."""
    nixfleet(prog_name="nixfleet", obj=TerminalScreen())
