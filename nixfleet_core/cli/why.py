"""`nixfleet why`: the cause, the evidence and the cure, of each host."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from nixfleet_core.cli.output import print_json, say
from nixfleet_core.cli.run import for_each
from nixfleet_core.errors import BadAnswer
from nixfleet_core.judge.exit_codes import worst_exit
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.session.boundary import drawn
from nixfleet_core.session.conduct import Conductor
from nixfleet_core.vocabulary import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.judge.diagnosis import Diagnosis
    from nixfleet_core.session.protocol import HostSession


class WhyLine(msgspec.Struct, frozen=True):
    """One host in the JSON answer; what could not be seen is null in `evidence`."""

    host: str
    cause: Cause | Literal[""]
    sentence: str
    evidence: dict[str, str | None]
    cure: str


def explain_hosts(sessions: Sequence[HostSession], *, as_json: bool, several: bool) -> int:
    """Look at all hosts at once and print the finding for each; with `several` it names its host.
    Return the exit code."""
    codes = []
    explained = for_each(sessions, Conductor.explain)
    for session, found in zip(sessions, explained, strict=True):
        host = session.host.name
        line = drawn(host, partial(_line, host, found), partial(_no_line, host))
        codes.append(found.exit_code if isinstance(found, Verdict) else 0)
        if as_json:
            print_json(line)
        else:
            _print(line, found, several=several)
    return worst_exit(codes)


def _line(host: str, found: Diagnosis | Verdict) -> WhyLine:
    if isinstance(found, Verdict):
        return WhyLine(host, found.cause, found.sentence, {}, found.advice)
    return WhyLine(
        host=host,
        cause=found.cause,
        sentence=found.sentence,
        evidence={label.replace(" ", "_"): seen or None for label, seen in found.evidence},
        cure=found.cure(host),
    )


def _no_line(host: str, why: str) -> WhyLine:
    return WhyLine(host, BadAnswer.cause, why, {}, "")


def _print(line: WhyLine, found: Diagnosis | Verdict, *, several: bool) -> None:
    begin = f"{line.host}: " if several else ""
    say(f"{begin}{line.cause}: {line.sentence}")
    evidence = () if isinstance(found, Verdict) else found.evidence
    width = max((len(label) for label, _ in evidence), default=0)
    for label, seen in evidence:
        say(f"  {label:<{width}}  {'missing' if seen is None else seen}")
    for words in dict.fromkeys((line.cure, found.advice)):
        if words:
            say(f"  → {words}")
