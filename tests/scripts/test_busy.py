"""A rebuild of somebody else's is waited for; a name does not make one, and --force goes on."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

import msgspec
import pytest
from fake_host import CHAIN, UNIT, FakeHost

from nixfleet_core.job.events import CancelSeen, Check, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.plan.model import Plan

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)
OK = dict.fromkeys(CHAIN, "ok")
SWITCH = f"/nix/store/{'a' * 32}-switch-to-configuration-ng/bin/switch-to-configuration"


def agent_runs(host: FakeHost, exe: str, *words: str) -> None:
    """Another process in the agent's service."""
    host.let_run(4711, exe, *words, uid=54321)
    host.let_have(UNIT, 4711)


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
    # the checkout may have changed since the look
    assert any("--apply x: true" in call for call in host.calls("nix"))


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


# Rebuilds elsewhere on the host.

NH = f"/nix/store/{'7' * 32}-nh-4.3/bin/.nh-wrapped"
CLAIM = 54321
"""Another user, who may run any program under that name."""


@contextmanager
def other_rebuild(host: FakeHost) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody's own nixos-rebuild, a script of real sh, which still builds."""
    script = host.put("/home/ops/bin/nixos-rebuild", "#!/bin/sh\necho up\nread l\n")
    argv = (script, "switch", "--flake", f"{host.checkout}#h")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        yield other
        other.kill()


@pytest.mark.parametrize("look", ["the kernel's", "ps's"])
def test_a_rebuild_that_still_builds_is_waited_for(plain_host: FakeHost, look: str) -> None:
    """Its activation's unit does not exist yet."""
    if look == "the kernel's":
        (plain_host.root / "proc").rename(plain_host.root / "proc.was")
        (plain_host.root / "proc").symlink_to("/proc")
    with other_rebuild(plain_host) as other:
        plain_host.run_job(plain_host.plan(now=True))
        assert (plain_host.steps["preflight"], plain_host.result["reason"]) == ("failed", "idle")
        said = f"another rebuild is running on this host: nixos-rebuild, process {other.pid}\n"
        assert said in plain_host.log


@one_shell
def test_the_wait_for_a_rebuild_elsewhere_names_it(host: FakeHost) -> None:
    host.let_run(4711, NH, NH, "os", "switch")
    run(host, host.plan())
    (waiting,) = (event for event in host.events if isinstance(event, Waiting))
    assert waiting.words == "another rebuild on this host (nh, process 4711)"
    assert idle(host) == [(False, "busy")]


@one_shell
def test_the_wait_for_a_unit_names_it_without_a_process(host: FakeHost) -> None:
    host.let_live("nixos-upgrade.service", "activating start")
    run(host, host.plan(force=True))
    (waiting,) = (event for event in host.events if isinstance(event, Waiting))
    assert waiting.words == "another rebuild on this host (nixos-upgrade)"
    assert (host.steps, idle(host)) == (OK, [(True, "busy")])
    assert "still running: nixos-upgrade. The update was forced" in host.log


@one_shell
@pytest.mark.parametrize("now", [True, False], ids=["--now", "waits"])
@pytest.mark.parametrize(
    ("uid", "force", "goes"),
    [
        (None, True, False),
        (None, False, False),
        (CLAIM, True, True),
        (CLAIM, False, False),
    ],
)
def test_who_rebuilds_decides_whether_a_forced_update_goes_on(
    host: FakeHost, uid: int | None, force: bool, goes: bool, now: bool
) -> None:
    """Somebody who only takes the name never stops one, not even one that does not wait."""
    host.let_run(4711, NH, NH, "os", "switch", uid=uid)
    if now:
        host.run_job(host.plan(force=force, now=True))
    else:
        run(host, host.plan(force=force))
    goes = goes or (force and not now)
    assert host.steps["preflight"] == ("ok" if goes else "failed")
    assert idle(host) == [(goes, "busy")]


@one_shell
@pytest.mark.parametrize("uid", [None, CLAIM])
def test_only_roots_activation_is_never_gone_over(host: FakeHost, uid: int | None) -> None:
    host.let_run(4711, SWITCH, SWITCH, "switch", uid=uid)
    run(host, host.plan(force=True))
    assert idle(host) == [(uid is not None, "busy")]


# An activation that is one of the command's own processes, as home-manager's.

HELD = f"/nix/store/{'9' * 32}-nixos-system-h-3.0/bin/switch-to-configuration"


@contextmanager
def held_activation(host: FakeHost, after: str = "exit 0") -> Iterator[Held]:
    """A rebuild whose activation, in no unit, stands still until it is opened."""
    fds = {}
    for fifo in ("reached", "open"):
        os.mkfifo(host.state / fifo)
        fds[fifo] = os.open(host.state / fifo, os.O_RDWR | os.O_NONBLOCK)  # it never blocks
    state = host.state
    text = f"#!/bin/sh\necho >'{state}/reached'\nread go <'{state}/open'\n{after}\n"
    script = host.put(HELD, text)
    host.on("nixos-rebuild", f"default \"$@\" || exit\n'{script}' switch")
    yield Held(fds["reached"], fds["open"])
    for fd in fds.values():
        os.close(fd)


@dataclass(frozen=True)
class Held:
    reached: int
    gate: int

    def wait(self) -> None:
        assert select.select([self.reached], [], [], 30)[0], "the activation has not begun"

    def open(self) -> None:
        os.write(self.gate, b"go\n")


def await_event(host: FakeHost, text: bytes) -> None:
    """Read on in the events, as a follower does."""
    until = monotonic() + 30
    while text not in (host.job / "events").read_bytes():
        assert monotonic() < until, host.log
        sleep(0.02)


WAITS_FOR_ACTIVATION = b'"event":"waiting","at":'


def test_a_limit_does_not_cut_off_an_activation(plain_host: FakeHost) -> None:
    host = plain_host
    plan = host.plan()
    steps = [msgspec.structs.replace(s, limit=1) if s.id == "rebuild" else s for s in plan.steps]
    host.write_job(msgspec.structs.replace(plan, steps=tuple(steps)))
    with held_activation(host) as held, host.start_job() as job:
        held.wait()
        await_event(host, WAITS_FOR_ACTIVATION)
        held.open()
        assert job.communicate(timeout=60)[0] == b""
    assert host.steps == OK, host.log
    (waiting,) = (event for event in host.events if isinstance(event, Waiting))
    assert (waiting.reason, waiting.limit) == ("activation", 900)


def test_a_signal_does_not_cut_off_an_activation(plain_host: FakeHost) -> None:
    host = plain_host
    host.write_job()
    with held_activation(host, "echo the activation ended") as held, host.start_job() as job:
        held.wait()
        job.send_signal(signal.SIGTERM)
        await_event(host, b'"event":"cancel"')
        held.open()
        assert job.communicate(timeout=60)[0] == b""
    assert [e.deferred for e in host.events if isinstance(e, CancelSeen)] == [True, False]
    assert (host.result["outcome"], host.steps["start"]) == ("cancelled", "ok")
    assert "the activation ended\n" in host.log
