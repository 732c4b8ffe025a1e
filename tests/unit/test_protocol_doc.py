"""docs/protocol.md has the program's names, and the program reads its examples as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest
from protocol_page import (
    ASKED,
    EVENTS,
    FRAMES,
    LOOK,
    PAGE,
    PAST_JOBS,
    RESULT,
    named,
    names,
    rows,
    tables,
)

from nixfleet_core.facts import parse
from nixfleet_core.facts.old_units import OLD_UNITS_LIMIT
from nixfleet_core.facts.package_changes import CHANGES_LIMIT
from nixfleet_core.facts.parse import ProbeError, parse_probe, read_records
from nixfleet_core.facts.proofs import Proven
from nixfleet_core.job import frames
from nixfleet_core.job.copies import Asked, Result, read_asked, read_result
from nixfleet_core.job.events import (
    AGENT_CHECK,
    EVENT_LINE_LIMIT,
    Check,
    HostEvent,
    JobEnd,
    StepEnd,
    read_event,
)
from nixfleet_core.job.frames import Frame, FrameError, FrameReader
from nixfleet_core.job.history import HISTORY_LIMIT, read_history
from nixfleet_core.limits import EVENTS_LIMIT, PLAN_LIMIT, PLAN_STEPS, TEXT_LIMIT
from nixfleet_core.nix.lock import LOCK_LIMIT
from nixfleet_core.plan.model import Options, Plan, Step
from nixfleet_core.plan.refusals import REASONS
from nixfleet_core.scripts.compose import part
from nixfleet_core.session import follow, link, shell_session
from nixfleet_core.transport.answer import NOISE_LIMIT, Mark
from nixfleet_core.transport.shell import ANSWER_LIMIT
from nixfleet_core.vocabulary import STEP_REASONS, WAITS, JobOutcome, StepId

SCRIPTS: Final = Path(parse.__file__).parents[1] / "scripts"
ASK: Final = {path.stem: path.read_text() for path in (SCRIPTS / "ask").glob("*.sh")}
JOB: Final = "".join(path.read_text() for path in sorted((SCRIPTS / "job").glob("*.sh")))


def found(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text, re.MULTILINE))


def fields(kind: type[msgspec.Struct], *, required: bool) -> set[str]:
    all_fields = msgspec.structs.fields(kind)
    return {field.encode_name for field in all_fields if field.required is required}


# The names.


def test_the_page_has_each_event_with_its_fields() -> None:
    told = {names(row[0])[0]: (set(names(row[1])), set(names(row[2]))) for row in rows("event")}
    assert told == {
        str(kind.__struct_config__.tag): (fields(kind, required=True), fields(kind, required=False))
        for kind in get_args(HostEvent)
    }
    assert {*told} == found(r"\bnf_event ([a-z-]+)", JOB)
    for event, rest in re.findall(r"\bnf_event ([a-z-]+)(.*)", JOB):
        assert found(r'\\?"(\w+)\\?":', rest) <= set.union(*told[event]), event


def test_the_page_has_each_status_and_each_outcome() -> None:
    (status,) = (f for f in msgspec.structs.fields(StepEnd) if f.name == "status")
    assert {*named("status")} == {*get_args(status.type)}
    assert {*named("status")} == found(r"\bnf_step_end ([a-z]+)", JOB)
    assert tuple(named("outcome")) == get_args(JobOutcome)
    (chosen,) = re.findall(r"^nf_outcome\(\) {\n(.*?)^}", JOB, re.MULTILINE | re.DOTALL)
    said = found(r"\becho '?([a-z]+)", chosen) | found(r"\bnf_end ([a-z]+)", JOB)
    assert {*named("outcome")} == said


def test_the_page_has_each_field_of_plan_and_result() -> None:
    asked, plan, step, result = (
        {
            may_be_absent: set(names(" ".join(of[0] for of in table if of[1] == may_be_absent)))
            for may_be_absent in ("yes", "no")
        }
        for table in tables("field")
    )
    # no reader of these two compares their format
    assert asked["yes"] == fields(Asked, required=False) | {"format"}
    assert result["yes"] == fields(Result, required=False) | {"format"}
    assert plan["yes"] == fields(Plan, required=False)
    assert step["yes"] == fields(Step, required=False)
    for told, kind in ((asked, Asked), (plan, Plan), (step, Step), (result, Result)):
        assert told["no"] == fields(kind, required=True)
    assert {*named("option")} == fields(Options, required=False)
    assert not fields(Options, required=True)
    written = re.findall(r"printf '\{(\"format\":1,.*)\}", ASK["launch"] + JOB)
    assert [found(r'"(\w+)":', line) for line in written] == [
        *(set.union(*told.values()) for told in (asked, result)),
    ]


def test_the_page_has_each_frame() -> None:
    sent = found(r"\b(?:whole|send|frame) ([a-z][a-z.]+)", "\n".join(code(ASK["follow"])))
    assert {*named("kind")} == sent
    assert {*named("kind")} == follow._KEPT | frames._STREAMED | {"beat", "gone"}
    assert {*named("gone")} == found(r"\bgone ([a-z]+)", "\n".join(code(ASK["follow"])))


def code(script: str) -> list[str]:
    """A script's lines without its comments."""
    return [line for line in script.splitlines() if not line.lstrip().startswith("#")]


