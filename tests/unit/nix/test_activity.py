"""One line of Nix's log as an activity with a name."""

from __future__ import annotations

import json

import pytest

from nixfleet_core.limits import MOST
from nixfleet_core.nix.activity import (
    Activity,
    BuildLine,
    Counts,
    Message,
    PlainText,
    StartActivity,
    StartBuild,
    StartCounter,
    StopActivity,
    decode,
)

DRV = "/nix/store/aja6zd00bn6bryagm78syj2xz14p60p6-nixfleet-agent-2.1.0.drv"


def line(action: str, **members: object) -> bytes:
    return b"@nix " + json.dumps({"action": action, **members}).encode()


def start(kind: int, *fields: object, **members: object) -> bytes:
    return line("start", id=1, type=kind, fields=list(fields), parent=0, **members)


def result(kind: int, *fields: object) -> bytes:
    return line("result", id=1, type=kind, fields=list(fields))


@pytest.mark.parametrize(
    ("read", "activity"),
    [
        (line("msg", level=1, msg="warning: x"), Message(1, "warning: x")),
        (line("msg", level=0, msg="error: x", raw_msg="x"), Message(0, "error: x")),
        (line("msg"), Message(0, "")),
        (line("stop", id=7), StopActivity(7)),
        (
            start(105, DRV, "", 1, 1, level=3, text="building x"),
            StartBuild(3, "building x", 1, DRV),
        ),
        (start(104, level=0, text=""), StartCounter(0, "", 1, "builds")),
        (start(103), StartCounter(3, "", 1, "copies")),
        (start(108, level=4, text="copying"), StartActivity(4, "copying")),
        (line("start", id=1), StartActivity(3, "")),
        (result(101, "hello"), BuildLine(1, "hello", post=False)),
        (result(107, "hello"), BuildLine(1, "hello", post=True)),
        (result(105, 1, 2, 3, 4), Counts(1, 2, 1)),
        (result(105, 0, MOST), Counts(0, MOST, 1)),
    ],
)
def test_an_activity_is_read_by_its_name(read: bytes, activity: Activity) -> None:
    assert decode(read) == activity


@pytest.mark.parametrize(
    ("read", "activity"),
    [
        (start(105), StartActivity(3, "")),
        (start(105, ""), StartActivity(3, "")),
        (start(105, 7), StartActivity(3, "")),
        (result(101), BuildLine(1, "", post=False)),
        (result(107, None), BuildLine(1, "", post=True)),
        (result(105), None),
        (result(105, 1), None),
        (result(105, "1", 2), None),
        (result(105, 1, True), None),
        (result(105, 1.0, 2), None),
        (result(105, -1, 2), None),
        (result(105, 1, MOST + 1), None),
        (result(105, 1, 2**80), None),
    ],
)
def test_a_field_of_the_wrong_type_is_not_used(read: bytes, activity: Activity | None) -> None:
    assert decode(read) == activity


@pytest.mark.parametrize(
    "read",
    [
        result(106, 101, 0),
        result(999, None, [], {"a": 1.5}),
        line("future", id="x"),
        line("stop", id="not a number"),
        line("stop"),
        line("start", id=1, fields="x"),
        b"@nix {}",
        b"@nix []",
    ],
)
def test_an_unknown_event_of_another_nix_is_ignored(read: bytes) -> None:
    assert decode(read) is None


@pytest.mark.parametrize(
    "read",
    [
        b"plain",
        b"",
        b"@nix",
        b"@nixos",
        b'@nix {"action":"msg","lev',
        b'@nix {"action":"stop","id":"x"',
        b'@nix {"action":"stop","id":1} x',
        b"@nix not json",
        b'@nix {"action":"msg","msg":"\xff"}',
        b"@nix " + b"[" * 100_000,
        b' @nix {"action":"stop","id":1}',
    ],
    ids=range(11),
)
def test_a_line_that_is_not_json_is_text(read: bytes) -> None:
    assert decode(read) == PlainText(read)
