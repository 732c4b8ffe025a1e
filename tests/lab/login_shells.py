"""Login shells, and what their start-up files may print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .host import LabHost

NOLOGIN: Final = "/usr/sbin/nologin"

START_UP: Final = {
    "bash": ".bashrc",
    "zsh": ".zshenv",
    "fish": ".config/fish/config.fish",
    "tcsh": ".tcshrc",
}
"""The file that a shell reads for a command over ssh."""

LINES: Final = "echo Welcome; echo '@nf failed'; echo nixfleet-probe 1; echo nixfleet-follow 1\n"
TITLE: Final = r"printf '\033]0;ops@csb0\007\007'" + "\n"
OSC7: Final = r"printf '\033]7;file://csb0/home/ops\033\\'" + "\n"
TO_STDERR: Final = "sh -c 'printf \"@nf denied: No space left on device\" >&2'\n"


def use_shell(host: LabHost, shell: str, start_up: str) -> None:
    """Give ops this login shell and its start-up file."""
    path = host.root / "home/ops" / START_UP[shell]
    host.enter(f"mkdir -p {path.parent.relative_to(host.root / 'home/ops')}", user="ops")
    path.write_text(start_up)
    host.enter(f"usermod --shell $(command -v {shell}) ops")