def test_the_page_has_each_key_of_a_look() -> None:
    parts = (ASK["probe"], ASK["explain"], ASK["doctor"], part("old_units"))
    probe = "\n".join(code("".join(parts)))
    keys = found(r'\bput(?:_some|_path)? "?((?:\$1\.)?[a-z][a-z0-9.-]*)', probe)
    of_programs = {key.removeprefix("$1.") for key in keys if key.startswith("$1.")}
    programs = found(r"\bprobe_binary ([a-z]+)", probe)
    keys = {key for key in keys if not key.startswith("$1.")}
    keys |= {f"{program}.{key}" for program in programs for key in of_programs}
    assert sorted(named("key")) == sorted(keys)
    assert {row[1] for row in rows("key")} == {"always", "deep", "why", "doctor", "debt"}


def test_the_page_has_each_question_and_its_answers() -> None:
    told = {name: set(names(row[1])) for row in rows("question") for name in names(row[0])}
    parts = {"explain"}  # of probe
    assert told == {
        name: found("@nf ([a-z]+)", "\n".join(code(script)))
        for name, script in ASK.items()
        if name not in parts
    }


def test_the_page_has_each_word() -> None:
    assert tuple(named("step")) == get_args(StepId)
    checks = [(names(check)[0], names(why)[0], means) for check, why, means in rows("check")]
    assert checks == [(check, why, words.meaning) for (check, why), words in REASONS.items()]
    said = found(rf'"check":"{AGENT_CHECK}","ok":false,"reason":"(\w+)"', JOB)
    assert {*named("agent's own check")} == said
    reasons = [(names(name)[0], means) for name, means in rows("reason")]
    assert reasons == [(name, words.meaning) for name, words in STEP_REASONS.items()]
    assert [(names(name)[0], means) for name, means in rows("waiting")] == [*WAITS.items()]


def test_the_page_has_the_limits() -> None:
    (chunk,) = found(r"^\w*CHUNK=(\d+)$", (SCRIPTS / "lib/frames.sh").read_text())
    (plan,) = found(r'head -c (\d+) "\S+/plan\.json"', ASK["plan"])
    (past_plan,) = found(r'head -c (\d+) "\S+/plan\.json"', ASK["past_jobs"])
    (past_result,) = found(r'head -c (\d+) "\S+/result"', ASK["past_jobs"])
    (kept,) = found(r"^\w*KEEP_JOBS=(\d+)$", ASK["launch"])
    assert int(past_plan) == shell_session._ATTRIBUTES_LIMIT
    assert [int(row[0]) for row in rows("bytes")] == [
        *(EVENT_LINE_LIMIT, EVENTS_LIMIT),
        *(frames.SMALL_LIMIT, frames._HEADER_LIMIT, NOISE_LIMIT, ANSWER_LIMIT, int(chunk)),
        *(parse.PROBE_LIMIT, TEXT_LIMIT, parse._LIMITS["status"], OLD_UNITS_LIMIT, LOCK_LIMIT),
        *(CHANGES_LIMIT, PLAN_LIMIT, int(past_plan), int(plan), int(past_result)),
    ]
    text = " ".join(PAGE.split())
    incoming = shell_session._INCOMING_LIMIT
    assert (
        f"A look has at most {parse._RECORDS} records, a plan {PLAN_STEPS} steps, `incoming` "
        f"{incoming} commits. Of a host's history the client reads {HISTORY_LIMIT} jobs; "
        f"the host keeps {kept}." in text
    )
    assert f"After {link.STREAM_ERRORS} such connections".lower() in text
    assert f"after {link.SILENT:.0f} seconds without a byte" in text


# The examples.


def test_the_page_has_what_is_sent_around_a_script() -> None:
    mark = Mark(("@nf-3f1d90b2aa514c07", "95ce2d6e8b70f413"))
    assert f"```\n{mark.around('THE SCRIPT').decode()}```\n" in PAGE
    assert [len(half) for half in Mark().halves] == [len(half) for half in mark.halves]


def test_the_example_of_events_is_read() -> None:
    events = [read_event(line) for line in EVENTS.splitlines()]
    assert None not in events
    assert Check("unit", 1795899781, ok=False, reason="masked") in events
    ends = {event.step: event.status for event in events if isinstance(event, StepEnd)}
    assert ends.pop("preflight") == "failed"
    assert {*ends.values()} == {"skipped"}
    assert events[-1] == JobEnd(1795899781, "failed")


