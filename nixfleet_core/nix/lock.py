"""flake.lock: what is pinned, where it came from, and what depends on what.

The format is Nix's lock file version 5 to 7: `nodes[root].inputs.NAME` is a node's key, or a
`follows` path (a list of input names from the root).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import msgspec

from nixfleet_core.limits import LAST_SECOND, TEXT_LIMIT
from nixfleet_core.nix.git_url import Hidden, split_url

if TYPE_CHECKING:
    from nixfleet_core.nix.version import NixVersion

LOCK_LIMIT: Final = 1024 * 1024
"""Bytes; a large fleet has a lock file of some 100 KiB."""

_FOLLOW_LIMIT: Final = 100
"""How many `follows` one input may lead through."""

_PATH_LIMIT: Final = 16
"""How many inputs one `follows` may name; no real flake goes that deep. Every step of a path can be
a `follows` again, so a long path would cost the square of its length."""


class LockError(ValueError):
    """flake.lock cannot be read. The message says why."""


_Target = str | list[str]
"""What an input leads to: a node's key, or a `follows` path."""


class _Node(msgspec.Struct, frozen=True):
    inputs: dict[str, _Target] = {}
    locked: dict[str, msgspec.Raw] | None = None
    original: dict[str, msgspec.Raw] | None = None


class _LockFile(msgspec.Struct, frozen=True):
    nodes: dict[str, _Node]
    root: str
    version: int


class _WholeNodes(msgspec.Struct, frozen=True):
    nodes: dict[str, dict[str, msgspec.Raw]]


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
    any_kind: bool = False
    """Whether `ref` need not be a branch: a forge also takes tags and commits."""
    locked: str | None = field(default=None, compare=False)
    """What flake.lock has now."""

    def read_by(self, nix: NixVersion | None) -> Source:
        """The same, as that Nix reads it: a Nix before 2.9 takes `master` where no ref is named
        (unless the repository is a folder), and Lix takes a tag as well as a branch."""
        if self.any_kind or nix is None:
            return self
        if nix.flavour == "lix":
            return replace(self, any_kind=True)
        if nix.number < (2, 9) and self.ref is None and not _is_folder(self.url):
            return replace(self, ref="master")
        return self

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
    _content: dict[str, bytes] = field(repr=False)
    """All that the file says of each node, except its inputs; equal content has equal bytes."""
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
            source=replace(_source(original), locked=_text(locked, "rev")),
            kind=_text(original, "type") or _text(locked, "type") or "unknown",
            follows=() if isinstance(target, str) else tuple(target),
        )

    def differing_inputs(self, other: FlakeLock) -> tuple[str, ...]:
        """Names of the flake's inputs that reach different trees in the two files.

        The names of nodes mean nothing: an update of one input renames the nodes of others (Nix
        calls a node by its input, and adds a number if that name is taken). A `follows` counts as
        it is written: what it leads to belongs to another input.
        """
        known: dict[object, int] = {}
        ours, theirs = self._trees(known), other._trees(known)
        return tuple(
            name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)
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

    def _trees(self, known: dict[object, int]) -> dict[str, object]:
        """What each of the flake's own inputs reaches: equal trees have equal values.

        `known` numbers the trees; files that share it can be compared. A node gets its number once
        all that it leads to has one, so each node and each of its inputs is visited once, however
        many ways lead there.
        """
        users: dict[str, list[str]] = {}
        waits_for = dict.fromkeys(self._nodes, 0)
        for user, node in self._nodes.items():
            for target in node.inputs.values():
                if isinstance(target, str) and target in self._nodes:
                    users.setdefault(target, []).append(user)
                    waits_for[user] += 1
        trees: dict[str, object] = {}
        ready = [key for key, count in waits_for.items() if not count]
        while ready:
            key = ready.pop()
            trees[key] = _number(known, (self._content[key], self._reached(key, trees)))
            for user in users.get(key, ()):
                waits_for[user] -= 1
                if not waits_for[user]:
                    ready.append(user)
        self._number_circles(trees, known)
        return dict(self._reached(self._root, trees))

    def _number_circles(self, trees: dict[str, object], known: dict[object, int]) -> None:
        """Number what leads into a circle, which Nix never writes: it is the same only in two files
        that have all of it alike, with the same names of nodes."""
        left = sorted(self._nodes.keys() - trees.keys())
        parts = ((key, self._content[key], self._reached(key, trees)) for key in left)
        all_of_it = _number(known, tuple(parts))
        trees.update((key, (all_of_it, key)) for key in left)

    def _reached(self, key: str, trees: dict[str, object]) -> tuple[tuple[str, object], ...]:
        """Each input of a node, with the number of its tree, or the `follows` path."""
        return tuple(
            (name, trees.get(target, target) if isinstance(target, str) else tuple(target))
            for name, target in sorted(self._nodes[key].inputs.items())
        )


def _number(known: dict[object, int], tree: object) -> int:
    return known.setdefault(tree, len(known))


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
        whole = msgspec.json.decode(text, type=_WholeNodes)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise LockError(f"flake.lock cannot be read: {error}") from error
    if file.root not in file.nodes:
        raise LockError(f"flake.lock has no root node {file.root[:40]!r}")
    content = {key: _content_of(node) for key, node in whole.nodes.items()}
    return FlakeLock(_nodes=file.nodes, _root=file.root, _content=content)


def _content_of(node: dict[str, msgspec.Raw]) -> bytes:
    """Each field of a node but its inputs, also those that a later Nix may add."""
    return msgspec.json.encode(
        {name: msgspec.Raw(_plain(value)) for name, value in node.items() if name != "inputs"},
        order="deterministic",
    )


def _plain(value: msgspec.Raw) -> bytes:
    """Without what JSON leaves open: blanks, escapes and the order of keys."""
    try:
        return msgspec.json.encode(msgspec.json.decode(value), order="deterministic")
    except (ValueError, RecursionError):
        return bytes(value)


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
        source = _git_source(f"https://{host}/{unquote(owner)}/{repo}", ref, rev, query)
        return replace(source, any_kind=True)
    return Source(url=None, ref=ref, pinned=rev)


def _is_folder(url: str | None) -> bool:
    return url is not None and url.startswith(("/", "file:"))


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
