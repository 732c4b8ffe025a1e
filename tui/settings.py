"""The operator's settings for the whole app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixfleet_core.config import AUTO_THEME, Config, Notify

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AppSettings:
    """At a job's end `bell` rings, and `title` names the verdict in the window title. `refresh`:
    seconds after which the app looks at a host again by itself; None: it does not."""

    ascii: bool = False
    mouse: bool = True
    bell: bool = True
    title: bool = True
    notify: Notify = "auto"
    """The notice on the desktop, at a job's end too."""
    on_finish: tuple[str, ...] = ()
    """The operator's command for each verdict on a job; empty: none."""
    refresh: float | None = Config().refresh
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The keys of what has others than by default, by the ids of the bindings."""
    theme: str = AUTO_THEME
    """What the operator has chosen, as `tui.themes.NAMES` has it."""
    columns: tuple[str, ...] = ()
    """Those of the fleet's table, as the operator has named them; empty: all."""
    fps: int = Config().fps
    """The most paints a second."""
    prove_in_background: bool = False
    """The app lets idle hosts prove themselves."""
    temporary: bool = False
    """The hosts end with the app: this is the demo."""
    notices: tuple[str, ...] = ()
    """What the operator has to know before anything else, such as hosts whose names are unknown."""
