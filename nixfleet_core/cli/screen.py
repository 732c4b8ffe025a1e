"""The screen that the commands may be given: they know that there is an app, and not which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.session.protocol import HostSession


class Screen(Protocol):
    """What opens the app. Both return the exit code once the operator has left it."""

    def open(self, sessions: Sequence[HostSession], *, ascii_only: bool, mouse: bool) -> int:
        """Open the app on these hosts."""
        ...

    def open_demo(self, speed: float) -> int:
        """Open it on a sandbox fleet, which is gone afterwards."""
        ...
