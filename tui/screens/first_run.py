"""The first screen where there are no hosts: what was looked for, and what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from click import ClickException
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.session.no_hosts import no_hosts_words
from tui.messages import HostsFound
from tui.screens.base import Page
from tui.stage import stage
from tui.text import clock_time, plain
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from nixfleet_core.cli.screen import LookAgain, Opened
    from nixfleet_core.session.no_hosts import Searched


class FirstRunScreen(Page):
    """Stays until hosts are found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy", id="first-run.copy", tooltip="Copy the example of hosts.toml"),
        Binding(
            "R",
            "look",
            "look again",
            id="first-run.look",
            tooltip="Look for hosts again, such as in a hosts.toml that was written meanwhile",
        ),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="first-run.up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="first-run.down"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="first-run.page-up"),
        Binding("pagedown", "scroll(10)", "Page down", show=False, id="first-run.page-down"),
    ]
    BINDING_GROUP_TITLE = "No hosts"

    def __init__(self, searched: Searched, look_again: LookAgain) -> None:
        super().__init__()
        self._words = no_hosts_words(searched)
        self._look_again = look_again
        self._looks = False
        self._problem = ""
        """Why what is there now cannot be used."""
        self._found: Opened | None = None

    def compose_page(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with VerticalScroll(id="first-run", can_focus=False):
            yield Static(self._body(), id="first-run-text", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._say("no hosts yet")

    def on_screen_resume(self) -> None:
        self._go_on()

    async def _look(self) -> None:
        self._say("looking for hosts")
        self._looks, self._problem = True, ""
        try:
            opened = await self._look_again()
        except ClickException as error:
            self._problem = plain(error.message)
        else:
            if opened.searched is None:
                self._found = opened
                self._go_on()
                return
            self._words = no_hosts_words(opened.searched)
        finally:
            self._looks = False
        self._say(f"no hosts yet, looked again at {clock_time(stage(self).clock())}")
        self.query_one("#first-run-text", Static).update(self._body())
        if self._problem:
            self.query_one("#first-run").scroll_home(animate=False)

    def _go_on(self) -> None:
        """Go on with the hosts that were found. The app does so if nothing lies over this screen;
        else this is called again when it is on top."""
        if self._found is not None:
            self.post_message(HostsFound(self._found))

    def action_copy(self) -> None:
        stage(self).copy(self._words.example, "the example of hosts.toml")

    def action_look(self) -> None:
        if not self._looks:
            self.run_worker(self._look(), group="look")

    def action_scroll(self, rows: int) -> None:
        self.query_one("#first-run").scroll_relative(y=rows, animate=False)

    def _key(self, name: str) -> str:
        app = stage(self)
        return app.keys.shown(FirstRunScreen, name, app.glyphs)

    def _say(self, what: str) -> None:
        self.set_title(Content.styled(f" NixFleet {stage(self).glyphs.dot} {what}", "bold"))

    def _body(self) -> Content:
        words = self._words
        parts: list[str | tuple[str, str]] = []
        if self._problem:  # what was looked for before has changed since
            parts.append((f"{self._problem}\n", "$text-error"))
        else:
            parts.append("Looked for hosts in:\n")
            for place, said in words.looked:
                parts += [(f"{plain(place)}\n", "$text-accent"), f"  {plain(said)}\n"]
        parts += [f"\n{plain(words.write)}\n\n", (_example(words.example), "$text-success")]
        look, copy = self._key("first-run.look"), self._key("first-run.copy")
        parts.append("\nThen ")
        parts += ["press ", (look, "bold $text-accent"), "."] if look else ["look again."]
        parts += [" ", (copy, "bold $text-accent"), " copies the example."] if copy else []
        parts.append("\n\n")
        wide = max(len(command) for command, _ in words.other_ways)
        for command, does in words.other_ways:
            parts += [(f"{command:{wide}}", "$text-accent"), f"  {does}\n"]
        return Content.assemble(*parts).rstrip()


def _example(text: str) -> str:
    return "".join(f"{plain(line)}\n" for line in text.splitlines())
