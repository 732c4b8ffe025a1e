"""Home Manager's activation is under way when a job is cancelled, killed or at its limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from ..places import held
from ..repos import BASE_VERSION
from .case import MAC, Case
from .faults import strike_at
from .macs import cancel, kill_job

if TYPE_CHECKING:
    from ..client import Answer, Running
    from .faults import Strike
    from .scene import Scene

DRIVERS_FOLDER: Final = "/tmp/home-manager-build.*"
"""home-manager activates through a link in there."""

_NH: Final = """cd {checkout}; . /nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh
export USER={user}; mkdir /tmp/nh-homeLab
nix build --out-link /tmp/nh-homeLab/result '.#homeConfigurations."{attribute}".activationPackage'
/tmp/nh-homeLab/result/activate && echo activated to the end"""
"""What `nh home switch` does; it removes its folder at its end."""


def _remove_link(scene: Scene) -> None:
    """As home-manager does when a signal ends it; the activation lives on."""
    said = scene.host.enter(f"ls -d {DRIVERS_FOLDER}; rm -r {DRIVERS_FOLDER}", scene.host.user)
    scene.prove("home-manager's folder was removed", "/tmp/home-manager-build." in said)


def _without_link(strike: Strike) -> Strike:
    def struck(scene: Scene, running: Running) -> None:
        _remove_link(scene)
        strike(scene, running)

    return struck


def _cancel_later(scene: Scene, running: Running) -> None:
    """The cancellation waits for the activation's end."""
    cancel(scene, running)
    _await_event(scene, '"deferred":true')
    scene.prove("the job deferred it")


def _reach_limit(scene: Scene, running: Running) -> None:
    """The rebuild's limit, as the runner has written it down, becomes one second."""
    state = f"{scene.host.platform.home}/.local/state/nixfleet/run/*/limit"
    scene.host.enter(f"sed -i 's/ .*/ 1/' {state}", scene.host.user)
    running.wait_for("waiting for the activation to end")
    scene.prove("the rebuild reached its limit of 1 s in the activation")


def _kill_job(scene: Scene, running: Running) -> None:
    kill_job(scene, running)
    running.wait_for("waiting for the activation to end", 60)
    scene.prove("the activation went on")


def _await_event(scene: Scene, text: str) -> None:
    scene.host.enter(f"until grep -q '{text}' {_events(scene)}; do sleep 0.1; done")


def _events(scene: Scene) -> str:
    return f"{scene.host.platform.home}/.local/state/nixfleet/jobs/*/events"


def _anothers(scene: Scene) -> Answer:
    """nh activates this home through its own link, which is gone, when our job is cancelled."""
    host = scene.host
    nh = _NH.format(checkout=host.checkout, user=host.user, attribute=host.attribute)
    with scene.update() as running, ThreadPoolExecutor() as pool:
        with held(host, scene.repos, running, "update"):
            with host.gate("switch") as gate:
                other = pool.submit(host.run, nh, host.user)
                gate.wait_reached()
                host.enter("rm -r /tmp/nh-homeLab", host.user)
                _cancel_later(scene, running)
            said = other.result()
            scene.prove("nh's activation ended by itself", "activated to the end" in said.stdout)
            running.wait_for("■ Update nixfleet")
        return scene.answer(running)


def _clobbered(scene: Scene) -> Answer:
    """A file that is none of Home Manager's lies where the new generation has one."""
    file = f"{scene.host.platform.home}/.config/lab/agent.conf"
    scene.host.enter(f"rm {file}; echo mine > {file}", scene.host.user)
    with scene.update() as running:
        answer = scene.answer(running)
    told = f"Existing file '{file}' would be clobbered"
    scene.prove(f"home-manager: {told}", told in running.output)
    assert "the profile is new, but the home is the old one; " in running.output
    assert f"that it has not made: {file}\n" in running.output
    assert "home-manager switch -b EXT" in answer["advice"]
    assert scene.host.enter(f"cat {file}", scene.host.user) == "mine"
    return answer


_mac: Final = partial(Case, host=MAC, seconds=240)

CASES: Final = (
    _mac(
        name="Mac: cancelled in the activation, whose link is gone",
        play=strike_at("activation", _without_link(_cancel_later)),
        verdict="cancelled",
        cause="cancelled",
    ),
    _mac(
        name="Mac: limit reached in the activation, whose link is gone",
        play=strike_at("activation", _without_link(_reach_limit)),
    ),
    _mac(
        name="Mac: job SIGKILL in the activation, whose link is gone",
        play=strike_at("activation", _without_link(_kill_job)),
        verdict="interrupted",
        cause="killed",
    ),
    _mac(
        name="Mac: cancelled while nh activates the home",
        play=_anothers,
        verdict="cancelled",
        cause="cancelled",
        agent=BASE_VERSION,
        lock="old",
    ),
    _mac(
        name="Mac: a file in Home Manager's way",
        play=_clobbered,
        verdict="failed",
        cause="file-in-the-way",
        agent=BASE_VERSION,
    ),
)
