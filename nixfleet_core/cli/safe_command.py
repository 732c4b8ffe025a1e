"""Commands whose errors are made safe as `say` does. click prints them, and they quote the
operator, files and hosts."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from nixfleet_core.cli.streams import fill_streams, output_faults

if TYPE_CHECKING:
    from collections.abc import Iterator


class SafeCommand(click.Command):
    """A command whose errors are safe to print."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        fill_streams()
        return super().main(*args, **kwargs)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _safe_faults(), output_faults(sys.stdout):  # --help and --version print
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _safe_faults():
            return super().invoke(ctx)


class SafeGroup(SafeCommand, click.Group):
    """The same for a group, and for all of its commands."""


@contextmanager
def _safe_faults() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        from nixfleet_core.log.display import safe

        vars(error)["message"] = safe(error.message)
        raise
