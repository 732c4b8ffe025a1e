"""The options of the app: how it looks, and what it runs. They stand before a command, and behind
`demo`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from nixfleet_core.cli.options import on_finish_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixfleet_core.cli.screen import Screen


@dataclass(frozen=True, slots=True)
class Look:
    """How the app is to look and what it runs, as the command line has it. `refresh`, `theme`,
    `fps` and `on_finish` are as given."""

    ascii_only: bool = False
    mouse: bool = True
    refresh: str | None = None
    theme: str | None = None
    fps: str | None = None
    on_finish: str | None = None


NOTHING_GIVEN: Final = Look()


def _check_refresh(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from nixfleet_core.config import check_refresh

    return _checked(value, check_refresh, option)


def _check_fps(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from nixfleet_core.config import check_fps

    return _checked(value, check_fps, option)


def _check_theme(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from nixfleet_core.cli.setup import Setup
    from nixfleet_core.config import check_theme

    given = context.obj  # a Setup behind `demo`
    screen: Screen | None = given.screen if isinstance(given, Setup) else given
    themes = screen.themes if screen is not None else None
    return _checked(value, functools.partial(check_theme, themes=themes), option)


def _checked(value: str, check: Callable[[str], object], option: click.Parameter) -> str:
    """The value, unless the check raises ValueError: then the option is refused in its words."""
    try:
        check(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=option) from error
    return value


def app_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the app, as its one argument `look`."""

    @click.option("--ascii", "ascii_only", is_flag=True, help="No glyphs beyond ASCII.")
    @click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
    @click.option(
        "--theme",
        metavar="NAME",
        callback=_check_theme,
        help="The app's colours: auto, dark, light, or a theme of Textual.",
    )
    @click.option(
        "--fps",
        metavar="N",
        callback=_check_fps,
        help="The most paints a second; a slow link wants fewer.",
    )
    @click.option(
        "--refresh",
        metavar="SECONDS",
        callback=_check_refresh,
        help="Seconds between the app's looks at each host, or off.",
    )
    @on_finish_option
    @functools.wraps(command)
    def wrapped(
        *args: object,
        ascii_only: bool,
        no_mouse: bool,
        refresh: str | None,
        theme: str | None,
        fps: str | None,
        on_finish: str | None,
        **rest: object,
    ) -> None:
        look = Look(ascii_only, not no_mouse, refresh, theme, fps, on_finish)
        command(*args, look=look, **rest)

    return wrapped
