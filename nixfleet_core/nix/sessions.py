"""Which of its Nix sessions a tool is at: the log tells.

`nixos-rebuild` first builds itself in its new version, and becomes it; then it builds the system.
`home-manager` builds the home, activates it, and then builds the news. Each is a `nix build`, which
says what it evaluates (`InstallableFlake::toDerivedPaths`; not in Nix 2.8). Both tools also print a
line before the session that follows, and the job writes each command into the log.
"""

from __future__ import annotations

from typing import Final, Literal

Session = Literal["", "system", "home", "nixos-rebuild itself", "news", "evaluation"]
"""What a session builds; "" if the log does not tell. `evaluation` is what must be built so that
the flake can be evaluated (import from derivation)."""

ASIDE: Final[frozenset[Session]] = frozenset(("nixos-rebuild itself", "news", "evaluation"))
"""The sessions that do not count: a step is not further because of them."""

_ATTRIBUTES: Final[dict[str, Session]] = {
    "config.system.build.nixos-rebuild": "nixos-rebuild itself",
    "config.system.build.toplevel": "system",
    "activationPackage": "home",
    "config.news.json.output": "news",
}
"""By the end of the attribute that is evaluated."""

_FIRST: Final[dict[bytes, Session]] = {
    b"nixos-rebuild": "nixos-rebuild itself",
    b"home-manager": "home",
}
"""What a tool builds first."""

_ANNOUNCED: Final[dict[bytes, Session]] = {
    b"building the system configuration...": "system",
    b"Starting Home Manager activation": "news",
}
"""By the line that a tool prints before it; we run tools with LC_ALL=C."""


def session_of_attribute(installable: str) -> Session:
    """Of `FLAKE#ATTRIBUTE`, as Nix names it."""
    attribute = installable.partition("#")[2]
    return next(
        (
            session
            for end, session in _ATTRIBUTES.items()
            if attribute == end or attribute.endswith(f".{end}")
        ),
        "",
    )


def session_of_line(line: bytes) -> Session | None:
    """The session that begins after a line of plain text; None if none does."""
    if line.startswith(b"$ "):  # nf_run in command.sh
        program = line[2:].split(b" ", 1)[0].rpartition(b"/")[2]
        return _FIRST.get(program, "")
    return _ANNOUNCED.get(line)
