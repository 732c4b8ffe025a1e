"""The places of the chain that an update can be held at."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Running
    from .host import LabHost, Point
    from .repos import Repo, Repos

Place = Literal["preflight", "stop", "pull", "update", "rebuild", "activation", "start", "verify"]
PLACES: Final[tuple[Place, ...]] = (
    *("preflight", "stop", "pull", "update", "rebuild", "activation", "start", "verify"),
)

_GATES: Final[dict[Place, Point]] = {
    "stop": "stop",
    "rebuild": "build",
    "activation": "switch",
    "start": "start",
}
_FETCHES: Final[dict[Place, Repo]] = {
    "preflight": "nixcfg",
    "pull": "nixcfg",
    "update": "nixfleet",
}


@contextmanager
def held(host: LabHost, repos: Repos, running: Running, place: Place) -> Iterator[None]:
    """While the context is open, the next update is held at that place of the chain.

    Nothing holds `verify`: it lasts as long as `--stable` says.
    """
    if place in _GATES:
        with host.gate(_GATES[place]) as gate:
            gate.wait_reached()
            yield
    elif place == "verify":
        running.wait_for("▶ Verify")
        yield
    else:
        repo = _FETCHES[place]
        if place == "preflight":
            repos.set_fault(repo, "hang")
        else:
            # the preflight has asked the repository already: hold the chain after it
            with host.gate("stop") as gate:
                gate.wait_reached()
                repos.set_fault(repo, "hang")
        repos.servers[repo].wait_for("hang")
        yield
        repos.set_fault(repo, "ok")
