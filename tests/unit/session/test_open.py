"""Opening sessions contacts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixfleet_core.config import Config
from nixfleet_core.host import Host, parse_address
from nixfleet_core.job.copies import Copies
from nixfleet_core.session.open import open_sessions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("refresh", "kept"), [(None, 60), (5.0, 60), (60.0, 160), (0.5, 60), (3600.0, 7240)]
)
def test_connection_outlives_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refresh: float | None, kept: int
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    host = Host(name="csb0", address=parse_address("ops@cs0"))
    (session,) = open_sessions([host], Copies(tmp_path), Config(), refresh)
    assert f"ControlPersist={kept}" in session.shell.argv
    assert "ControlPersist=8h" in session.connect_argv
    assert refresh is None or kept > 2 * refresh
