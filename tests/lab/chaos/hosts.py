"""Jobs that are killed, and hosts that lose power, disk space, memory or the nix daemon."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from ..fleet import SUITES
from ..memory import little_memory
from ..places import PLACES, held
from ..repos import BASE_VERSION
from .case import Case
from .faults import kill_runner, kill_unit, stop_unit, strike_at
from .locks import lock_after, padded
from .scene import JOB, NEW, Pidfds, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Answer, Running
    from ..places import Place
    from .faults import Strike
    from .scene import Scene

_PAGE: Final = 4096
_TOPLEVEL: Final = "toplevel = host: "

_SWITCHED: Final[frozenset[Place]] = frozenset({"activation", "start", "verify"})
"""The places after the profile has moved: there the new agent comes up."""


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
    """The finish finds the agent still stopping, which does not count as running."""
    with scene.update() as running:
        with scene.host.gate("stop") as gate:
            gate.wait_reached()
            kill_unit(scene, running)
            running.wait_for("▶ Start agent")
            running.watch(2)  # it must not count the agent as running
        return scene.answer(running)


def _killed_in_rollback(scene: Scene) -> Answer:
    """The new agent crashes, and the job dies while the generation before is activated again."""
    scene.repos.release("2.3.0", "crash")
    with scene.update("--rollback-on-failure") as running:
        running.wait_for("▶ Verify")
        with scene.host.gate("switch") as gate:
            gate.wait_reached()
            kill_unit(scene, running)
            running.wait_for("waiting for the activation to end")
        return scene.answer(running)


def _cut_lock(scene: Scene) -> Answer:
    """flake.lock fills its page of the disk to the last byte, and its next version is longer: nix
    writes in place, and cuts it off when no other page is free."""
    _move_checkout(scene)
    while (count := int(scene.repos.git("nixfleet", "rev-list", "--count", "HEAD"))) != 9:
        assert count < 9
        scene.repos.release(f"2.1.{count}")
    _pad_lock(scene)
    scene.repos.release("2.2.9")
    with scene.update() as running:
        with held(scene.host, scene.repos, running, "update"):
            scene.host.enter("dd if=/dev/zero of=/home/ops/Code/filler bs=4k 2>&1 || true")
            free = scene.host.enter("df --output=avail /home/ops/Code | tail -n 1").strip()
            scene.prove(f"{free} bytes free", free == "0")
        answer = scene.answer(running)
    scene.host.enter("rm /home/ops/Code/filler")
    said = [line.strip() for line in running.output.splitlines() if "No space left" in line]
    scene.prove("{}", said[-1])
    return answer


def _move_checkout(scene: Scene) -> None:
    """To a small file system of its own, so that nothing else is short of space."""
    scene.host.enter(
        "cd /home/ops; cp -a Code Code.old; "
        "mount -t tmpfs -o size=20m,uid=1000,gid=1000,mode=755 lab Code; cp -a Code.old/. Code"
    )


def _pad_lock(scene: Scene) -> None:
    """Commit a lock of exactly one page: with the newest agent, and an input that nobody uses."""
    lock, name, path = padded(lock_after(scene.read_lock(), scene.repos), _PAGE)
    flake = (scene.repos.path("nixcfg") / "flake.nix").read_text()
    pad = f'inputs.{name} = {{ url = "path:{path}"; flake = false; }};'
    for old, new in (
        ("  outputs =", f"  {pad}\n\n  outputs ="),
        ("{ self, nixfleet, other }", f"{{ self, nixfleet, other, {name} }}"),
    ):
        flake = flake.replace(old, new, 1)
    scene.repos.commit("nixcfg", "Pad the lock", {"flake.nix": flake, "flake.lock": lock})
    scene.as_owner("git pull -q --ff-only")


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
            builder = next(pid for pid in pids if b"step.sh" in command(pid))
            kills = memory.enter_context(little_memory(scene.host.lab, builder, 64))
        answer = scene.answer(running)
        scene.prove("{} killed by the kernel", kills())
    return answer


_HUNGRY: Final = "builtins.seq (builtins.length (builtins.genList (x: x) 100000000)) "
"""An evaluation that takes 3 GiB."""
_REBUILD: Final = re.compile(rb"/bin/sh\0[^\0]*/bin/nixos-rebuild\0switch\0")


def _rebuild_out_of_memory(scene: Scene) -> Answer:
    """The kernel kills Nix itself while it evaluates the system."""
    flake = (scene.repos.path("nixcfg") / "flake.nix").read_text()
    assert flake.count(_TOPLEVEL) == 1
    hungry = flake.replace(_TOPLEVEL, f"{_TOPLEVEL}{_HUNGRY}(")
    hungry = hungry.replace(
        "./switch-to-configuration.sh;\n      };", "./switch-to-configuration.sh;\n      });"
    )
    scene.repos.commit_nixcfg("Evaluate a lot", files={"flake.nix": hungry})
    tool = "/usr/local/libexec/lab/nixos-rebuild"
    scene.host.enter(
        f"sed -i 's|^echo .building the system|/usr/local/libexec/lab/gate build; &|' {tool}"
    )
    with scene.update() as running, ExitStack() as memory:
        with scene.host.gate("build") as gate:
            gate.wait_reached()
            pids = scene.job_processes()
            rebuild = next(pid for pid in pids if _REBUILD.match(command(pid)))
            kills = memory.enter_context(little_memory(scene.host.lab, rebuild, 128))
        answer = scene.answer(running)
        scene.prove("{} killed by the kernel", kills())
    assert "for its memory" in answer["advice"], answer["advice"]
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
    Case(
        name="unit SIGKILL in the rollback",
        play=_killed_in_rollback,
        verdict="interrupted",
        cause="killed",
        agent=BASE_VERSION,
        lock="old",
        seconds=120,
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
    *(
        Case(
            name=f"disk full while flake.lock is written, {host}",
            play=_cut_lock,
            verdict="failed",
            cause="disk-full",
            agent=BASE_VERSION,
            lock="old",
            host=host,
        )
        for host in SUITES
    ),
    Case(
        name="builder out of memory",
        play=_out_of_memory,
        verdict="failed",
        cause="oom",
        agent=BASE_VERSION,
    ),
    Case(
        name="rebuild killed for its memory",
        play=_rebuild_out_of_memory,
        verdict="failed",
        cause="rebuild-failed",
        agent=BASE_VERSION,
        seconds=240,
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
