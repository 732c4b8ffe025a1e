"""Facts, plans, events and all else that the program passes on, with a secret in every text.

It walks the types' own fields, so a new field is marked, too.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

SECRET = "Zq4mV8xTw2Lr9KsB6nHj3YpD7fGc5QaE1uRt"
"""No six characters occur in it twice."""

MARKS = {
    "in a URL": f"https://op:{SECRET}@git.example.org/x",
    "a token": f"ghp_{SECRET}",
    "named": f"password={SECRET}",
}


def leaked(text: str) -> str | None:
    """A part of the secret that the text shows; also if the secret is cut or wrapped."""
    joined = re.sub(r"\x1b\[[0-9;]*m", "", text)
    parts = (SECRET[at : at + 6] for at in range(len(SECRET) - 5))
    return next((part for part in parts if part in joined), None)


def marked(value: T, mark: str) -> T:
    """The value with the mark in each text whose type allows any text."""
    return _marked(value, mark, "str")  # type: ignore[no-any-return]


def _marked(value: Any, mark: str, kind: str) -> Any:
    text = re.search(r"\bstr\b|_Token", kind) is not None
    match value:
        case None:
            return mark if text and not re.search(r"tuple|dict|frozenset", kind) else None
        case str():
            return f"{value} {mark}" if text else value
        case tuple() if type(value) is tuple:
            return tuple(_marked(item, mark, kind) for item in value) or ((mark,) if text else ())
        case frozenset():
            return frozenset(_marked(item, mark, kind) for item in value) | {mark}
        case msgspec.Struct():
            kinds = _kinds(type(value))
            changes = {
                name: _marked(getattr(value, name), mark, kinds.get(name, ""))
                for name in value.__struct_fields__
            }
            return msgspec.structs.replace(value, **changes)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            kinds = _kinds(type(value))
            changes = {
                field.name: _marked(getattr(value, field.name), mark, kinds.get(field.name, ""))
                for field in dataclasses.fields(value)
                if field.init and not field.name.startswith("_")
            }
            return dataclasses.replace(value, **changes)
        case _:
            return value


def _kinds(owner: type) -> dict[str, str]:
    """The fields' types as the source has them."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        found |= {name: str(kind) for name, kind in vars(base).get("__annotations__", {}).items()}
    return found
