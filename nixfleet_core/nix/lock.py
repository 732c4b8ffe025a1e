"""flake.lock: what is pinned, where it came from, and what depends on what.

The format is Nix's lock file version 5 to 7: `nodes[root].inputs.NAME` is a node's key, or a
`follows` path (a list of input names from the root).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import msgspec

from nixfleet_core.limits import LAST_SECOND, TEXT_LIMIT
from nixfleet_core.nix.git_url import Hidden, split_url

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK_LIMIT: Final = 1024 * 1024
"""Bytes; a large fleet has a lock file of some 100 KiB."""

_FOLLOW_LIMIT: Final = 100
"""How many `follows` one input may lead through."""

_PATH_LIMIT: Final = 16
"""How many inputs one `follows` may name; no real flake goes that deep. Every step of a path can be
a `follows` again, so a long path would cost the square of its length."""


class LockError(ValueError):
    """flake.lock cannot be read. The message says why."""


class _Node(msgspec.Struct, frozen=True):
    inputs: dict[str, str | list[str]] = {}
    locked: dict[str, msgspec.Raw] | None = None
    original: dict[str, msgspec.Raw] | None = None


class _LockFile(msgspec.Struct, frozen=True):
    nodes: dict[str, _Node]
    root: str
    version: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where an input comes from. `url` is what git can be asked; None for kinds that git does not
    know. It holds no possible credential: those are in `hidden`, which nothing shows."""

    url: str | None
    ref: str | None = None
    pinned: str | None = None
    """The commit that flake.nix itself names, if any."""
    query: tuple[str, ...] = ()
    """The rest of the input's URL, such as `dir=sub` or `submodules=1`."""
    hidden: Hidden | None = field(default=None, repr=False)
    """User information or a query of the URL in flake.lock."""

    @property
    def has_latest(self) -> bool:
        """Whether we can ask a repository for the latest commit. Not with a query: git would show
        it to everybody."""
        return self.url is not None and not (self.hidden is not None and self.hidden.query)


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the flake, resolved through `follows`."""

    rev: str | None
    last_modified: int | None
    source: Source
    kind: str
    follows: tuple[str, ...] = ()
    """The path that the input follows; empty when it is an input of its own."""


@dataclass(frozen=True, slots=True)
class FlakeLock:
    """A parsed lock file."""

    _nodes: dict[str, _Node] = field(repr=False)
    """The nodes as the file has them, including secrets in their URLs."""
    _root: str
    _found: dict[str, Input | None] = field(default_factory=dict, compare=False, repr=False)
    """Inputs that were looked up: a view asks for the same one at each repaint."""

    def names(self) -> tuple[str, ...]:
        """The flake's own inputs."""
        return tuple(sorted(self._nodes[self._root].inputs))

    def find(self, name: str) -> Input | None:
        """The input of that name, or None; a `follows` is resolved."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Input | None:
        target = self._nodes[self._root].inputs.get(name)
        key = self._resolve(target)
        if target is None or key is None or key not in self._nodes:
            return None
        node = self._nodes[key]
        locked, original = node.locked or {}, node.original or {}
        return Input(
            rev=_text(locked, "rev"),
            last_modified=_time(locked, "lastModified"),
            source=_source(original),
            kind=_text(original, "type") or _text(locked, "type") or "unknown",
            follows=() if isinstance(target, str) else tuple(target),
        )

    def differing_inputs(self, other: FlakeLock) -> tuple[str, ...]:
        """Names of the flake's inputs whose pinned trees differ between the two files."""
        ours, theirs = self._nodes[self._root].inputs, other._nodes[other._root].inputs
        keys = {*self._nodes, *other._nodes}
        changed = self._reaching(key for key in keys if self._pin(key) != other._pin(key))
        return tuple(
            name
            for name in sorted({*ours, *theirs})
            if ours.get(name) != theirs.get(name) or _is_node(ours.get(name), changed)
        )

    def differs_only_in(self, name: str, other: FlakeLock) -> bool:
        """Whether all that differs is reached from the input `name` alone.

        A node that another input shares counts as a difference of that input too.
        """
        return set(self.differing_inputs(other)) <= {name}

    def _resolve(
        self, target: str | list[str] | None, known: dict[tuple[str, ...], str | None] | None = None
    ) -> str | None:
        """The key of the node that an `inputs` entry leads to; None if it leads nowhere.

        `known` holds the paths that were followed. Each is followed once, so a circle ends.
        """
        if target is None or isinstance(target, str):
            return target
        if len(target) > _PATH_LIMIT:
            return None
        known = {} if known is None else known
        path = tuple(target)
        if path in known or len(known) >= _FOLLOW_LIMIT:
            return known.get(path)
        known[path] = None
        key: str | None = self._root
        for step in path:
            node = self._nodes.get(key) if key is not None else None
            key = self._resolve(node.inputs.get(step), known) if node else None
        known[path] = key
        return key

    def _pin(self, key: str) -> object:
        """What one node pins, as a comparable value; None for a missing node."""
        node = self._nodes.get(key)
        if node is None:
            return None
        return (
            {k: bytes(v) for k, v in (node.locked or {}).items()},
            {k: bytes(v) for k, v in (node.original or {}).items()},
            node.inputs,
        )

    def _reaching(self, keys: Iterable[str]) -> set[str]:
        """These nodes, and all nodes that lead to one of them; each is visited once."""
        users: dict[str, list[str]] = {}
        for user, node in self._nodes.items():
            for target in node.inputs.values():
                if isinstance(target, str):
                    users.setdefault(target, []).append(user)
        left = list(keys)
        found = set(left)
        while left:
            new = [user for user in users.get(left.pop(), ()) if user not in found]
            found.update(new)
            left.extend(new)
        return found


