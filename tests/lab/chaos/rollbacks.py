"""Going back when what was active is not what the profile names, and rollbacks that break off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..repos import BASE_VERSION
from .case import Case
from .faults import kill_unit

if TYPE_CHECKING:
    from ..client import Answer, Running
    from .scene import Scene

_PROFILE: Final = "/nix/var/nix/profiles/system"
_SWITCH: Final = "nixos-rebuild-switch-to-configuration.service"
_REBUILD: Final = "SUDO_UID=1000 /usr/local/libexec/lab/nixos-rebuild {} --no-reexec --flake {}#{}"
_CRASHES: Final = "2.3.0"
"""A release whose agent ends at once: an update to it goes back."""


def _systems(scene: Scene) -> tuple[str, str]:
    """The active system, and the profile's."""
    current, profile = scene.host.enter(f"readlink -f /run/current-system {_PROFILE}").split()
    return current, profile


def _link(scene: Scene) -> str:
    return scene.host.enter(f"readlink {_PROFILE}")


def _goes_back(scene: Scene) -> Answer:
    """An update whose agent crashes goes back to what was active, and leaves the profile at what
    it was."""
    before, link = _systems(scene), _link(scene)
    scene.repos.release(_CRASHES, "crash")
    with scene.update("--rollback-on-failure") as running:
        answer = scene.answer(running)
    assert (_systems(scene), _link(scene)) == (before, link)
    return answer


def _rebuild(scene: Scene, action: str, version: str) -> None:
    """Somebody else rebuilds the host with another system, from the same agent."""
    host = scene.host
    scene.as_owner(f"sed -i 's/26.05.lab/26.05.{version}/' toplevel.sh")
    host.enter(_REBUILD.format(action, host.checkout, host.attribute))
    scene.as_owner("git checkout -q toplevel.sh")
    current, profile = _systems(scene)
    scene.prove(f"nixos-rebuild {action}: active and profile differ", current != profile)


def _after_half_switch(scene: Scene) -> Answer:
    """The profile names a system whose activation failed; the next update goes back."""
    active = _systems(scene)[0]
    scene.repos.commit_nixcfg("The next switch fails", fail_switch=1)
    with scene.update() as running:
        assert scene.answer(running)["cause"] == "switch-incomplete"
    scene.prove("half switch: {} is in the profile, not active", _link(scene))
    assert _systems(scene)[0] == active != _systems(scene)[1]
    scene.repos.commit_nixcfg("Repaired")
    scene.repos.release(_CRASHES, "crash")
    with scene.update("--rollback-on-failure") as running:
        answer = scene.answer(running)
    assert (_systems(scene), _link(scene)) == ((active, active), "system-1-link")
    return answer


def _after_test(scene: Scene) -> Answer:
    _rebuild(scene, "test", "tried")
    return _goes_back(scene)


def _after_boot(scene: Scene) -> Answer:
    _rebuild(scene, "boot", "staged")
    assert _link(scene) == "system-2-link"
    return _goes_back(scene)


def _update_first(scene: Scene) -> None:
    lock = scene.read_lock()
    with scene.update() as running:
        assert scene.answer(running)["verdict"] == "updated"
    scene.lock = lock


def _roll_back(scene: Scene, *words: str) -> Running:
    running = scene.client.start("rollback", scene.host.name, "--yes", "--json", *words)
    scene.runs.append(running)
    return running


def _killed_between(scene: Scene) -> Answer:
    """The job and the activation die when the profile has moved; a second rollback goes on to the
    same system, and not to what was before the first."""
    _update_first(scene)
    with _roll_back(scene) as running:
        with scene.host.gate("switch") as gate:
            gate.wait_reached()
            current, profile = _systems(scene)
            kill_unit(scene, running)
            scene.host.enter(f"systemctl kill --signal=KILL {_SWITCH}")
        answer = scene.answer(running)
    assert (answer["verdict"], answer["cause"]) == ("interrupted", "killed")
    assert _systems(scene) == (current, profile)
    scene.prove("half-way back: active and profile differ", current != profile)
    assert f"{current} is active" in running.output
    assert f"the profile names generation 1, {profile}" in running.output
    with _roll_back(scene) as again:
        answer = scene.answer(again)
    assert _systems(scene) == (profile, profile)
    return answer


def _cancelled_between(scene: Scene) -> Answer:
    """A cancellation does not stop a rollback half-way."""
    _update_first(scene)
    with _roll_back(scene) as running:
        with scene.host.gate("switch") as gate:
            gate.wait_reached()
            scene.prove("cancelled while active and profile differ", len(set(_systems(scene))) == 2)
            assert scene.client.run("cancel", scene.host.name).returncode == 0
            running.wait_for("cancelling")
        answer = scene.answer(running)
    assert len(set(_systems(scene))) == 1
    assert _link(scene) == "system-1-link"
    return answer


def _collected(scene: Scene) -> Answer:
    """The generation to go back to is collected after the plan; the agent comes back."""
    _update_first(scene)
    scene.lock = scene.read_lock()
    with _roll_back(scene) as running:
        with scene.host.gate("stop") as gate:
            gate.wait_reached()
            old = scene.host.enter(f"readlink -f {_PROFILE}-1-link")
            scene.host.enter(
                f"nix-env -p {_PROFILE} --delete-generations 1; rm -rf /run/booted-system; "
                f"nix-store --delete {old}"
            )
            scene.prove("{} deleted", scene.host.enter(f"[ -e {old} ] || basename {old}"))
        return scene.answer(running)


CASES: Final = (
    Case(
        name="going back over a half switch",
        play=_after_half_switch,
        verdict="rolled-back",
        cause="agent-unstable",
        agent=BASE_VERSION,
        lock="old",
        seconds=150,
    ),
    Case(
        name="going back to a system that was only tried",
        play=_after_test,
        verdict="rolled-back",
        cause="agent-unstable",
        agent=BASE_VERSION,
        lock="old",
        seconds=120,
    ),
    Case(
        name="going back with a generation staged for the boot",
        play=_after_boot,
        verdict="rolled-back",
        cause="agent-unstable",
        agent=BASE_VERSION,
        lock="old",
        seconds=120,
    ),
    Case(
        name="rollback killed between profile and activation",
        play=_killed_between,
        verdict="rolled-back",
        agent=BASE_VERSION,
        lock="old",
        seconds=120,
    ),
    Case(
        name="rollback cancelled between profile and activation",
        play=_cancelled_between,
        verdict="rolled-back",
        agent=BASE_VERSION,
        lock="old",
        seconds=90,
    ),
    Case(
        name="generation collected before the rollback reaches it",
        play=_collected,
        verdict="failed",
        cause="rollback-failed",
        lock="old",
        seconds=90,
    ),
)
