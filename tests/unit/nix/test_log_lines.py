"""Nix's log as readable lines: for each activity, and for whole recorded logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.nix.activity import (
    Activity,
    BuildLine,
    Counts,
    DownloadSize,
    Message,
    Phase,
    PlainText,
    StartActivity,
    StartBuild,
    StartCounter,
    StartWait,
    StopActivity,
)
from nixfleet_core.nix.log_lines import NixLogDecoder, readable
from nixfleet_core.nix.log_state import LogState, Progress

SAMPLES = Path(__file__).parents[2] / "samples"
VERSIONS = ("2.8.0", "2.26.3", "2.34.8")
DRV = "/nix/store/aja6zd00bn6bryagm78syj2xz14p60p6-nixfleet-agent-2.1.0.drv"


def event(**fields: object) -> bytes:
    return b"@nix " + json.dumps(fields).encode()


def start(number: int, kind: int, *fields: object, text: str = "", level: int = 0) -> bytes:
    return event(
        action="start", id=number, type=kind, fields=list(fields), text=text, level=level, parent=0
    )


def stop(number: int) -> bytes:
    return event(action="stop", id=number)


def result(number: int, kind: int, *fields: object) -> bytes:
    return event(action="result", id=number, type=kind, fields=list(fields))


def feed(decoder: NixLogDecoder, *lines: bytes) -> list[bytes]:
    return [shown for line in lines for shown in decoder.feed(line)]


def recorded(name: str) -> list[bytes]:
    return (SAMPLES / f"nix-{name}.internal-json").read_bytes().splitlines()


@pytest.mark.parametrize("version", VERSIONS)
def test_shows_the_same_lines_as_nix(version: str) -> None:
    shown = b"\n".join(feed(NixLogDecoder(), *recorded(f"{version}-fail"))) + b"\n"
    plain = (SAMPLES / f"nix-{version}-fail.plain.txt").read_bytes()
    assert re.sub(rb"\x1b\[[0-9;]*m", b"", shown) == plain


@pytest.mark.parametrize("version", VERSIONS)
def test_shows_an_update_of_the_lock_file_line_by_line(version: str) -> None:
    shown = feed(NixLogDecoder(), *recorded(f"{version}-lock"))
    text = re.sub(rb"\x1b\[[0-9;]*m", b"", b"\n".join(shown)).decode()
    assert "• Updated input 'nixfleet':\n    'git+file:" in text
    assert re.search(r"^  → '.*&rev=95796b7d2473c9b317da9558769495d84f25e274' ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("version", "last"), [("2.8.0", (5, 5)), ("2.26.3", (5, 5)), ("2.34.8", (5, 6))]
)
def test_counts_a_recorded_chain_of_builds(version: str, last: tuple[int, int]) -> None:
    decoder, seen = NixLogDecoder(), []
    for line in recorded(f"{version}-chain"):
        decoder.feed(line)
        if decoder.progress is not None:
            seen.append(decoder.progress)
    assert seen[-1] == Progress(*last)
    done = [p.done for p in seen]
    assert done == sorted(done)


@pytest.mark.parametrize(
    ("activity", "shown"),
    [
        (BuildLine(1, "hello", post=False), [b"agent> hello"]),
        (BuildLine(1, "hello", post=True), [b"agent (post)> hello"]),
        (BuildLine(9, "hello", post=False), [b"unnamed> hello"]),
        (BuildLine(1, "a\nb", post=False), [b"agent> a b"]),
        (BuildLine(1, "10%\r20%\r", post=False), [b"agent> 20%"]),
        (BuildLine(1, "\r", post=False), []),
        (BuildLine(1, "", post=True), []),
        (PlainText(b"10%\r20%"), [b"20%"]),
        (Message(level=3, text="a\nb\rc"), [b"a", b"c"]),
        (Message(level=4, text="a"), []),
        (Message(), [b""]),
        (StartActivity(3, "building", 2), [b"building..."]),
        (StartActivity(4, "building", 2), []),
        (StartActivity(0, "", 2), []),
        (StartBuild(3, "building", 2, "x.drv"), [b"building..."]),
        (StartCounter(3, "counting", 2, "builds"), [b"counting..."]),
        (StartWait(1, "waiting for lock on 'x'", 2), [b"waiting for lock on 'x'..."]),
        (StopActivity(1), []),
        (Counts(1, 2, 1), []),
        (Phase(1, "buildPhase"), []),
        (DownloadSize(1, 2), []),
    ],
)
def test_each_activity_has_its_line(activity: Activity, shown: list[bytes]) -> None:
    state = LogState()
    state.take(StartBuild(0, "", 1, "agent.drv"))
    assert readable(activity, state) == shown


def test_a_line_names_its_build_until_that_stops() -> None:
    decoder = NixLogDecoder()
    line = result(1, 101, "hello")
    assert feed(decoder, start(1, 105, DRV), line) == [b"nixfleet-agent> hello"]
    assert feed(decoder, stop(1), line) == [b"unnamed> hello"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (event(action="msg", level=0, msg="error: x"), [b"error: x"]),
        (event(action="msg", level=3, msg="a\nb\n  → c"), [b"a", b"b", "  → c".encode()]),
        (event(action="msg", level=4, msg="evaluating file"), []),
        (event(action="msg", level=1, msg=""), [b""]),
        (start(1, 105, DRV, text="building 'x'", level=3), [b"building 'x'..."]),
        (
            start(1, 108, text="copying path 'x' from 'y'", level=3),
            [b"copying path 'x' from 'y'..."],
        ),
        (start(1, 101, text="downloading 'x'", level=4), []),
        (start(1, 102, text="", level=0), []),
        (stop(77), []),
        (result(1, 106, 101, 0), []),
        (result(1, 999, None, [], {"a": 1.5}), []),
        (result(1, 105, 1, 2), []),
        (result(1, 105, "a", "b", "c", "d"), []),
        (result(1, 101), []),
        (start(1, 105), []),
        (event(action="future", id="x"), []),
        (event(action="stop", id="not a number"), []),
        (event(action="stop", id=2**80), []),
        (event(action="stop"), []),
        (b"@nix {}", []),
        (b"@nix []", []),
    ],
)
def test_each_event_gives_its_lines(line: bytes, shown: list[bytes]) -> None:
    assert NixLogDecoder().feed(line) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", b"plain"),
        (b"", b""),
        (b"\xff\x00\x1b[2J", b"\xff\x00\x1b[2J"),
        (b"windows\r", b"windows"),
        (b"10%\r50%\r100%\r\r", b"100%"),
        (b"@nix", b"@nix"),
        (b"@nixos", b"@nixos"),
        (b'@nix {"action":"msg","lev', b'@nix {"action":"msg","lev'),
        (b'@nix {"action":"stop","id":"x"', b'@nix {"action":"stop","id":"x"'),
        (b"@nix not json", b"@nix not json"),
        (b'@nix {"action":"msg","msg":"\xff"}', b'@nix {"action":"msg","msg":"\xff"}'),
        (b"@nix " + b"[" * 100_000, b"@nix " + b"[" * 100_000),
        (b' @nix {"action":"stop","id":1}', b' @nix {"action":"stop","id":1}'),
    ],
    ids=range(13),
)
def test_other_lines_are_shown_unchanged(line: bytes, shown: bytes) -> None:
    assert NixLogDecoder().feed(line) == [shown]


fields = st.lists(st.one_of(st.none(), st.integers(), st.text(), st.floats()), max_size=5)
events = st.fixed_dictionaries(
    {"action": st.sampled_from(("start", "stop", "result", "msg", "other"))},
    optional={
        "id": st.one_of(st.integers(0, 3), st.none()),
        "type": st.sampled_from((0, 100, 101, 103, 104, 105, 106, 107, 109, 111, 999)),
        "level": st.integers(-1, 7),
        "text": st.text(),
        "msg": st.text(),
        "fields": fields,
    },
).map(lambda fields: event(**fields))


@given(st.lists(st.one_of(events, st.binary(), st.binary().map(lambda b: b"@nix " + b))))
def test_decoder_survives_any_lines(lines: list[bytes]) -> None:
    decoder = NixLogDecoder()
    for line in lines:
        assert all(b"\n" not in shown for shown in decoder.feed(line.replace(b"\n", b"")))
    assert decoder.progress is None or decoder.progress.done is not None


RESTRICTED = (
    "ignoring the client-specified setting '{}', because it is a restricted setting and you are "
    "not a trusted user"
)
COLOURED = "\x1b[35;1mwarning:\x1b[0m "


def warning(text: str, level: int = 0) -> bytes:
    return event(action="msg", level=level, msg=COLOURED + text)


IGNORED = {
    "nix": RESTRICTED.format("narinfo-cache-negative-ttl"),
    "lix": RESTRICTED.format("narinfo-cache-negative-ttl").capitalize(),
    "old": "ignoring the user-specified setting 'x', because it is a restricted setting and you "
    "are not a trusted user",
    "substituter": "ignoring untrusted substituter 'https://c', you are not a trusted user.\n"
    "Run `man nix.conf` for more information on the `substituters` configuration option.",
    "flake": "ignoring untrusted flake configuration setting 'extra-substituters'.\n"
    "Pass '--accept-flake-config' to trust it",
}


@pytest.mark.parametrize("text", IGNORED.values(), ids=IGNORED)
def test_a_warning_of_what_is_ignored_is_shown_once(text: str) -> None:
    decoder = NixLogDecoder()
    first = feed(decoder, warning(text))
    assert len(first) == text.count("\n") + 1
    assert feed(decoder, warning(text), warning(text, level=1)) == []
    assert feed(decoder, event(action="msg", level=3, msg="x"), warning(text)) == [b"x"]


def test_plain_and_coloured_warnings_are_the_same_warning() -> None:
    decoder = NixLogDecoder()
    plain = f"warning: {IGNORED['nix']}".encode()
    assert feed(decoder, plain, warning(IGNORED["nix"]), plain) == [plain]


def test_each_ignored_setting_has_its_warning() -> None:
    decoder, names = NixLogDecoder(), ("one", "two", "one", "three", "two")
    shown = feed(decoder, *(warning(RESTRICTED.format(name)) for name in names))
    assert [re.findall(rb"'(.*?)'", line)[0] for line in shown] == [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    "text",
    [
        "unable to download 'https://c/x': HTTP error 503; retrying in 300 ms",
        "Git tree '/home/ops/nixcfg' is dirty",
        "error: ignoring the rest",
        "ignoring substitute for '/nix/store/x' from 'https://c', as it's not signed by any key",
    ],
)
def test_what_happens_again_is_shown_again(text: str) -> None:
    assert len(feed(NixLogDecoder(), warning(text), warning(text))) == 2


def test_a_builder_may_repeat_a_warning() -> None:
    decoder = NixLogDecoder()
    line = result(1, 101, f"warning: {IGNORED['nix']}")
    assert len(feed(decoder, start(1, 105, DRV), line, line)) == 3 - 1


def test_many_warnings_cost_little_memory() -> None:
    decoder = NixLogDecoder()
    lines = [warning(RESTRICTED.format(number)) for number in range(1000)]
    assert len(feed(decoder, *lines)) == 1000
    assert len(feed(decoder, *lines)) == 1000 - 64
    assert len(decoder._warnings) == 64
    long = warning(RESTRICTED.format("x" * 2000))
    assert len(feed(decoder, long, long)) == 2


EVENTS = (
    b"plain",
    b"@nix nonsense",
    event(action="msg", level=0, msg="text"),
    event(action="msg", level=0, msg=""),
    event(action="msg", level=3, msg="two\nlines"),
    event(action="msg", level=3, msg="10%\r20%"),
    event(action="msg", level=3, msg="\n"),
    event(action="msg", level=6, msg="of no interest"),
    event(action="msg", level=1, msg="warning: ignoring the setting 'x'"),
    event(action="msg", level=1, msg="no answer; retrying in 300 ms"),
    event(action="msg", level=3, msg=f"  {DRV}"),
    start(1, 105, DRV),
    start(2, 104),
    stop(1),
    stop(2),
    result(1, 101, "built"),
    result(1, 101, ""),
    result(1, 101, "two\nlines"),
    result(1, 107, "after it"),
    result(2, 105, 1, 2),
    result(3, 101, "of a build that nobody knows"),
)


@given(st.lists(st.sampled_from(EVENTS), max_size=150))
def test_many_lines_are_decoded_as_one_by_one(lines: list[bytes]) -> None:
    at_once, one_by_one = NixLogDecoder(), NixLogDecoder()
    shown, counts = at_once.feed_all(lines, range(10, 10 + len(lines)))
    alone = [one_by_one.feed(line, at) for at, line in enumerate(lines, 10)]
    assert shown == [line for lines in alone for line in lines]
    assert counts == list(map(len, alone))
    assert at_once.running == one_by_one.running
    assert at_once.progress == one_by_one.progress


def test_texts_that_say_nothing_else_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Activity] = []
    monkeypatch.setattr(LogState, "take", lambda _self, activity, _at: taken.append(activity))
    quiet = [event(action="msg", level=3, msg="text"), result(1, 101, "built")] * 500
    shown, _ = NixLogDecoder().feed_all(quiet, range(1000))
    assert len(shown) == 1000
    assert not taken
    NixLogDecoder().feed_all([*quiet, event(action="msg", level=3, msg=f"  {DRV}")], range(1001))
    assert 1 <= len(taken) <= 64
