"""A panel that shows something that changes; it is drawn again only if its picture changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from nixfleet_core.session.boundary import drawn
from tui.text import plain
from tui.words import STYLES

if TYPE_CHECKING:
    from textual.geometry import Size


class LivePanel(Widget):
    """`picture` is what it shows now. Each repaint may go over a slow link."""

    host = ""
    """The host that the picture shows; empty if it shows none."""
    _shown: Content | None = None
    _drawn: tuple[Size, Content] | None = None
    """What the next paint takes, if the size is still this one."""

    def picture(self) -> Content:
        raise NotImplementedError

    def show(self, *, layout: bool) -> None:
        """Draw it again if the picture has changed; `layout` if its height may have changed."""
        picture = self._draw()
        self._drawn = (self.size, picture)
        if layout or picture != self._shown:
            self.refresh(layout=layout)

    def render(self) -> Content:
        size, picture = self._drawn or (None, None)
        self._drawn = None
        self._shown = picture if picture is not None and size == self.size else self._draw()
        return self._shown

    def _draw(self) -> Content:
        return drawn(self.host, self.picture, no_picture) if self.host else self.picture()


def no_picture(why: str) -> Content:
    """The picture instead of one that cannot be drawn."""
    return Content.styled(plain(why), STYLES["bad"])
