"""Reading the screen as an operator does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from keyboard import press_in

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import NixFleetApp


def screen_text(app: NixFleetApp) -> str:
    """The text on the screen now, line by line."""
    height = app.size.height
    lines = app.screen._compositor.render_strips()
    return "\n".join(line.text for line in lines[:height])


async def settle(pilot: Pilot[None]) -> None:
    """Wait until all that was set in motion has come to rest and is shown."""
    app = cast("NixFleetApp", pilot.app)
    await at_rest()
    app.tick()
    app.beat()
    await at_rest()
    for _ in range(3):  # a layout, the callbacks after it, and their changes
        for screen in app.screen_stack:  # a dialog shows the screen below it
            screen._on_timer_update()
        await at_rest()
        app.beat()
        await at_rest()


async def at_rest() -> None:
    """Wait until nothing in the loop can go on without time passing or something happening."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 - not by the clock
        await asyncio.sleep(0)


def press_key(pilot: Pilot[None], key: str) -> None:
    """Press a key; unlike the pilot's own `press`, this does not wait for the clock."""
    press_in(pilot.app, key)
