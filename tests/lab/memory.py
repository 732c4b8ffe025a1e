"""A limit on a process's memory, which the kernel enforces by killing."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .run import cgroup_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .run import Run

_V1: Final = Path("/sys/fs/cgroup/memory")


@contextmanager
def little_memory(run: Run, pid: int, mebibytes: int) -> Iterator[Callable[[], int]]:
    """Give a process and its children only that much; the value says how many the kernel has
    killed. They must have ended when the context is left.

    The memory controller may be mounted alone (cgroup v1) or be one of v2's.
    """
    if (_V1 / "memory.limit_in_bytes").exists():
        group, limit, counter = _V1, "memory.limit_in_bytes", "memory.oom_control"
    else:
        group, limit, counter = cgroup_root() or _V1, "memory.max", "memory.events"
        (group / "cgroup.subtree_control").write_text("+memory")
    group /= f"{run.cgroup.name}-little"
    group.mkdir()
    try:
        (group / limit).write_text(str(mebibytes << 20))
        (group / "cgroup.procs").write_text(str(pid))
        yield lambda: _kills((group / counter).read_text())
    finally:
        group.rmdir()


def _kills(text: str) -> int:
    counts = dict(line.split() for line in text.splitlines())
    return int(counts["oom_kill"])
