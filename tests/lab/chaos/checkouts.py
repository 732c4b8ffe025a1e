"""Checkouts in a state that an update must refuse, or must not make worse."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from ..places import spoil_pull
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


def _ignore(scene: Scene) -> None:
    """Upstream starts to track a file that was ignored here."""
    scene.repos.commit("nixcfg", "Ignore", {".gitignore": "secrets.nix\n"})
    scene.as_owner("git pull -q --ff-only; echo mine > secrets.nix")
    scene.repos.commit("nixcfg", "Track", {".gitignore": "", "secrets.nix": "theirs\n"})
    scene.prove("git ignores {}", scene.as_owner("git check-ignore secrets.nix"))


def _assume(scene: Scene) -> None:
    """A file that is kept out of commits has changes, and upstream changed it too."""
    scene.as_owner("git pull -q --ff-only")
    scene.as_owner("git update-index --assume-unchanged lab.json; echo >> lab.json")
    scene.repos.commit_nixcfg(lines=5)
    scene.prove("git hides {}", scene.as_owner("git ls-files -v | grep '^h'"))


def _need_filter(scene: Scene) -> None:
    """The file that upstream has changed goes through a filter that is not there."""
    scene.as_owner(
        "echo 'lab.json filter=crypt' > .git/info/attributes; "
        "git config filter.crypt.required true; git config filter.crypt.clean cat; "
        "git config filter.crypt.smudge no-such-filter"
    )
    scene.prove("git needs {}", scene.as_owner("git config filter.crypt.smudge"))


def _unchanged(spoil: Callable[[Scene], None], undo: str) -> Callable[[Scene], Answer]:
    """Refused, with each file as it was; `undo` lets the checks after the case see nothing else."""

    def play(scene: Scene) -> Answer:
        answer = _refused(scene, spoil=partial(_spoil_and_sum, spoil))
        assert scene.as_owner(_SUM) == scene.as_owner("cat .git/sum")
        scene.as_owner(undo)
        return answer

    return play


_SUM: Final = "find . -path ./.git -prune -o -type f -exec cksum {} + | sort"


def _spoil_and_sum(spoil: Callable[[Scene], None], scene: Scene) -> None:
    spoil(scene)
    scene.as_owner(f"{_SUM} > .git/sum")


def _rebase(scene: Scene) -> Answer:
    """The owner's git would rebase with a stash instead of a fast-forward."""
    scene.as_owner("git config pull.rebase true; git config rebase.autoStash true")
    with scene.update() as running:
        answer = scene.answer(running)
    scene.prove("git's pull.rebase is {}", scene.as_owner("git config pull.rebase"))
    assert scene.as_owner("git stash list") == ""
    return answer


def _fail_half_way(scene: Scene) -> Answer:
    """The pull writes one file and then fails; the next update is not refused."""
    head = scene.as_owner("git rev-parse HEAD")
    with scene.update() as running:
        spoil_pull(scene.host, "head -c 1; exit 1")
        answer = scene.answer(running)
    log = (scene.jobs / f"{answer['job']}/log").read_text()
    scene.prove("git's filter failed", "filter lab failed" in log)
    assert scene.as_owner("git rev-parse HEAD") == head
    return answer


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
    *(
        Case(
            name=name,
            play=_unchanged(spoil, undo),
            verdict="failed",
            cause="preflight-pull",
            agent=BASE_VERSION,
            lock="old",
        )
        for name, spoil, undo in (
            ("ignored file in the way of the pull", _ignore, "rm secrets.nix"),
            (
                "changes in a file that git assumes unchanged",
                _assume,
                "git update-index --no-assume-unchanged lab.json; git checkout -q lab.json",
            ),
            ("filter missing", _need_filter, "rm .git/info/attributes"),
        )
    ),
    Case(name="pull.rebase and autostash", play=_rebase),
    Case(
        name="pull fails half-way",
        play=_fail_half_way,
        verdict="failed",
        cause="pull-failed",
        agent=BASE_VERSION,
        lock="old",
    ),
    Case(name="flake.lock dirty and moved upstream", play=_second_update, agent="2.3.0"),
    Case(name="checkout of another user", play=_of_another_user, agent=NEW),
)
