"""The flake.lock that an update must leave behind, made without Nix."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..repos import Repos


def lock_after(lock: bytes, repos: Repos) -> bytes:
    """The lock with its input nixfleet at that repository's newest commit, as Nix writes it."""
    found = json.loads(lock)
    found["nodes"]["nixfleet"]["locked"] |= {
        "lastModified": int(repos.git("nixfleet", "log", "-1", "--format=%ct")),
        "narHash": nar_hash(repos.path("nixfleet")),
        "rev": repos.head("nixfleet"),
        "revCount": int(repos.git("nixfleet", "rev-list", "--count", "HEAD")),
    }
    return (json.dumps(found, indent=2, sort_keys=True) + "\n").encode()


def nar_hash(folder: Path) -> str:
    """The hash that Nix has for a working tree of plain files (nix-archive-1)."""
    digest = hashlib.sha256()
    for token in ("nix-archive-1", *_directory(folder)):
        data = token if isinstance(token, bytes) else token.encode()
        digest.update(len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8))
    return f"sha256-{base64.b64encode(digest.digest()).decode()}"


def _directory(folder: Path) -> Iterable[str | bytes]:
    yield from ("(", "type", "directory")
    for path in sorted(folder.iterdir()):
        if path.name != ".git":
            yield from ("entry", "(", "name", path.name, "node")
            yield from ("(", "type", "regular", "contents", path.read_bytes(), ")", ")")
    yield ")"
