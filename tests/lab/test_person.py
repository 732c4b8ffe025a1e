"""One evening of an operator: everything is typed, and read off the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tmux import Tmux

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet

OWN_KEYS = '[keys]\nfleet.update = "f2"\nupdate.cancel = ["f4", "c"]\n'


def test_a_person_sets_up_updates_cancels_and_goes_back(
    fresh: Fleet, client: Client, tmp_path: Path
) -> None:
    csb0, csb1 = fresh["csb0"], fresh["csb1"]
    fresh.repos.release("2.2.0")
    inventory = client.folder / "config/nixfleet/hosts.toml"
    inventory.unlink(missing_ok=True)
    inventory.parent.mkdir(parents=True, exist_ok=True)
    (inventory.parent / "config.toml").write_text(OWN_KEYS)
    with Tmux(tmp_path / "tmux", client.command(), client.env, (120, 40)) as tmux:
        # first run: it says what to write; somebody does
        tmux.wait_for("hosts.toml", "[hosts.")
        client.write_inventory({host: host.user for host in (csb0, csb1, fresh["gpc0"])})
        tmux.press("R")
        tmux.wait_for("3 stale", "gpc0", "f2 update")

        # two of the three, by a filter
        tmux.press("/")
        tmux.press("csb", "Enter")
        assert "gpc0" not in tmux.wait_for("2 of 3 hosts")
        tmux.press("C-a")
        tmux.wait_for("f2 update 2 marked")

        # an update of both; one is cancelled
        with csb0.gate("build") as gate:
            tmux.press("F2")
            tmux.wait_for("Force update 2 hosts, level 1?", "⏎ start all")
            tmux.press("Enter")
            gate.wait_reached()
            tmux.wait_for("✔ updated")  # csb1
            tmux.press("Enter")
            tmux.wait_for("csb0 · force update", "Rebuild", "f4 cancel")
            tmux.press("F4")
            tmux.wait_for("csb0", "⏎ cancel")
            tmux.press("Enter")
            tmux.wait_for("▲ cancelled", "the agent runs as before: 2.1.0")
        assert (csb0.agent_version(), csb1.agent_version()) == ("2.1.0", "2.2.0")
        tmux.press("Escape")
        tmux.wait_for("csb1", "updated")
        tmux.press("Escape")
        tmux.wait_for("1 current", "2 marked")

        # the other one goes back
        tmux.press("C-a", "Down")
        tmux.wait_for("▸  csb1")
        tmux.press("b")
        tmux.wait_for("What should csb1 go back to?", "was active", "⏎ choose")
        tmux.press("Enter")
        tmux.wait_for("Roll back csb1", "⏎ start")
        tmux.press("Enter")
        tmux.wait_for("rolled back")
        tmux.press("Escape")
        assert csb1.agent_version() == "2.1.0"

        # what has been done there
        tmux.wait_for("▸  csb1")
        tmux.press("H")
        tmux.wait_for("csb1 · history · 2 jobs", "roll back  ✔ done", "update     ✔ done")
        tmux.press("Escape", "Escape", "q")
    assert csb0.agent_version() == "2.1.0"
