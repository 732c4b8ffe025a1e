"""The console script `nixfleet`: the commands, and the app that they open.

The app's modules are imported only when it opens, so a command starts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.cli.main import nixfleet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.cli.key_settings import KeyRules
    from nixfleet_core.cli.screen import LookAgain, Opened
    from nixfleet_core.config import Config
    from tui.settings import AppSettings


class TerminalScreen:
    """The app at this terminal."""

    def open(
        self,
        opened: Opened,
        *,
        ascii_only: bool,
        mouse: bool,
        config: Config,
        look_again: LookAgain,
    ) -> int:
        from nixfleet_core.sandbox.here import latest_here
        from tui.app import FirstRun, run

        settings = _settings(ascii_only, mouse, config, notices=opened.notices)
        first_run = FirstRun(opened.searched, look_again) if opened.searched else None
        return run(opened.sessions, latest_here(), settings, first_run)

    def open_demo(self, speed: float, *, ascii_only: bool, mouse: bool, config: Config) -> int:
        from tui.demo import run_demo

        return run_demo(speed, _settings(ascii_only, mouse, config, temporary=True))

    def themes(self) -> Sequence[str]:
        from tui.themes import NAMES

        return NAMES

    def columns(self) -> Sequence[str]:
        from tui.fleet_columns import NAMES

        return NAMES

    def keys(self) -> KeyRules:
        from tui.key_rules import AppKeyRules

        return AppKeyRules()


def _settings(
    ascii_only: bool,
    mouse: bool,
    config: Config,
    *,
    notices: Sequence[str] = (),
    temporary: bool = False,
) -> AppSettings:
    """The app's settings from the command line and the config."""
    from tui.driver import speaks_unicode
    from tui.settings import AppSettings

    keys = config.keys
    if keys:
        from tui.key_rules import with_partners

        keys = with_partners(keys)
    return AppSettings(
        ascii=ascii_only or not speaks_unicode(),
        mouse=mouse,
        refresh=config.refresh,
        keys=keys,
        theme=config.theme,
        fps=config.fps,
        columns=config.columns,
        bell=config.bell,
        title=config.title,
        notify=config.notify,
        on_finish=config.on_finish,
        prove_in_background=config.prove == "background",
        notices=tuple(notices),
        temporary=temporary,
    )


def main() -> None:
    """The console script."""
    nixfleet(prog_name="nixfleet", obj=TerminalScreen())
