"""Nix's work at one place of its log: which builds run, and how far it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nixfleet_core.nix.activity import (
    BuildLine,
    Counts,
    Progress,
    StartBuild,
    StartCounter,
    StopActivity,
)

if TYPE_CHECKING:
    from nixfleet_core.nix.activity import Activity

_BUILDS_LIMIT: Final = 4096
_NAME_LIMIT: Final = 211
"""Characters; the longest name that Nix allows in the store."""

_HASH: Final = re.compile(r"^[0-9a-z]{32}-")
_VERSION: Final = re.compile(r"-[^A-Za-z]")
"""Where Nix cuts a name (DrvName): a dash that no letter follows."""


class LogState:
    """Takes one activity after the other and changes in place: a log has a million activities, and
    thousands of builds may run."""

    def __init__(self) -> None:
        self.builds: dict[int, bytes] = {}
        """The builds that run: their names, by the id of their activity."""
        self._built: Counts | None = None
        self._copied: Counts | None = None
        """The two counters of the live worker."""

    @property
    def progress(self) -> Progress | None:
        """Builds and substituted paths of the live worker; None before the first one.

        A rebuild runs several workers one after another, each counting from nothing. `expected`
        grows, and need not be reached: Nix 2.34 ends at 6 of 7.
        """
        if self._built is None:
            return None
        copied = self._copied or Progress(0, 0)
        return Progress(self._built.done + copied.done, self._built.expected + copied.expected)

    def take(self, activity: Activity) -> None:
        if type(activity) is BuildLine:
            return  # most activities
        if type(activity) is StopActivity:
            self.builds.pop(activity.id, None)
        elif type(activity) is Counts:
            if self._built is not None and self._built.id == activity.id:
                self._built = activity
            if self._copied is not None and self._copied.id == activity.id:
                self._copied = activity
        elif type(activity) is StartBuild:
            self.builds[activity.id] = package_name(activity.drv_path)
            if len(self.builds) > _BUILDS_LIMIT:
                del self.builds[next(iter(self.builds))]
        elif type(activity) is StartCounter:
            counts = Counts(0, 0, activity.id)
            if activity.kind == "copies":
                self._copied = counts
            else:
                self.builds.clear()
                self._built, self._copied = counts, None


def package_name(drv_path: str) -> bytes:
    """Nix's name for a build: the package's name without the version."""
    base = drv_path.rpartition("/")[2].removesuffix(".drv")
    name = _HASH.sub("", base)[:_NAME_LIMIT] or "unnamed"
    version = _VERSION.search(name)
    return name[: version.start() if version else None].encode("utf-8", "replace")
