"""A rebuild of somebody else's is waited for; a name does not make one, and --force goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, FakeHost

from nixfleet_core.job.events import Check, Waiting

if TYPE_CHECKING:
    from nixfleet_core.plan.model import Plan

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)
OK = dict.fromkeys(CHAIN, "ok")
SWITCH = f"/nix/store/{'a' * 32}-switch-to-configuration-ng/bin/switch-to-configuration"


def agent_runs(host: FakeHost, exe: str, *words: str) -> None:
    """Another process in the agent's service."""
    file = host.root / exe[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x7fELF")
    folder = host.root / "proc/4711"
    folder.mkdir()
    (folder / "exe").symlink_to(file)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
    group = host.root / "sys/fs/cgroup/agent"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("4711\n")
    host.on(
        "systemctl",
        'case "$*" in *"-p Id"*) default "$@" ;; *ControlGroup*) echo ControlGroup=/agent ;; '
        '*) default "$@" ;; esac',
    )


def run(host: FakeHost, plan: Plan) -> None:
    """The job, which waits for a second where it would wait half an hour."""
    host.write_job(plan)
    script = host.job / "run.sh"
    text = script.read_text()
    assert "NF_WAIT=1800\n" in text
    script.write_text(text.replace("NF_WAIT=1800\n", "NF_WAIT=1\n"))
    host.run_job()


def idle(host: FakeHost) -> list[tuple[bool, str]]:
    return [(e.ok, e.reason) for e in host.events if isinstance(e, Check) and e.check == "idle"]


def test_a_word_in_a_command_line_blocks_nothing(host: FakeHost) -> None:
    agent_runs(host, "/home/ops/evil", "nixos-rebuild", "switch", "nixos-rebuild")
    run(host, host.plan())
    assert (host.steps, idle(host)) == (OK, [(True, "")])
    assert not any(isinstance(event, Waiting) for event in host.events)


def test_a_rebuild_is_waited_for_by_name_and_then_the_update_is_refused(host: FakeHost) -> None:
    agent_runs(host, SWITCH, "anything", "switch")
    run(host, host.plan())
    assert (host.steps["preflight"], host.steps["stop"]) == ("failed", "skipped")
    assert idle(host) == [(False, "busy")]
    (waiting,) = (event for event in host.events if isinstance(event, Waiting))
    assert (waiting.reason, waiting.limit, waiting.pid, waiting.program) == (
        *("switch", 1, 4711, "switch-to-configuration"),
    )
    assert "another rebuild is running on this host: switch-to-configuration, process 4711" in (
        host.log
    )


def test_a_forced_update_goes_on_once_the_wait_is_over(host: FakeHost) -> None:
    agent_runs(host, SWITCH, "anything", "switch")
    run(host, host.plan(force=True))
    assert (host.steps, idle(host)) == (OK, [(True, "busy")])
    assert "still running: switch-to-configuration, process 4711. The update was forced" in host.log


@one_shell
def test_an_activation_is_never_gone_over(host: FakeHost) -> None:
    unit = "nixos-rebuild-switch-to-configuration.service"
    host.let_live(unit)
    run(host, host.plan(force=True))
    assert (host.steps["preflight"], idle(host)) == ("failed", [(False, "busy")])
    assert "another rebuild is running on this host: an activation" in host.log


@one_shell
def test_who_does_not_wait_goes_over_nothing(host: FakeHost) -> None:
    agent_runs(host, SWITCH, "anything", "switch")
    host.run_job(host.plan(force=True, now=True))
    assert (host.steps["preflight"], idle(host)) == ("failed", [(False, "busy")])
