"""The app as its screens and conversations know it: the parts that all of them use.

Nothing imports the app itself: a screen that wants something done posts a message (`tui.messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import App

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from textual.dom import DOMNode
    from textual.signal import Signal

    from nixfleet_core.facts.model import Snapshot
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.conduct import Conductor
    from tui.fleet import Fleet, HostEntry
    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher
    from tui.keys import Keys


class Stage(App[None], inherit_bindings=False):
    """All that outlives a screen: the hosts, the clock, the signs, the conductor."""

    glyphs: Glyphs
    keys: Keys
    """Which keys the operator wants for what."""
    accept_keys: frozenset[str]
    """The keys that say yes to a dialog: of a key that is held down, only the first counts."""
    quit_keys: tuple[str, ...]
    """The only keys that act while the terminal is too small to see on what."""
    clock: Callable[[], float]
    fleet: Fleet
    conductor: Conductor
    ticked: Signal[None]
    """Published with each beat in which something has changed, or in which something moves."""
    aged: Signal[None]
    """Published about once a second: all ages have grown."""
    entered_at: float
    """When the last enter was read, as the monotonic clock counts."""
    theme_choice: str
    """The theme that is chosen, as `tui.themes.NAMES` has it."""
    terminal_lent: bool
    """True while another program has the terminal: our output would pile up, and then block."""

    @property
    def turn(self) -> int:
        """How far all that turns by itself has turned."""
        raise NotImplementedError

    def tick(self) -> None:
        """Something has changed: show it with the next beat."""
        raise NotImplementedError

    def copy(self, text: str, what: str) -> None:
        """Copy text, and say what was copied. Not every terminal takes it (OSC 52)."""
        raise NotImplementedError

    def choose_theme(self, choice: str) -> None:
        """Draw in these colours until the app ends. `choice` is one of `tui.themes.NAMES`."""
        raise NotImplementedError

    def new_job_id(self) -> str:
        """A name for the next job."""
        raise NotImplementedError

    def start_batch(self, batch: Coroutine[None, None, None]) -> None:
        """Do what goes on by itself for long; no key waits for it."""
        raise NotImplementedError

    def follow(
        self,
        entry: HostEntry,
        job: str,
        *,
        plan: Plan | None = None,
        before: Snapshot | None = None,
    ) -> JobWatcher:
        """Follow a job, whatever screens come and go. One job a host is followed at a time."""
        raise NotImplementedError

    def show_job(self, watcher: JobWatcher, *, zoomed: bool = False) -> None:
        """Open the screen of a job."""
        raise NotImplementedError

    def show_past_job(self, entry: HostEntry, job: str, *, zoomed: bool = False) -> None:
        """Look at a job that has ended; its screen reads it, and stops reading when it is left."""
        raise NotImplementedError

    def show_many(self, entries: Sequence[HostEntry]) -> None:
        """Open the screen of several hosts at once."""
        raise NotImplementedError


def stage(node: DOMNode) -> Stage:
    """The app that the node is in, with its own type."""
    return cast("Stage", node.app)
