"""Entry of the warden and of the hosts' tools: ``python entry.py FOLDER TOOL ARGUMENT…``.

Runs without site-packages, so all imports from here are the standard library's or the sandbox's.
Each tool is imported alone, because every call pays for its start time.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main(folder: Path, tool: str, argv: list[str]) -> int:
    """Run one tool and return its exit code."""
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    if tool == "warden":
        from nixfleet_core.sandbox.warden import run_warden

        return run_warden(folder)

    from nixfleet_core.sandbox.machine import Machine

    machine = Machine(folder)
    if tool == "systemd":
        from nixfleet_core.sandbox.systemd import systemd

        return systemd(machine, *argv)

    from nixfleet_core.sandbox.tools.nix import nix

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return nix(machine, argv)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
