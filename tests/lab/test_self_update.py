"""`nixfleet-agent --self-update`, and the timer's service: the host updates its own agent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from .client_on_host import install_client
from .modules import activate, at, evaluate, put_flakes

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

CGROUP = "/sys/fs/cgroup/system.slice/nixfleet-agent.service"
JOB = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def install(fleet: Fleet) -> LabHost:
    """csb1 with the client and the module; `watcher` may only launch."""
    host = fleet["csb1"]
    install_client(host)
    put_flakes(host)
    host.enter("groupadd wheel; useradd -m watcher")
    activate(host, "everything")
    return host


def test_self_update_works_from_inside_the_agents_cgroup(fresh: Fleet, client: Client) -> None:
    host = install(fresh)
    old = host.agent_pid()
    fresh.repos.release("2.2.0")
    with host.gate("stop") as stop, host.gate("build") as build:
        # all of this, and a process beside it, belongs to the agent's unit
        said = host.enter(
            f"echo $$ >{CGROUP}/cgroup.procs; "
            "sleep infinity >/dev/null 2>&1 & echo $! >/tmp/beside; "
            "runuser -u watcher -- /run/current-system/sw/bin/nixfleet-agent"
            " --self-update --force-rebuild"
        )
        assert JOB.fullmatch(said)
        beside = host.enter("cat /tmp/beside")
        stop.wait_reached()
        assert beside in host.enter(f"cat {CGROUP}/cgroup.procs").split()
        stop.open()
        build.wait_reached()
        assert host.agent_pid() == 0
        assert host.enter(f"kill -0 {beside} 2>/dev/null || echo gone") == "gone"
        assert host.enter("systemctl is-active nixfleet-job.service") == "active"
    done = client.run("attach", "csb1", "--json")
    answer: object = json.loads(done.stdout)
    assert (done.returncode, at(answer, "verdict"), at(answer, "job")) == (0, "updated", said)
    assert at(answer, "after", "version") == host.agent_version() == "2.2.0"
    assert host.agent_state() == "active success"
    assert host.agent_pid() != old


def test_a_second_self_update_finds_the_running_job(fresh: Fleet) -> None:
    host = install(fresh)
    command = "/run/current-system/sw/bin/nixfleet-agent --self-update --force-rebuild"
    with host.gate("stop") as stop:
        job = host.enter(command, user="watcher")
        stop.wait_reached()
        again = host.enter(f"{command} || echo exit $?", user="watcher")
    assert again.split() == [job, "exit", "6"]


def test_the_timers_service_updates_once(fresh: Fleet) -> None:
    host = install(fresh)
    service = evaluate(host, "seen.nixos.everything.systemd.services.nixfleet-update")
    settings = at(service, "serviceConfig")
    assert isinstance(settings, dict)
    unit = host.root / "run/systemd/system/nixfleet-update.service"
    unit.write_text(
        "[Service]\n"
        + "".join(f"{key}={value}\n" for key, value in settings.items())
        + f"Environment=HOME={at(service, 'environment', 'HOME')}\n"
    )
    host.enter("systemctl daemon-reload")
    fresh.repos.release("2.2.0")
    host.enter("systemctl start nixfleet-update.service")
    assert host.agent_version() == "2.2.0"
    jobs = host.enter("ls /var/lib/nixfleet/jobs")
    host.enter("systemctl start nixfleet-update.service")
    assert host.enter("ls /var/lib/nixfleet/jobs") == jobs
