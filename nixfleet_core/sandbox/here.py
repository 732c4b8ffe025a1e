"""Whether we run in the shell of a sandbox fleet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nixfleet_core.session.latest import GitLatest
    from nixfleet_core.session.shell_session import ShellSession

FLEET: Final = "NIXFLEET_DEMO"
"""The variable that names the fleet's folder in that shell."""


class FleetGoneError(Exception):
    """The fleet that the variable names has ended."""


def fleet_here() -> Path | None:
    """The folder of the fleet in whose shell we run."""
    folder = os.environ.get(FLEET)
    return Path(folder) if folder else None


def sessions_here(folder: Path) -> tuple[ShellSession, ...]:
    """Sessions with the hosts of that fleet. Raises FleetGoneError."""
    from nixfleet_core.sandbox.hosts import describe_hosts
    from nixfleet_core.sandbox.sessions import sessions_with

    if not (folder / "hosts").is_dir():
        raise FleetGoneError(f"{FLEET} names {folder}, and this demo has ended; leave its shell")
    return sessions_with(folder, describe_hosts(folder))


def latest_here() -> GitLatest:
    """What asks for the latest commits. A sandbox's repositories are folders of this machine."""
    from nixfleet_core.session.latest import GitLatest

    return GitLatest(here=fleet_here() is not None)
