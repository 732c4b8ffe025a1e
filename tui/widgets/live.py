"""A panel that looks at something that changes, and is drawn again only when it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from textual.content import Content


class LivePanel(Widget):
    """`picture` says what it shows now. Each repaint goes down a link that may be slow."""

    _shown: Content | None = None

    def picture(self) -> Content:
        raise NotImplementedError

    def show(self, *, layout: bool) -> None:
        """Draw it again if it is another picture; `layout` when its height may have changed."""
        if layout or self.picture() != self._shown:
            self.refresh(layout=layout)

    def render(self) -> Content:
        self._shown = self.picture()
        return self._shown
