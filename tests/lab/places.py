"""The places of the chain that an update can be held at."""

from __future__ import annotations

import shlex
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
    "update": "nixfleet",
}


def spoil_pull(host: LabHost, filters: str) -> None:
    """Hold the running update at the agent's stop, and let git, from then on, write lab.json
    through this filter. Upstream must have changed that file; the preflight's rehearsal is over."""
    with host.gate("stop") as gate:
        gate.wait_reached()
        host.enter(
            "echo 'lab.json filter=lab' > /etc/lab-attributes\n"
            "git config --system core.attributesFile /etc/lab-attributes\n"
            "git config --system filter.lab.required true\n"
            "git config --system filter.lab.clean cat\n"
            f"git config --system filter.lab.smudge {shlex.quote(filters)}"
        )


@contextmanager
def held(host: LabHost, repos: Repos, running: Running, place: Place) -> Iterator[None]:
    """While the context is open, the next update is held at that place of the chain.

    Nothing holds `verify`: it lasts as long as `--stable` says.
    """
    if place in _GATES:
        with host.gate(_GATES[place]) as gate:
            gate.wait_reached()
            yield
    elif place == "pull":
        with host.gate("pull") as gate:
            spoil_pull(host, "cat; /usr/local/libexec/lab/gate pull > /dev/null")
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