def _is_node(target: str | list[str] | None, keys: set[str]) -> bool:
    return isinstance(target, str) and target in keys


def locked_rev(lock: FlakeLock | None, name: str) -> str | None:
    """The commit that a lock file names for an input; None where either is unknown."""
    found = lock.find(name) if lock else None
    return found.rev if found else None


def parse_lock(text: str | bytes) -> FlakeLock:
    """Read a flake.lock. Raises LockError, also if it was cut off on a full disk."""
    if len(text) > LOCK_LIMIT:
        raise LockError(f"flake.lock is larger than {LOCK_LIMIT // 1024} KiB")
    try:
        file = msgspec.json.decode(text, type=_LockFile)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise LockError(f"flake.lock cannot be read: {error}") from error
    if file.root not in file.nodes:
        raise LockError(f"flake.lock has no root node {file.root[:40]!r}")
    return FlakeLock(_nodes=file.nodes, _root=file.root)


def _text(values: dict[str, msgspec.Raw], key: str) -> str | None:
    if key not in values or len(values[key]) > TEXT_LIMIT:
        return None
    try:
        return msgspec.json.decode(values[key], type=str)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _time(values: dict[str, msgspec.Raw], key: str) -> int | None:
    try:
        found = msgspec.json.decode(values[key], type=int) if key in values else None
    except msgspec.DecodeError:
        return None
    return found if found is not None and 0 <= found <= LAST_SECOND else None


FORGES: Final = {"github": "github.com", "gitlab": "gitlab.com", "sourcehut": "git.sr.ht"}
"""The kinds of inputs that owner and repository name, and their default servers."""


def _source(original: dict[str, msgspec.Raw]) -> Source:
    kind = _text(original, "type")
    ref, rev, query = _text(original, "ref"), _text(original, "rev"), _query(original)
    if kind == "git":
        return _git_source(_text(original, "url"), ref, rev, query)
    owner, repo = _text(original, "owner"), _text(original, "repo")
    if kind in FORGES and owner and repo:
        host = _text(original, "host") or FORGES[kind]
        # Nix writes the groups of a GitLab project as one part: group%2Fsubgroup
        return _git_source(f"https://{host}/{unquote(owner)}/{repo}", ref, rev, query)
    return Source(url=None, ref=ref, pinned=rev)


def _git_source(
    url: str | None, ref: str | None, rev: str | None, query: tuple[str, ...]
) -> Source:
    place, hidden = split_url(url) if url is not None else (None, None)
    return Source(url=place, ref=ref, pinned=rev, query=query, hidden=hidden)


_NOT_IN_QUERY: Final = frozenset({"type", "url", "owner", "repo", "host", "ref", "rev", "narHash"})


def _query(original: dict[str, msgspec.Raw]) -> tuple[str, ...]:
    """The input's other attributes, as Nix appends them to a URL."""
    found = []
    for key in sorted(original.keys() - _NOT_IN_QUERY):
        value = bytes(original[key])
        text = {b"true": "1", b"false": "0"}.get(value) or _text(original, key)
        if text is not None:
            found.append(f"{key}={quote(text)}")
    return tuple(found)
