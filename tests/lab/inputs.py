"""Where a host's flake takes the agent from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .host import CHECKOUT

if TYPE_CHECKING:
    from .fleet import Fleet
    from .host import LabHost


def take_from(fleet: Fleet, host: LabHost, url: str) -> None:
    """Let nixcfg take the agent from another address, with a lock that says so."""
    path = fleet.repos.path("nixcfg") / "flake.nix"
    text = path.read_text().replace(f"git+{fleet.repos.url('nixfleet')}?ref=main", url)
    fleet.repos.commit_nixcfg("Take the agent from elsewhere", files={"flake.nix": text})
    host.enter(f"cd {CHECKOUT}; git pull -q; nix flake lock", user="ops")
    lock = (host.root / CHECKOUT[1:] / "flake.lock").read_text()
    fleet.repos.commit_nixcfg("Lock", files={"flake.lock": lock})
    host.enter(f"cd {CHECKOUT}; git checkout -q flake.lock; git pull -q", user="ops")
