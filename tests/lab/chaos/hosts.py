"""Jobs that are killed, and hosts that lose power, disk space, memory or the nix daemon."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from ..memory import little_memory
from ..places import PLACES, held
from ..repos import BASE_VERSION
from .case import Case
from .faults import kill_runner, kill_unit, stop_unit, strike_at
from .scene import JOB, NEW, Pidfds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Answer, Running
    from ..places import Place
    from .faults import Strike
    from .scene import Scene

_SWITCHED: Final[frozenset[Place]] = frozenset({"activation", "start", "verify"})
"""Places that an update reaches after its profile has moved: the new agent comes up."""


def _each_step() -> Iterator[Case]:
    """The job ends early: the agent comes back, new if the switch had begun."""
    strikes: dict[str, tuple[Strike, str, str]] = {
        "runner SIGKILL": (kill_runner, "interrupted", "killed"),
        "unit SIGKILL": (kill_unit, "interrupted", "killed"),
        "unit stopped": (stop_unit, "cancelled", "cancelled"),
    }
    for place in PLACES:
        for name, (strike, verdict, cause) in strikes.items():
            yield Case(
                name=f"{name} in {place}",
                play=strike_at(place, strike),
                verdict=verdict,
                cause=cause,
                agent=NEW if place in _SWITCHED else BASE_VERSION,
                lock="new" if place in {"rebuild", *_SWITCHED} else "old",
            )


def _killed_while_agent_stops(scene: Scene) -> Answer:
    """What brings the agent back finds it still stopping: that is not running."""
    with scene.update() as running:
        with scene.host.gate("stop") as gate:
            gate.wait_reached()
            kill_unit(scene, running)
            running.wait_for("▶ Start agent")
            running.watch(2)  # it must not take the agent for one that runs
        return scene.answer(running)


def _lose_power(scene: Scene, running: Running) -> None:
    old = _boot_id(scene)
    scene.host.power_off()
    scene.host.boot()
    scene.prove("a new boot id", _boot_id(scene) != old)
    running.wait_for("the job goes on")


def _boot_id(scene: Scene) -> str:
    return scene.host.enter("cat /proc/sys/kernel/random/boot_id")


def _disk_full(scene: Scene, *, place: Place) -> Answer:
    """From that place until the job's end the host cannot write a byte to its disk."""
    with scene.update() as running, ExitStack() as disk:
        with held(scene.host, scene.repos, running, place):
            disk.enter_context(_full_disk(scene))
        return scene.answer(running)


@contextmanager
def _full_disk(scene: Scene) -> Iterator[None]:
    """The host's disk is a tmpfs: its size becomes what is in use."""
    disk = scene.host.lab.dir
    before = os.statvfs(disk)
    used = (before.f_blocks - before.f_bfree) * before.f_frsize
    _resize(disk, str(used))
    try:
        said = scene.host.enter("dd if=/dev/zero of=/var/tmp/filler bs=4k count=9 2>&1 || true")
        assert "No space left on device" in said, said
        free = scene.host.enter("df --output=avail / | tail -n 1")
        scene.prove(f"{free.strip()} bytes free", free.strip() == "0")
        yield
    finally:
        _resize(disk, "4g")


def _resize(disk: os.PathLike[str], size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def _out_of_memory(scene: Scene) -> Answer:
    """The kernel kills a builder that takes more memory than there is."""
    scene.repos.commit_nixcfg(hungry=True)
    with scene.update() as running, ExitStack() as memory:
        with scene.host.gate("build") as gate:
            gate.wait_reached()
            pids = scene.job_processes()
            builder = next(pid for pid in pids if b"step.sh" in scene.command(pid))
            kills = memory.enter_context(little_memory(scene.host.lab, builder, 64))
        answer = scene.answer(running)
        scene.prove("{} killed by the kernel", kills())
    return answer


def _with_daemon(scene: Scene, strike: Strike) -> Answer:
    """Root builds through the nix daemon, as everyone else must."""
    folder = f"/run/systemd/system/{JOB}.d"
    scene.host.enter(
        f"mkdir {folder}; printf '[Service]\\nEnvironment=NIX_REMOTE=daemon\\n' > {folder}/lab.conf"
    )
    return strike_at("rebuild", strike)(scene)


def _kill_daemon(scene: Scene, running: Running) -> None:
    with Pidfds(scene.host.processes("system.slice/nix-daemon.service")) as daemon:
        scene.host.enter("systemctl kill --signal=KILL nix-daemon.service")
        scene.prove("{} processes of the nix daemon killed", daemon.wait(10))


def _stop_daemon(scene: Scene, running: Running) -> None:
    _kill_daemon(scene, running)
    scene.host.enter("systemctl stop nix-daemon.socket nix-daemon.service")
    state = scene.host.enter("systemctl is-active nix-daemon.socket || true")
    scene.prove("nix-daemon.socket is {}", state if state == "inactive" else "")


CASES: Final = (
    *_each_step(),
    Case(
        name="unit SIGKILL while the agent stops",
        play=_killed_while_agent_stops,
        verdict="interrupted",
        cause="killed",
        agent=BASE_VERSION,
        lock="old",
    ),
    *(
        Case(
            name=f"power lost in {place}",
            play=strike_at(place, _lose_power),
            verdict="interrupted",
            cause="killed",
            agent=BASE_VERSION,
            lock="new" if place == "rebuild" else "old",
        )
        for place in ("update", "rebuild")
    ),
    *(
        Case(
            name=f"disk full in {place}",
            play=partial(_disk_full, place=place),
            verdict="failed",
            cause="disk-full",
            agent=BASE_VERSION,
            lock="new" if place == "rebuild" else "old",
            seconds=90,
        )
        for place in ("pull", "update", "rebuild")
    ),
    Case(
        name="builder out of memory",
        play=_out_of_memory,
        verdict="failed",
        cause="oom",
        agent=BASE_VERSION,
    ),
    Case(name="nix daemon killed in rebuild", play=partial(_with_daemon, strike=_kill_daemon)),
    Case(
        name="nix daemon stopped in rebuild",
        play=partial(_with_daemon, strike=_stop_daemon),
        verdict="failed",
        cause="daemon",
        agent=BASE_VERSION,
        seconds=90,
    ),
)
