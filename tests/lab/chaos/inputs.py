"""Inputs that are no branch, that git may not ask for, or whose update renames nodes; and a Nix
whose flakes are off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ..fleet import SUITES
from ..internet import GITHUB
from ..repos import BASE_VERSION
from .case import MAC, Case
from .forges import name_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Answer
    from .scene import Scene

_TOKEN: Final = "lab-token"
_TAG: Final = "stable"


def _tag(scene: Scene, commit: str) -> str:
    """Move the annotated tag to that commit; return the tag's own object."""
    words = ("tag", "--force", "--annotate", "--message=moved", _TAG, commit)
    scene.repos.git("nixfleet", *words)
    return scene.repos.git("nixfleet", "rev-parse", _TAG)


def _at_a_tag(scene: Scene) -> Answer:
    """`github:lab/nixfleet/stable` does not say that stable is a tag."""
    repos, newest = scene.repos, scene.repos.head("nixfleet")
    _tag(scene, repos.git("nixfleet", "rev-list", f"--grep=Release {BASE_VERSION}", "HEAD"))
    name_input(scene, f"{GITHUB}/{_TAG}")
    tag = _tag(scene, newest)
    with scene.update() as running:
        answer = scene.answer(running)
    scene.prove("{} is the tag itself", tag[:7] if tag != newest else "")
    assert answer["after"]["commit"] == newest
    return answer


def _only_for_nix(scene: Scene) -> Answer:
    """nix.conf has a token for the input, and git has nothing."""
    name_input(scene, GITHUB)
    scene.bench.fleet.internet.token = _TOKEN
    scene.host.enter(f"echo access-tokens = github.com={_TOKEN} >>/etc/nix/nix.conf")
    with scene.update() as running:
        answer = scene.answer(running)
    log = (scene.jobs / f"{answer['job']}/log").read_text()
    scene.prove("git: {}", next(line for line in log.splitlines() if "could not read" in line))
    assert "the latest commit of nixfleet could not be asked" in running.output
    return answer


def _without_flakes(scene: Scene) -> Answer:
    scene.host.enter("sed -i /experimental-features/d /etc/nix/nix.conf")
    said = scene.as_owner("nix eval --expr 1 2>&1 || true").splitlines()
    scene.prove("nix: {}", next(line for line in said if "'nix-command' is disabled" in line))
    with scene.update() as running:
        return scene.answer(running)


def _renumbered(scene: Scene) -> Answer:
    """The new nixfleet brings an input of the name `other`: Nix gives its node that name, and the
    checkout's own, untouched `other` becomes `other_2`."""
    repos = scene.repos
    flake = (repos.path("nixfleet") / "flake.nix").read_text()
    flake, before = flake.replace("{ self }", "{ self, other }"), flake
    assert flake != before
    url = f"git+{repos.url('other')}?ref=main"
    named = flake.replace("  outputs =", f'  inputs.other.url = "{url}";\n\n  outputs =')
    repos.commit("nixfleet", "Bring an input", {"flake.nix": named})
    scene.as_owner("nix flake lock --update-input nixfleet || nix flake update nixfleet")
    inputs = json.loads(scene.read_lock())["nodes"]["root"]["inputs"]
    scene.prove(
        "flake.lock: other is {} now", inputs["other"] if inputs["other"] != "other" else ""
    )
    head = scene.as_owner("git show HEAD:flake.lock")
    repos.commit("nixcfg", "Touch the lock", {"flake.lock": f"{head}\n\n"})
    repos.release("2.3.0")
    with scene.update("--commit-lock") as running:
        answer = scene.answer(running)
    assert scene.as_owner("git log -1 --format=%s").startswith("flake.lock: nixfleet ")
    return answer


def _cases() -> Iterator[Case]:
    for host in SUITES:
        yield Case(name=f"github input at an annotated tag, {host}", play=_at_a_tag, host=host)
        yield Case(
            name=f"input that only access-tokens open, {host}", play=_only_for_nix, host=host
        )
    for host in (*SUITES, MAC):
        yield Case(name=f"flakes are off in nix.conf, {host}", play=_without_flakes, host=host)
    yield Case(
        name="dirty flake.lock with renamed nodes, committed", play=_renumbered, agent="2.3.0"
    )


CASES: Final = (*_cases(),)
