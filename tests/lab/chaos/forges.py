"""Inputs from a forge or a tarball whose server fails: success is believed only with proof."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from ..fleet import SUITES
from ..git_server import Fault
from ..internet import GITHUB, TARBALL
from ..repos import BASE_VERSION
from .case import Case
from .locks import lock_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Answer
    from ..git_server import Target
    from .scene import Scene

_INPUTS: Final[dict[str, tuple[str, Target]]] = {
    "github": (GITHUB, "api"),
    "tarball": (TARBALL, "all"),
}
"""Its URL, and the requests that fail: git still names the commit that GitHub's API withholds."""


def _failing(scene: Scene, *, kind: str, faults: tuple[Fault, ...], tries: int) -> Answer:
    """The server fails once the preflight is over."""
    url, target = _INPUTS[kind]
    internet = scene.bench.fleet.internet
    name_input(scene, url)
    with scene.update() as running:
        with scene.host.gate("stop") as gate:
            gate.wait_reached()
            internet.requests.clear()
            internet.set_fault(*faults, target=target)
        answer = scene.answer(running)
    for fault in dict.fromkeys(fault for fault in faults if fault != "ok"):
        met = [path for how, path in internet.requests if how == fault]
        scene.prove(f"{{}} requests met {fault}", len(met))
    done = {step["id"]: step["attempts"] for step in answer["steps"]}
    assert done["update"] == tries, f"{done} tries"
    return answer


def name_input(scene: Scene, url: str) -> None:
    """nixcfg names nixfleet by that URL; the host has fetched and locked it so before."""
    repos, newest = scene.repos, scene.repos.head("nixfleet")
    scene.bench.fleet.internet.open()
    flake = (repos.path("nixcfg") / "flake.nix").read_text()
    flake, count = re.subn(r'(inputs\.nixfleet\.url = )".*"', rf'\1"{url}"', flake)
    assert count == 1
    repos.commit("nixcfg", "Name it otherwise", {"flake.nix": flake})
    repos.move(
        "nixfleet", repos.git("nixfleet", "rev-list", f"--grep=Release {BASE_VERSION}", "HEAD")
    )
    scene.host.enter(
        f"git clone -q {repos.url('nixcfg')} lock; cd lock; nix flake lock", user="ops"
    )
    lock = (scene.host.root / "home/ops/lock/flake.lock").read_bytes()
    scene.host.enter("rm -rf lock", user="ops")
    repos.commit("nixcfg", "Lock it so", {"flake.lock": lock})
    scene.as_owner("git pull -q --ff-only")
    assert lock_after(lock, repos) == lock
    repos.move("nixfleet", newest)


_Ends = dict[tuple[str, Fault], tuple[str, str, int]]

_REFUSED: Final[_Ends] = {
    ("github", 404): ("stale", "not-found", 1),
    ("github", 500): ("stale", "fetch-failed", 5),
    ("github", "html"): ("failed", "fetch-failed", 5),
    ("tarball", 403): ("failed", "auth", 1),
    ("tarball", 404): ("failed", "not-found", 1),
    ("tarball", 500): ("failed", "fetch-failed", 5),
    ("tarball", "html"): ("failed", "fetch-failed", 5),
}
"""Verdict, cause and tries: `stale` is nix's exit code 0 on the old commit."""

_BOOKWORM: Final[_Ends] = {
    ("tarball", 403): ("stale", "auth", 1),
    ("tarball", 404): ("stale", "not-found", 1),
    ("tarball", 500): ("stale", "fetch-failed", 5),
    # the archive comes only from the API, too
    ("github", 403): ("failed", "auth", 1),
}
"""Nix 2.8 falls back to its cache for tarballs, too."""


def _cases() -> Iterator[Case]:
    for host, suite in SUITES.items():
        ends = _REFUSED | _BOOKWORM if suite == "bookworm" else _REFUSED
        for (kind, fault), (verdict, cause, tries) in ends.items():
            yield Case(
                name=f"{kind} answered by {fault}, {host}",
                play=partial(_failing, kind=kind, faults=(fault,), tries=tries),
                verdict=verdict,
                cause=cause,
                agent=BASE_VERSION,
                lock="old",
                host=host,
            )
        if suite != "bookworm":
            # git has named the commit, and the API's limits do not apply to its archive
            yield Case(
                name=f"github answered by 403, {host}",
                play=partial(_failing, kind="github", faults=(403,), tries=1),
                host=host,
            )
        for kind, tries in (("github", 1), ("tarball", 2)):
            yield Case(
                name=f"{kind} answered by 429, then fine, {host}",
                play=partial(_failing, kind=kind, faults=(429, "ok"), tries=tries),
                host=host,
            )
            yield Case(
                name=f"{kind} hangs once, {host}",
                play=partial(_failing, kind=kind, faults=("hang", "ok"), tries=2),
                host=host,
                seconds=90,
            )


CASES: Final = (*_cases(),)
