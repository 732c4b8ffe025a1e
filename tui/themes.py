"""The colours: our own themes, and what Textual's themes lack.

A test computes the contrast of all text that the screens draw in dark and light: at least 4.5 : 1,
with all colours, and with the nearest ones of 256.
Only the terminal knows what its 16 colours look like. So text there has the terminal's own
foreground, except for the tones, and what stands out is reversed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.terminal_theme import TerminalTheme
from textual.theme import BUILTIN_THEMES, Theme

from nixfleet_core.config import AUTO_THEME, OWN_THEMES

if TYPE_CHECKING:
    from collections.abc import Mapping


DARK: Final = Theme(
    name="dark",
    dark=True,
    primary="#5f87af",
    secondary="#5f87af",
    accent="#ffaf5f",
    warning="#ffd75f",
    error="#ff8787",
    success="#87d787",
    foreground="#e4e4e4",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    boost="#303030",
    variables={
        "text": "#e4e4e4",
        "text-muted": "#a8a8a8",
        "text-disabled": "#a8a8a8",
        "foreground-muted": "#a8a8a8",
        "foreground-disabled": "#a8a8a8",
        "text-primary": "#87d7ff",
        "text-accent": "#ffaf5f",
        "text-warning": "#ffd75f",
        "text-error": "#ff8787",
        "text-success": "#87d787",
        "unproven": "#d7afff",
        "faint": "#a8a8a8",
        "row-cursor": "#262d6a",
        "hit": "#ffd75f",
        "hit-text": "#121212",
        "screen-selection-background": "#262d6a",
        "input-selection-background": "#262d6a",
        "block-cursor-background": "#262d6a",
        "block-cursor-foreground": "#e4e4e4",
        "block-cursor-blurred-background": "#262d6a",
        "block-cursor-blurred-foreground": "#e4e4e4",
        "button-color-foreground": "#121212",
        "link-color": "#87d7ff",
    },
)

LIGHT: Final = Theme(
    name="light",
    dark=False,
    primary="#005f87",
    secondary="#005f87",
    accent="#87005f",
    warning="#7a4a00",
    error="#af0000",
    success="#005f00",
    foreground="#1c1c1c",
    background="#ffffff",
    surface="#f7f7f7",
    panel="#eeeeee",
    boost="#e4e4e4",
    variables={
        "text": "#1c1c1c",
        "text-muted": "#585858",
        "text-disabled": "#585858",
        "foreground-muted": "#585858",
        "foreground-disabled": "#585858",
        "text-primary": "#005faf",
        "text-accent": "#87005f",
        "text-warning": "#7a4a00",
        "text-error": "#af0000",
        "text-success": "#005f00",
        "unproven": "#5f00af",
        "faint": "#585858",
        "row-cursor": "#dcecff",
        "hit": "#7a4a00",
        "hit-text": "#ffffff",
        "screen-selection-background": "#dcecff",
        "input-selection-background": "#dcecff",
        "block-cursor-background": "#dcecff",
        "block-cursor-foreground": "#1c1c1c",
        "block-cursor-blurred-background": "#dcecff",
        "block-cursor-blurred-foreground": "#1c1c1c",
        "button-color-foreground": "#ffffff",
        "link-color": "#005faf",
    },
)


_REVERSED: Final = {
    "row-cursor": "ansi_default",
    "row-cursor-style": "bold reverse",
    "hit": "ansi_default",
    "hit-text": "ansi_default",
    "hit-style": "bold reverse",
}


_CHOSEN: Final = (
    *("block-cursor", "block-cursor-blurred", "input-cursor"),
    *("input-selection", "screen-selection"),
)
_CHOSEN_TEXT: Final = tuple(f"{name}-foreground" for name in _CHOSEN)
_CHOSEN_GROUND: Final = tuple(f"{name}-background" for name in _CHOSEN)
"""Where Textual's widgets are, or what is selected in them."""


def _sixteen(name: str, *, dark: bool, tones: Mapping[str, str]) -> Theme:
    """A theme of the terminal's own colours. `tones` has those of text, by their variables."""
    ink, paper = ("ansi_black", "ansi_white") if dark else ("ansi_white", "ansi_black")
    return Theme(
        name=name,
        ansi=True,
        dark=dark,
        primary=tones["text-primary"],
        secondary=tones["text-primary"],
        accent=tones["text-accent"],
        warning=tones["text-warning"],
        error=tones["text-error"],
        success=tones["text-success"],
        foreground="ansi_default",
        background="ansi_default",
        variables={
            **tones,
            "text-muted": "ansi_default",
            "text-disabled": "ansi_default",
            "foreground-muted": "ansi_default",
            "faint": "ansi_default",
            **_REVERSED,
            "border": tones["text-primary"],
            "border-blurred": tones["text-primary"],
            "ansi-background": "ansi_default",
            "ansi-foreground": "ansi_default",
            **dict.fromkeys(_CHOSEN_TEXT, ink),
            **dict.fromkeys(_CHOSEN_GROUND, paper),
            "input-cursor-text-style": "none",
            "scrollbar": tones["text-primary"],
            "scrollbar-hover": tones["text-primary"],
            "scrollbar-active": tones["text-primary"],
            "scrollbar-background": "ansi_default",
            "scrollbar-background-hover": "ansi_default",
            "scrollbar-background-active": "ansi_default",
            "link-background-hover": "ansi_default",
            "link-color": tones["text-primary"],
            "link-color-hover": tones["text-primary"],
        },
    )


