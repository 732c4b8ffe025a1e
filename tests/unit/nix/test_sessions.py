"""The sessions of a rebuild, as the tools' logs tell them, and the bar that counts one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.job.events import StepEnd, StepStart
from nixfleet_core.job.progress import JobState, StepState
from nixfleet_core.log.text import TextDecoder
from nixfleet_core.nix.activity import Tally
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.nix.sessions import ASIDE, session_of_attribute, session_of_line
from nixfleet_core.scripts.compose import part

SELF, SYSTEM = "config.system.build.nixos-rebuild", "config.system.build.toplevel"
HOME, NEWS = "activationPackage", "config.news.json.output"
SWITCH = "$ nixos-rebuild switch --flake /home/ops/nixcfg#csb0 --log-format internal-json"
HOME_SWITCH = "$ home-manager switch --flake /home/ops/nixcfg#ops@h --log-format internal-json"
BUILDING = "building the system configuration..."
ACTIVATING = "Starting Home Manager activation"


@dataclass
class Log:
    """Writes what Nix says; each process has ids of its own."""

    lines: list[str] = field(default_factory=list)
    id: int = 1

    def say(self, **fields: object) -> None:
        self.lines.append("@nix " + json.dumps(fields))

    def text(self, line: str) -> Log:
        self.lines.append(line)
        return self

    def start(self, kind: int, text: str = "") -> int:
        self.id += 1
        self.say(action="start", id=self.id, level=4 if text else 0, type=kind, text=text)
        return self.id

    def evaluate(self, attribute: str, *needs: tuple[int, int]) -> Log:
        """Evaluate a host's attribute; import from derivation needs builds."""
        name = f'nixosConfigurations."csb0".{attribute}'
        number = self.start(0, f"evaluating derivation 'git+file:///c?ref=x#{name}'")
        for done, expected in needs:
            self.build((done, expected))
        self.say(action="stop", id=number)
        return self

    def build(self, *counts: tuple[int, int], ends: bool = True) -> Log:
        builds, copies = self.start(104), self.start(103)
        for done, expected in counts:
            self.say(action="result", id=builds, type=105, fields=[done, expected, 0, 0])
            self.say(action="result", id=copies, type=105, fields=[0, 0, 0, 0])
        if ends:
            self.say(action="stop", id=copies)
            self.say(action="stop", id=builds)
        return self

    @property
    def data(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()


def told(data: bytes, *cuts: int) -> list[Progress]:
    """What a follower says of the log's progress if it arrives in these pieces."""
    decoder, found, known = TextDecoder(), list[Progress](), None
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in pairwise(places):
        decoder.feed(data[begin:end])
        if decoder.progress not in (None, known):
            found.append(decoder.progress)
        known = decoder.progress
    return found


def every_line(log: Log) -> list[Progress]:
    ends, at = [], 0
    for line in log.data.splitlines(keepends=True):
        at += len(line)
        ends.append(at)
    return told(log.data, *ends)


REBUILD = JobState(steps=(StepState("rebuild", "Rebuild"),)).after(StepStart("rebuild", 1, 0))


def fractions(told: list[Progress]) -> list[float]:
    state, found = REBUILD, [0.0]
    for progress in told:
        state = state.after(progress)
        found.append(state.fraction)
    return found


# What each line of the tools means.


@pytest.mark.parametrize(
    ("attribute", "session"),
    [
        ('git+file:///c#nixosConfigurations."h".config.system.build.toplevel', "system"),
        ("/c#nixosConfigurations.h.config.system.build.nixos-rebuild", "nixos-rebuild itself"),
        ('/c#homeConfigurations."ops@h".activationPackage', "home"),
        ('/c#homeConfigurations."ops@h".config.news.json.output', "news"),
        ("/c#chain", ""),
        ("/c", ""),
        ("/config.system.build.toplevel", ""),
        ("/c#myactivationPackage", ""),
    ],
)
def test_the_attribute_names_the_session(attribute: str, session: str) -> None:
    assert session_of_attribute(attribute) == session


@pytest.mark.parametrize(
    ("line", "session"),
    [
        (SWITCH, "nixos-rebuild itself"),
        ("$ /run/current-system/sw/bin/nixos-rebuild switch", "nixos-rebuild itself"),
        (HOME_SWITCH, "home"),
        ("$ nix-store --realise x", ""),
        (BUILDING, "system"),
        (ACTIVATING, "news"),
        ("agent> building the system configuration...", None),
        ("", None),
    ],
)
def test_a_line_of_the_tool_names_the_session_that_follows(line: str, session: str | None) -> None:
    assert session_of_line(line.encode()) == session


def test_the_job_writes_each_command_as_we_read_it() -> None:
    assert 'nf_say "\\$ $*"' in part("command")


# Whole rebuilds.


def test_the_bar_of_a_rebuild_does_not_count_nixos_rebuild_itself() -> None:
    log = Log().text(SWITCH).evaluate(SELF).build((0, 1), (1, 1))
    log.text(BUILDING).evaluate(SYSTEM).build((0, 0), (0, 1), (0, 7), (3, 7), (7, 7))
    seen = every_line(log)
    assert Progress(0, 0, "", "nixos-rebuild itself", Tally(1, 1)) in seen
    assert Progress(3, 7, "system") in seen
    assert seen[-1] == Progress(7, 7, "system")
    assert fractions(seen)[-1] == 1
    assert sorted(set(fractions(seen))) == [0, pytest.approx(3 / 7), 1]


def test_nix_2_8_does_not_say_what_it_evaluates_but_the_tool_does() -> None:
    log = Log().text(SWITCH).build((0, 1), (1, 1)).text(BUILDING).build((0, 7), (3, 7))
    seen = every_line(log)
    assert Progress(0, 0, "", "nixos-rebuild itself", Tally(1, 1)) in seen
    assert seen[-1] == Progress(3, 7, "system")
    assert fractions(seen)[-1] == pytest.approx(3 / 7)


@pytest.mark.parametrize("says", [True, False], ids=["says", "2.8"])
def test_the_bar_of_a_home_stays_full_while_the_news_are_built(says: bool) -> None:
    log = Log().text(HOME_SWITCH)
    for attribute, counts in ((HOME, (4, 4)), (NEWS, (0, 3))):
        if says:
            log.evaluate(attribute)
        log.build((0, counts[1]), counts, ends=attribute == HOME)
        if attribute == HOME:
            log.text(ACTIVATING)
    seen = every_line(log)
    assert seen[-1] == Progress(4, 4, "home", "news", Tally(0, 3))
    assert fractions(seen)[-1] == 1


def test_the_news_are_named_only_while_nix_is_at_them() -> None:
    log = Log().text(HOME_SWITCH).evaluate(HOME).build((1, 1)).text(ACTIVATING)
    assert every_line(log)[-1] == Progress(1, 1, "home")
    assert every_line(log.evaluate(NEWS))[-1] == Progress(1, 1, "home", "news")
    assert every_line(log.build((1, 1)))[-1] == Progress(1, 1, "home")


def test_builds_for_the_evaluation_do_not_count() -> None:
    log = Log().text(SWITCH).text(BUILDING).evaluate(SYSTEM, (1, 1), (2, 2)).build((0, 9), (1, 9))
    seen = every_line(log)
    assert Progress(0, 0, "", "evaluation", Tally(2, 2)) in seen
    assert seen[-1] == Progress(1, 9, "system")
    assert fractions(seen)[-1] == pytest.approx(1 / 9)


def test_the_system_is_named_while_it_is_evaluated() -> None:
    log = Log().text(SWITCH).evaluate(SELF).build((1, 1)).text(BUILDING)
    log.start(0, f"evaluating derivation 'git+file:///c#x.{SYSTEM}'")
    assert every_line(log)[-1] == Progress(0, 0, "system")


def test_copies_to_another_machine_are_no_counter_of_the_worker() -> None:
    log = Log().text(SWITCH).text(BUILDING).build((1, 4), ends=False)
    other = log.start(103)
    log.say(action="result", id=other, type=105, fields=[50, 50, 0, 0])
    assert every_line(log)[-1] == Progress(1, 4, "system")


def test_another_try_counts_anew_and_the_bar_stays() -> None:
    log = Log().text(SWITCH).text(BUILDING).build((6, 8), ends=False)
    log.text(SWITCH).evaluate(SELF).build((0, 0)).text(BUILDING).build((0, 2), (1, 2))
    seen = every_line(log)
    assert seen[-1] == Progress(1, 2, "system")
    assert fractions(seen)[-1] == pytest.approx(0.75)


def test_the_next_command_is_not_told_the_counts_of_the_last_one() -> None:
    log = Log().text("$ nix-store --realise x").build((6, 8)).text(SWITCH).evaluate(SELF)
    assert every_line(log)[-1] == Progress(0, 0, "", "nixos-rebuild itself")


def test_a_client_that_comes_later_is_told_the_same() -> None:
    log = Log().text(SWITCH).evaluate(SELF).build((1, 1)).text(BUILDING)
    log.evaluate(SYSTEM).build((5, 7)).text(ACTIVATING)
    assert told(log.data) == [every_line(log)[-1]] == [Progress(5, 7, "system")]


# For any log.

tallies = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4)
sessions = st.one_of(
    st.builds(lambda line: Log().text(line), st.sampled_from((SWITCH, HOME_SWITCH, "$ nix x"))),
    st.builds(lambda line: Log().text(line), st.sampled_from((BUILDING, ACTIVATING, "x"))),
    st.builds(
        lambda attribute, needs, counts, ends: (attribute, needs, counts, ends),
        st.sampled_from((SELF, SYSTEM, HOME, NEWS, "chain", "")),
        tallies,
        tallies,
        st.booleans(),
    ),
)


