from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from fakes import JOB, NOW, FakeLatest, FakeSession, make_fleet
from textual._compositor import Compositor

from tui.app import NixFleetApp
from tui.settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import RenderableType
    from textual.screen import Screen

    MakeApp = Callable[..., NixFleetApp]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC, and no variable that changes Textual's drawing."""
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "TEXTUAL", "TEXTUAL_ANIMATIONS", "TEXTUAL_THEME"):
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
        sessions: list[FakeSession] | None = None, *, plain: bool = False, latest: str | None = ""
    ) -> NixFleetApp:
        source = FakeLatest() if latest == "" else FakeLatest(latest)
        return NixFleetApp(
            fleet if sessions is None else sessions,
            source,
            settings=AppSettings(ascii=plain),
            clock=lambda: NOW,
            new_job_id=lambda: JOB,
        )

    return make
