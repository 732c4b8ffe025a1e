"""The command palette: every action that has a key on the screen below it, each host, each tag, and
the themes.

A command is found by its description, by its key's name, and by the words that people use for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from textual.command import CommandPalette, DiscoveryHit, Hit, Provider
from textual.content import Content

from tui.keys import active_bindings
from tui.stage import stage
from tui.themes import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from textual.binding import ActiveBinding
    from textual.command import Hits

_HIDDEN = ("app.command_palette", "app.focus_next", "app.focus_previous", "command_palette")

_ALSO: Final = {
    "page.quit": "q exit leave",
    "app.quit": "q exit leave",
    "fleet.choose": "open plan",
    "fleet.update": "force upgrade rebuild deploy level",
    "fleet.as-locked": "rebuild flake.lock switch",
    "fleet.log": "logs output",
    "fleet.journal": "journalctl systemd launchd messages",
    "fleet.verify": "prove check",
    "fleet.fix": "has commit contains in",
    "fleet.rollback": "undo generation revert",
    "fleet.commit": "keep save git flake.lock",
    "fleet.history": "jobs past",
    "fleet.filter": "search find tag state version",
    "fleet.mark": "select",
    "fleet.refresh": "reload probe",
    "fleet.connect": "ssh login",
    "fleet.shell": "ssh terminal console prompt bash",
    "fleet.menu": "actions what can",
    "fleet.details": "describe host facts everything",
    "fleet.copy": "yank clipboard",
    "update.cancel": "stop abort",
    "update.report": "incident post-mortem markdown html",
    "history.report": "incident post-mortem markdown html",
    "many.report": "incident post-mortem markdown html",
    "app.help": "keys",
}
"""What else people call an action, by its id."""


def score(query: str, names: Iterable[str], text: str, fuzzy: float) -> float:
    """How well a command fits, from 0 to 1: best if one of its names is what was typed. Blanks and
    hyphens do not count. `fuzzy` is Textual's own score of its text."""
    wanted = _squeezed(query)
    best = 0.0
    for name in map(_squeezed, names):
        if name == wanted:
            best = max(best, 1.0)
        elif name.startswith(wanted):
            best = max(best, 0.9)
        elif wanted in name:
            best = max(best, 0.7)
    if wanted in _squeezed(text):
        best = max(best, 0.6)
    return best or 0.5 * fuzzy / (1 + fuzzy)


def _squeezed(text: str) -> str:
    return text.casefold().replace(" ", "").replace("-", "")


class BindingCommands(Provider):
    """Makes commands of the active bindings of the screen below the palette."""

    async def discover(self) -> Hits:
        for text, _, key, active in self._actions():
            yield DiscoveryHit(Content(text), partial(self._run, active), text, help=key)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, names, key, active in self._actions():
            fits = score(query, names, text, matcher.match(text))
            if fits > 0:
                yield Hit(fits, matcher.highlight(text), partial(self._run, active), text, key)

    def _actions(self) -> Iterator[tuple[str, tuple[str, ...], str, ActiveBinding]]:
        """Text, names and key of the actions, each once: first those in the footer, last those that
        only move about."""
        seen: set[str] = set()
        bindings = active_bindings(self.screen)
        for active in sorted(bindings, key=lambda active: not active.binding.show):
            binding = active.binding
            name = binding.id or binding.action
            text = binding.tooltip or binding.description
            if active.enabled and text and not {name, text} & seen:
                seen |= {name, text}
                if binding.action not in _HIDDEN:
                    last = name.rpartition(".")[2]
                    also = _ALSO.get(name) or _ALSO.get(f"fleet.{last}", "")
                    names = (binding.description, last, *also.split())
                    key = self.app.get_key_display(binding)
                    yield text[0].upper() + text[1:], names, key, active

    async def _run(self, active: ActiveBinding) -> None:
        await self.app.run_action(active.binding.action, active.node)


class HostCommands(Provider):
    """Goes to a host of the list, or shows the hosts with a tag only."""

    async def search(self, query: str) -> Hits:
        from tui.screens.fleet import FleetScreen

        screen = self.screen
        if not isinstance(screen, FleetScreen):
            return
        matcher = self.matcher(query)
        for name in screen.names:
            text = f"Go to {name}"
            if fits := score(query, (name,), text, 0):
                yield Hit(fits, matcher.highlight(text), partial(screen.go_to, name), text)
        for tag in screen.tags:
            text = f"Show hosts with {tag} only"
            if fits := score(query, (tag,), text, 0):
                show = partial(screen.filter_by, f"tag:{tag}")
                yield Hit(fits, matcher.highlight(text), show, text)


class Themes(Provider):
    """Draws the app in another theme, until it ends. The theme in use says so."""

    async def discover(self) -> Hits:
        used = stage(self.screen).theme_choice
        for name in NAMES:
            text = f"{name} (in use)" if name == used else name
            yield DiscoveryHit(Content(text), partial(self._choose, name), text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name in NAMES:
            text = f"Use the theme {name}"
            if fits := score(query, (name,), text, 0):
                yield Hit(fits, matcher.highlight(text), partial(self._choose, name), text)

    def _choose(self, name: str) -> None:
        stage(self.screen).choose_theme(name)


class ThemeCommands(Themes):
    """The themes among all other commands, and one that shows them all; none without colours."""

    async def discover(self) -> Hits:
        if not self.app.no_color:
            yield DiscoveryHit(Content(_CHOOSE_THEME), self._show_all, _CHOOSE_THEME)

    async def search(self, query: str) -> Hits:
        if self.app.no_color:
            return
        if fits := score(query, ("theme", "colours", "colors"), _CHOOSE_THEME, 0):
            shown = self.matcher(query).highlight(_CHOOSE_THEME)
            yield Hit(fits, shown, self._show_all, _CHOOSE_THEME)
        async for hit in super().search(query):
            yield hit

    def _show_all(self) -> None:
        self.app.push_screen(CommandPalette([Themes], placeholder="a theme ..."))


_CHOOSE_THEME: Final = "Choose a theme"
