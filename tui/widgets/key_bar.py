"""The keys that do something now, on one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual.app import App
from textual.content import Content
from textual.screen import Screen

from tui.keys import active_bindings
from tui.widgets.live import LivePanel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.binding import Binding
    from textual.dom import DOMNode

_GAP: Final = 2
_MARGIN: Final = 1


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key as it is shown, what it does, and its name. A `pinned` one stays if room is short."""

    shown: str
    label: str
    key: str
    pinned: bool

    @property
    def width(self) -> int:
        return cell_len(self.shown) + 1 + cell_len(self.label)


def fit_hints(hints: Sequence[KeyHint], room: int) -> list[KeyHint]:
    """The hints that fit. If room is short, the last one that is not pinned goes first."""
    kept = list(hints)
    while kept and sum(hint.width + _GAP for hint in kept) - _GAP > room:
        loose = [hint for hint in kept if not hint.pinned]
        kept.remove((loose or kept)[-1])
    return kept


def _described(binding: Binding) -> str:
    return binding.description


class KeyBar(LivePanel):
    """The screen's keys first, then those of the part that has the focus, then the app's.

    `label` says what a key does now; without it the binding's own words stand there.
    """

    ALLOW_SELECT = False

    def __init__(self, label: Callable[[Binding], str] = _described) -> None:
        super().__init__()
        self._label = label

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._update)

    def picture(self) -> Content:
        parts: list[str | tuple[str, str]] = [" " * _MARGIN]
        for hint in self._hints():
            parts += [(hint.shown, "bold $text-accent"), f" {hint.label}", " " * _GAP]
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        left = _MARGIN
        for hint in self._hints():
            if left <= event.x < left + hint.width:
                self.app.simulate_key(hint.key)
            left += hint.width + _GAP

    def _update(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.show(layout=False)

    def _hints(self) -> list[KeyHint]:
        found: dict[str, tuple[int, KeyHint]] = {}
        for node, binding, enabled, _ in active_bindings(self.screen):
            shown, rank = self.app.get_key_display(binding), _rank(node)
            if shown and binding.show and enabled and binding.action not in found:
                hint = KeyHint(shown, self._label(binding), binding.key, isinstance(node, App))
                found[binding.action] = (rank, hint)
        hints = [hint for _, hint in sorted(found.values(), key=lambda pair: pair[0])]
        return fit_hints(hints, self.size.width - _MARGIN)


def _rank(node: DOMNode) -> int:
    return 2 if isinstance(node, App) else 0 if isinstance(node, Screen) else 1
