"""What Nix does on real hosts is seen, in each of its versions."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.log.text import TextDecoder

from .binary_cache import BinaryCache
from .tmux import Tmux

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


def test_downloads_and_builds_are_seen_while_they_run(
    fresh: Fleet, host: LabHost, client: Client, tmp_path: Path
) -> None:
    cache = BinaryCache(tmp_path / "cache", fresh.run.gateway)
    cache.trust(host)
    fresh.repos.release("2.2.0")
    url = f"git+{fresh.repos.url('nixfleet')}?ref=main&rev={fresh.repos.head('nixfleet')}"
    path = cache.stock(host, f"{url}#packages.{platform.machine()}-linux.default")
    answer = client.update(host.name, "--force=1")
    cache.close()
    assert answer["after"]["store_path"] == path
    assert answer["job"]

    decoder, downloads, phases = TextDecoder(), dict[str, set[int]](), set[tuple[str, str]]()
    for line in client.log_of(host, answer["job"]).read_bytes().splitlines(keepends=True):
        decoder.feed(line)
        for download in decoder.running.downloads.values():
            downloads.setdefault(download.what, set()).add(download.bytes.done)
        for build in decoder.running.builds.values():
            phases.add((build.label.decode(), build.phase))
    assert path in downloads
    size = sum(one.stat().st_size for one in (cache.folder / "nar").iterdir())
    assert max(downloads[path]) == size
    assert not any("narinfo" in what for what in downloads)
    assert ("lab-step", "buildPhase") in phases
    running = decoder.running
    assert not any((running.builds, running.downloads, running.waits, running.queries))
    assert [built.name for built in running.built].count("lab-step-5") == 1


@pytest.mark.parametrize("name", ["csb1", "gpc0"], indirect=True)
def test_the_app_shows_what_runs_how_long_it_took_last_time_and_what_is_left(
    fresh: Fleet, host: LabHost, client: Client, tmp_path: Path
) -> None:
    client.write_inventory({host: "ops"})
    fresh.repos.commit_nixcfg(slow=6)
    for version in ("2.2.0", "2.3.0"):
        fresh.repos.release(version)
        client.update(host.name)
    fresh.repos.release("2.4.0")
    with Tmux(tmp_path / "tmux", client.command(), client.env, (120, 40)) as tmux:
        tmux.wait_for(host.name, "2.3.0", "stale")
        tmux.press("Enter")
        tmux.wait_for("git merge --ff-only", "⏎ start")
        with host.gate("build") as gate:
            tmux.press("Enter")
            gate.wait_reached()
            tmux.wait_for("Now · 1 build", "lab-step-3", "buildPhase", "of ~", "left")
        tmux.wait_for("✔ updated", "2.4.0", "Slowest builds", "lab-step-3")
        tmux.press("q")
