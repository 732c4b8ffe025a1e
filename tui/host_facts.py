"""Everything that is known of one host: for the host's own screen, and for the clipboard.

Pure. Values are whole: the screen wraps them, and nothing is shortened. What is not known says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nixfleet_core.host import HELD
from nixfleet_core.judge.active_system import running_generation
from nixfleet_core.judge.causes import expectation
from nixfleet_core.judge.diagnosis import PROOFS, unit_words
from nixfleet_core.judge.proofs import recall
from nixfleet_core.judge.running_commit import running_commit
from nixfleet_core.nix.git_url import NotKnown
from nixfleet_core.session.boundary import drawn
from tui.text import ago, clock_time, duration, local_time, plain, sentence
from tui.words import outcome_tone, state_tone, tone_sign, verdict_tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.facts.model import Binary, Checkout, Facts
    from nixfleet_core.facts.proofs import Proven
    from nixfleet_core.job.history import JobLine
    from tui.fleet import HostEntry
    from tui.glyphs import Glyphs
    from tui.remedies import Offer
    from tui.words import Tone

JOBS_SHOWN: Final = 5
"""So many of a host's jobs, and of its proofs, are listed; `H` lists all jobs."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One row. `value` is what is copied; `remedies` can be done at once, by their keys."""

    label: str
    value: str
    tone: Tone = "normal"
    remedies: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together, and what they rest on."""

    title: str
    rests: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Jobs:
    """What is known of a host's jobs. `at`: when the host told us; 0 before that."""

    lines: tuple[JobLine, ...] = ()
    at: float = 0.0
    why: str = "asking the host"
    """Why they are not known."""


def host_sections(
    entry: HostEntry, jobs: Jobs, made: int | None, glyphs: Glyphs, now: float
) -> tuple[Section, ...]:
    """All sections of one host. `made` is when the latest commit was made, if that is known."""

    def broken(why: str) -> tuple[Section, ...]:
        return (Section(entry.label, "", (Fact("error", plain(why), "bad"),)),)

    return drawn(entry.name, lambda: _View(entry, jobs, made, glyphs, now).sections(), broken)


def sections_text(name: str, sections: Iterable[Section]) -> str:
    """The same as text, for the clipboard."""
    lines = [plain(name)]
    for section in sections:
        lines += ["", f"{section.title} ({section.rests})" if section.rests else section.title]
        lines += [f"  {fact.label:<{LABEL}}{fact.value}" for fact in section.facts]
    return "\n".join(lines)


LABEL: Final = 18
"""Cells of the labels."""


