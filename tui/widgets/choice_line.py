"""A line that shows a choice and the key that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.glyphs import Glyphs


class ChoiceLine(Horizontal):
    """`b  [x] …`; a click does what the key does: `action`. `sign` comes before the key."""

    def __init__(
        self,
        key: str,
        text: Content,
        *,
        id: str,  # noqa: A002
        sign: str = "",
        action: str = "",
    ) -> None:
        super().__init__(id=id)
        self._key = key
        self._action = action
        self._text = text
        self._sign = sign

    def compose(self) -> ComposeResult:
        yield Static(self._shown_key(self._sign), classes="choice-key", markup=False)
        yield Static(self._text, classes="choice-text", markup=False)

    def choose(self, text: Content, sign: str = "") -> None:
        """Show another text beside the key."""
        self.query_one(".choice-key", Static).update(self._shown_key(sign))
        self.query_one(".choice-text", Static).update(text)

    async def on_click(self) -> None:
        if self._action:
            await self.app.run_action(self._action, self.screen)

    def _shown_key(self, sign: str) -> Content:
        return Content.styled(f"{sign}{self._key}  ", "bold $text-accent")


def check_box(on: bool, text: str, glyphs: Glyphs) -> Content:
    """`[✔] text`; ASCII where only that is wanted."""
    return Content(f"[{glyphs.good if on else ' '}] {text}")
