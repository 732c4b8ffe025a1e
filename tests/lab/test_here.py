"""`nixfleet-update` on the host itself, which then needs Python: csb1 has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .client_on_host import install_client
from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Answer
    from .fleet import Fleet
    from .host import LabHost


@pytest.fixture
def here(fresh: Fleet) -> LabHost:
    """csb1, with the client and nothing configured: ~/Code/nixcfg is the default."""
    host = fresh["csb1"]
    install_client(host)
    return host


def update(host: LabHost, *words: str, code: int = 0, user: str = "ops") -> Answer:
    done = host.run(" ".join(["nixfleet-update", "--json", *words]), user=user)
    assert done.returncode == code, done.stdout + done.stderr
    answer: Answer = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("user", ["ops", "root"])
def test_command_updates_its_own_host(fresh: Fleet, here: LabHost, user: str) -> None:
    if user == "root":
        here.enter(f"mkdir -p /root/Code; ln -s {CHECKOUT} /root/Code/nixcfg")
    fresh.repos.release("2.2.0")
    assert update(here, "--verify", code=3, user=user)["cause"] == "lock-behind"
    answer = update(here, "--force", "--stable", "1", user=user)
    assert (answer["verdict"], answer["before"]["version"]) == ("updated", "2.1.0")
    assert here.agent_version() == "2.2.0"
    assert update(here, user=user)["verdict"] == "current"
    assert update(here, "--verify", user=user)["verdict"] == "current"
    assert here.enter(f"find {CHECKOUT}/ ! -user ops") == ""


def test_detached_command_leaves_the_job_alone(fresh: Fleet, here: LabHost) -> None:
    fresh.repos.release("2.2.0")
    with here.gate("build") as gate:
        job = update(here, "--force", "--detach", code=9)["job"]
        gate.wait_reached()
    attached = here.run(f"nixfleet attach {here.name} --json", user="ops")
    assert json.loads(attached.stdout)["job"] == job
    assert here.agent_version() == "2.2.0"


def test_a_dry_run_here(here: LabHost) -> None:
    done = here.run("nixfleet-update --force --dry-run", user="ops")
    assert f"nixos-rebuild switch --flake '{CHECKOUT}#csb1'" in done.stdout
