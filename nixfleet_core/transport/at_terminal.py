"""The operator's own shell on a host, at the terminal: the login shell, in the checkout.

A host says where its checkout is, so the path is not trusted. And the host's login shell reads our
command before sh does, with quotes of its own: fish and nushell know no `'\\''`, csh no newline. So
the path is written in letters that mean the same to all of them.
"""

from __future__ import annotations

import os
import string
from typing import Final

_PLAIN: Final = frozenset(f"{string.ascii_letters}{string.digits}/._".encode())
_HOME: Final = "~/"


def shell_script(folder: str) -> str:
    """A line for sh that opens the user's login shell in that folder, or at home if it cannot go
    there. `folder` is absolute, or begins with `~/`. The line has no single quote."""
    home = "$HOME/" if folder.startswith(_HOME) else ""
    # the last letter keeps the newlines at the end of a path, which sh would drop
    written = f'"{_as_format(folder.removeprefix(_HOME) if home else folder)}_"'
    return (
        f"folder={home}$(printf {written}); "
        'cd -- "${folder%_}" 2>/dev/null || echo "There is no checkout to go to." >&2; '
        "unset folder; "
        # elvish has no login shell of its own, and refuses the option
        'case ${SHELL:=/bin/sh} in */elvish) exec "$SHELL" ;; *) exec "$SHELL" -l ;; esac'
    )


def remote_shell(folder: str) -> str:
    """The same for a login shell, whichever it is."""
    return f"exec /bin/sh -c '{shell_script(folder)}'"


def local_shell_argv(folder: str) -> tuple[str, ...]:
    """The command that opens such a shell on this machine."""
    return ("/bin/sh", "-c", shell_script(folder))


def _as_format(path: str) -> str:
    """The path as printf's format: whatever could mean something is written as a number."""
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(path))
