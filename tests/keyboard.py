"""Keys for an app of Textual, as its driver would send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from textual import events
from textual.keys import _character_to_key

if TYPE_CHECKING:
    from textual.app import App

T = TypeVar("T")


def press_in(app: App[T], key: str) -> None:
    """Send a key, and wait for nothing."""
    is_character = len(key) == 1
    event = events.Key(_character_to_key(key) if is_character else key, key * is_character or None)
    event.set_sender(app)
    app.post_message(event)
