"""Checkouts in a state that an update must refuse, or must not make worse."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from ..repos import BASE_VERSION
from .case import Case
from .scene import NEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client import Answer
    from .scene import Scene


def _refused(scene: Scene, *, spoil: Callable[[Scene], None]) -> Answer:
    """The update touches nothing: the agent goes on as the same process."""
    pid = scene.host.agent_pid()
    spoil(scene)
    with scene.update() as running:
        answer = scene.answer(running)
    assert scene.host.agent_pid() == pid
    return answer


def _diverge(scene: Scene) -> None:
    scene.as_owner("git commit -q --allow-empty -m mine; git fetch -q")
    scene.prove(
        "{} commits here and there", scene.as_owner("git rev-list --count --left-right HEAD...@{u}")
    )


def _detach(scene: Scene) -> None:
    scene.as_owner("git checkout -q --detach")
    scene.prove("git: {}", scene.as_owner("git status | head -n 1"))


def _follow(scene: Scene) -> None:
    """The inventory names an input that only follows nixfleet."""
    flake = scene.as_owner("cat flake.nix").replace(
        "  outputs =", '  inputs.alias.follows = "nixfleet";\n\n  outputs =', 1
    )
    flake = flake.replace("{ self, nixfleet, other }", "{ self, nixfleet, other, alias }")
    lock = json.loads(scene.read_lock())
    lock["nodes"]["root"]["inputs"]["alias"] = ["nixfleet"]
    text = json.dumps(lock, indent=2, sort_keys=True) + "\n"
    scene.repos.commit("nixcfg", "Name it twice", {"flake.nix": flake + "\n", "flake.lock": text})
    scene.as_owner("git pull -q --ff-only")
    scene.client.write_inventory({scene.host: "ops"}, input="alias")
    scene.prove("flake.lock: alias is {}", lock["nodes"]["root"]["inputs"]["alias"])


def _second_update(scene: Scene) -> Answer:
    """The first update leaves flake.lock dirty; upstream moves it too."""
    with scene.update() as first:
        assert scene.answer(first)["verdict"] == "updated"
    lock = scene.read_lock()
    scene.repos.commit("nixcfg", "Update all", {"flake.lock": lock + b"\n"})
    scene.repos.release("2.3.0")
    scene.prove("git: {}", scene.as_owner("git status --short flake.lock"))
    with scene.update() as running:
        return scene.answer(running)


def _of_another_user(scene: Scene) -> Answer:
    """Root logs in; git and nix run as the checkout's owner."""
    root = scene.other_operator("root")
    scene.prove("checkout of uid {}", scene.host.enter("stat -c %u /home/ops/Code/nixcfg"))
    with scene.update(client=root) as running:
        return scene.answer(running)


_REFUSED: Final[dict[str, tuple[str, Callable[[Scene], None]]]] = {
    "branch diverged": ("preflight-pull", _diverge),
    "HEAD detached": ("preflight-remote", _detach),
    "input follows another": ("preflight-input", _follow),
}

CASES: Final = (
    *(
        Case(
            name=name,
            play=partial(_refused, spoil=spoil),
            verdict="failed",
            cause=cause,
            agent=BASE_VERSION,
            lock="old",
        )
        for name, (cause, spoil) in _REFUSED.items()
    ),
    Case(name="flake.lock dirty and moved upstream", play=_second_update, agent="2.3.0"),
    Case(name="checkout of another user", play=_of_another_user, agent=NEW),
)
