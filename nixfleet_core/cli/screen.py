"""The interface by which commands open the app; they do not know which app it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.cli.key_settings import KeyRules
    from nixfleet_core.config import Config
    from nixfleet_core.session.no_hosts import Searched
    from nixfleet_core.session.protocol import HostSession


@dataclass(frozen=True, slots=True)
class Opened:
    """The hosts that the app begins with, and what it says first. Without hosts, `searched` says
    where they were looked for."""

    sessions: Sequence[HostSession]
    notices: Sequence[str] = ()
    searched: Searched | None = None


LookAgain = Callable[[], Coroutine[None, None, Opened]]
"""Looks for hosts again. Raises ClickException if what is there cannot be used."""


class Screen(Protocol):
    """Opens the app. `open` and `open_demo` return the exit code when the operator has left it."""

    def open(
        self,
        opened: Opened,
        *,
        ascii_only: bool,
        mouse: bool,
        config: Config,
        look_again: LookAgain,
    ) -> int:
        """Open the app on these hosts; it begins with the notices. If there are no hosts, it says
        so, and can look again. `config` says how often it looks at hosts by itself, whether it
        proves them, in which theme and how often it is drawn, which columns the fleet has, its
        keys, and what it does at the end of a job."""
        ...

    def open_demo(self, speed: float, *, ascii_only: bool, mouse: bool, config: Config) -> int:
        """Open the app on a sandbox fleet, which is removed afterwards."""
        ...

    def themes(self) -> Sequence[str]:
        """The names of the themes that may be chosen."""
        ...

    def columns(self) -> Sequence[str]:
        """The names of the columns that the fleet's table may have."""
        ...

    def keys(self) -> KeyRules:
        """The actions that have keys, and what keys they may have."""
        ...
