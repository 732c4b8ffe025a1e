"""Opening sessions contacts nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakes import STALE

from nixfleet_core.config import Config
from nixfleet_core.host import Host, parse_address
from nixfleet_core.job.copies import Copies
from nixfleet_core.session.open import open_sessions
from nixfleet_core.transport.at_terminal import remote_shell, shell_script

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
    assert "ControlPersist=8h" in session.terminal_argv()
    assert refresh is None or kept > 2 * refresh


def test_a_shell_begins_in_the_checkout_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    hosts = [
        Host(name="csb0", address=parse_address("ops@cs0"), checkout="/srv/listed"),
        Host(name="here", checkout="/srv/listed"),
    ]
    over_ssh, here = open_sessions(hosts, Copies(tmp_path), Config())
    assert STALE.checkout is not None
    seen = replace(STALE, checkout=replace(STALE.checkout, path="/srv/seen"))
    for facts, folder in ((None, "/srv/listed"), (seen, "/srv/seen")):
        assert over_ssh.terminal_argv(facts)[-3:] == ("--", "cs0", remote_shell(folder))
        assert here.terminal_argv(facts) == ("/bin/sh", "-c", shell_script(folder))
    assert over_ssh.terminal_argv(replace(STALE, checkout=None))[-1] == remote_shell("/srv/listed")
