"""Words and numbers for the screens, and the cleaning of text from hosts."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from nixfleet_core.limits import LAST_SECOND
from nixfleet_core.log.amounts import counted as counted
from nixfleet_core.log.amounts import duration as duration
from nixfleet_core.log.display import TEXT_LIMIT, safe_beginning

if TYPE_CHECKING:
    from nixfleet_core.judge.running_commit import RunningCommit
    from tui.glyphs import Glyphs

_STORE: Final = re.compile(r"/nix/store/(?P<hash>[0-9a-z]{32})-(?P<name>[^/]+)")
_VERSION_TAIL: Final = re.compile(r"-(?P<version>[0-9][^/]*)$")


@lru_cache(maxsize=4096)  # each beat makes every row anew
def plain(text: str) -> str:
    """Foreign text on one line, without credentials and without what drives a terminal.

    Clean foreign text before you shorten it: half a credential may not look like one.
    """
    return safe_beginning(text)[:TEXT_LIMIT]


def sentence(text: str, glyphs: Glyphs) -> str:
    """The engine's own words, which may quote a host, in the glyphs of this terminal."""
    return plain(text).replace("…", glyphs.ellipsis)


def short_commit(rev: str | None, glyphs: Glyphs) -> str:
    return plain(rev)[:7] if rev else glyphs.missing


def built_from(found: RunningCommit | None, glyphs: Glyphs, now: float) -> str:
    """`9f2c1ab, 3 h`: what the running agent was built from, and the commit's age."""
    if found is None:
        return glyphs.missing
    made = f", {short_age(now - found.made)}" if found.made is not None else ""
    return f"{short_commit(found.commit, glyphs)}{made}"


def short_age(seconds: float) -> str:
    """`12 min`, `3 h`, `40 d`."""
    minutes = int(max(0.0, seconds)) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def short_hash(sha256: str | None, glyphs: Glyphs) -> str:
    return f"{plain(sha256)[:6]}{glyphs.ellipsis}" if sha256 else glyphs.missing


def short_store_path(path: str | None, glyphs: Glyphs) -> str:
    """`9x4k…-2.1.0`: enough of the hash to tell two paths apart, and the version in the name.

    A path outside the store is shown as it is.
    """
    if not path:
        return glyphs.missing
    shown = plain(path)
    match = _STORE.match(shown)
    if match is None:
        return shown
    version = _VERSION_TAIL.search(match["name"])
    label = version["version"] if version else match["name"]
    return f"{match['hash'][:4]}{glyphs.ellipsis}-{label}"


def stopwatch(seconds: int) -> str:
    """`02:14`, `1:02:14`."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def byte_size(count: int) -> str:
    """`512 Bytes`, `3.1 MiB`."""
    from humanize import naturalsize  # as in `ago`

    return naturalsize(count, binary=True)


def ago(seconds: float) -> str:
    """`3 hours ago`."""
    from humanize import naturaltime  # costs 20 ms, and the first paint does not need it

    return naturaltime(min(max(0.0, seconds), LAST_SECOND))


def local_time(at: int) -> str:
    """`2026-11-23 00:41`, by this machine's clock; empty for a time that no calendar has."""
    return _local("%Y-%m-%d %H:%M", at)


def clock_time(at: float) -> str:
    """`12:03:04`, by this machine's clock; empty for a time that no calendar has."""
    return _local("%H:%M:%S", at)


def _local(shape: str, at: float) -> str:
    try:
        return time.strftime(shape, time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return ""


def bar(fraction: float, width: int, glyphs: Glyphs) -> str:
    """A progress bar of `width` cells."""
    full = round(min(1.0, max(0.0, fraction)) * width)
    return glyphs.bar_full * full + glyphs.bar_empty * (width - full)


def shorten(text: str, cells: int, glyphs: Glyphs) -> str:
    """`text` cut to so many cells, with an ellipsis if something is cut off."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= cells:
        return text
    end = glyphs.ellipsis
    if cells <= len(end):
        return set_cell_size(text, max(0, cells))
    return set_cell_size(text, cells - len(end)) + end
