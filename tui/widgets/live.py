"""A panel that looks at something that changes, and is drawn again only when it shows."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from nixfleet_core.session.boundary import drawn
from tui.text import plain
from tui.words import STYLES


class LivePanel(Widget):
    """`picture` says what it shows now. Each repaint goes down a link that may be slow."""

    host = ""
    """Whose picture it is; empty where it is nobody's."""
    _shown: Content | None = None

    def picture(self) -> Content:
        raise NotImplementedError

    def show(self, *, layout: bool) -> None:
        """Draw it again if it is another picture; `layout` when its height may have changed."""
        if layout or self._draw() != self._shown:
            self.refresh(layout=layout)

    def render(self) -> Content:
        self._shown = self._draw()
        return self._shown

    def _draw(self) -> Content:
        return drawn(self.host, self.picture, no_picture) if self.host else self.picture()


def no_picture(why: str) -> Content:
    """What stands in the place of what cannot be drawn of a host."""
    return Content.styled(plain(why), STYLES["bad"])
