"""This machine, or a sandbox on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from nixfleet_core.transport.roots import NoNeed
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHELL: Final = ("/bin/sh", "-s")


def local_shell(host: str) -> Shell:
    """A shell on this machine, with our own environment."""
    return Shell(host=host, argv=_SHELL, env=dict(os.environ))


def sandbox_shell(host: str, root: str, env: Mapping[str, str]) -> Shell:
    """A shell in a sandbox: `root` is its file system. There is no need to become root there."""
    return Shell(host=host, argv=_SHELL, root=root, env=env, way=NoNeed)
