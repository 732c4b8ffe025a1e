from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from fakes import JOB, NOW, FakeLatest, FakeSession, make_fleet
from textual._compositor import Compositor
from textual.command import CommandPalette
from without_hosts import SEARCHED, Looks

from tui.app import FirstRun, NixFleetApp
from tui.screens.base import Dialog
from tui.settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import RenderableType
    from textual.geometry import Region
    from textual.screen import Screen
    from textual.strip import Strip

    from nixfleet_core.session.no_hosts import Searched

    MakeApp = Callable[..., NixFleetApp]
    MakeFirstRun = Callable[..., NixFleetApp]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC, a terminal with all colours that shows no notices, and no variable that changes
    Textual's drawing."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in (
        *("NO_COLOR", "COLORFGBG", "TEXTUAL", "TEXTUAL_ANIMATIONS", "TEXTUAL_THEME"),
        *("TMUX", "STY", "TERM_PROGRAM", "LC_TERMINAL", "INSIDE_EMACS", "KITTY_WINDOW_ID"),
        *("WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR", "ITERM_SESSION_ID"),
    ):
        monkeypatch.delenv(name, raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _quick_enter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialogs take enter at once, except in tests of that pause (`enter_pauses`)."""
    if not request.node.get_closest_marker("enter_pauses"):
        monkeypatch.setattr("tui.screens.base.ENTER_PAUSE", 0.0)


@pytest.fixture(autouse=True)
def _unseen_frames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only the frames that a test reads: nobody sees the others, and they took half of the
    time. Pictures, and tests marked `draws_frames`, get all frames."""
    if "snap_compare" in request.fixturenames or request.node.get_closest_marker("draws_frames"):
        return

    def render_update(
        self: Compositor,
        full: bool = False,
        screen_stack: list[Screen[Any]] | None = None,
        simplify: bool = False,
    ) -> RenderableType | None:
        if full:
            return real(self, full, screen_stack, simplify)
        self._dirty_regions.clear()
        return ""

    real = Compositor.render_update
    monkeypatch.setattr(Compositor, "render_update", render_update)


@pytest.fixture
def fleet(tmp_path: Path) -> list[FakeSession]:
    return make_fleet(tmp_path)


@pytest.fixture
def make_app(fleet: list[FakeSession]) -> MakeApp:
    """An app over the fleet, with a clock that stands still."""

    def make(
        sessions: list[FakeSession] | None = None,
        *,
        plain: bool = False,
        latest: str | None = "",
        theme: str = "auto",
    ) -> NixFleetApp:
        source = FakeLatest() if latest == "" else FakeLatest(latest)
        return NixFleetApp(
            fleet if sessions is None else sessions,
            source,
            settings=AppSettings(ascii=plain, theme=theme),
            clock=lambda: NOW,
            new_job_id=lambda: JOB,
        )

    return make


def _region(app: NixFleetApp) -> Region:
    """What is to be read: under a dialog lies a screen that is not."""
    if isinstance(app.screen, Dialog):
        return app.screen.query_one("#box").region
    if isinstance(app.screen, CommandPalette):
        return app.screen.query_one("#--container").region
    return app.screen.region


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Strip]:
    """Every row that a test has read."""
    rows: list[Strip] = []
    real = Compositor.render_strips

    def render_strips(self: Compositor, size: object = None) -> list[Strip]:
        strips = real(self)
        region = _region(self.root.app)  # type: ignore[union-attr,arg-type]
        rows.extend(
            strip.crop(region.x, region.right) for strip in strips[region.y : region.bottom]
        )
        return strips

    monkeypatch.setattr(Compositor, "render_strips", render_strips)
    return rows


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def make_first_run(looks: Looks) -> MakeFirstRun:
    """An app without hosts."""

    def make(
        searched: Searched = SEARCHED, *, plain: bool = False, theme: str = "auto"
    ) -> NixFleetApp:
        return NixFleetApp(
            *((), FakeLatest()),
            settings=AppSettings(ascii=plain, theme=theme),
            first_run=FirstRun(searched, looks),
            clock=lambda: NOW,
            new_job_id=lambda: JOB,
        )

    return make
