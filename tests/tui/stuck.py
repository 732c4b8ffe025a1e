"""The app over the fake fleet, whose loop waits for good, as behind a terminal that does not drain.

Says `stuck` on the descriptor that is its argument.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fakes import FakeLatest, make_fleet

import tui.app
from tui.settings import AppSettings


class StuckApp(tui.app.NixFleetApp):
    def on_ready(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        os.write(int(sys.argv[1]), b"stuck")
        lock.acquire()


def main() -> None:
    tui.app._END_LIMIT = 0.2
    with tempfile.TemporaryDirectory() as folder:
        StuckApp(make_fleet(Path(folder)), FakeLatest(), settings=AppSettings()).run()


if __name__ == "__main__":
    main()
