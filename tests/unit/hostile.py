"""The answers of a hostile host: changed real answers, and floods of one kind."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from hypothesis import strategies as st

from nixfleet_core.job.frames import GREETING
from nixfleet_core.plan.model import Options, Plan, Step

if TYPE_CHECKING:
    from collections.abc import Callable

JOB: Final = "20261123-004101-ab12"
REV: Final = "1" * 40
SAMPLES: Final = Path(__file__).parent.parent / "samples"

PLAN: Final = Plan(
    host="csb0",
    attribute="csb0",
    checkout="/c",
    owner="ops",
    input="nixfleet",
    options=Options(),
    steps=(Step(id="pull", title="Pull", argv=("git", "pull"), run_as="owner", limit=9),),
    tools=("git",),
)
ASKED: Final = b'{"format":1,"at":1795866000,"uid":0,"from":"192.0.2.7 1 2 22","plan":%s}' % (
    msgspec.json.encode(PLAN)
)
RESULT: Final = b'{"format":1,"outcome":"failed","failed":"pull","rc":1,"ended":1795866100}'
LOCK: Final = json.dumps(
    {
        "nodes": {
            "root": {"inputs": {"nixfleet": "n", "nixpkgs": ["nixfleet", "nixpkgs"]}},
            "n": {
                "inputs": {"nixpkgs": "p"},
                "locked": {"rev": REV, "lastModified": 1795865000, "type": "git"},
                "original": {"type": "git", "url": "https://h/r", "ref": "main", "dir": "x"},
            },
            "p": {
                "locked": {"rev": REV, "type": "github"},
                "original": {"type": "github", "owner": "o", "repo": "p"},
            },
        },
        "root": "root",
        "version": 7,
    }
).encode()
STATUS: Final = (
    f"# branch.oid {REV}\n# branch.head main\n# branch.upstream origin/main\n# branch.ab +1 -2\n"
    "1 .M N... 100644 100644 100644 a b flake.lock\n? new\n"
).encode()
DEBT: Final = (
    b"looked\t12\t3\nloose\t2\nfailed\thomes\n"
    b"unit\tweb.service\t/nix/store/%(a)s-web-1.0/bin/web\tloaded no-restart\t"
    b"/nix/store/%(b)s-web-2.0/bin/web\n"
    b"process\t100\tweb.service\t1795860000\tgone\t/nix/store/%(a)s-web-1.0/bin/web\t-\t1\n"
    b"unit\t1000/play.service\t-\t-\t-\n"
    b"process\t101\t1000/play.service\t1795860000\there\t/nix/store/%(c)s-bash/bin/bash\t-\t1\n"
    b"maps\t101\t/nix/store/%(a)s-web-1.0\nold\t/nix/store/%(a)s-web-1.0\n"
    b"older\t/nix/store/%(a)s-web-1.0\nnewer\t/nix/store/%(a)s-web-1.0\t/nix/store/%(b)s-web-2.0\n"
    b"boot\tkernel\t/nix/store/%(a)s-linux-6/bzImage\t/nix/store/%(b)s-linux-7/bzImage"
) % {b"a": b"a" * 32, b"b": b"b" * 32, b"c": b"c" * 32}
PROBE: Final[dict[str, bytes]] = {
    "hostname": b"csb0",
    "machine": b"x86_64",
    "now": b"1795866000",
    "uid": b"0",
    "user": b"root",
    "platform": b"nixos",
    "manager": b"systemd",
    "os": b"NixOS 25.11",
    "tools": b"git nix nixos-rebuild home-manager systemctl systemd-run",
    "nix": b"nix (Nix) 2.31.2",
    "unit.load": b"loaded",
    "unit.active": b"active",
    "unit.sub": b"running",
    "unit.result": b"success",
    "unit.pid": b"42",
    "unit.restarts": b"3",
    "running.path": b"/nix/store/" + b"a" * 32 + b"-nixfleet-agent-2.1.0/bin/agent",
    "running.proof": b"exe",
    "running.started": b"1795860000",
    "installed.path": b"/nix/store/" + b"b" * 32 + b"-nixfleet-agent-2.2.0/bin/agent",
    "installed.sha256": b"c" * 64,
    "installed.at": b"1795850000",
    "expected.path": b"/nix/store/" + b"b" * 32 + b"-nixfleet-agent-2.2.0/bin/agent",
    "system.current": b"/nix/store/s",
    "system.profile": b"/nix/store/t",
    "system.link": b"system-412-link",
    "disk.free": b"9000000",
    "memory.free": b"9000000",
    "checkout.path": b"/home/ops/Code/nixcfg",
    "checkout.owner": b"ops",
    "checkout.state": b"ok",
    "checkout.status": STATUS,
    "checkout.lock": LOCK,
    "checkout.head-lock": LOCK.replace(b"main", b"dev"),
    "checkout.lock-cksum": b"12 34",
    "checkout.default": b"ref: refs/remotes/origin/main",
    "other.path": b"/var/lib/nixfleet-agent/repo",
    "other.state": b"ok",
    "other.status": STATUS,
    "other.lock": LOCK,
    "job.last": JOB.encode(),
    "job.result": RESULT,
    "job.latest": REV.encode(),
    "job.said": b"error: x\nerror: y",
    "debt": DEBT,
    "journal": b"the agent said this",
    "home": b"/home/ops",
    "login.shell": b"zsh",
    "limit.files": b"256",
    "bounds": b"perl",
    "git": b"git version 2.47.3",
    "nix.features": b"nix-command flakes",
    "nix.store": b"0",
    "carrier": b"launchd",
    "place.none": b"/var/lib/nixfleet belongs to eve",
    "place.closed": b"/home/ops/.local",
    "launchd.session": b"Aqua",
    "launchd.domains": b"gui\nuser",
    "launchd.types": b"Aqua\nBackground",
    "launchd.pended": b"inefficient",
    "launchd.files": b"256",
    "launchd.arguments": b"raw",
    "ps.newline": b"\\012",
    "checkout.unfinished": b"MERGE_HEAD",
    "checkout.foreign": b"./a\n./b",
    "remote.kind": b"ssh",
    "remote.near": b"1",
    "remote.answers": b"0",
    "remote.said": b"fatal: unable to access 'https://h/r': Could not resolve host: h",
    "attributes": b"csb0\ncsb1",
    "attributes.said": b"error: x",
    "now.last": b"1795866003",
}
EVENTS: Final = b"".join(
    (
        b'{"event":"job-start","at":1795866000}\n',
        b'{"event":"step-start","at":1795866001,"step":"pull","log":0}\n',
        b'{"event":"retry","at":1795866002,"step":"pull","attempt":2,"tries":5,"wait":8,"rc":1}\n',
        b'{"event":"waiting","at":1795866003,"reason":"switch","limit":1800}\n',
        b'{"event":"check","at":1795866003,"check":"tools","ok":false,"reason":"git"}\n',
        b'{"event":"tick","at":1795866004,"log":3}\n',
        b'{"event":"step-end","at":1795866005,"step":"pull","status":"failed","log":4,"rc":1}\n',
        b'{"event":"job-end","at":1795866006,"outcome":"failed"}\n',
    )
)
HISTORY: Final = b"@nf job %s\n%s\n%s\n@nf running \n" % (JOB.encode(), ASKED, RESULT)
GENERATIONS: Final = b"""\
@nf now /nix/store/y /nix/store/y 2
@nf booted /nix/store/y
@nf generation 2 /nix/store/y /nix/store/b-nixfleet-agent-2.2.0/bin/a
@nf generation 1 /nix/store/x /nix/store/a-nixfleet-agent-2.1.0/bin/a
@nf job %(job)s
%(asked)s
@nf look %(job)s before /nix/store/x /nix/store/x /nix/store/a-nixfleet-agent-2.1.0/bin/a
@nf look %(job)s after /nix/store/y /nix/store/y -
@nf back %(job)s /nix/store/x /nix/store/x 1 /nix/store/a-nixfleet-agent-2.1.0/bin/a lock
""" % {b"job": JOB.encode(), b"asked": ASKED}
CHANGES: Final = (SAMPLES / "diff-closures-2.34.8.txt").read_bytes()
NIX_LOG: Final = (SAMPLES / "nix-2.34.8-fail.internal-json").read_bytes()[:20_000]


def frame(kind: str, at: int, data: bytes) -> bytes:
    return b"@%s %d %d\n%s\n" % (kind.encode(), at, len(data), data)


STREAM: Final = b"".join(
    (
        GREETING,
        frame("plan.json", 0, ASKED),
        frame("events", 0, EVENTS),
        frame("log", 0, b"abc\n"),
        frame("beat", 1795866007, b"4"),
        frame("result", 0, RESULT),
    )
)


def answer(values: dict[str, bytes]) -> bytes:
    """A probe's answer with these records."""
    lines = (b"%s %d\n%s\n" % (key.encode(), len(value), value) for key, value in values.items())
    return b"nixfleet-probe 1\n" + b"".join(lines) + b"end 0\n"


