"""A notice about one host, in which the keys of what helps work."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from nixfleet_core.vocabulary import KEYS, Remedy
from tui.remedies import LABELS
from tui.screens.base import Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.content import Content


class RemedyNotice(Dialog[Remedy]):
    """Tells what is wrong with a host. The answer is the remedy whose key was pressed, if any."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(KEYS[remedy], f"choose('{remedy}')", LABELS[remedy], id=f"notice.{remedy}")
        for remedy in KEYS
        if KEYS[remedy] != "enter"
    ]

    def __init__(self, title: str, body: Content, remedies: Sequence[Remedy]) -> None:
        accept = LABELS["attach"] if "attach" in remedies else ""
        super().__init__(title, body, accept=accept)
        self._remedies = tuple(remedies)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the keys that the notice names are there."""
        return action != "choose" or parameters[0] in self._remedies

    def action_choose(self, remedy: Remedy) -> None:
        self.dismiss(remedy)

    def action_accept(self) -> None:
        """Enter shows the job, where that helps; else it leaves."""
        self.dismiss("attach" if "attach" in self._remedies else None)
