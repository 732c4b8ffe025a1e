"""The flake.lock that an update must leave behind, made without Nix."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..repos import Repos


_EMPTY_HASH: Final = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def lock_after(lock: bytes, repos: Repos) -> bytes:
    """The lock with its input nixfleet at that repository's newest commit, as Nix writes it: a
    tarball has no commit."""
    found = json.loads(lock)
    locked = found["nodes"]["nixfleet"]["locked"]
    newest = {
        "lastModified": int(repos.git("nixfleet", "log", "-1", "--format=%ct")),
        "narHash": nar_hash(repos.path("nixfleet")),
        "rev": repos.head("nixfleet"),
        "revCount": int(repos.git("nixfleet", "rev-list", "--count", "HEAD")),
    }
    locked |= {key: value for key, value in newest.items() if key in locked}
    return _written(found)


def padded(lock: bytes, size: int) -> tuple[bytes, str, str]:
    """The lock with one more input, so that it has that size; the input's name and path."""
    # a path stands in it twice and a name three times: one of two names leaves an even rest
    for name in ("pad", "pads"):
        rest = size - len(_with_input(lock, name, "/"))
        if rest % 2 == 0:
            break
    path = "/" + "x" * (rest // 2)
    return _with_input(lock, name, path), name, path


def _with_input(lock: bytes, name: str, path: str) -> bytes:
    found = json.loads(lock)
    found["nodes"]["root"]["inputs"][name] = name
    found["nodes"][name] = {
        "flake": False,
        "locked": {"lastModified": 1, "narHash": _EMPTY_HASH, "path": path, "type": "path"},
        "original": {"path": path, "type": "path"},
    }
    return _written(found)


def _written(lock: object) -> bytes:
    """As Nix writes it."""
    return (json.dumps(lock, indent=2, sort_keys=True) + "\n").encode()


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
