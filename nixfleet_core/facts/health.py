"""What `nixfleet doctor` sees of a host: facts, and all else that an update rests on.

Parsing only; nothing here talks to a host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from nixfleet_core.facts.parse import maybe_number, read_facts, read_records
from nixfleet_core.limits import MOST, TEXT_LIMIT

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

RemoteKind = Literal["https", "http", "ssh", "git", "file", "other"]
WayToRoot = Literal["login", "sudo", "doas", "run0"]
Bounds = Literal["timeout", "perl", "bash"]
_Token = TypeVar("_Token", bound=str)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the checkout is pulled from, asked as a job asks it."""

    answers: bool
    kind: RemoteKind = "other"
    is_near: bool = False
    """It is in the host's local network."""
    said: tuple[str, ...] = ()
    """The words with which git failed. They may name the server, so nobody shows them."""


@dataclass(frozen=True, slots=True)
class Launchd:
    """What only a Mac can answer; "" where it did not."""

    session: str = ""
    """The kind of session that we are in: `Aqua`, `Background`."""
    domains: tuple[str, ...] = ()
    """Those that are there: `gui`, `user`."""
    types: tuple[str, ...] = ()
    """The kinds of sessions that the agent's plist names; without any it is for Aqua."""
    pended: str = ""
    """Why launchd has put off the agent's start."""
    files: int | None = None
    """The open files that a job may ask for; None if not seen."""
    arguments: str = ""
    """How `launchctl print` shows an argument of several lines: raw, indented or escaped."""
    newline: str = ""
    """How ps shows a newline in an argument."""


@dataclass(frozen=True, slots=True)
class Health:
    """All that an update of one host rests on; None or "" where it could not be seen."""

    facts: Facts
    clock: int = 0
    """Seconds by which the host's clock is ahead of ours."""
    greets: bool = False
    """The login shell's start-up prints text before each answer."""
    shell: str = ""
    home: str = ""
    has_nix_at_login: bool = False
    """Nix is in the PATH that a login without a terminal gives."""
    files: int | None = None
    """The open files that a login may ask for; None if not seen."""
    bounds: Bounds | None = None
    """The tool that ends a command in time."""
    git: str = ""
    git_is_stub: bool = False
    """It is Apple's, which only asks at the screen whether to install git."""
    features: frozenset[str] | None = None
    """The experimental features that Nix's configuration turns on."""
    store_answers: bool | None = None
    carrier: str = ""
    """What a job runs under: systemd, user, launchd or guard."""
    root: WayToRoot | None = None
    no_place: str = ""
    """Why root's jobs have no place."""
    closed_place: str = ""
    """The folder in which the user cannot make the place of the jobs."""
    launchd: Launchd | None = None
    unfinished: str = ""
    """The merge or rebase that is under way in the checkout."""
    foreign: tuple[str, ...] = ()
    """Files of the checkout that belong to root; the first five."""
    remote: Remote | None = None
    eval_said: tuple[str, ...] = ()
    """The words with which Nix failed to name the flake's configurations."""


def parse_health(data: bytes, asked: float, answered: float) -> Health:
    """Read the answer of scripts/ask/doctor.sh, and the times between which the host gave it by our
    clock. Raises ProbeError."""
    records = read_records(data)
    facts = replace(read_facts(records), attributes=_names(records.get("attributes")))
    return Health(
        facts=facts,
        clock=_ahead(facts.now, maybe_number(records.get("now.last")), asked, answered),
        greets=not data.startswith(b"nixfleet-probe "),
        shell=_word(records, "login.shell"),
        home=records.get("home", ""),
        has_nix_at_login=records.get("login.nix") == "1",
        files=_count(records, "limit.files"),
        bounds=_one_of(records.get("bounds"), get_args(Bounds)),
        git=_word(records, "git"),
        git_is_stub=records.get("git.stub") == "1",
        features=frozenset(records["nix.features"].split()) if "nix.features" in records else None,
        store_answers={"1": True, "0": False}.get(records.get("nix.store", "")),
        carrier=_word(records, "carrier"),
        root=_one_of(records.get("root"), get_args(WayToRoot)),
        no_place=_word(records, "place.none"),
        closed_place=records.get("place.closed", ""),
        launchd=_launchd(records) if "launchd.domains" in records else None,
        unfinished=_word(records, "checkout.unfinished"),
        foreign=tuple(records.get("checkout.foreign", "").splitlines()[:5]),
        remote=_remote(records),
        eval_said=tuple(records.get("attributes.said", "").splitlines()),
    )


def _ahead(first: int, last: int | None, asked: float, answered: float) -> int:
    """Seconds from our time to the host's, which was read first after we asked, and last before
    the answer had come."""
    if last is not None and last > answered:
        return int(last - answered)
    return -int(asked - first) if 0 < first < asked - 1 else 0


def _word(records: dict[str, str], key: str) -> str:
    return records.get(key, "").split("\n")[0]


def _count(records: dict[str, str], key: str) -> int | None:
    text = records.get(key)
    found = MOST if text == "unlimited" else maybe_number(text)
    return found if found is not None and 0 <= found <= MOST else None


def _one_of(text: str | None, words: tuple[_Token, ...]) -> _Token | None:
    """The text, if it is one of these words."""
    return next((word for word in words if word == text), None)


def _names(text: str | None) -> tuple[str, ...] | None:
    """The flake's names; None also if there are more than were read."""
    if text is None or len(text.encode()) >= TEXT_LIMIT:
        return None
    return tuple(name for name in text.split("\n") if name)


def _remote(records: dict[str, str]) -> Remote | None:
    if "remote.answers" not in records:
        return None
    return Remote(
        answers=records["remote.answers"] == "1",
        kind=_one_of(records.get("remote.kind"), get_args(RemoteKind)) or "other",
        is_near=records.get("remote.near") == "1",
        said=tuple(records.get("remote.said", "").splitlines()),
    )


def _launchd(records: dict[str, str]) -> Launchd:
    return Launchd(
        session=_word(records, "launchd.session"),
        domains=tuple(d for d in records["launchd.domains"].split() if d in ("gui", "user")),
        types=tuple(records.get("launchd.types", "").split()[:5]),
        pended=_word(records, "launchd.pended"),
        files=_count(records, "launchd.files"),
        arguments=_word(records, "launchd.arguments"),
        newline=_word(records, "ps.newline")[:20],
    )
