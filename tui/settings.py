"""What the operator chose for the app as a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppSettings:
    """`bell` and `title`: ring, and name the verdict in the window title, when a job has ended."""

    ascii: bool = False
    mouse: bool = True
    bell: bool = True
    title: bool = True
