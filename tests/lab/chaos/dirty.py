"""Flakes that refuse a dirty tree: the system is built from a commit of the new lock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ..places import held
from ..repos import BASE_VERSION
from .case import Case
from .faults import kill_runner, kill_unit, stop_unit
from .scene import NEW

if TYPE_CHECKING:
    from ..client import Answer
    from ..places import Place
    from .faults import Strike
    from .scene import Scene

_STATE: Final = "git rev-parse HEAD; git symbolic-ref HEAD; git ls-files --stage | sort"
_REFS: Final = "git for-each-ref --format='%(refname)' refs/nixfleet"


def _refuse_dirty_trees(scene: Scene) -> None:
    """flake.lock will be the only difference to HEAD; the work of the scene comes back later."""
    scene.as_owner("git checkout -q home-path.sh")
    scene.repos.commit_nixcfg("Refuse dirty trees", strict=True)
    scene.as_owner("git pull -q --ff-only")


def _log(scene: Scene, answer: Answer) -> str:
    return (scene.jobs / f"{answer['job']}/log").read_text("utf-8", "replace")


def _bring_back_work(scene: Scene) -> None:
    scene.as_owner("echo '# mine' >> home-path.sh")


def _struck(
    scene: Scene, *, place: Place, strike: Strike, options: tuple[str, ...], is_kept: bool
) -> Answer:
    """The job ends while the commit is built or activated: branch and index are as they were, and
    the commit is kept only if a generation was built from it."""
    _refuse_dirty_trees(scene)
    before = scene.as_owner(_STATE)
    with scene.update(*options) as running:
        with held(scene.host, scene.repos, running, place):
            scene.prove("built was {}", scene.as_owner(_REFS))
            strike(scene, running)
        answer = scene.answer(running)
        scene.await_job()
    assert scene.as_owner(_STATE) == before
    assert bool(scene.as_owner(_REFS)) == is_kept
    _bring_back_work(scene)
    return answer


def _head_moves(scene: Scene) -> Answer:
    """Somebody commits while the commit of the new lock is built: the branch is theirs."""
    _refuse_dirty_trees(scene)
    with scene.update("--commit-lock") as running:
        with held(scene.host, scene.repos, running, "rebuild"):
            scene.as_owner("git commit -q --allow-empty -m mine")
        answer = scene.answer(running)
    scene.prove("HEAD is the commit {!r}", scene.as_owner("git log -1 --format=%s"))
    _bring_back_work(scene)
    return answer


def _is_filtered(scene: Scene) -> Answer:
    """A filter makes the tree another source than the commit: it cannot stand for the tree."""
    scene.as_owner(
        "git config filter.lab.smudge 'sed s/step/stairs/'; "
        "git config filter.lab.clean 'sed s/stairs/step/'"
    )
    _refuse_dirty_trees(scene)
    scene.repos.commit(
        "nixcfg", "Filter", {".gitattributes": "README filter=lab\n", "README": "step\n"}
    )
    scene.as_owner("git pull -q --ff-only")
    with scene.update() as running:
        answer = scene.answer(running)
    scene.prove("the tree has {}, HEAD step", scene.as_owner("cat README"))
    assert "does not read the same files" in _log(scene, answer)
    assert scene.as_owner(_REFS) == ""
    _bring_back_work(scene)
    return answer


def _strike(name: str, place: Place, strike: Strike, ends: tuple[str, str], *options: str) -> Case:
    is_kept = place == "activation"
    return Case(
        name=name,
        play=partial(_struck, place=place, strike=strike, options=options, is_kept=is_kept),
        verdict=ends[0],
        cause=ends[1],
        agent=NEW if is_kept else BASE_VERSION,
    )


_KILLED: Final = ("interrupted", "killed")

CASES: Final = (
    _strike("runner SIGKILL while a commit is built", "rebuild", kill_runner, _KILLED),
    _strike(
        "unit SIGKILL while a commit is built, with --commit-lock",
        *("rebuild", kill_unit, _KILLED, "--commit-lock"),
    ),
    _strike(
        "unit stopped while a commit is built", "rebuild", stop_unit, ("cancelled", "cancelled")
    ),
    _strike("unit SIGKILL while a commit is activated", "activation", kill_unit, _KILLED),
    Case(
        name="somebody commits during an update with --commit-lock",
        play=_head_moves,
        cause="commit-failed",
    ),
    Case(
        name="flake refuses a dirty tree, and a filter changes it",
        play=_is_filtered,
        verdict="failed",
        cause="dirty-refused",
        agent=BASE_VERSION,
    ),
)