DARK_16: Final = _sixteen(
    "dark-16",
    dark=True,
    tones={
        "text-primary": "ansi_bright_cyan",
        "text-accent": "ansi_bright_yellow",
        "text-warning": "ansi_bright_yellow",
        "text-error": "ansi_bright_red",
        "text-success": "ansi_bright_green",
        "unproven": "ansi_bright_magenta",
    },
)
"""The bright half: the Linux console's blue and red are hard to read on black."""

LIGHT_16: Final = _sixteen(
    "light-16",
    dark=False,
    tones={
        "text-primary": "ansi_blue",
        "text-accent": "ansi_magenta",
        "text-warning": "ansi_magenta",
        "text-error": "ansi_red",
        "text-success": "ansi_green",
        "unproven": "ansi_blue",
    },
)
"""Without yellow and cyan: hardly a terminal shows them dark enough for a light background."""

OURS: Final = (DARK, LIGHT, DARK_16, LIGHT_16)

NAMES: Final = (*OWN_THEMES, *BUILTIN_THEMES)
"""What may be chosen."""


def added(theme: Theme) -> dict[str, str]:
    """Our own variables, for themes that do not have them."""
    made = {**theme.to_color_system().generate(), **theme.variables}
    if theme.ansi:
        return {**_REVERSED, "unproven": made["text-secondary"], "faint": "ansi_default"}
    return {
        "unproven": made["text-secondary"],
        "faint": f"{made['foreground']} 75%",
        "row-cursor": f"{made['primary']} 30%",
        "row-cursor-style": "bold",
        "hit": made["warning"],
        "hit-text": made["background"],
        "hit-style": "bold",
    }


def _terminal(background: str, foreground: str, *colours: str) -> TerminalTheme:
    """How a log's 16 colours look."""
    numbers = [_numbers(text) for text in (background, foreground, *colours)]
    return TerminalTheme(numbers[0], numbers[1], numbers[2:10], numbers[10:])


def _numbers(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


_DARK_LOG: Final = (
    *("303030", "ff8787", "87d787", "ffaf5f", "87afff", "ff87d7", "5fd7d7", "d0d0d0"),
    *("a8a8a8", "ffafaf", "afffaf", "ffd75f", "87d7ff", "ffafff", "87ffff", "ffffff"),
)
_LIGHT_LOG: Final = (
    *("1c1c1c", "af0000", "005f00", "7a4a00", "0000af", "87005f", "005f5f", "e4e4e4"),
    *("585858", "d70000", "006b1f", "7a4a00", "005faf", "af00af", "005f87", "f7f7f7"),
)

DARK_LOG: Final = _terminal("121212", "e4e4e4", *_DARK_LOG)
LIGHT_LOG: Final = _terminal("ffffff", "1c1c1c", *_LIGHT_LOG)


def theme_name(choice: str, *, dark: bool, sixteen: bool) -> str:
    """The theme to draw in. `choice` is one of NAMES; `dark`: the terminal's background is."""
    if choice not in OWN_THEMES:
        return choice
    is_dark = dark if choice == AUTO_THEME else choice == DARK.name
    if sixteen:
        return DARK_16.name if is_dark else LIGHT_16.name
    return DARK.name if is_dark else LIGHT.name


_MONOCHROME: Final = re.compile(r"dumb|unknown|vt[1-5]\d\d.*|.*-m(ono)?")


def is_colourless(environ: Mapping[str, str]) -> bool:
    """Whether the operator wants no colours (no-color.org), or the terminal has none."""
    wanted_none = "NO_COLOR" in environ
    return wanted_none or _MONOCHROME.fullmatch(environ.get("TERM", "")) is not None


def is_dark_by_environment(environ: Mapping[str, str]) -> bool:
    """What rxvt, Konsole and others put into COLORFGBG: the numbers of two of the 16 colours, the
    background's last. Dark if it is not told."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return background not in ("7", *map(str, range(9, 16)))
