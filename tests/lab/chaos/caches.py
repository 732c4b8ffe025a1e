"""A binary cache that fails: the rebuild is tried again, and builds nothing that the cache has."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..binary_cache import BinaryCache
from ..fleet import SUITES
from .case import Case

if TYPE_CHECKING:
    from ..client import Answer
    from .scene import Scene

_AGENT: Final = f"packages.{platform.machine()}-linux.default"


def _fails_once(scene: Scene) -> Answer:
    """The new agent is in the cache, whose downloads fail until the rebuild has failed once."""
    folder = Path(tempfile.mkdtemp())
    cache = BinaryCache(folder / "cache", scene.host.lab.gateway)
    try:
        cache.trust(scene.host)
        newest = f"ref=main&rev={scene.repos.head('nixfleet')}"
        path = cache.stock(scene.host, f"git+{scene.repos.url('nixfleet')}?{newest}#{_AGENT}")
        cache.set_fault("nar", 500)
        with scene.update("--retry-after", "3") as running:
            running.wait_for("retry 2/3")
            cache.set_fault("nar", "ok")
            answer = scene.answer(running)
    finally:
        cache.close()
        shutil.rmtree(folder)
    scene.prove("{} downloads met 500", sum(one.answer == 500 for one in cache.requests))
    tries = {step["id"]: step["attempts"] for step in answer["steps"]}
    assert tries["rebuild"] > 1
    assert answer["after"]["store_path"] == path
    assert cache.served("nar") > 0
    assert "building nixfleet-agent" not in running.output
    return answer


CASES: Final = tuple(
    Case(name=f"binary cache fails once, {host}", play=_fails_once, host=host) for host in SUITES
)
