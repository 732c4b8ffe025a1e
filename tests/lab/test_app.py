"""The app on real hosts: driven by keys, and read off a terminal's screen."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .by_keys import update_by_keys
from .tmux import Tmux

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


async def test_keys_alone_update_a_host(
    fresh: Fleet,
    host: LabHost,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fresh.repos.release("2.2.0")
    verdict = await update_by_keys(host, client, tmp_path, monkeypatch)
    assert verdict is not None
    assert verdict.kind == "updated"
    assert (verdict.before.version, verdict.after.version) == ("2.1.0", "2.2.0")
    assert host.agent_version() == "2.2.0"


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_a_terminal_shows_log_bars_panel_and_verdict(
    fresh: Fleet, client: Client, tmp_path: Path, size: tuple[int, int]
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with Tmux(tmp_path / "tmux", client.command(), client.env, size) as tmux:
        tmux.wait_for("csb0", "csb1", "gpc0", "2.1.0", "stale")
        tmux.press("Enter")
        tmux.wait_for("git merge --ff-only", "⏎ start")
        with host.gate("build") as gate:
            tmux.press("Enter")
            gate.wait_reached()
            tmux.wait_for("Rebuild", "█", "2.1.0", "step 3 line 3")
        tmux.wait_for("✔ Verify", "✔ updated", "2.2.0")
        tmux.press("z")
        tmux.wait_for("✔ updated", "the agent runs as process")
        tmux.press("Escape")
        tmux.wait_for("csb1", "✔ current")
        tmux.press("q")
    assert host.agent_version() == "2.2.0"


def test_the_job_goes_on_without_the_app_which_can_attach_again(
    fresh: Fleet, client: Client, tmp_path: Path
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    argv = client.command()
    with host.gate("build") as gate:
        with Tmux(tmp_path / "one", argv, client.env, (120, 40)) as tmux:
            tmux.wait_for("csb0", "stale")
            tmux.press("Enter")
            tmux.wait_for("git merge --ff-only", "⏎ start")
            tmux.press("Enter")
            gate.wait_reached()
        with Tmux(tmp_path / "two", argv, client.env, (120, 40)) as tmux:
            tmux.wait_for("csb0", "updating")
            tmux.press("Enter")
            tmux.wait_for("step 3 line 3", "Rebuild")
            gate.open()
            tmux.wait_for("✔ updated")
    assert host.agent_version() == "2.2.0"


def test_the_app_ends_with_its_tmux_without_a_signal(
    fresh: Fleet, client: Client, tmp_path: Path
) -> None:
    """The leader of its session keeps SIGHUP for itself, as make does; the job goes on."""
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    argv = ["/bin/sh", "-c", "trap '' HUP; \"$@\"; :", "sh", *client.command()]
    with host.gate("build") as gate:
        with Tmux(tmp_path / "tmux", argv, client.env, (120, 40)) as tmux:
            tmux.wait_for("csb0", "stale")
            tmux.press("Enter")
            tmux.wait_for("git merge --ff-only", "⏎ start")
            tmux.press("Enter")
            gate.wait_reached()
            running = processes_of(client)
            assert running
        for pidfd in running:
            assert select.select([pidfd], [], [], 60)[0]
            os.close(pidfd)
        gate.open()
    assert client.run("attach", "csb0").returncode == 0
    assert host.agent_version() == "2.2.0"


def processes_of(client: Client) -> list[int]:
    """A pidfd of each process of the operator, except ssh: its shared connection stays open."""
    return [
        os.pidfd_open(int(pid))
        for pid in (client.cgroup / "cgroup.procs").read_text().split()
        if not Path(f"/proc/{pid}/comm").read_text().startswith("ssh")
    ]