def test_the_examples_of_files_are_read() -> None:
    asked = read_asked(ASKED)
    assert asked is not None
    assert (asked.at, asked.uid, asked.from_.split()[0]) == (1795899781, 1000, "192.0.2.1")
    assert msgspec.json.encode(asked.plan) in ASKED
    assert read_result(RESULT) == Result("failed", "preflight", 1, 1795899781, "unit")


def test_the_example_of_frames_is_read() -> None:
    told = {frame.kind: frame for frame in FrameReader().feed(FRAMES)}
    assert [*told] == ["plan.json", "events", "log", "beat", "result"]
    *before, last = EVENTS.splitlines(keepends=True)
    assert told["events"] == Frame("events", len(b"".join(before)), last)
    log = told["log"]
    assert (log.offset, told["beat"].data) == (11, str(11 + len(log.data)).encode())
    assert told["beat"].offset == 1795899781
    assert told["result"].data == RESULT


def test_the_example_of_a_look_is_read() -> None:
    facts = parse_probe(LOOK)
    assert {*read_records(LOOK)} <= {*named("key")}
    assert (facts.hostname, facts.platform, facts.uid) == ("the-host", "nixos", 0)
    assert facts.unit is not None
    assert facts.unit.is_up
    assert facts.running is not None
    assert facts.installed is not None
    assert facts.running.proof == "exe"
    assert facts.installed.is_run_by(facts.running.binary)
    assert (facts.system.generation, facts.checkout) == (1, None)


def test_the_example_of_the_history_is_read() -> None:
    history = read_history(PAST_JOBS)
    newest, first = history.jobs
    assert (history.running, newest.result) == (newest.job, None)
    assert first.result is not None
    assert first.result.reason == "unit"


# How a reader treats the unknown.


@pytest.mark.parametrize("line", EVENTS.splitlines())
def test_an_event_may_have_more_fields(line: bytes) -> None:
    assert read_event(line[:-1] + b',"new":[1]}') == read_event(line) is not None


@pytest.mark.parametrize(
    ("old", "new"), [(b'"step-end"', b'"step-over"'), (b'"stop"', b'"halt"'), (b"skipped", b"left")]
)
def test_an_event_with_an_unknown_word_is_ignored(old: bytes, new: bytes) -> None:
    line = EVENTS.splitlines()[6]
    assert old in line
    assert read_event(line.replace(old, new)) is None


def test_files_may_have_more_or_fewer_fields() -> None:
    def newer(data: bytes) -> bytes:
        return data.replace(b'{"format":1', b'{"new":1,"format":2', 1)

    assert read_asked(newer(ASKED)) == read_asked(ASKED) is not None
    assert read_result(newer(RESULT)) == read_result(RESULT) is not None
    assert read_result(b'{"outcome":"new"}') == Result("new")
    assert read_result(b"{}") is None
    later = read_asked(ASKED.replace(b'"id":"stop"', b'"id":"halt"'))
    assert later is not None
    assert later.plan.steps == ()


def test_a_look_may_have_more_keys_in_the_same_version() -> None:
    more = LOOK.replace(b"nixfleet-probe 1\n", b"nixfleet-probe 1\nnew.key 2\n\n!\n")
    assert parse_probe(b"Welcome!\n" + more + b"bye") == parse_probe(LOOK)
    assert parse_probe(LOOK.replace(b"machine 6", b"hostname 6")).hostname == "x86_64"
    for bad in (
        LOOK.replace(b"probe 1", b"probe 2"),
        LOOK.removesuffix(b"end 0\n"),
        LOOK.replace(b"uid 1", b"uid 2"),
        LOOK.replace(b"x86_64", b"x86\x0064"),
    ):
        with pytest.raises(ProbeError):
            parse_probe(bad)


def test_frames_may_have_more_kinds_in_the_same_version() -> None:
    more = FRAMES.replace(b"@beat", b"@new-kind 0 1\n!\n@beat")
    told = FrameReader().feed(more)
    assert [one for one in told if one.kind != "new-kind"] == FrameReader().feed(FRAMES)
    bad = {
        b"follow 1": (b"follow 2",),
        b"@beat 1795899781 2": (b"@beat x 2", b"@beat 1795899781 1"),
    }
    for good, others in bad.items():
        for other in others:
            with pytest.raises(FrameError):
                FrameReader().feed(FRAMES.replace(good, other))


def test_the_page_has_each_line_of_a_proof() -> None:
    written = found(
        r"\bput_proven ([a-z]+)", "\n".join(code((SCRIPTS / "lib/proven.sh").read_text()))
    )
    assert {*named("line")} == written == {*Proven.__struct_fields__}
