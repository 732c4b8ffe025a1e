"""A shell on a host, from the app and from the command line: in the checkout, and back again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .login_shells import use_shell
from .tmux import Tmux

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet


def test_a_shell_begins_in_the_checkout_and_its_end_goes_back(
    fresh: Fleet, client: Client, tmp_path: Path
) -> None:
    csb0, csb1 = fresh["csb0"], fresh["csb1"]
    fresh.repos.release("2.2.0")
    use_shell(csb0, "fish", "")
    client.write_inventory({csb0: csb0.user, csb1: csb1.user})
    with Tmux(tmp_path / "tmux", client.command(), client.env, (120, 40)) as tmux:
        tmux.wait_for("2 stale", "▸  csb0", ". menu")
        tmux.press("x")
        tmux.wait_for("A shell on", "goes back to NixFleet.", "nixcfg (main)>")
        tmux.press("pwd", "Enter")
        tmux.wait_for(csb0.checkout)
        tmux.press("exit 7", "Enter")
        tmux.wait_for("2 stale", "─ Hosts ─")
        tmux.press(".")
        tmux.wait_for("What to do with csb0", "x  Open your own shell", "not now: flake.lock")
        tmux.press("Escape")
        tmux.wait_for("─ Hosts ─", "csb0")
        tmux.press("q")

    csb0.enter("mv Code/nixcfg Code/away", csb0.user)
    with client.at_terminal("shell", csb0.name) as running:
        running.type("pwd; exit 8\n")
        running.wait_for("There is no checkout to go to.")
        assert running.wait() == 8, running.output
    with client.at_terminal("shell", csb1.name) as running:
        running.type("pwd\n")
        running.wait_for(csb1.checkout)
        running.type("exit 9\n")
        assert running.wait() == 9, running.output
