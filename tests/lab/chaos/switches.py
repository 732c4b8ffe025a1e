"""Switches that are cut off, collide, restart systemd or cut the host off."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ..host import CHECKOUT
from ..repos import BASE_VERSION
from .case import Case
from .faults import kill_unit, strike_at

if TYPE_CHECKING:
    from ..client import Answer, Running
    from .scene import Scene

_SWITCH: Final = "nixos-rebuild-switch-to-configuration.service"
_LOCK: Final = "/run/nixos/switch-to-configuration.lock"


def _reexec(scene: Scene, running: Running) -> None:
    scene.host.enter("systemctl daemon-reexec")
    scene.prove_journal("init.scope", "Reexecuting")


def _stop_activation(scene: Scene, running: Running) -> None:
    """nixos-rebuild says that all is done, with exit code 0."""
    scene.host.enter(f"systemctl stop {_SWITCH}")
    scene.prove_journal(_SWITCH, f"Stopped {_SWITCH}")


def _stopped_activation(scene: Scene) -> Answer:
    answer = strike_at("activation", _stop_activation)(scene)
    assert "Done. The new configuration is" in scene.runs[0].output
    status = {step["id"]: step["status"] for step in answer["steps"]}
    scene.prove("nixos-rebuild ended with 0", status["rebuild"] == "ok")
    return answer


def _locked(scene: Scene) -> Answer:
    """Somebody else's switch, in no unit, holds the lock until ours has been tried once."""
    host = scene.host
    host.enter(
        "mkdir -p /run/nixos; mkfifo /run/lab/theirs; "
        f"systemd-run -q --collect --unit=lab-switch flock {_LOCK} cat /run/lab/theirs"
    )
    host.enter(f"until ! flock --nonblock {_LOCK} true; do sleep 0.1; done")
    with scene.update() as running:
        running.wait_for("Could not acquire lock")
        running.wait_for("retry 2/")
        host.enter(": > /run/lab/theirs")
        answer = scene.answer(running)
    tries = {step["id"]: step["attempts"] for step in answer["steps"]}
    scene.prove("switch refused once; {} tries", tries["rebuild"])
    return answer


_REBUILD: Final = (
    "systemd-run -q --collect --no-block --unit=nixos-upgrade --service-type=oneshot "
    "-E SUDO_UID=1000 -E PATH=$PATH "
    "/run/current-system/sw/bin/nixos-rebuild switch --flake /home/ops/theirs#{host}"
)


def _another_builds(scene: Scene) -> Answer:
    """system.autoUpgrade builds another system; then it activates that."""
    host = scene.host
    host.enter(
        'git clone -q Code/nixcfg theirs; cd theirs; sed -i \'s/"lines": 3/"lines": 4/\' lab.json',
        host.user,
    )
    with host.gate("build") as gate:
        host.enter(_REBUILD.format(host=host.name))
        gate.wait_reached()
        theirs = "systemctl show -P MainPID nixos-upgrade"
        pid = host.enter(theirs)
        running = scene.update()
        with running:
            running.wait_for(
                f"waiting for another rebuild on this host (nixos-rebuild, process {pid})"
            )
            scene.prove("the update waited for nixos-rebuild, which built")
            gate.open()
            return scene.answer(running)


def _another_activates(scene: Scene) -> Answer:
    """As colmena, comin and nh do it: no unit has the activation's name."""
    host = scene.host
    switch = host.enter("readlink -f /run/current-system") + "/bin/switch-to-configuration"
    with host.gate("switch") as gate:
        host.enter(f"systemd-run -q --collect --unit=lab-colmena {switch} switch")
        gate.wait_reached()
        running = scene.update()
        with running:
            running.wait_for("waiting for another rebuild on this host")
            running.wait_for("preflight: waiting for an activation")
            scene.prove("the update waited for an activation in lab-colmena.service")
            gate.open()
            return scene.answer(running)


def _network_gone(scene: Scene, *words: str) -> Answer:
    """The switch takes the network down, which somebody repairs after the job's end."""
    with scene.update(*words) as running:
        with scene.host.gate("switch") as gate:
            gate.wait_reached()
            before = scene.host.packets_sent()
            scene.host.cut_link()
        scene.await_job()
        scene.prove("{} packets vanished", scene.host.packets_sent() - before)
        scene.host.restore_link()
        return scene.answer(running)


def _unwatched(scene: Scene) -> Answer:
    """Nobody confirms, and the job is killed while it waits for the confirmation."""
    with scene.update("--confirm-within", "600", "--detach") as running:
        waits = "grep -q confirmation /var/lib/nixfleet/jobs/*/events"
        scene.host.enter(f"until {waits}; do sleep 0.1; done")
        kill_unit(scene, running)
        return scene.answer(running)


