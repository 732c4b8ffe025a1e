"""One line of Nix's log as an activity with a name."""

from __future__ import annotations

import json

import pytest

from nixfleet_core.limits import LARGEST
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
    StartCopy,
    StartCounter,
    StartEvaluation,
    StartQuery,
    StartTransfer,
    StartWait,
    StopActivity,
    decode,
)

DRV = "/nix/store/aja6zd00bn6bryagm78syj2xz14p60p6-nixfleet-agent-2.1.0.drv"
PATH = "/nix/store/6f85lzs129zz31qkc68r9n97lflcxxcs-git-2.47.2"
CACHE = "https://cache.nixos.org"
EVALUATES = "evaluating derivation 'path:/c#csb0'"


def line(action: str, **members: object) -> bytes:
    return b"@nix " + json.dumps({"action": action, **members}).encode()


def start(kind: int, *fields: object, **members: object) -> bytes:
    return line("start", id=1, type=kind, fields=list(fields), **members)


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
        (start(105, DRV, "ssh://ops@build2", 1, 1), StartBuild(3, "", 1, DRV, "ssh://ops@build2")),
        (start(105, DRV), StartBuild(3, "", 1, DRV)),
        (start(100, PATH, CACHE, "daemon"), StartCopy(3, "", 1, PATH, CACHE)),
        (start(100, PATH), StartCopy(3, "", 1, PATH)),
        (start(101, f"{CACHE}/nar/x", parent=7), StartTransfer(3, "", 1, f"{CACHE}/nar/x", 7)),
        (start(101, f"{CACHE}/nar/x"), StartTransfer(3, "", 1, f"{CACHE}/nar/x", 0)),
        (start(109, PATH, CACHE), StartQuery(3, "", 1)),
        (start(111, level=1, text="waiting for lock"), StartWait(1, "waiting for lock", 1)),
        (start(0, text=EVALUATES), StartEvaluation(3, EVALUATES, 1, "path:/c#csb0")),
        (start(0, text=f"{EVALUATES}."), StartActivity(3, f"{EVALUATES}.", 1)),
        (start(108, text=EVALUATES), StartActivity(3, EVALUATES, 1)),
        (start(104, level=0, text=""), StartCounter(0, "", 1, "builds")),
        (start(103), StartCounter(3, "", 1, "copies")),
        (start(108, level=4, text="copying"), StartActivity(4, "copying", 1)),
        (line("start", id=1), StartActivity(3, "", 1)),
        (result(101, "hello"), BuildLine(1, "hello", post=False)),
        (result(107, "hello"), BuildLine(1, "hello", post=True)),
        (result(105, 1, 2, 3, 4), Counts(1, 2, 1)),
        (result(105, 0, LARGEST), Counts(0, LARGEST, 1)),
        (result(104, "buildPhase"), Phase(1, "buildPhase")),
        (result(106, 101, 5), DownloadSize(1, 5)),
        (result(106, 101, LARGEST), DownloadSize(1, LARGEST)),
    ],
)
def test_an_activity_is_read_by_its_name(read: bytes, activity: Activity) -> None:
    assert decode(read) == activity


@pytest.mark.parametrize(
    ("read", "activity"),
    [
        (start(105), StartActivity(3, "", 1)),
        (start(105, ""), StartActivity(3, "", 1)),
        (start(105, 7), StartActivity(3, "", 1)),
        (start(105, DRV, 7), StartBuild(3, "", 1, DRV)),
        (start(100), StartActivity(3, "", 1)),
        (start(100, None, CACHE), StartActivity(3, "", 1)),
        (start(100, PATH, ["x"]), StartCopy(3, "", 1, PATH)),
        (start(101), StartActivity(3, "", 1)),
        (start(101, 7), StartActivity(3, "", 1)),
        (start(109, 7), StartQuery(3, "", 1)),
        (result(104), Phase(1, "")),
        (result(104, 7), Phase(1, "")),
        (result(101), BuildLine(1, "", post=False)),
        (result(107, None), BuildLine(1, "", post=True)),
        (result(105), None),
        (result(105, 1), None),
        (result(105, "1", 2), None),
        (result(105, 1, True), None),
        (result(105, 1.0, 2), None),
        (result(105, -1, 2), None),
        (result(105, 1, LARGEST + 1), None),
        (result(105, 1, 2**80), None),
        (result(106, 101), None),
        (result(106, 101, -1), None),
        (result(106, 101, "5"), None),
        (result(106, 101, LARGEST + 1), None),
        (result(106, "101", 5), None),
    ],
)
def test_a_field_of_the_wrong_type_is_not_used(read: bytes, activity: Activity | None) -> None:
    assert decode(read) == activity


@pytest.mark.parametrize(
    "read",
    [
        result(106, 100, 5),
        result(999, None, [], {"a": 1.5}),
        line("future", id="x"),
        line("stop", id="not a number"),
        line("stop"),
        line("start", id=1, fields="x"),
        line("start", id=1, parent="x"),
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
