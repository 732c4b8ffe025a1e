"""Which keys an action has now, and how a text names them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from textual.binding import Binding
from textual.keys import format_key, key_to_character

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import ActiveBinding
    from textual.dom import DOMNode
    from textual.screen import Screen

    from tui.glyphs import Glyphs

_UNBOUND: Final = "unbound."
"""Begins a key that no terminal sends: in a keymap of Textual, an empty text means the default."""


@dataclass(frozen=True, eq=False, slots=True)
class Keys:
    """The keys of all actions: what the operator has chosen, else the default of the binding."""

    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By the ids of the bindings; an action may have none."""

    def of(self, owner: type[DOMNode], name: str) -> tuple[str, ...]:
        """The keys of the binding with that id, which `owner` has."""
        if name in self.chosen:
            return self.chosen[name]
        return tuple(binding_of(owner, name).key.split(","))

    def shown(self, owner: type[DOMNode], name: str, glyphs: Glyphs) -> str:
        """The first of them as a text names it; empty if there is none."""
        return shown_key(next(iter(self.of(owner, name)), ""), glyphs)

    def instead_of(self, default: str, name: str, glyphs: Glyphs) -> str:
        """The same for a binding whose owner is not at hand, but its default key is."""
        keys = self.chosen.get(name, (default,))
        return shown_key(next(iter(keys), ""), glyphs)

    @property
    def keymap(self) -> dict[str, str]:
        """As Textual wants it. A binding without a key gets one that nobody can press."""
        return {name: ",".join(keys) or f"{_UNBOUND}{name}" for name, keys in self.chosen.items()}


AS_BUILT: Final = Keys()
"""Nobody has chosen anything."""


def is_key(name: str) -> bool:
    """Whether somebody can press it."""
    return not name.startswith(_UNBOUND)


@lru_cache(maxsize=256)
def binding_of(owner: type[DOMNode], name: str) -> Binding:
    """The binding with that id. Raises LookupError if the class has none."""
    for base in owner.__mro__:
        for binding in base.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id == name:
                return binding
    raise LookupError(f"{owner.__name__} has no binding {name!r}")


def shown_key(key: str, glyphs: Glyphs) -> str:
    """A key as a text names it: `G`, `ctrl+s`, `esc`, enter's sign."""
    if key == "enter":
        return glyphs.enter
    *modifiers, last = key.split("+")
    shown = format_key(last) if last else ""
    if glyphs.enter.isascii() and not shown.isascii():
        shown = last
    return "+".join((*modifiers, shown))


def active_bindings(screen: Screen[object]) -> list[ActiveBinding]:
    """What keys do now, node by node, as their classes have it: Textual puts the bindings of a
    keymap last. It also leaves out what a field takes as text, but not if a keymap says so."""
    field = screen.focused
    active = {
        key: one
        for key, one in screen.active_bindings.items()
        if field is None or not field.check_consume_key(key, key_to_character(key))
    }
    nodes = list(dict.fromkeys(one.node for one in active.values()))

    def place(one: ActiveBinding) -> tuple[int, int]:
        return nodes.index(one.node), _places(type(one.node)).get(one.binding.id, -1)

    return sorted(active.values(), key=place)


@lru_cache(maxsize=64)
def _places(owner: type[DOMNode]) -> Mapping[str | None, int]:
    """The number of each binding of a class, by its id."""
    bindings = owner._merged_bindings
    ids = [binding.id for _, binding in bindings] if bindings is not None else []
    return {name: at for at, name in enumerate(dict.fromkeys(ids))}
