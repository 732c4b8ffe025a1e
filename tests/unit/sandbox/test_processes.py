from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from nixfleet_core.sandbox import processes
from nixfleet_core.sandbox.processes import Process, marked


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


def test_a_process_began_when_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, at the moment of the question."""
    real = processes.stat_fields(os.getpid())
    boot = processes.boot_time()
    monkeypatch.setattr(processes, "_PROC", Path("/nowhere"))
    told = processes.stat_fields(os.getpid())
    assert len(real) == len(told) == 24
    began = processes.boot_time() + int(told[19]) / 100
    assert began == pytest.approx(time.time(), abs=5)
    if sys.platform == "linux":
        assert boot + int(real[19]) / 100 <= time.time() + 1
