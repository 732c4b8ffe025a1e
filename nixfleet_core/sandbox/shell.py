"""A shell of the operator's in which `nixfleet` means a sandbox fleet, which is gone with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from nixfleet_core.sandbox.ending import leave_in_order
from nixfleet_core.sandbox.fleet import sandbox_fleet
from nixfleet_core.sandbox.here import FLEET

_LEFT_TO_THE_SHELL: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)


def run_demo_shell(speed: float) -> int:
    """Open the shell, and end the fleet with it, also if a signal ends us. The shell's exit code.

    Raises SandboxError.
    """
    leave_in_order()
    for number in _LEFT_TO_THE_SHELL:
        signal.signal(number, lambda *_: None)  # a child does not inherit a handler
    return asyncio.run(_run(speed, Path(sys.argv[0]).resolve().parent))


async def _run(speed: float, programs: Path) -> int:
    async with sandbox_fleet(speed=speed) as fleet:
        shell = await asyncio.create_subprocess_exec(
            os.environ.get("SHELL") or "/bin/sh",
            env={
                **os.environ,
                "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
                FLEET: str(fleet.folder),
            },
        )
        try:
            code = await shell.wait()
        finally:
            if shell.returncode is None:
                shell.terminate()
        return code if code >= 0 else 128 - code
