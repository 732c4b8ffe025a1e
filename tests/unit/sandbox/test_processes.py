from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.processes import Process, marked

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_marked_are_those_with_the_mark_and_all_below_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    living = [
        Process(10, 1, 10, b"A=b\0MARK=1\0"),
        Process(11, 10, 10, b""),
        Process(12, 11, 12, b""),
        Process(20, 1, 20, b"MARK=2"),
        Process(21, 20, 20, b""),
        Process(30, 1, 30, b""),
        Process(31, 1, 30, b""),
        Process(os.getpid(), 10, 30, b"MARK=1"),
    ]
    monkeypatch.setattr(processes, "snapshot", lambda: living)
    assert marked("MARK=1") == {10, 11, 12}
    assert marked("MARK=1", 30) == {10, 11, 12, 30, 31}


def test_this_process_is_seen() -> None:
    own = next(p for p in processes.snapshot() if p.pid == os.getpid())
    assert (own.parent, own.session) == (os.getppid(), os.getsid(0))


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
