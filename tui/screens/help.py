"""Help, made from the bindings that are active where it was asked for, and the states' meanings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual.content import Content

from nixfleet_core.vocabulary import STATE_MEANINGS
from tui.keys import active_bindings, is_key
from tui.remedies import remedy_key
from tui.screens.base import Dialog
from tui.stage import stage

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    from nixfleet_core.vocabulary import Remedy, State
    from tui.stage import Stage

_STATE_KEYS: Final[dict[State, tuple[Remedy, str]]] = {
    "unproven": ("verify", "proves it"),
    "stale": ("update", "updates it"),
    "updating": ("attach", "shows it"),
}
"""What the fleet screen can do about a state."""


def help_text(screen: Screen[object], app: App[None]) -> Content:
    """Every active key, grouped by the part of the screen that it belongs to; and what the
    states of hosts mean."""
    groups: dict[str, dict[str, tuple[list[str], str]]] = {}
    for node, binding, enabled, _ in active_bindings(screen):
        if not enabled or not binding.description or not is_key(binding.key):
            continue
        title = node.BINDING_GROUP_TITLE or "Everywhere"
        actions = groups.setdefault(title, {})
        text = binding.tooltip or binding.description
        text = text[0].upper() + text[1:]
        keys, _ = actions.setdefault(binding.id or binding.action, ([], text))
        shown = app.get_key_display(binding)
        if shown in keys:  # one name for several keys
            shown = app.get_key_display(replace(binding, key_display=None))
        keys.append(shown)
    parts: list[str | tuple[str, str]] = []
    for title, actions in groups.items():
        parts.append((f"{title}\n", "bold $text-accent"))
        for keys, text in actions.values():
            parts.append((f"  {' '.join(keys):<20} ", "bold"))
            parts.append(f"{text}\n")
        parts.append("\n")
    parts.append(("States of a host\n", "bold $text-accent"))
    for state, meaning in STATE_MEANINGS.items():
        parts.append((f"  {state:<20} ", "bold"))
        parts.append(f"{meaning}{_state_key(state, stage(screen))}\n")
    return Content.assemble(*parts)


def _state_key(state: State, app: Stage) -> str:
    """`: u updates it`, if a key does something about the state."""
    if state not in _STATE_KEYS:
        return ""
    remedy, does = _STATE_KEYS[state]
    key = remedy_key(remedy, app.glyphs, "fleet", app.keys)
    return f": {key} {does}" if key else ""


class HelpDialog(Dialog[None]):
    """The keys of the screen below, and the words of the list."""

    def __init__(self, text: Content) -> None:
        super().__init__("Keys", text)
