"""Faults: each strikes an update that is held at a place, and proves that it did."""

from __future__ import annotations

import shutil
import signal
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from ..places import held
from .scene import JOB, Pidfds

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client import Answer, Running
    from ..places import Place
    from .case import Play
    from .scene import Scene

    Strike = Callable[[Scene, Running], None]

_SSH: Final = """\
#!/bin/sh
# Notices a dead link after 2 s instead of 15: the first value that ssh is given counts.
exec {ssh} -o ServerAliveInterval=1 -o ServerAliveCountMax=2 "$@"
"""


def strike_at(place: Place, strike: Strike) -> Play:
    """An update that is held at a place when the fault strikes."""

    def play(scene: Scene) -> Answer:
        # nothing holds the last step: it must last until the fault strikes
        stable = "5" if place == "verify" else "1"
        with scene.update("--stable", stable) as running:
            with held(scene.host, scene.repos, running, place):
                strike(scene, running)
            return scene.answer(running)

    return play


def kill_client(number: signal.Signals) -> Strike:
    """SIGKILL ends it without a word; SIGHUP and SIGTERM detach."""

    def strike(scene: Scene, running: Running) -> None:
        running.wait_for("▶")  # it follows the job
        running.signal(number)
        code = running.wait(15)
        assert code == (-number if number == signal.SIGKILL else 9), running.output
        scene.prove(f"client ended with {code} by {number.name}")

    return strike


def silence(scene: Scene, running: Running) -> None:
    """Every packet vanishes, until the client has noticed."""
    running.wait_for("▶")
    before, seen = scene.host.packets_sent(), len(running.output)
    scene.host.cut_link()
    running.wait_for("the job goes on", 30, after=seen)
    # a held job says nothing: the first packet that vanishes is the next heartbeat, after 5 s
    until = monotonic() + 10
    while scene.host.packets_sent() == before and monotonic() < until:
        sleep(0.1)
    scene.prove("{} packets vanished", scene.host.packets_sent() - before)
    scene.host.restore_link()


def kill_runner(scene: Scene, running: Running) -> None:
    """The runner alone; systemd ends the rest of its unit."""
    with Pidfds(scene.job_processes(main=True)) as runner:
        scene.host.enter(f"systemctl kill --kill-whom=main --signal=KILL {JOB}")
        scene.prove("{} runner killed", runner.wait(10))
    scene.prove_journal(JOB, "code=killed, status=9/KILL")


def kill_unit(scene: Scene, running: Running) -> None:
    """All processes of the job at once."""
    with Pidfds(scene.job_processes()) as all_of_them:
        scene.host.enter(f"systemctl kill --signal=KILL {JOB}")
        scene.prove("{} processes killed", all_of_them.wait(10))
    scene.prove_journal(JOB, "code=killed, status=9/KILL")


def stop_unit(scene: Scene, running: Running) -> None:
    """Somebody stops the job's unit; it brings the agent back before it ends."""
    scene.host.enter(f"systemctl stop --no-block {JOB}")
    running.wait_for("cancelling")
    scene.prove_journal(JOB, f"Stopping {JOB}")


def quick_ssh(scene: Scene) -> None:
    """Make the operator's ssh notice a dead link sooner."""
    ssh = scene.client.folder / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(_SSH.format(ssh=shutil.which("ssh")))
    ssh.chmod(0o755)
    scene.client.path = f"{ssh.parent}:{scene.client.path}"


def quickly(play: Play) -> Play:
    """The same with an ssh that notices sooner."""

    def quick(scene: Scene) -> Answer:
        quick_ssh(scene)
        return play(scene)

    return quick
