"""Where a report goes: a new file, in the format that its name ends in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from nixfleet_core.report.html import to_html
from nixfleet_core.report.markdown import to_markdown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nixfleet_core.report.model import IncidentReport

_FORMATS: Final[dict[str, Callable[[IncidentReport], str]]] = {
    ".md": to_markdown,
    ".html": to_html,
}


class CannotSave(Exception):  # noqa: N818
    """Why a report cannot go to a file, for people."""


def check_target(path: Path) -> None:
    """Raise CannotSave if the name ends in no format, or if something is there already."""
    if path.suffix.lower() not in _FORMATS:
        raise CannotSave(
            f"{path}: the name must end in {' or '.join(_FORMATS)}; nothing was written"
        )
    if os.path.lexists(path):
        raise CannotSave(f"{path} is there already; nothing was written: choose another name")


def save(report: IncidentReport, path: Path) -> None:
    """Write the report to a new file, readable by its owner only. Raises CannotSave; nothing is
    overwritten, and no part of a report stays behind."""
    check_target(path)
    data = _FORMATS[path.suffix.lower()](report).encode("utf-8", "replace")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotSave(f"not saved: {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CannotSave(f"not saved: {path}: {error.strerror}") from error
