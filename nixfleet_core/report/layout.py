"""A report as blocks of text: what it says, in which order, and how much of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from humanize import naturaltime

from nixfleet_core import __version__
from nixfleet_core.facts.package_changes import change_text
from nixfleet_core.limits import LAST_SECOND
from nixfleet_core.log.amounts import duration, plural
from nixfleet_core.report.blocks import (
    Block,
    Bullets,
    Heading,
    Inline,
    Line,
    LogText,
    Paragraph,
    Table,
    Value,
)
from nixfleet_core.report.excerpts import AFTER, BEFORE, FIRST_ERRORS, LAST_ERRORS, LAST_LINES
from nixfleet_core.report.model import Incident, NoIncident
from nixfleet_core.report.words import moment
from nixfleet_core.vocabulary import CAUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.report.model import Compared, IncidentReport, InputChange, LogPart

MOST_CHANGES: Final = 200
"""So many changed packages are listed."""
MOST_BUILDS: Final = 10
"""So many builds are listed, the slowest first."""
MOST_REMARKS: Final = 50
"""So many notes of a verdict are listed, and so many things that a job has left."""

_TIMES: Final = "All times are the hosts' own, in the zone of the machine that made this report."
_NONE: Final = "–"
_GOOD: Final = ("updated", "current", "restarted")


def lay_out(report: IncidentReport) -> Iterator[Block]:
    """All blocks of the report, in their order."""
    names = [host.host for host in report.hosts]
    title: Line = (Value(names[0]),) if len(names) == 1 else (f"{len(names)} hosts",)
    yield Heading(1, ("Incident report: ", *title))
    made = f"{moment(report.at)}, by NixFleet for the terminal {__version__}. {_TIMES}"
    yield Paragraph("Made", (made,))
    if len(names) != 1:
        yield _overview(report)
    for host in report.hosts:
        yield Heading(2, (Value(host.host),))
        if isinstance(host, NoIncident):
            yield Paragraph("Nothing to tell", (host.why,), "bad")
        else:
            yield from _incident(host, report.at)


def _overview(report: IncidentReport) -> Table:
    head = ("Host", "Verdict", "Cause", "Agent", "Job", "Began", "Took", "Started by")
    rows: list[tuple[Inline, ...]] = []
    for host in report.hosts:
        if isinstance(host, NoIncident):
            rows.append((Value(host.host), "nothing to tell", host.why, *[_NONE] * 5))
            continue
        verdict = host.verdict
        rows.append(
            (
                *(Value(host.host), _kind(host), _value(verdict.cause if verdict else None)),
                *(_versions(verdict), Value(host.job)),
                *(_moment(host.began), _took(host), _value(host.asked_by)),
            )
        )
    return Table(head, tuple(rows))


def _incident(one: Incident, now: int) -> Iterator[Block]:
    verdict = one.verdict
    if verdict is None:
        yield Paragraph("Verdict", (_kind(one),), "bad" if one.progress == "over" else "")
    else:
        yield Paragraph(
            "Verdict",
            (f"{verdict.kind}: ", verdict.sentence),
            "good" if verdict.kind in _GOOD else "bad",
        )
        if verdict.advice:
            yield Paragraph("What helps", (verdict.advice,))
    if one.remarks:
        yield Bullets(tuple((remark,) for remark in one.remarks))
    yield Table(
        (),
        (
            ("Job", Value(one.job)),
            ("What for", one.goal or _NONE),
            ("Started by", _value(one.asked_by)),
            ("Began", _since(one.began, now)),
            ("Ended", _since(one.ended, now)),
            ("Took", _took(one)),
        ),
    )
    if one.compared:
        yield Heading(3, ("Before and after",))
        yield _comparison(one.compared)
    yield from _changes(one)
    yield from _cause(one)
    if one.moments:
        yield Heading(3, ("Time line",))
        yield from _time_line(one)
    if one.slowest:
        yield Heading(3, ("The slowest builds",))
        builds = one.slowest[:MOST_BUILDS]
        rows = tuple((Value(build.name), duration(build.seconds)) for build in builds)
        yield Table(("Build", "Took"), rows)
    yield Heading(3, ("Log",))
    yield from _log(one.log)


def _changes(one: Incident) -> Iterator[Block]:
    changes = one.verdict.changes if one.verdict else ()
    if not (changes or one.commits or one.brought):
        return
    yield Heading(3, ("What changed",))
    if one.commits:
        yield _comparison(one.commits, "Commit of")
    if one.brought is not None:
        yield from _brought(one.brought)
    if changes:
        more = len(changes) - MOST_CHANGES
        yield Bullets(tuple((Value(change_text(change)),) for change in changes[:MOST_CHANGES]))
        if more > 0:
            yield Paragraph("", (f"And {more} more packages.",))


def _brought(change: InputChange) -> Iterator[Block]:
    """The commits of the input, in the words of a plan that has been carried out."""
    found, name = change.commits, Value(change.input)
    said: list[Line] = []
    if found.count:
        said.append((f"{_counted(found.count, 'commit')} of ", name, " came along"))
    if found.reverts_words:
        said.append((found.reverts_words,))
    if found.lost:
        gone = "is" if found.lost == 1 else "are"
        down = "" if found.count else "a downgrade: "
        said.append((f"{down}{_counted(found.lost, 'commit')} of ", name, f" {gone} gone"))
    words = [word for clause in said for word in (*clause[:-1], f"{clause[-1]}; ")]
    words[-1] = f"{said[-1][-1]}."
    yield Paragraph(f"Commits {change.place}", tuple(words))
    for count, commits, what in (
        (found.count, found.commits, "came along"),
        (found.lost, found.losses, "gone"),
    ):
        if commits:
            rows = tuple(
                (
                    *(Value(one.rev[:7]), one.date, _value(one.title)),
                    f"{what}, a revert" if one.reverts else what,
                )
                for one in commits
            )
            yield Table(("Commit", "Date", "Title", ""), rows)
        if (more := count - len(commits)) > 0:
            yield Paragraph("", (f"And {more} more.",))


def _cause(one: Incident) -> Iterator[Block]:
    verdict = one.verdict
    if verdict is None and not one.evidence:
        return
    yield Heading(3, ("Cause and evidence",))
    if verdict is not None:
        if verdict.cause:
            known = CAUSES.get(verdict.cause)
            meaning = f": {known.meaning}" if known else ""
            yield Paragraph("Cause", (Value(verdict.cause), meaning))
        else:
            yield Paragraph("Cause", ("none: all is well.",))
        left = (f"left behind: {one.what}; {one.help}".removesuffix("; ") for one in verdict.left)
        notes = [*verdict.notes, *left]
        if notes:
            yield Bullets(tuple((note,) for note in notes[:MOST_REMARKS]))
    if one.evidence:
        yield Paragraph("Evidence", (f"what was seen {one.evidence_from}:",))
        rows = tuple((label, _value(seen)) for label, seen in one.evidence)
        yield Table((), rows)


def _time_line(one: Incident) -> Iterator[Block]:
    rows = [
        (
            moment(event.at),
            _offset(event.at, one.began),
            event.what,
            event.how,
            duration(event.seconds) if event.seconds is not None else "",
        )
        for event in one.moments
    ]
    yield Table(("Time", "After", "What", "How", "Took"), tuple(rows))
    if one.left_out:
        yield Paragraph("", (f"{one.left_out} events in the middle are left out.",))


def _log(log: LogPart) -> Iterator[Block]:
    counted = "" if log.counted_all else "more than "
    parts = [f"{_counted(log.lines, 'line')}, {counted}{_counted(log.errors, 'error')}."]
    is_whole = log.around == log.errors and log.counted_all
    which = "all" if is_whole else f"the first {FIRST_ERRORS} and the last {LAST_ERRORS}"
    if log.errors:
        parts.append(f"Here are {which}, each with {BEFORE} lines before and {AFTER} after it,")
        parts.append(f"and the last {LAST_LINES} lines. A > marks an error.")
    elif log.lines:
        parts.append(f"Here are the last {LAST_LINES} lines.")
    else:
        parts = ["The log is empty, or not on this machine."]
    yield Paragraph("", (" ".join(parts),))
    for excerpt in log.excerpts:
        first, last = excerpt.lines[0].number, excerpt.lines[-1].number
        step: Line = (excerpt.step, ": ") if excerpt.step else ()
        yield Heading(4, (*step, f"lines {first:,} to {last:,}"))
        yield LogText(excerpt.lines)


def _comparison(compared: tuple[Compared, ...], what: str = "") -> Table:
    rows = tuple(
        (
            one.what,
            _value(one.before),
            "unchanged" if one.before == one.after is not None else _value(one.after),
        )
        for one in compared
    )
    return Table((what, "Before", "After"), rows)


def _kind(one: Incident) -> str:
    if one.verdict is not None:
        return one.verdict.kind
    words = {"over": "none", "running": "none: the job is running", "not known": "none so far"}
    return words[one.progress]


def _versions(verdict: Verdict | None) -> Inline:
    if verdict is None:
        return _NONE
    old, new = verdict.before.version or "?", verdict.after.version or "?"
    return Value(new if old == new else f"{old} → {new}")


def _value(text: str | None) -> Inline:
    return Value(text) if text else _NONE


def _took(one: Incident) -> str:
    if one.began is None or one.ended is None:
        return _NONE
    return duration(one.ended - one.began)


def _moment(at: int | None) -> str:
    return moment(at) if at is not None else _NONE


def _since(at: int | None, now: int) -> str:
    if at is None:
        return _NONE
    return f"{moment(at)} ({naturaltime(min(max(0, now - at), LAST_SECOND))})"


def _offset(at: int, began: int | None) -> str:
    return f"+{duration(at - began)}" if began is not None and at > began else ""


def _counted(number: int, what: str) -> str:
    return f"{number:,} {plural(number, what)}"
