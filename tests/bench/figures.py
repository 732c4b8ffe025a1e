"""Figures of own and peer, as rows of a table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT_ALLOWS: Final = 2.0
"""The short form fails only if a ratio misses its goal by this factor: machines are noisy."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Several measurements of one thing, each in the same unit."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """Half of the distance between the least and the most, as a share of the median."""
        if not self.median:
            return 0.0
        return (max(self.values) - min(self.values)) / 2 / self.median


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. With a peer the ratio counts, without one the figure itself."""

    what: str
    own: Sample
    unit: str
    goal: float
    peer: Sample | None = None
    peer_name: str = "–"
    better: Literal["less", "more"] = "less"
    decides: bool = True
    """Whether the short form may fail for it. Where another row has Textual's own figure for the
    same work, that one decides."""

    @property
    def result(self) -> float:
        """What is compared with the goal."""
        return self.own.median / self.peer.median if self.peer else self.own.median

    @property
    def is_met(self) -> bool:
        return self._within(1.0)

    @property
    def passes_short(self) -> bool:
        """Whether a quick look finds nothing wrong. Only ratios count: another machine has other
        seconds."""
        return self.peer is None or not self.decides or self._within(SHORT_ALLOWS)

    def _within(self, factor: float) -> bool:
        if self.better == "more":
            return self.result >= self.goal / factor
        return self.result <= self.goal * factor

    def cells(self) -> tuple[str, ...]:
        sign = "≥" if self.better == "more" else "≤"
        unit = " ×" if self.peer else f" {self.unit}"
        return (
            self.what,
            _measured(self.own, self.unit),
            self.peer_name,
            _measured(self.peer, self.unit) if self.peer else "–",
            f"{_number(self.result)}{unit}",
            f"{sign} {_number(self.goal)}{unit}",
            "yes" if self.is_met else "**no**",
        )


_TITLES: Final = ("what", "here", "peer", "the peer's", "result", "goal", "met")


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [_TITLES, ("---",) * len(_TITLES), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _measured(sample: Sample, unit: str) -> str:
    return f"{_number(sample.median)} {unit} ± {sample.spread:.0%}"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
