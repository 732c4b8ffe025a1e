"""Reading the screen as an operator does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import NixFleetApp


def screen_text(app: NixFleetApp) -> str:
    """What is on the screen now, line by line."""
    height = app.size.height
    lines = app.screen._compositor.render_strips()
    return "\n".join(line.text for line in lines[:height])


async def settle(pilot: Pilot[None]) -> None:
    """Let everything that was set in motion come to rest, and be shown."""
    app = pilot.app
    for _ in range(3):
        await pilot.pause()
    app.tick()  # type: ignore[attr-defined]
    app.beat()  # type: ignore[attr-defined]
    await pilot.pause()
