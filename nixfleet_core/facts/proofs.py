"""Proofs: what earlier looks with proof have shown of a host. Pure.

A proof says which program a state of the checkout builds, and which program a process runs. Jobs
leave proofs on the host (scripts/lib/proven.sh), verifications on the client. A host's proof is the
word of its root; all its values are still untrusted text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from nixfleet_core.facts.model import Binary
from nixfleet_core.ids import is_commit, is_job_id
from nixfleet_core.limits import LAST_SECOND, MOST, TEXT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_PROOFS: Final = 20
"""So many proofs of a host are kept and read; the newest count."""

_Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=MOST)]


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """One look with proof. A value that it could not see is empty."""

    at: Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
    """Seconds since the epoch, by the host's clock."""
    by: _Text = ""
    """Who looked, as the host knows them."""
    job: _Text = ""
    """The job that looked; empty for a verification."""
    system: _Text = ""
    """The active system."""
    installed: _Text = ""
    """The program that the agent's unit names."""
    boot: _Text = ""
    pid: _Number = 0
    began: _Text = ""
    """When the process began, as its kernel counts: a number of ticks, on macOS a date."""
    running: _Text = ""
    """The program of that process."""
    kind: Literal["exe", "script"] = "exe"
    """How it is known (`model.Proof`)."""
    starts: _Text = ""
    """The store paths that the installed program starts, with blanks between them."""
    builds: _Text = ""
    """The agent that this state of the checkout builds."""
    fails: bool = False
    """This state could not be evaluated."""
    source: _Text = ""
    """The state's name; empty if it has none, and then nothing of it can be proven again."""
    checkout: _Text = ""
    folder: _Text = ""
    """The flake's folder in its repository."""
    attribute: _Text = ""
    chosen: bool = False
    """The attribute was chosen among the flake's, so none that comes before it exists there."""
    input: _Text = ""
    commit: _Text = ""
    """The commit of the input in flake.lock."""

    @property
    def is_of_a_state(self) -> bool:
        """Whether it says of a state what that builds, or that it does not evaluate."""
        return bool(self.builds) or self.fails

    @property
    def installs_what_it_builds(self) -> bool:
        return bool(self.builds) and Binary(self.builds).identity == Binary(self.installed).identity


def parse_proofs(text: str) -> tuple[Proven, ...]:
    """The proofs in a probe's answer, newest first. What cannot be read proves nothing."""
    found = [proof for part in _parts(text) if (proof := _read(part)) is not None]
    return newest_first(found)


def newest_first(proofs: Iterable[Proven]) -> tuple[Proven, ...]:
    """The newest proofs, each once."""
    ordered = sorted(dict.fromkeys(proofs), key=lambda proof: proof.at, reverse=True)
    return tuple(ordered[:MOST_PROOFS])


def _parts(text: str) -> Iterator[dict[str, str]]:
    part: dict[str, str] | None = None
    for line in text.split("\n"):
        if line == "proof":
            if part is not None:
                yield part
            part = {}
        elif part is not None:
            key, _, value = line.partition(" ")
            part[key] = value
    if part is not None:
        yield part


def _read(part: dict[str, str]) -> Proven | None:
    values: dict[str, str | bool] = {
        **part,
        **{flag: part.get(flag) == "1" for flag in ("chosen", "fails")},
    }
    if not is_commit(part.get("commit", "")):
        values.pop("commit", None)
    if not is_job_id(part.get("job", "")):
        values.pop("job", None)
    try:
        return msgspec.convert(values, Proven, strict=False)
    except msgspec.ValidationError:
        return None


def read_kept(data: bytes) -> tuple[Proven, ...]:
    """The proofs that this client keeps of a host; none if the file is damaged."""
    try:
        return newest_first(msgspec.json.decode(data, type=tuple[Proven, ...]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
