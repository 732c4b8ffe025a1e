"""The command palette: every action that has a key on the screen below it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Provider
from textual.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.binding import ActiveBinding
    from textual.command import Hits

_HIDDEN = ("app.command_palette", "app.focus_next", "app.focus_previous", "command_palette")


class BindingCommands(Provider):
    """Makes commands of the active bindings of the screen below the palette."""

    async def discover(self) -> Hits:
        for text, key, active in self._actions():
            yield DiscoveryHit(Content(text), partial(self._run, active), text, help=key)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, key, active in self._actions():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), partial(self._run, active), text, key)

    def _actions(self) -> Iterator[tuple[str, str, ActiveBinding]]:
        """The actions: first those in the footer, last those that only move about."""
        seen: set[str] = set()
        bindings = self.screen.active_bindings.values()
        for active in sorted(bindings, key=lambda active: not active.binding.show):
            binding = active.binding
            name = binding.id or binding.action
            if active.enabled and binding.description and name not in seen:
                seen.add(name)
                if binding.action not in _HIDDEN:
                    text = binding.tooltip or binding.description
                    key = self.app.get_key_display(binding)
                    yield text[0].upper() + text[1:], key, active

    async def _run(self, active: ActiveBinding) -> None:
        await self.app.run_action(active.binding.action, active.node)
