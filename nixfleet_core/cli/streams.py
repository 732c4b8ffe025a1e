"""The standard streams: those that our caller has closed, and those that cannot be written."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputFailed(click.ClickException):
    """What is to be printed cannot be written. A reader that went away is no failure (click ends
    the command then)."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {error.strerror}")


@contextmanager
def output_faults(stream: IO[str]) -> Iterator[None]:
    """Raises OutputFailed. Python would try once more at its end, and print a traceback."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        with suppress(OSError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        raise OutputFailed(error) from error


def fill_streams() -> None:
    """What our caller has closed is empty instead. No file of ours gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open to the end
