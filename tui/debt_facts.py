"""A host's restart debt in sections, for the screen of it and for the clipboard. Pure.

Values are whole: the screen wraps them, and nothing is shortened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.facts.service import AGENT_UNIT
from nixfleet_core.judge.debt import (
    REBOOT,
    apart_words,
    debt_sentence,
    old_and_new,
)
from nixfleet_core.session.boundary import drawn
from tui.host_facts import Fact, Section
from tui.text import ago, local_time, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.judge.debt import Boot, Owing
    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs
    from tui.known_debt import SeenDebt


def headline(seen: SeenDebt, glyphs: Glyphs) -> str:
    """What the look has found, in one sentence."""
    return sentence(debt_sentence(seen.debt), glyphs)


def debt_sections(entry: HostEntry, seen: SeenDebt, glyphs: Glyphs) -> tuple[Section, ...]:
    """Each unit in debt, what waits for a reboot, and what is no debt. Ages are those at the time
    of the look."""

    def broken(why: str) -> tuple[Section, ...]:
        return (Section(entry.label, "", (Fact("error", plain(why), "bad"),)),)

    return drawn(entry.name, lambda: tuple(_sections(entry, seen, glyphs)), broken)


def _sections(entry: HostEntry, seen: SeenDebt, glyphs: Glyphs) -> Iterable[Section]:
    debt = seen.debt
    host_now = entry.host_time(seen.at)
    for one in debt.units:
        whose = "" if one.uid is None else f" (user {one.uid})"
        yield Section(plain(f"{one.unit}{whose}"), "", tuple(_unit(one, host_now, glyphs)))
    if debt.boot:
        parts = [Fact(part.part, _old_and_new(part, glyphs)) for part in debt.boot]
        yield Section("Waits for a reboot", "", (*parts, Fact("pay with", REBOOT, "busy")))
    processes = "process" if debt.looked == 1 else "processes"
    looked = [Fact("looked at", f"{debt.looked} {processes} of units")]
    if words := apart_words(debt.apart):
        looked.append(Fact("beside them", words))
    yield Section("This look", "", tuple(looked))


def _unit(one: Owing, host_now: float, glyphs: Glyphs) -> Iterable[Fact]:
    yield Fact("old", _old_and_new(one, glyphs), "warning")
    yield Fact(one.kind, plain(one.old))
    if one.is_deleted:
        yield Fact("deleted", "a file that it runs or maps is gone from the store", "warning")
    if one.since:
        yield Fact("runs since", f"{local_time(one.since)}, {ago(host_now - one.since)}")
    if one.reason:
        yield Fact("left alone", plain(one.reason))
    # the agent's restart is a job, which proves what runs afterwards
    is_agent = one.unit == AGENT_UNIT and one.uid is None
    yield Fact("pay with", plain(one.pay), "busy", ("restart",) if is_agent else ())


def _old_and_new(one: Owing | Boot, glyphs: Glyphs) -> str:
    return plain(old_and_new(one)).replace("→", glyphs.arrow)
