"""What `nixfleet config` prints: the settings that hold, as a config.toml. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.config import KEYS_TABLE, MEANINGS, SSH_CONFIG_VARIABLE
from nixfleet_core.log.characters import FORBIDDEN, JOINER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nixfleet_core.config import Held

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def config_lines(held: Sequence[Held]) -> Iterator[str]:
    """The lines of a config.toml with these settings. What has its default is commented out."""
    yield "# The settings that hold, and where each comes from."
    table = ""
    for one in sorted(held, key=lambda one: _table(one.name)):
        if _table(one.name) != table:
            table = _table(one.name)
            yield from ("", f"[{table}]")
        yield from ("", f"# {one.meaning or MEANINGS[one.name]}", _setting(one))


def _table(name: str) -> str:
    """The first part of a dotted name: what follows may have dots, too."""
    return name.partition(".")[0] if "." in name else ""


def _setting(one: Held) -> str:
    """The line that sets it, if a line of the file can."""
    source = f"# {_escaped(one.source)}"
    if one.name == SSH_CONFIG_VARIABLE:
        return f"# {one.name}={_escaped(one.value)}  {source}"
    name = one.name.removeprefix(f"{_table(one.name)}.")
    line = f"{name} = {toml_value(_shortest(one))}  {source}"
    return f"# {line}" if one.is_default else line


def _shortest(one: Held) -> object:
    """A single key is written without a list."""
    match one.setting:
        case (key,) if _table(one.name) == KEYS_TABLE:
            return key
        case setting:
            return setting


def toml_value(value: object) -> str:
    """A value as one writes it in TOML, with all escaped that a terminal would obey or not show."""
    match value:
        case str():
            return f'"{_escaped(value)}"'
        case bool():
            return "true" if value else "false"
        case float() if value == int(value):
            return f"{value:.0f}"
        case int() | float():
            return str(value)
        case tuple():
            return f"[{', '.join(map(toml_value, value))}]"
    raise TypeError(f"no setting is a {type(value).__name__}")


def _escaped(text: str) -> str:
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if "\ud800" <= character <= "\udfff":  # a byte that is no UTF-8: TOML cannot have it
        return "\ufffd"
    if character.isprintable() and not (FORBIDDEN.match(character) or JOINER.match(character)):
        return character
    return f"\\U{ord(character):08x}"
