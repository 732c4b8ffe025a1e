from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.processes import Process, members

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MARK = b"MARK=1"


def test_members_are_those_of_the_session_the_marked_and_all_below_them() -> None:
    living = [
        Process(10, 1, 10, b""),  # leads the session
        Process(11, 10, 10, b""),  # in it
        Process(12, 11, 12, b""),  # left it, but its parent has not
        Process(13, 1, 13, b"A=b\0MARK=1\0"),  # left it and lost its parent
        Process(14, 13, 14, b""),
        Process(20, 1, 20, b"MARK=2"),
    ]
    assert members(living, 10, MARK) == {10, 11, 12, 13, 14}


def test_this_process_is_seen_and_never_a_member() -> None:
    living = processes.snapshot()
    own = next(p for p in living if p.pid == os.getpid())
    assert (own.parent, own.session) == (os.getppid(), os.getsid(0))
    assert os.getpid() not in members(living, os.getsid(0), MARK)


def test_without_proc_ps_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, parent = os.getpid(), os.getppid()
    ps = tmp_path / "ps"
    ps.write_text(
        f"#!/bin/sh\necho '  {own} {parent} S+ /bin/sh -c x A=b MARK=1'\n"
        f"echo '{parent} 1 Z <defunct>'\necho 'torn'\n"
    )
    ps.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert processes.snapshot() == [Process(own, parent, os.getsid(0), b"/bin/sh -c x A=b MARK=1")]
