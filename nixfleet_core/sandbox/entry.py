"""Entry of the manager and of Nix's shims: ``python entry.py FOLDER TOOL ARGUMENT…``.

Runs without site-packages, so everything reached from here is the standard library alone. Each
tool is imported by itself: a shim's start time is paid on every call.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path, tool: str, argv: list[str]) -> int:
    """Run one tool and return its exit code."""
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    if tool == "manager":
        from nixfleet_core.sandbox.supervisor import run_manager

        return run_manager(folder)

    if tool == "ps":
        import signal

        from nixfleet_core.sandbox.tools.ps import ps

        # whoever has read enough of it leaves, as in `ps … | head -n 1`
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return ps(argv)

    from nixfleet_core.sandbox.machine import Machine

    machine = Machine(folder)
    match tool:
        case "nix":
            from nixfleet_core.sandbox.tools.nix import nix

            return nix(machine, argv)
        case "nix-env":
            from nixfleet_core.sandbox.tools.nix_env import nix_env

            return nix_env(machine, argv)
        case "nix-store":
            from nixfleet_core.sandbox.tools.nix_store import nix_store

            return nix_store(machine, argv)
        case "nixos-rebuild":
            from nixfleet_core.sandbox.tools.nixos_rebuild import nixos_rebuild

            return nixos_rebuild(machine, argv)
    sys.stderr.write(f"sandbox: no such tool: {tool}\n")
    return 127


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
