"""The interface by which commands open the app; they do not know which app it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.config import Config
    from nixfleet_core.session.protocol import HostSession


class Screen(Protocol):
    """Opens the app. `open` and `open_demo` return the exit code when the operator has left it."""

    def open(
        self,
        sessions: Sequence[HostSession],
        *,
        ascii_only: bool,
        mouse: bool,
        config: Config,
        notices: Sequence[str] = (),
    ) -> int:
        """Open the app on these hosts; it begins with the notices. `config` says how often it
        looks at them by itself, whether it proves them, in which theme it is drawn, and what it
        does at the end of a job."""
        ...

    def open_demo(self, speed: float, *, ascii_only: bool, mouse: bool, config: Config) -> int:
        """Open the app on a sandbox fleet, which is removed afterwards."""
        ...

    def themes(self) -> Sequence[str]:
        """The names of the themes that may be chosen."""
        ...