def write(
    pieces: list[Log | tuple[str, list[tuple[int, int]], list[tuple[int, int]], bool]],
) -> Log:
    log = Log()
    for piece in pieces:
        if isinstance(piece, Log):
            log.lines += piece.lines
            continue
        attribute, needs, counts, ends = piece
        if attribute:
            log.evaluate(attribute, *needs)
        log.build(*counts, ends=ends)
    return log


@given(st.lists(sessions, max_size=8), st.lists(st.integers(0, 10**6), max_size=12))
def test_no_log_takes_the_bar_back(parts: list[object], cuts: list[int]) -> None:
    log = write(parts)  # type: ignore[arg-type]
    seen = fractions(told(log.data, *cuts))
    assert seen == sorted(seen)
    assert all(0 <= fraction <= 1 for fraction in seen)


@given(
    tallies,
    st.lists(st.tuples(st.sampled_from((SELF, NEWS)), tallies), max_size=3),
    st.lists(st.tuples(st.sampled_from((SELF, NEWS)), tallies), max_size=3),
)
def test_sessions_that_do_not_count_move_no_bar(
    counts: list[tuple[int, int]],
    before: list[tuple[str, list[tuple[int, int]]]],
    after: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    log, alone = Log(), Log().evaluate(SYSTEM).build(*counts)
    for attribute, beside in before:
        log.evaluate(attribute, *beside).build(*beside)
    assert set(fractions(every_line(log))) == {0.0}
    log.evaluate(SYSTEM).build(*counts)
    for attribute, beside in after:
        log.evaluate(attribute, *beside).build(*beside)
    assert fractions(every_line(log))[-1] == fractions(every_line(alone))[-1]
    assert all(progress.session not in ASIDE for progress in every_line(log))


def test_a_step_that_fails_does_not_take_earlier_skipped_steps_back() -> None:
    state = JobState(steps=(StepState("pull", "Pull"), StepState("rebuild", "Rebuild", weight=3)))
    state = state.after(StepEnd("pull", 1, "skipped", 0))
    assert state.fraction == pytest.approx(0.25)
    assert state.after(StepEnd("rebuild", 2, "failed", 0)).fraction == 1