_BOOT_LOADER: Final = """
mkdir -p /boot/kernels
if ! head -c 1048576 /dev/zero > /boot/kernels/new.tmp; then
  echo "cannot copy @out@/kernel to /boot/kernels/new.tmp: No space left on device" >&2
  echo "Failed to install bootloader" >&2
  exit 1
fi
"""
_ACTIVATION: Final = 'echo "activating the configuration..." >&2\n'


def _boot_full(scene: Scene) -> Answer:
    """/boot is a file system of its own, too small for another kernel; GRUB's installer says so."""
    scene.host.enter("mkdir -p /boot; mount -t tmpfs -o size=64k lab /boot")
    switch = (scene.repos.path("nixcfg") / "switch-to-configuration.sh").read_text()
    assert switch.count(_ACTIVATION) == 1
    switch = switch.replace(_ACTIVATION, _BOOT_LOADER + _ACTIVATION)
    scene.repos.commit_nixcfg("A boot loader", files={"switch-to-configuration.sh": switch})
    with scene.update() as running:
        answer = scene.answer(running)
    free = scene.host.enter("df --output=avail /boot | tail -n 1").strip()
    scene.prove(f"{free} bytes free in /boot", free == "0")
    assert "The boot partition is full" in answer["advice"]
    tries = {step["id"]: step["attempts"] for step in answer["steps"]}
    assert tries["rebuild"] == 1
    return answer


def _by_hand(scene: Scene, *words: str) -> None:
    """Somebody switches, from the checkout as upstream has it."""
    scene.host.enter(f"cd {CHECKOUT}; git pull -q --ff-only", user="ops")
    scene.host.enter(
        "SUDO_UID=1000 /run/current-system/sw/bin/nixos-rebuild switch --no-reexec "
        f"--flake {CHECKOUT}#{scene.host.name} {' '.join(words)}"
    )


def _inhibited(scene: Scene) -> Answer:
    """The new system has another systemd: NixOS does not switch to it while the old one runs."""
    scene.repos.commit_nixcfg(inhibitors={"systemd": "258"})
    _by_hand(scene)
    scene.repos.commit_nixcfg(inhibitors={"systemd": "259"})
    with scene.update() as running:
        answer = scene.answer(running)
    said = running.output.count("Pre-switch check 'switchInhibitors' failed")
    scene.prove("switch refused {} time", said)
    assert said == 1
    assert "then reboot" in answer["advice"]
    return answer


def _specialised(kept: bool, scene: Scene) -> Answer:
    """The host runs a specialisation, and its job is killed as a whole in the activation."""
    scene.repos.commit_nixcfg(specialisation="work")
    _by_hand(scene, "--specialisation", "work")
    was = scene.host.enter("readlink -f /run/current-system")
    if not kept:
        scene.repos.commit_nixcfg()
    answer = strike_at("activation", kill_unit)(scene)
    now, profile = scene.host.enter(
        "readlink -f /run/current-system /nix/var/nix/profiles/system"
    ).split()
    assert was != now
    is_special = now != profile
    scene.prove(f"the new system runs as a specialisation: {is_special}", is_special == kept)
    return answer


CASES: Final = (
    Case(
        name="NixOS does not switch to another systemd",
        play=_inhibited,
        verdict="stale",
        cause="switch-inhibited",
        agent=BASE_VERSION,
    ),
    Case(
        name="unit SIGKILL in the activation of a specialisation",
        play=partial(_specialised, True),
        verdict="interrupted",
        cause="killed",
    ),
    Case(
        name="unit SIGKILL in the activation that leaves a specialisation",
        play=partial(_specialised, False),
        verdict="interrupted",
        cause="killed",
    ),
    Case(name="switch re-executes systemd", play=strike_at("activation", _reexec)),
    Case(
        name="activation stopped, nixos-rebuild says done",
        play=_stopped_activation,
        verdict="stale",
        cause="switch-incomplete",
        agent=BASE_VERSION,
    ),
    Case(name="another switch holds the lock", play=_locked),
    Case(name="another's nixos-rebuild still builds", play=_another_builds),
    Case(name="another activates without nixos-rebuild", play=_another_activates),
    Case(
        name="/boot full at the switch",
        play=_boot_full,
        verdict="failed",
        cause="disk-full",
        agent=BASE_VERSION,
    ),
    Case(name="switch cuts the network", play=_network_gone),
    Case(
        name="switch cuts the network, with --confirm-within",
        play=lambda scene: _network_gone(scene, "--confirm-within", "10"),
        verdict="rolled-back",
        cause="unconfirmed",
        agent=BASE_VERSION,
        lock="old",
    ),
    Case(
        name="unit SIGKILL while nobody has confirmed",
        play=_unwatched,
        verdict="rolled-back",
        cause="killed",
        agent=BASE_VERSION,
        lock="old",
    ),
)