@dataclass(frozen=True, slots=True)
class _View:
    """One host at one moment."""

    entry: HostEntry
    jobs: Jobs
    made: int | None
    glyphs: Glyphs
    now: float

    def sections(self) -> tuple[Section, ...]:
        entry, facts = self.entry, self.entry.facts
        finding = Section("Finding", self._look(), tuple(self._finding()))
        host = Section("Host", self._look(), tuple(self._host(facts)))
        jobs = Section("Last jobs", self._jobs_rest(), tuple(self._jobs()))
        if facts is None:
            return (finding, host, jobs)
        known = recall(facts, entry.host)
        return (
            finding,
            host,
            Section("Agent that runs", self._look(), tuple(self._running(facts, known.facts))),
            Section("Agent that is installed", self._look(), tuple(self._installed(facts))),
            Section(
                "Agent that should be there",
                self._latest_rest(),
                tuple(self._wanted(facts, known.facts, known.gaps.flake)),
            ),
            Section("Checkout", self._look(), tuple(self._checkout(facts, facts.checkout))),
            *self._other(facts),
            Section("System", self._look(), tuple(self._system(facts))),
            jobs,
            Section("Proofs", self._look(), tuple(self._proofs(facts))),
        )

    # What a section rests on.

    def _look(self) -> str:
        at = self.entry.seen_at
        if not at:
            return "no look yet"
        word = "asked at" if self.entry.facts is None else "look of"
        return f"{word} {clock_time(at)}, {ago(self.now - at)}"

    def _latest_rest(self) -> str:
        return f"flake.lock and proofs, {self._look()}"

    def _jobs_rest(self) -> str:
        at = self.jobs.at
        return f"asked at {clock_time(at)}, {ago(self.now - at)}" if at else ""

    def _host_time(self, at: int | None) -> str:
        """A moment of the host's clock, and how long ago that is by the same clock."""
        if at is None:
            return ""
        return f"{local_time(at)}, {ago(self.entry.host_time(self.now) - at)}"

    # The sections.

    def _finding(self) -> Iterable[Fact]:
        entry, found = self.entry, self.entry.assessment
        watcher = entry.watcher
        if watcher is not None and watcher.is_active:
            step = f" {self.glyphs.dot} {watcher.step_words}" if watcher.step_words else ""
            sign = tone_sign("busy", self.glyphs)
            yield Fact("state", f"{sign} updating{step}", "busy", ("attach",))
            yield _fact("job", watcher.job)
        elif found is None:
            yield Fact("state", "not known: the host has not answered yet", "faint")
        else:
            tone = state_tone(found.state)
            yield Fact("state", f"{tone_sign(tone, self.glyphs)} {found.state}", tone)
            if found.finding is not None:
                yield Fact("cause", found.finding.cause)
            yield Fact("why", sentence(found.why, self.glyphs))
            if found.finding is not None and found.finding.advice:
                advice, remedies = found.finding.advised
                yield Fact("cure", sentence(advice, self.glyphs), remedies=remedies)
        if entry.advice or entry.remedies:
            yield Fact("try", plain(entry.advice), remedies=entry.remedies)
        if entry.note:
            yield Fact("last attempt", plain(entry.note), "warning")
        if entry.verdict is not None:
            tone = verdict_tone(entry.verdict.kind)
            said = f"{entry.verdict.kind}: {sentence(entry.verdict.sentence, self.glyphs)}"
            yield Fact("last verdict", f"{tone_sign(tone, self.glyphs)} {said}", tone)

    def _host(self, facts: Facts | None) -> Iterable[Fact]:
        host = self.entry.host
        yield Fact("name", self.entry.label)
        yield Fact("where", plain(host.listed_where))
        if host.tags:
            yield Fact("tags", plain(", ".join(host.tags)))
        if host.hold:
            yield Fact("held", HELD, "warning")
        if facts is None:
            found = self.entry.assessment
            why = found.why if found else "the host has not answered yet"
            yield _fact("all else", None, why)
            return
        yield _fact("host name", facts.hostname, "the host did not say it")
        yield _fact("platform", " ".join(part for part in (facts.platform, facts.machine) if part))
        yield _fact("system", facts.os, "the host did not say it")
        yield _fact("Nix", str(facts.nix) if facts.nix else None, "no nix answered")
        yield _fact("logged in as", facts.user, "the host did not say it")
        yield _or("attribute", host.attribute, "none in the inventory: the host's own name counts")
        yield _fact("disk free", _mib(facts.disk_free_kib), "the host did not say it")
        yield _fact("memory free", _mib(facts.memory_free_kib), "the host did not say it")

    def _running(self, facts: Facts, known: Facts) -> Iterable[Fact]:
        """`known` has what earlier proofs show of this very process."""
        running, unit = facts.running, facts.unit
        none = "no process of the agent was seen"
        yield from _binary(running.binary if running else None, none)
        yield from self._built_from(known)
        started = running.started if running else None
        yield _fact("known by", PROOFS[running.proof] if running else None, none)
        if running and known.running and known.running.proof != running.proof:
            yield Fact("proven by", f"{PROOFS[known.running.proof]}, in a proof of this process")
        yield _fact("runs since", self._host_time(started), none)
        pid = running.pid if running else unit.pid if unit else 0
        yield _fact("process", str(pid) if pid else None, none)
        unseen = "the agent's unit could not be seen"
        yield _fact("unit", unit.service.name if unit else None, unseen)
        yield _fact("unit's state", unit_words(unit), unseen)
        if facts.journal is not None:
            yield _fact("it said last", facts.journal)

    def _built_from(self, known: Facts) -> Iterable[Fact]:
        """The commit that the running program was built from, by proof."""
        found = running_commit(known, self.entry.host.input)
        if found is None:
            yield Fact("built from", "not known: nobody has proven it", "faint", ("verify",))
            return
        yield _fact("built from", found.commit)
        if found.made is not None:
            yield Fact("commit made", self._host_time(found.made))
        for commit in found.same:
            yield _fact("the same as", commit)

    def _installed(self, facts: Facts) -> Iterable[Fact]:
        none = "the agent's unit names no program that we could see"
        yield from _binary(facts.installed, none)
        yield _fact(
            "here since",
            self._host_time(facts.installed_at),
            "the host did not say when it came",
        )
        if facts.loaded is not None:
            yield _fact("loaded program", facts.loaded)

    def _wanted(self, facts: Facts, known: Facts, gap: str) -> Iterable[Fact]:
        """`known` has what a proof says that this very state builds; `gap` says why none does."""
        expect = expectation(self.entry.host, facts, self.entry.answer)
        found = facts.find_input(expect.input)
        not_asked = expect.not_known or (
            self.entry.answer if isinstance(self.entry.answer, NotKnown) else None
        )
        why = not_asked.why if not_asked else "its repository did not say it"
        yield _fact("latest commit", expect.latest, why)
        if self.entry.said_version is not None:
            yield Fact(
                "latest version", f"{plain(self.entry.said_version)}, as its repository says"
            )
        if expect.latest and self.made:
            yield Fact("latest made", f"{local_time(self.made)}, {ago(self.now - self.made)}")
        yield _fact("locked commit", found.rev if found else None, _no_lock(facts, expect.input))
        if found is not None:
            when = found.last_modified
            yield _fact("lock made", self._host_time(when), "flake.lock has no date")
            yield _fact("input", expect.input)
            yield _fact("from", found.source.url, f"an input of the kind {found.kind}")
            if found.follows:
                yield _fact("follows", "/".join(found.follows))
            if found.source.pinned:
                yield _fact("pinned to", found.source.pinned)
        if known.expected is None:
            unproven = gap or facts.expected_error or "nothing was evaluated"
            yield Fact("flake builds", f"not known: {plain(unproven)}", "faint", ("verify",))
        else:
            yield _fact("flake builds", known.expected.path)
            how = "this look has evaluated it" if facts.expected else "a proof of this very state"
            yield Fact("known by", how)

    def _checkout(self, facts: Facts, checkout: Checkout | None) -> Iterable[Fact]:
        if checkout is None:
            yield _fact("path", None, "the checkout could not be seen")
            return
        yield _fact("path", checkout.path)
        if checkout.state != "ok":
            said = f": {checkout.said}" if checkout.said else ""
            yield Fact("state", plain(f"{checkout.state}{said}"), "warning")
            return
        yield _fact("owner", checkout.owner, "the host did not say it")
        yield _or("branch", checkout.branch, "none: HEAD is detached")
        yield _fact("HEAD", checkout.head, "the host did not say it")
        yield _or("upstream", checkout.upstream, "none: the branch follows no remote one")
        if checkout.upstream:
            apart = f"{checkout.ahead} ahead, {checkout.behind} behind, as last fetched"
            yield Fact("apart", apart)
        if checkout.incoming:
            yield _fact("newest upstream", checkout.incoming)
        yield Fact("tree", "dirty" if checkout.dirty else "clean")
        for path in checkout.dirty:
            yield Fact("uncommitted", plain(path), "warning")
        if checkout.lock_error:
            yield Fact("flake.lock", plain(checkout.lock_error), "bad")
        elif checkout.head_lock is not None:
            rev = checkout.head_lock.find(self.entry.host.input)
            yield Fact("flake.lock", "changed, and not committed", "warning")
            yield _fact("HEAD's lock", rev.rev if rev else None, _no_lock(facts, "that name"))

    def _other(self, facts: Facts) -> tuple[Section, ...]:
        if facts.other is None:
            return ()
        rows = (
            *self._checkout(facts, facts.other),
            _fact(
                "flake builds",
                facts.other_expected.path if facts.other_expected else None,
                "only evaluated if the first checkout explains nothing",
            ),
        )
        return (Section("Other checkout", self._look(), rows),)

    def _system(self, facts: Facts) -> Iterable[Fact]:
        system, unseen = facts.system, "the host did not say it"
        yield _fact("active", system.current, unseen)
        yield _fact("profile", system.profile, unseen)
        number = str(system.generation) if system.generation is not None else None
        yield _fact("generation", number, "the profile names a path that is no generation")
        if system.is_apart:
            yield Fact("that runs", plain(running_generation(system)), "warning")
        if system.specialisation:
            yield _fact("specialisation", system.specialisation)
        yield _fact("booted", system.booted, unseen)
        if system.needs_reboot:
            yield Fact("reboot", "the new system needs one", "warning")
        if system.inhibitors:
            yield Fact("not switched for", plain(", ".join(system.inhibitors)), "warning")
        if self.entry.debt is not None and not facts.job_running:
            for words in self.entry.debt.words(self.now):
                yield Fact("restart debt", plain(words), "warning", ("debt",))

    def _jobs(self) -> Iterable[Fact]:
        if not self.jobs.at:
            yield _fact("jobs", None, self.jobs.why)
        elif not self.jobs.lines:
            yield Fact("jobs", "this host has had none")
        last = self.entry.facts.last_job if self.entry.facts else None
        if last is not None and last.said:
            yield _fact("the last one said", last.said)
        for line in self.jobs.lines[:JOBS_SHOWN]:
            yield Fact(local_time(line.at), self._job(line), outcome_tone(line.outcome))

    def _job(self, line: JobLine) -> str:
        goal = "roll back" if line.goal == "rollback" else line.goal
        parts = (
            f"{tone_sign(outcome_tone(line.outcome), self.glyphs)} {line.outcome}",
            f"in the step {line.failed_step}" if line.failed_step else "",
            goal,
            f"took {duration(line.seconds)}" if line.seconds is not None else "",
            f"by {line.asked_by}" if line.asked_by else "",
            ago(self.now - line.at),
            f"job {line.job}",
        )
        return plain(", ".join(part for part in parts if part))

    def _proofs(self, facts: Facts) -> Iterable[Fact]:
        if not facts.proofs:
            yield Fact("proofs", "none yet: nobody has looked at this host with proof", "faint")
        for proof in facts.proofs[:JOBS_SHOWN]:
            when, _, age = self._host_time(proof.at).partition(", ")
            yield Fact(when, _proof(proof, age))


