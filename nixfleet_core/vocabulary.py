"""The closed lists that several floors share."""

from __future__ import annotations

from typing import Final, Literal

StepId = Literal[
    "preflight",
    "stop",
    "pull",
    "update",
    "repair",
    "build",
    "rebuild",
    "confirm",
    "start",
    "verify",
    "rollback",
    "commit",
    "push",
]

TITLES: Final[dict[StepId, str]] = {
    "preflight": "Preflight",
    "stop": "Stop agent",
    "pull": "Pull nixcfg",
    "update": "Update {input}",
    "repair": "Check agent's files",
    "build": "Build agent alone",
    "rebuild": "Rebuild",
    "confirm": "Confirm",
    "start": "Start agent",
    "verify": "Verify",
    "rollback": "Roll back",
    "commit": "Commit flake.lock",
    "push": "Push nixcfg",
}
