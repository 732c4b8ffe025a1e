"""What a job's log says of its sessions of Nix, as a client that follows it is told."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from nixfleet_core.log.text import TextDecoder

if TYPE_CHECKING:
    from pathlib import Path

    from nixfleet_core.nix.log_state import Progress


def told(log: Path) -> list[Progress]:
    """All that is told of Nix's progress, line by line."""
    decoder, found = TextDecoder(), []
    for line in log.read_bytes().splitlines(keepends=True):
        decoder.feed(line)
        if decoder.progress is not None:
            found.append(decoder.progress)
    return [progress for progress, _ in groupby(found)]


def names(log: Path) -> list[str]:
    """The sessions in their order."""
    shown = (progress.aside or progress.session for progress in told(log))
    return [name for name, _ in groupby(shown)]


def ignored_warnings(log: Path) -> list[str]:
    """The shown lines that say what Nix ignores of an untrusted user."""
    text = TextDecoder().feed(log.read_bytes()).decode()
    return [line for line in text.splitlines() if "gnoring the client-specified" in line]
