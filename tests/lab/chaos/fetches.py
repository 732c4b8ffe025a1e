"""Servers that fail: transient failures are tried again, and success counts only with proof."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ..fleet import SUITES
from ..repos import BASE_VERSION
from .case import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Answer
    from ..git_server import Fault, Target
    from ..repos import Repo
    from .scene import Scene

_STEPS: Final[dict[Repo, str]] = {"nixcfg": "preflight", "nixfleet": "update"}
"""nixcfg is fetched before the agent stops, the input afterwards."""


def _failing(
    scene: Scene, *, repo: Repo, faults: tuple[Fault, ...], tries: int, target: Target = "all"
) -> Answer:
    """The server of nixcfg fails from the start, that of the input once the preflight is over."""
    if repo == "nixcfg":
        scene.repos.set_fault(repo, *faults, target=target)
    with scene.update() as running:
        if repo != "nixcfg":
            with scene.host.gate("stop") as gate:
                gate.wait_reached()
                scene.repos.set_fault(repo, *faults, target=target)
        answer = scene.answer(running)
    for fault in dict.fromkeys(fault for fault in faults if fault != "ok"):
        _prove(scene, repo, fault)
    done = {step["id"]: step["attempts"] for step in answer["steps"]}
    assert done[_STEPS[repo]] == tries, f"{done} tries"
    return answer


def _prove(scene: Scene, repo: Repo, fault: Fault) -> None:
    met = [how for how, _ in scene.repos.servers[repo].requests]
    scene.prove(f"{{}} requests met {fault}", met.count(fault))


def _never_answers(scene: Scene) -> Answer:
    """The server accepts every connection and never answers; the agent is not even stopped."""
    pid = scene.host.agent_pid()
    scene.repos.set_fault("nixcfg", "hang")
    with scene.update() as running:
        answer = scene.answer(running)
    _prove(scene, "nixcfg", "hang")
    assert scene.host.agent_pid() == pid
    return answer


def _stale() -> Iterator[Case]:
    """The server names the newest commit but withholds it: nix keeps the old one and exits 0."""
    causes: dict[Fault, tuple[str, int]] = {
        403: ("auth", 1),
        404: ("not-found", 1),
        500: ("fetch-failed", 5),
        "html": ("fetch-failed", 5),
    }
    for host in SUITES:
        for fault, (cause, tries) in causes.items():
            yield Case(
                name=f"fetch answered by {fault}, {host}",
                play=partial(
                    _failing, repo="nixfleet", faults=(fault,), tries=tries, target="fetches"
                ),
                verdict="stale",
                cause=cause,
                agent=BASE_VERSION,
                lock="old",
                host=host,
                seconds=180 if tries > 1 else 60,
            )


CASES: Final = (
    Case(
        name="server answers 500, then 429, then the fetch",
        play=partial(_failing, repo="nixcfg", faults=(500, 429, "ok"), tries=3),
        seconds=90,
    ),
    Case(
        name="server answers 500, then 429, then the update",
        play=partial(_failing, repo="nixfleet", faults=(500, 429, "ok"), tries=3, target="fetches"),
        seconds=90,
    ),
    # the preflight has fetched what is pulled: there only the names are left to cut off
    Case(
        name="server cuts a transfer off in the pull",
        play=partial(_failing, repo="nixcfg", faults=("cut", "ok"), tries=2),
    ),
    Case(
        name="server cuts a transfer off in the update",
        play=partial(_failing, repo="nixfleet", faults=("cut", "ok"), tries=2, target="fetches"),
    ),
    Case(
        name="server hangs once in the fetch",
        play=partial(_failing, repo="nixcfg", faults=("hang", "ok"), tries=2),
        seconds=90,
    ),
    Case(
        name="server hangs once in the update",
        play=partial(_failing, repo="nixfleet", faults=("hang", "ok"), tries=2, target="fetches"),
        seconds=90,
    ),
    Case(
        name="server never answers in the preflight",
        play=_never_answers,
        verdict="failed",
        cause="preflight-remote",
        agent=BASE_VERSION,
        lock="old",
        seconds=180,
    ),
    *_stale(),
    *(
        Case(
            name=f"repository gone in the update, {host}",
            play=partial(_failing, repo="nixfleet", faults=(404,), tries=1),
            verdict="failed",
            cause="not-found",
            agent=BASE_VERSION,
            lock="old",
            host=host,
        )
        for host in SUITES
    ),
)