_INTEGERS: Final = (0, -1, 2**31, 2**32, 2**62, -(2**63), 2**64, 10**17, 10**30, 253402300799)
NUMBERS: Final = (
    *(str(number).encode() for number in _INTEGERS),
    *(b"1.5", b"1e400", b"-0", "٣".encode(), b"9" * 400, b"9" * 5000),
)

PIECES: Final = (
    *(b"\0", b"\xff\xfe", b"\n", b"\r", b" ", b'"', b"\\ud800", b"\\u0000", b"\x1b[", b"\x9b"),
    *(b"[" * 3000, b'{"a":' * 1000, b"x" * 5000, b"../" * 9, b"\n" * 300, b"\xe2\x80\xae"),
    *(b"99999999-999999-ffff", b"00000101-000000-0000", b"@nf job ", b"@log 0 9\n", b"@nix {"),
    *(b"null", b"true", b"[]", b"{}", b"root", b"-", b"--x"),
    *NUMBERS,
)
"""Pieces that trip readers; they are put anywhere into real answers."""


@st.composite
def changed(draw: st.DrawFn, sample: bytes) -> bytes:
    """A real answer in which a few places were changed."""
    data = sample
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 60)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=20))
        match draw(st.sampled_from(("insert", "replace", "number", "repeat", "cut"))):
            case "insert":
                data = data[:at] + piece + data[at:]
            case "replace":
                data = data[:at] + piece + data[end:]
            case "number":
                found = re.search(rb"[0-9]+", data[at:])
                number = draw(st.sampled_from(NUMBERS))
                if found is not None:
                    data = data[: at + found.start()] + number + data[at + found.end() :]
            case "repeat":
                data = data[:end] + data[at:]
            case _:
                data = data[:at]
    return data


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A probe's answer with a few other values and correct lengths."""
    values = dict(PROBE)
    for key in draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=6)):
        match draw(st.sampled_from(("away", "piece", "changed"))):
            case "away":
                values.pop(key, None)
            case "piece":
                values[key] = draw(st.sampled_from(PIECES))
            case _:
                values[key] = draw(changed(values.get(key, b"")))
    return answer(values)


def least_seconds(work: Callable[[], object], tries: int = 5) -> float:
    """The processor time that it takes at best."""
    taken = []
    for _ in range(tries):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


def most_bytes(work: Callable[[], object]) -> int:
    """The memory that it needs at its peak, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
