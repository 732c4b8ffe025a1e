"""What the panel beside the fleet table says of one host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from textual.content import Content

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.host import HELD
from nixfleet_core.ids import job_time
from nixfleet_core.judge.debt import is_debt_note
from nixfleet_core.judge.diagnosis import PROOFS
from nixfleet_core.session.boundary import drawn
from tui.keys import AS_BUILT
from tui.remedies import advice_text, remedy_keys
from tui.text import ago, built_from, counted, plain, sentence
from tui.widgets.live import no_picture
from tui.widgets.verdict_panel import verdict_text
from tui.widgets.versions import snapshot_rows
from tui.words import STYLES, state_tone, tone_sign

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout, Facts
    from nixfleet_core.judge.table_state import Assessment
    from nixfleet_core.judge.verdict import Verdict
    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher
    from tui.keys import Keys
    from tui.known_debt import SeenDebt

_LABEL = 11
_COLUMN = 16
_REMEMBERED = "remembered: the flake named this host before, and cannot be asked now"


def host_details(entry: HostEntry, glyphs: Glyphs, now: float, bound: Keys = AS_BUILT) -> Content:
    """First the state and why, then each layer side by side, then where it comes from."""
    return drawn(entry.name, lambda: _details(entry, glyphs, now, bound), no_picture)


def last_look(entry: HostEntry, now: float) -> str:
    """How old all of this is: `seen 12 seconds ago`, or `asked` if the host did not answer."""
    if not entry.seen_at:
        return ""
    word = "asked" if entry.facts is None else "seen"
    return drawn(entry.name, lambda: f"{word} {ago(now - entry.seen_at)}", lambda _: "")


def _details(entry: HostEntry, glyphs: Glyphs, now: float, bound: Keys) -> Content:
    lines: list[Content] = []
    facts, found = entry.facts, entry.assessment
    if facts is not None:
        dot = f" {glyphs.dot} "
        known = (facts.os, facts.machine, str(facts.nix) if facts.nix else "")
        lines.append(Content(dot.join(plain(part) for part in known if part)))
    watcher = entry.watcher if entry.watcher is not None and entry.watcher.is_active else None
    if watcher is not None:
        lines += _job(watcher, glyphs, bound)
    elif found is not None:
        lines += _why(found, glyphs, bound)
    else:
        lines.append(Content.styled("asking this host ...", STYLES["faint"]))
    if entry.host.hold:
        lines.append(Content.styled(HELD, STYLES["warning"]))
    if entry.host.remembered:
        lines.append(Content.styled(_REMEMBERED, STYLES["warning"]))
    is_busy = watcher is not None or (facts is not None and facts.job_running is not None)
    if not is_busy:
        lines += _last_attempt(entry, glyphs, bound)
    if facts is not None:
        lines += [Content(), *_layers(entry, facts, glyphs), *_origin(entry, facts, glyphs, now)]
    if entry.debt is not None and not is_busy:
        lines += _debt(entry.debt, glyphs, now, bound)
    if entry.verdict is not None and not is_busy:
        verdict = _without_debt(entry.verdict) if entry.debt is not None else entry.verdict
        lines += [Content(), verdict_text(verdict, glyphs, bound=bound)]
    return Content("\n").join(lines)


def _job(watcher: JobWatcher, glyphs: Glyphs, bound: Keys) -> list[Content]:
    """The job that runs, in the place of what the last look found: no cure can begin before the job
    has ended."""
    step = f" {glyphs.dot} {watcher.step_words}" if watcher.step_words else ""
    tone = state_tone("updating")
    state = Content.styled(f"{tone_sign(tone, glyphs)} updating", f"bold {STYLES[tone]}")
    why = Content.assemble(("why: ", STYLES["faint"]), f"job {plain(watcher.job)} is running")
    said = [Content.assemble(state, step), why]
    if keys := remedy_keys(("attach",), glyphs, bound=bound):
        said.append(Content.assemble(("cure: ", STYLES["faint"]), keys))
    return said


def _last_attempt(entry: HostEntry, glyphs: Glyphs, bound: Keys) -> list[Content]:
    """What helps to reach the host, and why the last attempt started no job."""
    lines: list[Content] = []
    if entry.advice or entry.remedies:
        what = advice_text(Content(plain(entry.advice)), entry.remedies, glyphs, bound=bound)
        lines.append(Content.assemble(("try: ", STYLES["faint"]), what))
    if entry.note:
        lines.append(Content.assemble(("last: ", STYLES["faint"]), plain(entry.note)))
    return lines


def _why(found: Assessment, glyphs: Glyphs, bound: Keys) -> list[Content]:
    """State, cause and cure in words, with the keys of the cure."""
    tone = state_tone(found.state)
    state = Content.styled(f"{tone_sign(tone, glyphs)} {found.state}", f"bold {STYLES[tone]}")
    why = Content.assemble(("why: ", STYLES["faint"]), sentence(found.why, glyphs))
    finding = found.finding
    if finding is None:
        return [state, why]
    if finding.cause != found.state:
        state = Content.assemble(state, f" {glyphs.dot} {finding.cause}")
    if not finding.advice:
        return [state, why]
    said = Content(sentence(finding.advice, glyphs))
    cure = advice_text(said, finding.remedies, glyphs, bound=bound)
    return [state, why, Content.assemble(("cure: ", STYLES["faint"]), cure)]


def _without_debt(verdict: Verdict) -> Verdict:
    """The verdict without its remark on restart debt, of which a line of its own says what is known
    by now."""
    notes = tuple(note for note in verdict.notes if not is_debt_note(note))
    return msgspec.structs.replace(verdict, notes=notes)


def _debt(seen: SeenDebt, glyphs: Glyphs, now: float, bound: Keys) -> list[Content]:
    """What else is old, and the key that lists it."""
    lines = [_pair("" if at else "old", words) for at, words in enumerate(seen.words(now))]
    if lines and (keys := remedy_keys(("debt",), glyphs, bound=bound)):
        lines[-1] = Content.assemble(lines[-1], " ", keys)
    return lines


def _layers(entry: HostEntry, facts: Facts, glyphs: Glyphs) -> list[Content]:
    """The running agent beside the installed one, row by row."""
    running = snapshot_rows(entry.snapshot(), glyphs)
    installed = snapshot_rows(
        Snapshot(
            version=facts.installed.version if facts.installed else None,
            store_path=facts.installed.identity if facts.installed else None,
            sha256=facts.installed.sha256 if facts.installed else None,
        ),
        glyphs,
    )
    lines = [
        Content.styled(f"{'':<{_LABEL}}{'running':<{_COLUMN}}installed", STYLES["faint"]),
    ]
    for key in ("version", "store", "sha256"):
        left, right = running[key], installed[key]
        if key == "sha256" and left == right == glyphs.missing:
            continue
        differ = left != right and glyphs.missing not in (left, right)
        lines.append(
            Content.assemble(
                (f"{key:<{_LABEL}}", STYLES["faint"]),
                f"{left:<{_COLUMN - 1}} ",
                (right, "bold" if differ else ""),
            )
        )
    return lines


def _origin(entry: HostEntry, facts: Facts, glyphs: Glyphs, now: float) -> list[Content]:
    """Locked commit, checkout, jobs."""
    running = snapshot_rows(entry.snapshot(), glyphs)
    lines: list[Content] = []
    if facts.running is not None:
        lines.append(_pair("proof", PROOFS[facts.running.proof]))
    found = entry.assessment
    if found is not None and found.running_commit is not None:
        lines.append(_pair("built from", built_from(found.running_commit, glyphs, now)))
    lines.append(_pair("lock", running["commit"]))
    if facts.checkout is not None:
        lines.append(_pair("checkout", _checkout(facts.checkout, entry.host.checkout)))
    if facts.other is not None:
        lines.append(_pair("beside it", _checkout(facts.other, facts.other.path)))
    lines.append(_pair("system", running["system"]))
    if (since := running_since(facts, now - entry.seen_at)) is not None:
        lines.append(_pair("started", ago(since)))
    if facts.job_last is not None:
        when = ago(now - job_time(facts.job_last))
        lines.append(_pair("last job", f"{plain(facts.job_last)}, {when}"))
    if (age := entry.assessment.proven_age if entry.assessment else None) is not None:
        lines.append(_pair("proven", ago(now - entry.seen_at + age)))
    return lines


def running_since(facts: Facts, age: float) -> float | None:
    """For so many seconds the agent has been running, if the look at the host is of that age."""
    if facts.running is None or facts.running.started is None or not facts.now:
        return None
    return facts.now + age - facts.running.started


def checkout_state(checkout: Checkout) -> str:
    """`clean`, `2 changes, 3 behind`, or why it cannot be used."""
    if checkout.state != "ok":
        return checkout.state
    changes = len(checkout.dirty)
    return (counted(changes, "change") if changes else "clean") + _apart(checkout)


def _apart(checkout: Checkout) -> str:
    sides = ((checkout.ahead, "ahead"), (checkout.behind, "behind"))
    return "".join(f", {number} {where}" for number, where in sides if number)


def _checkout(checkout: Checkout, shown: str) -> str:
    if checkout.state != "ok":
        return f"{plain(shown)}, {checkout.state}"
    changes = len(checkout.dirty)
    state = counted(changes, "change") if changes else "clean"
    branch = plain(checkout.branch or "no branch")
    return f"{plain(shown)}, {state}, {branch}{_apart(checkout)}"


def _pair(label: str, value: str) -> Content:
    return Content.assemble((f"{label:<{_LABEL}}", STYLES["faint"]), value)
