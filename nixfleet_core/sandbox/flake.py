"""nixcfg as Nix would see it: the lock file, the inputs' sources, and what a host builds.

Nothing is fetched from the network: the agent's input is a git repository in the fleet's folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

from nixfleet_core.sandbox.machine import write_whole
from nixfleet_core.sandbox.repositories import GitError, git
from nixfleet_core.sandbox.store import Agent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nixfleet_core.sandbox.machine import Machine


class FlakeError(Exception):
    """Nix would fail here; `str()` is its message after `error: `."""


Fields = dict[str, str | int]


class Node(TypedDict, total=False):
    """A node of flake.lock."""

    inputs: dict[str, str | list[str]]
    locked: Fields
    original: Fields


class Lock(TypedDict):
    """flake.lock."""

    nodes: dict[str, Node]
    root: str
    version: int


class Source(NamedTuple):
    """A commit of an input and what Nix notes about it."""

    rev: str
    modified: int
    tree: str
    version: str
    source: str

    @property
    def nar_hash(self) -> str:
        digest = hashlib.sha256(self.tree.encode()).digest()
        return f"sha256-{base64.b64encode(digest).decode()}"

    @property
    def agent(self) -> Agent:
        return Agent(self.version, self.source)


def read_lock(path: Path) -> Lock:
    """Read flake.lock. Raises FlakeError."""
    try:
        return cast("Lock", json.loads(path.read_text()))
    except ValueError as error:
        raise FlakeError(
            f"Could not parse '{path}': [json.exception.parse_error.101] parse error: {error}"
        ) from error


def format_lock(lock: Lock) -> str:
    """flake.lock as Nix writes it: sorted, two spaces."""
    return json.dumps(lock, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def find_node(lock: Lock, name: str) -> Node | None:
    """The node of the flake's own input `name`; an input that `follows` another does not count."""
    key = lock["nodes"][lock["root"]]["inputs"].get(name)
    return lock["nodes"][key] if isinstance(key, str) else None


def shown_pin(node: Node) -> str:
    """`'URL' (DATE)`, as in `• Updated input`."""
    locked = node["locked"]
    day = datetime.fromtimestamp(int(locked["lastModified"]), UTC).date()
    return f"'git+{locked['url']}?ref={locked['ref']}&rev={locked['rev']}' ({day})"


def read_url(url: str) -> tuple[Fields, str]:
    """Read a git reference given by hand: its fields, and the commit that it pins.

    Raises FlakeError for other kinds of references.
    """
    match = re.fullmatch(r"git\+(file://[^?]+)\?ref=([^&]+)&rev=(\w+)", url)
    if match is None:
        raise FlakeError(f"input '{url}' is unsupported")
    return {"type": "git", "url": match[1], "ref": match[2]}, match[3]


def ask_head(fields: Fields) -> str:
    """The commit at the branch's head in the real repository. Raises GitError."""
    wanted = f"refs/heads/{fields['ref']}"
    rev = _git("ls-remote", str(fields["url"]), wanted).split("\t", 1)[0]
    if not rev:
        raise GitError(f"fatal: couldn't find remote ref {wanted}")
    return rev


def fetch(machine: Machine, url: str, rev: str) -> Source:
    """A commit of an input, from Nix's cache or from the repository. Raises GitError."""
    kept = machine.home / ".cache/nix/sources" / rev
    if kept.exists():
        return Source(*json.loads(kept.read_text()))
    source = read_source(url, rev)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(source))
    return source


def read_source(url: str, rev: str, environment: Mapping[str, str] = os.environ) -> Source:
    """Read a commit of NixFleet from its repository. Raises GitError."""

    def ask(*argv: str) -> str:
        return _git(f"--git-dir={url.removeprefix('file://')}", *argv, environment=environment)

    modified, version = ask("show", "-s", "--format=%ct", rev, f"{rev}:VERSION").split()
    tree, source = ask("rev-parse", f"{rev}^{{tree}}", f"{rev}:src").split()
    return Source(rev, int(modified), tree, version, source)


def locked_fields(fields: Fields, source: Source) -> Fields:
    """The lock's entry for a git input at a commit."""
    return {
        "lastModified": source.modified,
        "narHash": source.nar_hash,
        "ref": fields["ref"],
        "rev": source.rev,
        "type": "git",
        "url": fields["url"],
    }


def configuration(checkout: Path, host: str) -> str:
    """A digest of all that nixcfg says about a host, except its inputs."""
    digest = hashlib.sha256()
    for part in ("flake.nix", "modules", f"hosts/{host}"):
        top = checkout / part
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(checkout)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def agent_of(machine: Machine, checkout: Path) -> Agent:
    """The agent that the lock file of a checkout leads to. Raises FlakeError, GitError."""
    locked = read_lock(checkout / "flake.lock")["nodes"]["nixfleet"]["locked"]
    return fetch(machine, str(locked["url"]), str(locked["rev"])).agent


def _git(*argv: str, environment: Mapping[str, str] = os.environ) -> str:
    """git's answer without the last newline. Raises GitError."""
    return git(argv, environment).decode().rstrip("\n")


def is_dirty(checkout: Path) -> bool:
    """Whether the checkout differs from its HEAD; Nix warns about that."""
    command = ["git", "-C", os.fspath(checkout), "diff", "--quiet", "HEAD"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 1
