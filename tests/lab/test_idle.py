"""A host proves itself while nobody needs it: with real Nix, for an operator without root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.config import load_config
from nixfleet_core.inventory import load_inventory
from nixfleet_core.job.copies import Copies
from nixfleet_core.judge.proofs import can_be_proven_idly
from nixfleet_core.judge.table_state import assess
from nixfleet_core.session.open import open_sessions

from .host import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

DEEP = (
    "let l = builtins.genList (x: builtins.genList (y: x + y) 1000) 10000;"
    " in builtins.deepSeq l (builtins.length l)"
)
"""Takes some 300 MB of the evaluator's heap, and needs them all at once."""


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
async def test_an_idle_host_proves_itself_without_root(
    fresh: Fleet,
    host: LabHost,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lab's hosts share this machine's memory and load, so these are told here."""
    for name, value in client.env.items():
        monkeypatch.setenv(name, value)
    inventory = load_inventory(client.folder / "config/nixfleet/hosts.toml")
    hosts = [one for one in inventory.hosts if one.name == host.name]
    (session,) = open_sessions(hosts, Copies(tmp_path), load_config(os.environ).config)
    latest = fresh.repos.head("nixfleet")
    host.enter("printf '0.00 0.00 0.00 1/1 1\\n' >/srv/load; mount --bind /srv/load /proc/loadavg")

    seen = await session.probe()
    assert can_be_proven_idly(seen, session.host)
    assert assess(seen, latest, session.host).state == "unproven"
    refused = host.enter("journalctl -q _COMM=sudo | wc -l")
    proven = await session.prove_idly(seen)
    assert proven.expected is not None, proven.expected_error
    assert proven.expected.path == host.agent_exe()
    again = await session.probe()
    assert not can_be_proven_idly(again, session.host)
    assert assess(again, latest, session.host).state == "current", "the agent is this user's own"
    assert host.enter("journalctl -q _COMM=sudo | wc -l") == refused, "nobody asked for root"

    host.enter("printf '999.0 0.00 0.00 1/1 1\\n' >/srv/load")
    host.enter(f"cd {CHECKOUT}; printf '\\n' >>flake.lock", user=host.user)
    moved = await session.probe()
    assert can_be_proven_idly(moved, session.host)
    assert (await session.prove_idly(moved)).expected_error == "busy"
    assert can_be_proven_idly(await session.probe(), session.host), "it is tried again"


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
def test_nix_ends_an_evaluation_that_takes_too_much_memory(fleet: Fleet, host: LabHost) -> None:
    """The limit is that of Nix's own collector."""
    run = f"nix-instantiate --eval --expr '{DEEP}'"
    assert host.enter(run) == "10000"
    with pytest.raises(RuntimeError, match=r"(?i)memory|alloc|heap"):
        host.enter(f"GC_MAXIMUM_HEAP_SIZE=100000000 {run}")
