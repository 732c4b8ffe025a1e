"""No core dump of a process that holds a password: a dump is a file with all its memory."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """From now on this process leaves no core dump, however it ends.

    Call it before a password arrives. The resource limit stops only dumps to files. If the kernel
    hands dumps to a program (systemd-coredump), the process must not be dumpable, see core(5); then
    the user's other processes cannot read its memory either. A child that starts another program is
    dumpable again.
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
