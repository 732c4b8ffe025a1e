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

from tui.app import NixFleetApp
from tui.ending import ended_by_signals
from tui.settings import AppSettings


class StuckApp(NixFleetApp):
    def on_ready(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        os.write(int(sys.argv[1]), b"stuck")
        lock.acquire()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = StuckApp(make_fleet(Path(folder)), FakeLatest(), settings=AppSettings())
        with ended_by_signals(app.end, limit=0.2):
            app.run()


if __name__ == "__main__":
    main()
