"""A binary cache that fails: the rebuild is tried again, and builds nothing that the cache has. One
that is offline is no reason to try again."""

from __future__ import annotations

import platform
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..binary_cache import BinaryCache
from ..fleet import SUITES
from .case import Case

if TYPE_CHECKING:
    from ..binary_cache import Fault
    from ..client import Answer
    from .scene import Scene

_FAULTS: Final[dict[str, Fault]] = {"fails": 500, "cuts off": "truncated"}
_AGENT: Final = f"packages.{platform.machine()}-linux.default"


def _fails_once(scene: Scene, *, how: Fault) -> Answer:
    """The new agent is in the cache, whose downloads fail until the rebuild has failed once."""
    folder = Path(tempfile.mkdtemp())
    cache = BinaryCache(folder / "cache", scene.host.lab.gateway)
    try:
        cache.trust(scene.host)
        newest = f"ref=main&rev={scene.repos.head('nixfleet')}"
        path = cache.stock(scene.host, f"git+{scene.repos.url('nixfleet')}?{newest}#{_AGENT}")
        cache.set_fault("nar", how)
        with scene.update("--retry-after", "3") as running:
            running.wait_for("retry 2/3")
            cache.set_fault("nar", "ok")
            answer = scene.answer(running)
    finally:
        cache.close()
        shutil.rmtree(folder)
    met = sum(one.answer == how for one in cache.requests)
    scene.prove(f"{{}} downloads {'met 500' if how == 500 else 'were cut off'}", met)
    tries = {step["id"]: step["attempts"] for step in answer["steps"]}
    assert tries["rebuild"] > 1
    assert answer["after"]["store_path"] == path
    assert cache.served("nar") > 0
    assert "building nixfleet-agent" not in running.output
    return answer


def _offline_and_units_fail(scene: Scene) -> Answer:
    """Nix goes on without the cache, and says so; then the switch leaves failed units."""
    url = f"http://{scene.host.lab.gateway}:9"
    scene.host.enter(
        f"printf 'substituters = {url}\\ndownload-attempts = 1\\n' >> /etc/nix/nix.conf; "
        "systemctl try-restart nix-daemon"
    )
    scene.repos.commit_nixcfg(fail_switch=4)
    with scene.update() as running:
        answer = scene.answer(running)
    log = Path(answer["log"] or "").read_text("utf-8", "replace")
    scene.prove("{} lines about the cache", log.count(f"{url}/nix-cache-info"))
    tries = {step["id"]: step["attempts"] for step in answer["steps"]}
    assert tries["rebuild"] == 1
    return answer


CASES: Final = (
    *(
        Case(
            name=f"binary cache {words} once, {host}",
            play=partial(_fails_once, how=how),
            host=host,
        )
        for words, how in _FAULTS.items()
        for host in SUITES
    ),
    *(
        Case(
            name=f"binary cache offline, and units fail, {host}",
            play=_offline_and_units_fail,
            verdict="partial",
            cause="units-failed",
            host=host,
        )
        for host in SUITES
    ),
)
