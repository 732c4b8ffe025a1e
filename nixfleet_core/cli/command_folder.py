"""Commands that stand in a folder, one file each. A file is loaded when its command is called."""

from __future__ import annotations

import pkgutil
from collections.abc import MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


class CommandFolder(MutableMapping[str, click.Command]):
    """The commands of a package, by their names. The file NAME.py has the command NAME.

    click asks for one command to call it, for the names to complete a word or to guess what was
    meant, and for all commands to list them in --help.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._more: dict[str, click.Command] = {}
        """What `@group.command()` has added, in no file of the folder."""

    def __getitem__(self, name: str) -> click.Command:
        if name in self._more:
            return self._more[name]
        if name not in self._files():
            raise KeyError(name)
        command = getattr(import_module(f"{self._package}.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self._package}.{name} has no command {name}")
        return command

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self._files(), *self._more))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._more[name] = command

    def __delitem__(self, name: str) -> None:
        del self._more[name]

    def _files(self) -> list[str]:
        folder = import_module(self._package).__path__
        return [module.name for module in pkgutil.iter_modules(folder)]
