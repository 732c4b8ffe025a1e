"""What to say where there are no hosts: which places were asked, and what to write. Pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.host import DEFAULT_CHECKOUT, BadNameError, SshAddress, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FlakeSays = Literal["no-folder", "no-flake", "no-nix", "no-names", "not-read"]


@dataclass(frozen=True, slots=True)
class Searched:
    """Where hosts were looked for in vain."""

    path: Path
    """The file that should have them. If it is there, no other place is asked."""
    has_file: bool = False
    has_folder: bool = True
    flake: FlakeSays = "no-folder"
    problems: tuple[str, ...] = ()
    """Why the flake's names could not be read. It quotes Nix, so it is untrusted text."""
    here: str = ""
    """The name of this machine, which has no agent."""
    user: str = ""
    """The operator's name on this machine."""
    checkout: str = ""
    """The flake on this machine that the operator seems to use; empty if none was seen."""


@dataclass(frozen=True, slots=True)
class Words:
    """What an operator without hosts is told. Pairs are a place or a command, and what of it."""

    looked: tuple[tuple[str, str], ...]
    write: str
    example: str
    """A whole hosts.toml."""
    other_ways: tuple[tuple[str, str], ...]

    def before_example(self) -> Iterator[str]:
        """Where hosts were looked for, and where to write them, as lines."""
        yield "Looked for hosts in:"
        for place, said in self.looked:
            yield from (f"  {place}", f"    {said}")
        yield from ("", self.write)

    def after_example(self) -> Iterator[str]:
        """What else can be done, as lines."""
        wide = max(len(command) for command, _ in self.other_ways)
        for command, does in self.other_ways:
            yield f"{command:{wide}}  {does}"


def no_hosts_words(searched: Searched) -> Words:
    """The words for these facts, the same for the app and the commands."""
    return Words(
        looked=tuple(_looked(searched)),
        write=f"Write into {searched.path}, for example:",
        example=example_inventory(searched.user, searched.checkout),
        other_ways=_OTHER_WAYS,
    )


def _looked(searched: Searched) -> Iterator[tuple[str, str]]:
    if searched.has_file:
        yield str(searched.path), "it has no host in it; while it is there, no other place is asked"
        return
    folder = shlex.quote(str(searched.path.parent))
    make = "" if searched.has_folder else f", nor its folder: mkdir -p {folder}"
    yield str(searched.path), f"there is no such file{make}"
    said = " ".join(searched.problems) if searched.flake == "not-read" else _FLAKE[searched.flake]
    yield f"the flake {DEFAULT_CHECKOUT}", said
    yield f"this machine, {searched.here}", "it has no NixFleet agent"


def example_inventory(user: str = "", checkout: str = "") -> str:
    """A hosts.toml with one host, and with the operator's own values where they are known."""
    known = checkout.startswith(("/", "~/")) and checkout.isprintable()
    path = _quoted(checkout if known else DEFAULT_CHECKOUT)
    settings = [
        (f"checkout = {path}", "on each host"),
        (f"ssh = {_quoted(_address(user))}", "[user@]host[:port]"),
    ]
    wide = max(len(setting) for setting, _ in settings)
    default, host = (f"{setting:{wide}}  # {means}" for setting, means in settings)
    return (
        f"[defaults]\n{default}\n\n"
        f"[hosts.csb0]\n{host}\n\n"
        "# [hosts.here]\n# local = true  # this machine\n"
    )


def _address(user: str) -> str:
    address = SshAddress("csb0.example.org", user or None)
    try:
        return str(parse_address(str(address)))
    except BadNameError:
        return address.host


def _quoted(text: str) -> str:
    """A text as one writes it in TOML, whose basic strings are JSON's."""
    return json.dumps(text, ensure_ascii=False)


_FLAKE: Final[dict[FlakeSays, str]] = {
    "no-folder": "there is no such folder",
    "no-flake": "there is no flake.nix in it",
    "no-nix": "there is no nix in PATH that could read its names",
    "no-names": "it has nothing under nixosConfigurations, and no USER@HOST under "
    "homeConfigurations",
}

_OTHER_WAYS: Final = (
    ("nixfleet --hosts FILE", "takes another file"),
    ("nixfleet demo", "shows the app on a sandbox fleet that touches nothing else"),
    ("README.md, 'The inventory'", "has all keys of the file"),
)
