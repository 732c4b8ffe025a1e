"""The app over the fake fleet, with a loop that waits forever, as for a terminal that is stuck.

Says `stuck` on the descriptor that is its argument.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import FakeLatest, make_fleet

import tui.ending
from tui.app import NixFleetApp, run_in_order
from tui.ending import ENDING
from tui.settings import AppSettings


def never_interrupted() -> None:
    """Behave as if each signal came just before this thread waits: then nothing wakes it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


class StuckApp(NixFleetApp):
    def on_ready(self) -> None:
        never_interrupted()
        lock = threading.Lock()
        lock.acquire()
        os.write(int(sys.argv[1]), b"stuck")
        lock.acquire()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = StuckApp(make_fleet(Path(folder)), FakeLatest(), settings=AppSettings())
        tui.ending.LIMIT = 0.2
        asyncio.run(run_in_order(app))


if __name__ == "__main__":
    main()
