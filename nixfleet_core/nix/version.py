"""Which Nix a host has, and the command by which it updates one flake input.

Measured on Nix 2.8.0, 2.26.3 and 2.34.8; Lix and Determinate Nix from their sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Flavour = Literal["nix", "lix", "determinate"]

OLDEST: Final = (2, 8)
"""The oldest Nix that is supported."""

_LINE: Final = re.compile(
    r"nix \((?P<kind>Nix|Lix, like Nix|Determinate Nix [0-9.]+)\) "
    r"(?P<version>(?P<major>[0-9]{1,4})\.(?P<minor>[0-9]{1,4})[0-9A-Za-z.+_~-]{0,60})"
)


@dataclass(frozen=True, slots=True)
class NixVersion:
    """`number` is the Nix (or Lix) version as (major, minor), `text` the version as printed."""

    flavour: Flavour
    number: tuple[int, int]
    text: str

    def __str__(self) -> str:
        name = {"nix": "Nix", "lix": "Lix", "determinate": "Determinate Nix"}[self.flavour]
        return f"{name} {self.text}"


def parse_version(output: str) -> NixVersion | None:
    """Read the first line of `nix --version`; None when it is not one we know."""
    match = _LINE.match(output)
    if match is None:
        return None
    kind, text = match["kind"], match["version"]
    flavour: Flavour = (
        "lix" if kind.startswith("Lix") else "determinate" if kind.startswith("Det") else "nix"
    )
    number = int(match["major"]), int(match["minor"])
    return NixVersion(flavour=flavour, number=number, text=text)


def update_input_argv(nix: NixVersion, flake_input: str) -> tuple[str, ...]:
    """The command that moves one input to its branch's head; it runs inside the flake.

    Before 2.19 `nix flake update NAME` takes NAME for a flake URL; Lix removed the old form.
    """
    if nix.flavour == "nix" and nix.number < (2, 19):
        return ("nix", "flake", "lock", "--update-input", flake_input)
    return ("nix", "flake", "update", flake_input)


def pin_input_argv(flake_input: str, url: str) -> tuple[str, ...]:
    """The command that locks one input to the commit that `url` names.

    It keeps the input's `original`, so a later plain update follows the branch again.
    """
    return ("nix", "flake", "lock", "--override-input", flake_input, url)
