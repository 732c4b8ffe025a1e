"""[keys] of config.toml: the keys of the app's actions.

Which actions and keys there are, and which keys can stand side by side, only the app knows: it
hands in its rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from nixfleet_core.config import DEFAULT, KEYS_TABLE, Held
from nixfleet_core.toml_file import TomlError, did_you_mean, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixfleet_core.config import KeyReader, Keys
    from nixfleet_core.toml_file import At, TomlFile


class WrongKeysError(ValueError):
    """These keys cannot be used: the problem, and what would be right."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}; {hint}")
        self.problem, self.hint = problem, hint


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a key of the app does: its id, what it is, and the keys that it has unless the
    operator wants others."""

    id: str
    description: str
    keys: Keys


@dataclass(frozen=True, slots=True)
class Clash:
    """One key would be that of two actions (by their ids) in one part of the app."""

    key: str
    actions: tuple[str, str]
    place: str


class KeyRules(Protocol):
    """What the app knows of its keys."""

    @property
    def actions(self) -> Mapping[str, Action]:
        """All actions by their ids, in the order in which people should read them."""
        ...

    def spelled(self, action: str, keys: Keys) -> Keys:
        """The same keys as the app names them. Raises WrongKeysError if the action cannot have
        them."""
        ...

    def clashes(self, chosen: Mapping[str, Keys], /) -> Iterator[Clash]:
        """What clashes if some actions have other keys than by default."""
        ...


AskRules = Callable[[], KeyRules]
"""Asks the app for its rules, which loads the app."""


def key_reader(ask: AskRules) -> KeyReader:
    """What reads the table by the app's rules."""

    def read(
        file: TomlFile, below: Mapping[str, Keys], note: Callable[[str], None]
    ) -> Mapping[str, tuple[At, Keys]]:
        return chosen_keys(file, ask(), below, note)

    return read


def chosen_keys(
    file: TomlFile, rules: KeyRules, below: Mapping[str, Keys], note: Callable[[str], None]
) -> dict[str, tuple[At, Keys]]:
    """The keys that hold of those in the file (`nixfleet_core.config.KeyReader`)."""
    chosen: dict[str, tuple[At, Keys]] = {}
    for at, value in _entries((KEYS_TABLE,), file.top.get(KEYS_TABLE)):
        try:
            action, keys = _read(file, rules, at, value)
            if action in chosen:
                file.fail(at, "is set twice", "remove one of them")
        except TomlError as error:
            note(str(error))
        else:
            chosen[action] = at, keys
    while (found := _clash(rules, below, chosen)) is not None:
        action, clash = found
        at, _ = chosen.pop(action)
        note(str(_refused(file, at, action, clash)))
    return chosen


def _clash(
    rules: KeyRules, below: Mapping[str, Keys], chosen: Mapping[str, tuple[At, Keys]]
) -> tuple[str, Clash] | None:
    """Something that clashes, and of its actions the one that the file has last."""
    own = {action: keys for action, (_, keys) in chosen.items()}
    for clash in rules.clashes({**below, **own}):
        for action in reversed(own):
            if action in clash.actions:
                return action, clash
    return None


def _entries(at: At, value: object) -> Iterator[tuple[At, object]]:
    """What is set in a table. An id may be one quoted key, or a dotted one, which makes tables."""
    if not isinstance(value, dict):
        return
    for key, below in value.items():
        if isinstance(below, dict):
            yield from _entries((*at, key), below)
        else:
            yield (*at, key), below


def _read(file: TomlFile, rules: KeyRules, at: At, value: object) -> tuple[str, Keys]:
    """The action of one entry, and its keys."""
    action = ".".join(at[1:])
    if action not in rules.actions:
        hint = did_you_mean(action, list(rules.actions))
        file.fail(at, "unknown action", hint or "nixfleet config lists all of them")
    example = f'{dotted(at[1:])} = "f2", or a list'
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list):
        file.wrong_type(at, "a key or a list of keys", value, example)
    for key in keys:
        if not isinstance(key, str):
            file.wrong_type(at, "a key or a list of keys", key, example)
    try:
        return action, rules.spelled(action, tuple(key for key in keys if key))
    except WrongKeysError as error:
        file.fail(at, error.problem, error.hint)


def _refused(file: TomlFile, at: At, action: str, clash: Clash) -> TomlError:
    """The clash as a mistake of the entry that does not hold."""
    other = next(one for one in clash.actions if one != action)
    problem = f"{clash.key!r} would be the key of {other}, too, {clash.place}"
    try:
        file.fail(at, problem, "give one of them another key")
    except TomlError as error:
        return error


def with_all_keys(held: Sequence[Held], rules: KeyRules) -> tuple[Held, ...]:
    """The settings with the keys of every action, also those that nobody has chosen."""
    chosen = {one.name: one for one in held}
    keys = [
        _held(action, chosen.get(f"{KEYS_TABLE}.{action.id}")) for action in rules.actions.values()
    ]
    names = {one.name for one in keys}
    return (*(one for one in held if one.name not in names), *keys)


def _held(action: Action, chosen: Held | None) -> Held:
    """The keys of one action as a setting, with what they are for."""
    if chosen is None:
        return Held(
            *(f"{KEYS_TABLE}.{action.id}", " ".join(action.keys), DEFAULT, action.keys),
            meaning=action.description,
        )
    meaning = f"{action.description}; default: {' '.join(action.keys)}"
    return replace(chosen, meaning=meaning)
