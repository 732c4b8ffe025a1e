"""Reading the screen as an operator does."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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
    app = cast("NixFleetApp", pilot.app)
    await _process_messages(pilot)
    app.tick()
    app.beat()
    await _process_messages(pilot)
    app.screen._on_timer_update()


async def _process_messages(pilot: Pilot[None]) -> None:
    """Await the messages that are queued now, those that they cause, and so on."""
    for _ in range(3):
        await pilot._wait_for_screen()
