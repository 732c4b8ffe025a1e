"""A unit of a sandbox host: its file, its state, and the lock on its name.

Each living unit has a keeper, a process that holds the lock. The kernel frees the lock when the
keeper ends, in whatever way. Of two callers at once, one gets the lock, and the other sees that it
is held. Only the holder writes the unit's state, for `tools/systemctl.sh`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.sandbox.machine import write_whole

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from nixfleet_core.sandbox.machine import Machine

UNIT_MARK: Final = "NIXFLEET_SANDBOX_UNIT"
"""Environment variable that every process of a unit carries."""

_FOLDERS: Final = ("etc/systemd/system", "run/systemd/system")


class State(NamedTuple):
    """The state that systemctl shows; an inactive unit has no file for it."""

    active: str = "inactive"
    sub: str = "dead"
    pid: int = 0
    result: str = "success"
    restarts: int = 0


class Unit:
    """A unit by its name, and the lock on it, once this process has taken the lock."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name
        self.transient = machine.root / "run/systemd/transient" / name
        self._state = machine.root / "run/systemd/units" / name
        self.lock = os.open(
            machine.root / "run/systemd/locks" / name, os.O_RDWR | os.O_CREAT, 0o600
        )

    @property
    def mark(self) -> str:
        return f"{UNIT_MARK}={self.machine.root}/{self.name}"

    @property
    def file(self) -> Path | None:
        """Its unit file; a link to /dev/null does not count."""
        paths = (self.machine.root / folder / self.name for folder in _FOLDERS)
        return next((path for path in paths if path.is_file()), None)

    def settings(self) -> dict[str, list[str]]:
        """The settings from its file or from its caller: each key's values in order."""
        found = defaultdict(list)
        for line in (self.file or self.transient).read_text().splitlines():
            key, _, value = line.partition("=")
            found[key].append(value)
        return found

    def take(self) -> bool:
        """Get the lock, unless another process holds it."""
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self.lock, 0)
        return True

    def let_go(self) -> None:
        """Free the lock, also for the processes that inherited it."""
        fcntl.flock(self.lock, fcntl.LOCK_UN)

    def keep(self) -> None:
        """Make this process the keeper: from now on it gets the unit's signals."""
        os.pwrite(self.lock, b"%d" % os.getpid(), 0)

    def tell_keeper(self, signum: signal.Signals) -> None:
        """Send a signal to the unit's keeper, if the keeper listens already."""
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(int(os.pread(self.lock, 20, 0)), signum)

    def read(self) -> State:
        """Its state now."""
        try:
            active, sub, pid, result, restarts = self._state.read_text().split()
        except OSError:
            return State()
        return State(active, sub, int(pid), result, int(restarts))

    def write(self, state: State) -> None:
        """Write its state, whole; an inactive unit has no state file."""
        if state.active == "inactive":
            self._state.unlink(missing_ok=True)
            return
        write_whole(self._state, " ".join(map(str, state)) + "\n")
