"""The sandbox fleet behind the demo: hosts that are folders, with real git and real processes.

The names are loaded when they are first used: the shims import their own modules from this
package, and must not pay for the fleet's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixfleet_core.sandbox.fleet import SandboxError, SandboxFleet, SandboxHost, sandbox_fleet

__all__ = ["SandboxError", "SandboxFleet", "SandboxHost", "sandbox_fleet"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.fleet"), name)
