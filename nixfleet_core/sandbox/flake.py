"""nixcfg as Nix would see it: the lock file, the inputs' sources, and what a host builds.

Nothing is fetched from the network: the agent's input is a git repository in the fleet's folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict, cast
from urllib.parse import parse_qs, urlsplit

from nixfleet_core.sandbox.store import Agent, System

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.sandbox.machine import Machine

AGENT_INPUT: Final = "nixfleet"


class FlakeError(Exception):
    """Nix would fail here; `str()` is its message after `error: `."""


class FetchError(Exception):
    """git did not answer; `str()` is what git said."""


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
    revisions: int

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
    except OSError as error:
        raise FlakeError(f"opening file '{path}': {error.strerror}") from error
    except ValueError as error:
        raise FlakeError(
            f"Could not parse '{path}': [json.exception.parse_error.101] parse error: {error}"
        ) from error


def format_lock(lock: Lock) -> str:
    """flake.lock as Nix writes it: sorted, two spaces."""
    return json.dumps(lock, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def find_node(lock: Lock, name: str) -> Node | None:
    """The node of an input of the flake, resolved through `follows`."""
    target = lock["nodes"][lock["root"]].get("inputs", {}).get(name)
    for _ in range(32):
        if target is None or isinstance(target, str):
            return lock["nodes"].get(target) if target else None
        key = lock["root"]
        for step in target[:-1]:
            below = lock["nodes"][key].get("inputs", {}).get(step, "")
            key = below if isinstance(below, str) else ""
        target = lock["nodes"].get(key, {}).get("inputs", {}).get(target[-1])
    return None


def is_own_input(lock: Lock, name: str) -> bool:
    """Whether the flake has such an input, and it is not a `follows`."""
    return isinstance(lock["nodes"][lock["root"]].get("inputs", {}).get(name), str)


def url_of(fields: Fields) -> str:
    """The reference as Nix prints it, with a locked commit when there is one."""
    if fields.get("type") == "github":
        rest = f"/{fields['rev']}" if "rev" in fields else ""
        return f"github:{fields['owner']}/{fields['repo']}{rest}"
    query = "&".join(f"{key}={fields[key]}" for key in ("ref", "rev") if key in fields)
    return f"git+{fields['url']}" + (f"?{query}" if query else "")


def shown_pin(fields: Fields) -> str:
    """`'URL' (DATE)`, as in `• Updated input`."""
    day = datetime.fromtimestamp(int(fields["lastModified"]), UTC).date()
    return f"'{url_of(fields)}' ({day})"


def read_url(url: str) -> tuple[Fields, str | None]:
    """Read a git reference given by hand: its fields, and the commit that it pins.

    Raises FlakeError for other kinds of references.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("git+file", "git+https", "git+ssh", "git+http"):
        raise FlakeError(f"input '{url}' is unsupported")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    fields: Fields = {"type": "git", "url": f"{parts.scheme[4:]}://{parts.netloc}{parts.path}"}
    if "ref" in query:
        fields["ref"] = query["ref"]
    return fields, query.get("rev")


def ask_head(fields: Fields) -> str:
    """The commit at the branch's head, asked of the real repository. Raises FetchError."""
    ref = str(fields.get("ref", "HEAD"))
    wanted = ref if ref == "HEAD" or ref.startswith("refs/") else f"refs/heads/{ref}"
    answer = _git("ls-remote", str(fields["url"]), wanted)
    rev = answer.split("\t", 1)[0]
    if len(rev) != 40:
        raise FetchError(f"fatal: couldn't find remote ref {wanted}")
    return rev


def fetch(machine: Machine, url: str, rev: str) -> Source:
    """A commit of an input, from Nix's cache or from the repository. Raises FetchError."""
    kept = machine.home / ".cache/nix/sources" / rev
    if kept.exists():
        return Source(*json.loads(kept.read_text()))
    source = read_source(url, rev)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(source))
    return source


def read_source(url: str, rev: str, environment: Mapping[str, str] | None = None) -> Source:
    """Read a commit of NixFleet from its repository; git's environment is ours if not given.

    Raises FetchError.
    """
    if not url.startswith("file://"):
        raise FetchError(f"fatal: unable to access '{url}': Could not resolve host")
    where = f"--git-dir={_git_dir(Path(url.removeprefix('file://')))}"

    def ask(*argv: str) -> str:
        return _git(where, *argv, environment=environment)

    modified, tree = ask("log", "-1", "--format=%ct %T", rev).split()
    revisions = ask("rev-list", "--count", rev)
    version = ask("show", f"{rev}:VERSION")
    source = ask("rev-parse", f"{rev}:src")
    return Source(rev, int(modified), tree, version, source, int(revisions))


def _git_dir(path: Path) -> Path:
    inner = path / ".git"
    return inner if inner.exists() else path


def lock_source(lock: Lock, name: str, fields: Fields, source: Source) -> bool:
    """Pin an input to a commit; False when it was pinned to it already."""
    key = lock["nodes"][lock["root"]].get("inputs", {})[name]
    node = lock["nodes"][cast("str", key)]
    locked = locked_fields(fields, source)
    if node.get("locked") == locked:
        return False
    node["locked"] = locked
    return True


def locked_fields(fields: Fields, source: Source) -> Fields:
    """What the lock says about a git input at a commit."""
    return {
        "lastModified": source.modified,
        "narHash": source.nar_hash,
        "ref": fields.get("ref", "refs/heads/main"),
        "rev": source.rev,
        "revCount": source.revisions,
        "type": "git",
        "url": fields["url"],
    }


def has_host(checkout: Path, host: str) -> bool:
    """Whether nixcfg defines the host."""
    return bool(host) and "/" not in host and (checkout / "hosts" / host).is_dir()


def configuration(checkout: Path, host: str) -> str:
    """A digest of all that nixcfg says about a host, but for its inputs."""
    digest = hashlib.sha256()
    for part in ("flake.nix", "modules", f"hosts/{host}"):
        top = checkout / part
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(checkout)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def agent_of(machine: Machine, checkout: Path) -> Agent:
    """The agent that the lock file of a checkout leads to. Raises FlakeError, FetchError."""
    node = find_node(read_lock(checkout / "flake.lock"), AGENT_INPUT)
    if node is None:
        raise FlakeError("attribute 'nixfleet' missing")
    locked = node["locked"]
    return fetch(machine, str(locked["url"]), str(locked["rev"])).agent


def system_of(machine: Machine, checkout: Path, host: str) -> System:
    """The system that a checkout builds for a host. Raises FlakeError, FetchError."""
    return System(host, agent_of(machine, checkout), configuration(checkout, host))


def _git(*argv: str, environment: Mapping[str, str] | None = None) -> str:
    """Run git and return its answer without the last newline. Raises FetchError."""
    done = subprocess.run(
        ["git", *argv],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FetchError(done.stderr.rstrip("\n"))
    return done.stdout.rstrip("\n")


def is_dirty(checkout: Path) -> bool:
    """Whether the checkout differs from its HEAD, as Nix warns about."""
    command = ["git", "-C", os.fspath(checkout), "diff", "--quiet", "HEAD"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 1
