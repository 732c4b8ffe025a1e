"""The base classes of all screens."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Input, Static

from tui.compositor import compositor
from tui.stage import stage
from tui.text import plain
from tui.widgets.too_small import LEAST_HEIGHT, LEAST_WIDTH, TooSmall

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.timer import Timer

ResultT = TypeVar("ResultT")

ENTER_PAUSE = 0.4
"""Seconds for which a dialog is shown before it takes an enter: what was typed ahead confirms
nothing."""

REPEAT_DELAY = 0.7
"""Seconds after an enter, before a dialog takes another one: a key that is held down confirms
nothing. Most systems repeat a key after 0.25 to 0.66 s."""

WIDTHS: list[tuple[int, str]] = [(0, "-cramped"), (LEAST_WIDTH, "-narrow"), (100, "-wide")]
HEIGHTS: list[tuple[int, str]] = [
    (0, "-flat"),
    (LEAST_HEIGHT, "-shallow"),
    (20, "-low"),
    (30, "-tall"),
]


def _fit(screen: Screen[ResultT]) -> None:
    """Set the breakpoints' classes before the first paint; Textual sets them after it."""
    for size, points in ((screen.app.size.width, WIDTHS), (screen.app.size.height, HEIGHTS)):
        screen.add_class([name for least, name in points if size >= least][-1])


