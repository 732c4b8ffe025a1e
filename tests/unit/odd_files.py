"""What can lie where a file of ours should be."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _socket(path: Path) -> None:
    before = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.fchdir(before)
        os.close(before)


ODD: Final[dict[str, Callable[[Path], None]]] = {
    "a folder": lambda path: path.mkdir(),
    "a symbolic link": lambda path: path.symlink_to(path.name),
    "a named pipe": lambda path: os.mkfifo(path),
    "a socket": _socket,
}
"""Each by its words; the link leads to itself."""
