"""The app over the fake fleet; it writes more than its terminal takes, and so waits for room.

Its argument is a descriptor, where it says `ready`, and `ended` at an orderly end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import FakeLatest, make_fleet
from stuck import never_interrupted

import tui.ending
from tui.app import NixFleetApp, run_in_order
from tui.settings import AppSettings


class FloodingApp(NixFleetApp):
    def on_ready(self) -> None:
        assert self._driver is not None
        never_interrupted()
        os.write(int(sys.argv[1]), b"ready")
        for _ in range(100):
            self._driver.write("x" * 65536)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = FloodingApp(make_fleet(Path(folder)), FakeLatest(), settings=AppSettings())
        tui.ending.LIMIT = 60.0  # it must not come to that, even on a busy machine
        asyncio.run(run_in_order(app))
    os.write(int(sys.argv[1]), b"ended")
    sys.exit(app.return_code)


if __name__ == "__main__":
    main()