def _proof(proof: Proven, age: str) -> str:
    parts = (
        age,
        f"job {proof.job}" if proof.job else "a verification",
        f"by {proof.by}" if proof.by else "",
        f"runs {proof.running}" if proof.running else "",
        f"builds {proof.builds}" if proof.builds else "does not evaluate" if proof.fails else "",
        f"at {proof.input} {proof.commit}" if proof.commit else "",
        f"from {proof.checkout}" if proof.checkout else "",
    )
    return plain(", ".join(part for part in parts if part))


def _binary(binary: Binary | None, none: str) -> Iterable[Fact]:
    yield _fact("version", binary.version if binary else None, none)
    yield _fact("path", binary.path if binary else None, none)
    if binary is not None and binary.store_path not in (None, binary.path):
        yield _fact("store path", binary.store_path)
    if binary is None or binary.sha256:
        yield _fact("sha256", binary.sha256 if binary else None, none)
    else:
        unread = "not known: only a look with proof reads the file"
        yield Fact("sha256", unread, "faint", ("verify",))
    for path in binary.starts if binary else ():
        yield _fact("it starts", path)


def _no_lock(facts: Facts, name: str) -> str:
    if facts.checkout is None or facts.checkout.lock is None:
        return "flake.lock could not be read"
    return f"flake.lock names no commit for {name}"


def _fact(label: str, value: str | None, why: str = "the host did not say it") -> Fact:
    """A value from the host; or that it is not known, and why."""
    if value:
        return Fact(label, plain(value))
    return Fact(label, f"not known: {plain(why)}", "faint")


def _or(label: str, value: str | None, otherwise: str) -> Fact:
    """A value that the host may be without."""
    return Fact(label, plain(value)) if value else Fact(label, otherwise, "faint")


def _mib(kib: int | None) -> str | None:
    return None if kib is None else f"{kib // 1024:,} MiB"
