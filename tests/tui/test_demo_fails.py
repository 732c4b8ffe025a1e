"""A demo that cannot be set up says why, in one line."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click
import pytest

from tui.demo import run_demo
from tui.ending import ENDING
from tui.settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_demo_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match=r"the demo could not be set up: .*git"):
        run_demo(1.0, AppSettings(temporary=True))