class Page(Screen[None], inherit_bindings=False):
    """A full screen."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Next part", show=False, id="page.next"),
        Binding("shift+tab", "app.focus_previous", "Previous part", show=False, id="page.previous"),
        Binding("q", "app.leave", "Quit; asks while jobs run", show=False, id="page.quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._compositor = compositor()

    def compose(self) -> ComposeResult:
        _fit(self)
        yield from self.compose_page()
        yield TooSmall(stage(self).glyphs)

    def compose_page(self) -> ComposeResult:
        """The parts of the page, if the terminal is large enough; one is the Static `title`."""
        raise NotImplementedError

    def action_leave(self) -> None:
        """Back to the screen below."""
        self.app.pop_screen()

    @property
    def is_current(self) -> bool:
        """Whether Textual should paint it. For Textual a page below another one is current, too: it
        paints all of the upper one again for each message to the lower one."""
        return super().is_current and self.is_seen

    @property
    def is_seen(self) -> bool:
        """Whether no other page covers it; a dialog shows what is below."""
        stack = self.app.screen_stack
        above = stack[stack.index(self) + 1 :] if self in stack else []
        return all(screen.is_modal for screen in above)

    def show_on_ticks(self, show: Callable[[object], None]) -> None:
        """Call it a few times a second while something changes, as long as the page is seen."""

        def tick(news: object) -> None:
            if self.is_seen:
                show(news)

        stage(self).ticked.subscribe(self, tick)

    def show_each_second(self, show: Callable[[], None]) -> None:
        """Call it about once a second, as long as the page is seen."""

        def second(_: None) -> None:
            if self.is_seen:
                show()

        stage(self).aged.subscribe(self, second)

    def set_title(self, text: Content) -> None:
        """Set the first line, and repaint it only if it has changed."""
        title = self.query_one("#title", Static)
        if title.content != text:
            title.update(text, layout=False)


class Dialog(ModalScreen[ResultT | None], inherit_bindings=False):
    """A question or an answer in a box. Enter accepts, escape leaves.

    The sign of enter stands on its button as long as the dialog takes it.
    """

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "Accept", id="dialog.accept"),
        Binding("escape", "leave", "Leave", id="dialog.leave"),
        Binding("up,k", "scroll_body(-1)", "Up", show=False, id="dialog.up"),
        Binding("down,j", "scroll_body(1)", "Down", show=False, id="dialog.down"),
        Binding("pageup", "scroll_body(-10)", "Page up", show=False, id="dialog.page-up"),
        Binding("pagedown", "scroll_body(10)", "Page down", show=False, id="dialog.page-down"),
    ]
    BINDING_GROUP_TITLE = "Dialog"
    PAUSES: ClassVar[bool] = True
    """Whether enter is taken only after a pause."""

    def __init__(
        self,
        title: str,
        body: Content,
        *,
        accept: str = "",
        leave: str = "back",
        changes: str = "",
    ) -> None:
        """`changes` says what is changed if the operator accepts, and by whom: such a dialog does
        not look like one that only tells something."""
        super().__init__()
        self._title = title
        self._changes = changes
        self.set_class(bool(changes), "-changes")
        self._body = body
        self._accept = accept
        self._leave = leave
        self._shown_at: float | None = None
        self._pause: Timer | None = None

    @property
    def takes_enter(self) -> bool:
        """Whether an enter of this moment counts."""
        return self._shown_at is not None and self._pause is None

    def takes_enter_of(self, at: float, previous: float) -> bool:
        """Whether an enter counts that was read at that moment, and the one before it at the other.
        If not, the pause begins anew."""
        if at >= self._counts_from(previous):
            return True
        self._begin_pause()
        return False

    def _counts_from(self, previous: float) -> float:
        """The moment from which an enter counts, if the one before it was read at the other."""
        if not ENTER_PAUSE or not self.PAUSES:
            return 0.0
        if self._shown_at is None:
            return inf
        return max(self._shown_at + ENTER_PAUSE, previous + REPEAT_DELAY)

    def on_mount(self) -> None:
        self.call_after_refresh(self._be_shown)

    def _be_shown(self) -> None:
        self._shown_at = monotonic()
        self._begin_pause()

    def _begin_pause(self) -> None:
        if self._shown_at is None:
            return
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
        left = self._counts_from(stage(self).entered_at) - monotonic()
        if left > 0:
            self._pause = self.set_timer(left, self._end_pause)
        self._show_enter()

    def _end_pause(self) -> None:
        self._pause = None
        self._show_enter()

    def _show_enter(self) -> None:
        for button in self.query("#accept").results(Button):
            button.label = self._accept_label

    @property
    def _accept_label(self) -> Content:
        sign = self._key("dialog.accept")
        return Content(f"{sign if self.takes_enter else ' ' * len(sign)} {self._accept}")

    def compose(self) -> ComposeResult:
        _fit(self)
        with Vertical(id="box") as box:
            box.border_title = self._question
            box.border_subtitle = Content(plain(self._changes))
            with VerticalScroll(id="body", can_focus=False):
                yield Static(self._body, id="text", markup=False)
                yield from self.compose_fields()
            with Horizontal(id="buttons"):
                if self._accept:
                    yield self._button(self._accept_label, "accept")
                yield self._button(Content(f"{self._key('dialog.leave')} {self._leave}"), "leave")
        yield TooSmall(stage(self).glyphs)

    def _key(self, name: str) -> str:
        app = stage(self)
        return app.keys.shown(Dialog, name, app.glyphs)

    @property
    def _question(self) -> Content:
        return Content(plain(f"! {self._title}" if self._changes else self._title))

    def set_title(self, title: str, changes: str | None = None) -> None:
        """Ask another question of the same kind."""
        self._title = title
        box = self.query_one("#box")
        box.border_title = self._question
        if changes is not None:
            box.border_subtitle = Content(plain(changes))

    def compose_fields(self) -> ComposeResult:
        """The fields below the text."""
        yield from ()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "accept":
            self.action_accept()
        else:
            self.action_leave()

    def action_accept(self) -> None:
        """Say yes; if there is nothing to accept, leave the dialog."""
        self.action_leave()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll_body(self, rows: int) -> None:
        self.query_one("#body").scroll_relative(y=rows, animate=False)

    def _button(self, label: Content, name: str) -> Button:
        button = Button(label, id=name, compact=True)
        button.can_focus = False
        return button


class FieldDialog(Dialog[str]):
    """Asks for one line of text, which must not be empty."""

    AUTO_FOCUS = "Input"

    def __init__(self, title: str, body: Content, field: Input, *, accept: str) -> None:
        super().__init__(title, body, accept=accept, leave="cancel")
        self._field = field

    def compose_fields(self) -> ComposeResult:
        self._field.cursor_blink = False
        yield self._field

    def on_input_submitted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        if text := self._field.value:
            self._field.value = ""
            self.dismiss(text)


class Notice(Dialog[None]):
    """Tells something that the operator must read."""


class Confirm(Dialog[bool]):
    """Asks before something is done. The answer is True if accepted."""

    def action_accept(self) -> None:
        self.dismiss(True)
