"""Broken links lose and double nothing: no byte of the log, and no job."""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.config import load_config
from nixfleet_core.ids import new_job_id
from nixfleet_core.inventory import default_inventory_path, load_inventory
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.job.copies import Copies
from nixfleet_core.plan.model import Options, Plan
from nixfleet_core.scripts.compose import question
from nixfleet_core.session.open import open_sessions
from nixfleet_core.session.protocol import Launched

from .client import QUICK
from .host import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.session.shell_session import ShellSession

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost, Point

JOBS = "/var/lib/nixfleet/jobs"


def check_log(client: Client, host: LabHost, job: str) -> None:
    """The client's raw copy is the host's log."""
    copy = client.log_of(host, job).read_bytes()
    assert copy == (host.root / f"var/lib/nixfleet/jobs/{job}/log").read_bytes()
    assert b"Done. The new configuration is" in copy


@pytest.fixture
def session(
    fresh: Fleet, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ShellSession:
    for key, value in client.env.items():
        monkeypatch.setenv(key, value)
    client.write_inventory({fresh["csb0"]: "ops"})
    return open_sessions(
        load_inventory(default_inventory_path()).hosts,
        Copies(tmp_path),
        load_config(os.environ).config,
    )[0]


def test_three_broken_connections_lose_and_double_no_byte(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg(lines=400)
    with client.start("update", "csb0", "--force", *QUICK, "--json") as running:
        seen_at: dict[Point, str] = {
            "stop": "▶ Stop",
            "build": "▶ Rebuild",
            "switch": "step 5 line 400",
        }
        for point, seen in seen_at.items():
            with host.gate(point) as gate:
                gate.wait_reached()
                running.wait_for(seen)  # it is connected (again)
                assert host.drop_ssh_connections()
                running.wait_for("the job goes on")
        assert running.wait() == 0, running.output
    answer = json.loads(running.output.splitlines()[-1])
    assert answer["verdict"] == "updated"
    check_log(client, host, answer["job"])


def test_client_notices_a_silent_link_and_reconnects(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with client.start("update", "csb0", "--force", *QUICK, "--json") as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            host.cut_link()
            running.wait_for("no answer")
            running.wait_for("the job goes on")
        host.restore_link()
        assert running.wait() == 0, running.output
    check_log(client, host, json.loads(running.output.splitlines()[-1])["job"])


async def test_a_launch_whose_answer_was_lost_can_be_repeated(
    fresh: Fleet, session: ShellSession
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    facts = await session.probe()
    plan = session.plan(facts, Options(force=True, stable=1))
    assert isinstance(plan, Plan)
    for breaks in range(5):
        job = new_job_id()
        values = {
            "NF_ID": job,
            "NF_PLAN": "{}",
            "NF_RUN_SH": compile_plan(plan, job),
        }
        script = question("launch", "", values)
        process = await session.shell.open(script, elevate=True)
        # later in each round: while the job's files are sent, written, or the unit is started
        await asyncio.sleep(random.Random(breaks).uniform(0, 0.3))
        await asyncio.to_thread(host.drop_ssh_connections)
        await process.close()
        await session.let_go()
        assert await session.launch(plan, job) == Launched(job)
        async for _ in session.follow(job):
            pass
        events = (host.root / f"var/lib/nixfleet/jobs/{job}/events").read_text().splitlines()
        starts = [event for event in map(json.loads, events) if event["event"] == "job-start"]
        assert len(starts) == 1
        assert host.agent_state() == "active success"
    assert host.agent_version() == "2.2.0"
    assert host.enter(f"cd {CHECKOUT}; git status --short", user="ops") == "M flake.lock"


def test_another_machine_attaches_from_the_first_byte(
    fresh: Fleet, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    other = fresh.client(tmp_path_factory.mktemp("other"))
    other.write_inventory({host: "ops"})
    with client.start("update", "csb0", "--force", *QUICK, "--json") as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            attached = other.start("attach", "csb0", "--json")
            attached.wait_for("Rebuild")
        with attached:
            assert attached.wait() == 0, attached.output
        assert running.wait() == 0, running.output
    answer = json.loads(attached.output.splitlines()[-1])
    assert answer["verdict"] == "updated"
    check_log(client, host, answer["job"])
    check_log(other, host, answer["job"])
    printed = other.run("log", "csb0", "--raw")
    assert printed.stdout == other.log_of(host, answer["job"]).read_text()
