"""The URL of an input's repository, as a host's flake.lock names it, and whether we may ask it.

flake.lock is the host's word, so we believe nothing in it: a URL must match strict patterns before
git sees it. Possible credentials (user information, a query) are taken off on entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

Scheme = Literal["https", "ssh", "http", "git", "file"]
"""The transport, by the name that git's `protocol.NAME.allow` has for it."""


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Why the latest commit is not known, and what helps: the client may not ask the repository, or
    the repository has no such ref."""

    why: str
    advice: str


Latest = str | NotKnown | None
"""The latest commit of an input; or why it is not known; or None if no repository answered."""


def commit_of(latest: Latest) -> str | None:
    """The commit, where it is known."""
    return latest if isinstance(latest, str) else None


class Hidden:
    """The user information or the query of a URL. Either can be a credential, so nothing that
    prints, compares or encodes values shows it.

    `query` only tells that there was one. git would need it in its arguments, so we do not keep it.
    """

    __slots__ = ("_user", "query")

    def __init__(self, user: str | None, *, query: bool = False) -> None:
        self._user = user
        self.query = query

    def login(self) -> tuple[str, str | None] | None:
        """The user's name, and the password if there is one; decoded. None if there is no name, or
        if git's credential protocol cannot carry it."""
        if not self._user:
            return None
        name, colon, password = self._user.partition(":")
        found = unquote(name, errors="surrogateescape"), unquote(password, errors="surrogateescape")
        if any(_CONTROL.search(word) for word in found):
            return None
        return found[0], found[1] if colon else None

    def __repr__(self) -> str:
        return "Hidden()"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hidden):
            return NotImplemented
        return (self._user, self.query) == (other._user, other.query)

    def __hash__(self) -> int:
        return hash((self._user, self.query))


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.:-]*://)(?:(?P<user>[^/?#]*)@)?(?P<rest>[^?#]*)(?P<query>.*)",
    re.DOTALL,
)
"""NF_LOCK_NIX in scripts/lib/common.sh has the same."""


def split_url(url: str) -> tuple[str, Hidden | None]:
    """Take off what can be a credential. The user of an ssh URL is no credential and stays. Its
    password is dropped, because ssh never uses it."""
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return url, None
    user, query = parts["user"], bool(parts["query"])
    if user is not None and parts["scheme"].endswith("ssh://"):
        name = user.partition(":")[0]
        url = f"{parts['scheme']}{name}@{parts['rest']}"
        return url, Hidden(None, query=True) if query else None
    if user is None and not query:
        return url, None
    return f"{parts['scheme']}{parts['rest']}", Hidden(user, query=query)


_USER: Final = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_SERVER: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PATH: Final = r"[A-Za-z0-9_.~/%+=,@:-]*"
_WITH_SCHEME: Final = re.compile(
    rf"(?P<scheme>https|http|git|ssh|git\+ssh|ssh\+git)://(?:(?P<user>{_USER})@)?"
    rf"(?P<host>{_SERVER}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?/{_PATH}"
)
_LIKE_SCP: Final = re.compile(
    rf"(?:{_USER}@)?(?!(?:file|path):)(?P<host>{_SERVER}):(?!//)[A-Za-z0-9_.~/]{_PATH}"
)
_FILE: Final = re.compile(r"(?:file://(?:localhost)?)?/[^\x00-\x1f\x7f]*")
_UPWARDS: Final = re.compile(r"(?:^|[/:])\.\.(?:/|$)")


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A URL that may go to git. `server` is `host` or `host:port`, as in the list of forges; empty
    for a path of this machine."""

    text: str
    scheme: Scheme
    server: str = ""

    @property
    def base(self) -> str:
        """The scheme and the server: what git's configuration can be limited to."""
        return f"{self.scheme}://{self.server}"


_KINDS: Final = NotKnown(
    "the client does not ask its repository: its URL in flake.lock is neither https nor ssh nor "
    "git over ssh (user@host:path)",
    "use such a URL in flake.nix; or look on the host: nix flake metadata --refresh",
)
_PATHS: Final = NotKnown(
    "the client does not ask its repository: flake.lock names a path on the host",
    "give the host `local = true` in the inventory if it is this machine; or look on the host",
)


def read_url(url: str, *, local: bool) -> GitUrl | NotKnown:
    """Check a URL of a host's flake.lock. `local`: the host is this machine, so paths are ours."""
    if "://" not in url and not url.startswith("/"):
        scp = _LIKE_SCP.fullmatch(url)
        if scp is None or _UPWARDS.search(url):
            return _KINDS
        return GitUrl(url, "ssh", scp["host"].lower())
    if _FILE.fullmatch(url):
        return GitUrl(url, "file") if local else _PATHS
    found = _WITH_SCHEME.fullmatch(url)
    if found is None or _UPWARDS.search(url):
        return _KINDS
    scheme: Scheme
    match found["scheme"]:
        case "https" | "http" | "git":
            scheme = found["scheme"]
            if found["user"] is not None:
                return _KINDS
        case _:
            scheme = "ssh"
    port = found["port"]
    server = found["host"].lower()
    return GitUrl(url, scheme, server if port in (None, _PORTS[scheme]) else f"{server}:{port}")


_PORTS: Final[dict[Scheme, str]] = {"https": "443", "http": "80", "ssh": "22", "git": "9418"}
