"""Many hosts behind one jump: sshd refuses those that come too many at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .operator import operator, reached
from .tmux import Tmux

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet

MANY = 30


@pytest.fixture
def client(fresh: Fleet) -> Iterator[Client]:
    """An operator of 30 addresses, all of csb0, behind csb1 with sshd's own MaxStartups."""
    host, jump = fresh["csb0"], fresh["csb1"]
    addresses = [host.lab.address(100 + number) for number in range(MANY)]
    host.enter("; ".join(f"ip address add {one}/24 dev eth0" for one in addresses))
    config = (
        f"Host {' '.join(addresses)}\nProxyJump {jump.ip}\n"
        f"HostKeyAlias {host.ip}\nHost {jump.ip}\nUser pw\nHost *"
    )
    with operator(fresh, config, host) as client:
        text = "".join(
            f'[hosts.h{number}]\nssh = "ops@{one}"\ncheckout = "{host.checkout}"\n'
            for number, one in enumerate(addresses)
        )
        (client.folder / "config/nixfleet/hosts.toml").write_text(text)
        yield client


def test_the_list_reaches_every_host(client: Client) -> None:
    assert reached(client) == {f"h{number}" for number in range(MANY)}


def test_the_jobs_of_every_host_are_listed(client: Client) -> None:
    assert client.update("h0", "--force")["verdict"] == "current"
    done = client.run("jobs", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["host"] for row in rows} == {f"h{number}" for number in range(MANY)}


def test_the_app_reaches_every_host(client: Client, tmp_path: Path) -> None:
    with Tmux(tmp_path / "tmux", client.command(), client.env, (120, 45)) as tmux:
        tmux.wait_for(f"{MANY} unproven")
