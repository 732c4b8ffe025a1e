"""The app over the fake fleet, for a terminal that sends what it likes.

Its argument is a descriptor, where it says that it is ready, each time that it has got F12, and at
its end how much was launched.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import FakeLatest, make_fleet
from textual import events

from tui.app import NixFleetApp, run_in_order
from tui.settings import AppSettings

READY, HEARD = b"r", b"h"


class HeardApp(NixFleetApp):
    def on_ready(self) -> None:
        os.write(int(sys.argv[1]), READY)

    def jobs_going_on(self) -> list[tuple[str, str]]:
        return []  # it ends at once, and says what was launched

    async def on_event(self, event: events.Event) -> None:
        is_typed = isinstance(event, events.Key) and not event.is_forwarded
        await super().on_event(event)
        if is_typed and event.key == "f12":
            os.write(int(sys.argv[1]), HEARD)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fleet = make_fleet(Path(folder))
        app = HeardApp(fleet, FakeLatest(), settings=AppSettings(bell=False))
        asyncio.run(run_in_order(app))
        launched = [job for session in fleet for job in session.launched]
    os.write(int(sys.argv[1]), f"launched {len(launched)}".encode())
    sys.exit(app.return_code or 0)


if __name__ == "__main__":
    main()
