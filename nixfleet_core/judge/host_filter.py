"""Which hosts a filter shows: the words of the fleet table, and `--tag` and `--state`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.host import Host
    from nixfleet_core.vocabulary import State

Field = Literal["tag", "state", "version"]
"""What a word can be about, as in `tag:cloud`. Any other word is about all that a row says."""

_FIELDS: Final[dict[str, Field]] = {"tag": "tag", "state": "state", "version": "version"}


@dataclass(frozen=True, slots=True)
class Listed:
    """What a filter sees of a host; `version` is that of the running agent."""

    host: Host
    state: State = "unknown"
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the `wanted` texts must fit the host; or none of them, if it `excludes`."""

    field: Field | None
    wanted: tuple[str, ...]
    excludes: bool = False

    @classmethod
    def of(cls, word: str) -> Condition | None:
        """A word as one types it; None if it does not say yet what is wanted, as `tag:` or `!`."""
        body = word.lstrip("!")
        excludes = (len(word) - len(body)) % 2 == 1
        key, colon, value = body.partition(":")
        field = _FIELDS.get(key.casefold()) if colon else None
        wanted = value if field else body
        return cls(field, (wanted.casefold(),), excludes) if wanted else None

    def allows(self, seen: Listed) -> bool:
        return any(self._fits(seen, wanted) for wanted in self.wanted) is not self.excludes

    def _fits(self, seen: Listed, wanted: str) -> bool:
        match self.field:
            case "tag":
                return wanted in map(str.casefold, seen.host.tags)
            case "state":
                return wanted == seen.state
            case "version":
                return _begins((seen.version or "").casefold(), wanted)
            case None:
                said = (seen.host.name, seen.host.where, seen.state, *seen.host.tags)
                return any(wanted in text.casefold() for text in said)


@dataclass(frozen=True, slots=True)
class Filter:
    """A host is shown if all conditions allow it; without any, every host is."""

    conditions: tuple[Condition, ...] = ()

    @classmethod
    def of(cls, text: str) -> Filter:
        """Read the words of the fleet table: `csb !stale tag:cloud version:2.1`."""
        return cls(tuple(filter(None, map(Condition.of, text.split()))))

    @classmethod
    def choosing(cls, *, tags: Iterable[str] = (), states: Iterable[State] = ()) -> Filter:
        """The hosts that have one of the tags, and one of the states."""
        given: tuple[tuple[Field, Iterable[str]], ...] = (("tag", tags), ("state", states))
        asked = [(field, tuple(map(str.casefold, wanted))) for field, wanted in given]
        return cls(tuple(Condition(field, wanted) for field, wanted in asked if wanted))

    def shows(self, seen: Listed) -> bool:
        return all(condition.allows(seen) for condition in self.conditions)

    def unknown(self, field: Field, known: Iterable[str]) -> list[str]:
        """What is asked of that field, and is none of the known values."""
        values = set(map(str.casefold, known))
        asked = (one.wanted for one in self.conditions if one.field == field)
        return [text for wanted in asked for text in wanted if text not in values]


def _begins(version: str, wanted: str) -> bool:
    """Whether a version begins with whole parts: 2.1.0 with 2.1, but 2.10.0 does not."""
    rest = version.removeprefix(wanted)
    cuts_number = wanted[-1:].isdigit() and rest[:1].isdigit()
    return version.startswith(wanted) and not cuts_number
