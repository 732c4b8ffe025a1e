"""No output of the program holds a credential or drives a terminal, whatever it quotes."""

from __future__ import annotations

import ast
import io
import json
import os
import pty
import re
import sys
import termios
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner
from fake_fleet import Fleet
from fakes import JOB, NEW, PLAN, PROVEN, STALE, WHY, FakeSession, ways_of
from marked import MARKS, SECRET, leaked, marked

from nixfleet_core.cli.main import nixfleet
from nixfleet_core.cli.printer import Printer
from nixfleet_core.cli.update_here import nixfleet_update
from nixfleet_core.errors import LaunchFailed, NoSuchJob, NotAllowed, Unreachable
from nixfleet_core.facts.health import Health, Launchd, Remote
from nixfleet_core.facts.model import (
    LOCK_FILE,
    Binary,
    Checkout,
    LastJob,
    Running,
    Snapshot,
    System,
    Unit,
)
from nixfleet_core.facts.package_changes import Change
from nixfleet_core.host import Host, SshAddress
from nixfleet_core.job.copies import JobFiles
from nixfleet_core.job.events import (
    CancelSeen,
    Check,
    Heartbeat,
    JobEnd,
    Link,
    LogGrew,
    Retry,
    StepEnd,
    StepStart,
    Waiting,
)
from nixfleet_core.job.history import JobLine
from nixfleet_core.judge.debt import Boot, Debt, Owing
from nixfleet_core.judge.verdict import Verdict, unreachable
from nixfleet_core.log.characters import FORBIDDEN
from nixfleet_core.log.display import safe, safe_json
from nixfleet_core.log.failure_table import FAILURES
from nixfleet_core.log.redact import redact
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.plan.levels import LEVEL_NOTES
from nixfleet_core.plan.model import Refusal, Step
from nixfleet_core.plan.refusals import REASONS
from nixfleet_core.session.conduct import Report
from nixfleet_core.session.protocol import Busy, Commit
from nixfleet_core.vocabulary import CAUSES, STEP_REASONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from nixfleet_core.job.events import JobEvent

ROOT = Path(__file__).parents[3]
MARK = pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)


def lock_of(mark: str) -> str:
    """A flake.lock whose every text is marked."""
    nodes = {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {
            "locked": {"type": "git", "rev": NEW, "url": mark, "ref": mark, "narHash": mark},
            "original": {"type": "git", "url": f"https://op:{SECRET}@h/{mark}", "ref": mark},
        },
    }
    return json.dumps({"version": 7, "root": "root", "nodes": nodes})


def marked_host(mark: str) -> dict[str, Any]:
    """A host that tells a secret in each of its texts."""
    checkout = Checkout("/c", "ok", lock=parse_lock(lock_of(mark)), dirty=(LOCK_FILE,))
    facts = replace(
        STALE,
        running=Running(Binary("/nix/store/a", "2.1.0"), "exe", 1),
        installed=Binary("/nix/store/b"),
        expected=Binary("/nix/store/c"),
        unit=Unit("loaded", "active", pid=1),
        system=System(),
        last_job=LastJob(),
        checkout=checkout,
        other=checkout,
        other_expected=Binary("/nix/store/d"),
    )
    pull = Step(id="pull", title="Pull", argv=("git", "x"), run_as="owner", limit=1)
    option = Step(id="update", title="U", argv=("x", "--token", SECRET), run_as="root", limit=1)
    plan = msgspec.structs.replace(PLAN, steps=(marked(pull, mark), option))
    change = Change(name="p", before="1", after="2", size=1)
    verdict = Verdict(
        kind="failed",
        sentence="s",
        notes=("n",),
        changes=(change,),
        before=Snapshot(version="1"),
        after=Snapshot(version="2"),
    )
    events: list[JobEvent] = [
        StepStart(step="pull", at=1, log=0),
        Link(up=False, seconds=3),
        Check(check="remote", at=1, ok=False, reason="x"),
        Retry(step="pull", at=1, attempt=2, tries=5, wait=8),
        Waiting(reason="switch", at=1, limit=9),
        Progress(done=1, expected=2),
        CancelSeen(at=1),
        StepEnd(step="pull", at=2, status="failed", log=0, reason="x"),
        JobEnd(at=3, outcome="failed"),
    ]

    async def follow(session: FakeSession) -> AsyncIterator[JobEvent]:
        files = session.files(JOB)
        # an older version wrote this one, which knew fewer secrets
        text = f"first\nfetching {mark}\nlast\n".encode()
        for path in (files.log, files.text):
            path.write_bytes(text)
        yield LogGrew(size=len(text), text_size=len(text))
        yield Heartbeat(at=1, log=len(text))
        for event in events:
            yield marked(event, mark)

    health = Health(
        facts,
        foreign=("f",),
        remote=Remote(answers=False, said=("fatal: x",)),
        launchd=Launchd(domains=("gui",)),
        eval_said=("error: x",),
    )
    path = f"/nix/store/{'a' * 32}-web-1.0"
    owing = Owing(unit="u", since=1, kind="program", old=path, new=path, reason="r", pay="p")
    debt = Debt(units=(marked(owing, mark),), boot=(marked(Boot("kernel", path, path), mark),))
    facts, verdict = marked(facts, mark), marked(verdict, mark)
    plan = msgspec.structs.replace(marked(plan, mark), steps=plan.steps)
    return {
        "probe": facts,
        "plan": plan,
        "ways_back": ways_of(mark),
        "plan_rollback": plan,
        "plan_commit": plan,
        "plan_restart": plan,
        "fetch_plan": plan,
        "incoming": (marked(Commit(NEW, "Fix it"), mark), Commit(mark, mark)),
        "jobs": (marked(JobLine(job=JOB, at=1, asked_by="a", goal="g", outcome="o"), mark),),
        "follow": follow,
        "verdict": verdict,
        "verify": verdict,
        "inspect": marked(health, mark),
        "debt": debt,
        "explain": marked(replace(WHY, evidence=(("last job", mark),)), mark),
    }


FAULTS: dict[str, Any] = {
    "none": lambda mark: {},
    "unreachable": lambda mark: {"probe": Unreachable(mark, mark)},
    "refused": lambda mark: {
        name: Refusal("input", mark, mark)
        for name in ("plan", "plan_rollback", "plan_commit", "plan_restart")
    },
    "not allowed": lambda mark: {
        name: NotAllowed(mark) for name in ("examine", "verify", "debt", "jobs", "cancel")
    },
    "not launched": lambda mark: {"launch": LaunchFailed(mark)},
    "busy": lambda mark: {"launch": Busy(mark)},
    "no such job": lambda mark: {"fetch_plan": NoSuchJob(mark)},
}

NAME = f"ghp_{SECRET}"
"""A host may be called so."""
LISTS = [("hosts",), ("jobs",), ("why",), ("doctor",), ("debt",), ("verify",), ("attach",)]
COMMANDS = [
    *(words for command in LISTS for words in (command, (*command, "--json"))),
    *(("update", "--yes", *more) for more in ((), ("--json",), ("--detach",), ("--force",))),
    *(("update", "--dry-run", *more) for more in ((), ("--json",))),
    *(
        (job, "--yes", *more)
        for job in ("rollback", "commit", "restart")
        for more in ((), ("--json",))
    ),
    *(("log",), ("journal",), ("report",), ("cancel",), ("config",), ("cache",)),
    *(("has", "1" * 40, *more) for more in ((), ("--json",))),
]
HERE = [(), ("--json",), ("--dry-run",), ("--dry-run", "--json"), ("--verify",), ("--detach",)]


def add_marked(fleet: Fleet, mark: str, fault: str, folder: Path) -> None:
    says = marked_host(mark) | FAULTS[fault](mark)
    for name in (NAME, "csb0"):
        session = fleet.add(name, **says)
        session.folder = folder
        session.host = replace(
            marked(Host(name), mark), name=name, platform=None, address=SshAddress(mark)
        )


def test_the_tests_run_every_command() -> None:
    driven = {words[0] for words in COMMANDS}
    # the demo is the app; connect and shell hand the terminal to ssh
    assert driven == set(nixfleet.commands) - {"demo", "connect", "shell"}


@MARK
@pytest.mark.parametrize("fault", FAULTS)
def test_no_command_prints_a_secret(
    fleet: Fleet,
    tmp_path: Path,
    mark: str,
    fault: str,
) -> None:
    for words in COMMANDS:
        add_marked(fleet, mark, fault, tmp_path)
        result = fleet.run(*words, NAME)
        if "no such" not in result.output.lower() and words[0] != "cancel":
            assert result.output.strip(), words
        assert leaked(result.output) is None, (words, result.output)
        if "--json" in words:
            for line in result.stdout.splitlines():
                assert leaked(str(json.loads(line))) is None
    for words in HERE:
        add_marked(fleet, mark, fault, tmp_path)
        result = fleet.run(*words, command=nixfleet_update)
        assert leaked(result.output) is None, (words, result.output)


@MARK
def test_the_list_of_generations_prints_no_secret(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    add_marked(fleet, mark, "none", tmp_path)
    result = fleet.run("rollback", NAME, typed="\n")
    assert "default: " in result.output
    assert leaked(result.output) is None, result.output


def test_raw_prints_the_log_byte_for_byte(fleet: Fleet, tmp_path: Path) -> None:
    add_marked(fleet, MARKS["a token"], "none", tmp_path)
    raw = fleet.run("log", "csb0", "--raw")
    assert raw.stdout_bytes == f"first\nfetching ghp_{SECRET}\nlast\n".encode()
    assert fleet.run("log", "csb0").stdout == "first\nfetching ‹redacted›\nlast\n"


@MARK
def test_a_wrong_command_line_is_not_repeated_with_its_secret(
    fleet: Fleet,
    tmp_path: Path,
    mark: str,
) -> None:
    add_marked(fleet, mark, "none", tmp_path)
    for words in (
        ("update", mark),
        ("update", "csb0"),
        ("update", NAME),
        ("update", "csb0", f"--{mark}"),
        ("update", "csb0", "--input-rev", mark),
        ("update", "csb0", "--checkout", mark),
        ("update", "csb0", "--limit", mark),
        ("log", "csb0", mark),
        (mark,),
    ):
        result = fleet.run(*words)
        assert (result.exit_code, leaked(result.output)) == (2, None), result.output


@MARK
def test_a_wrong_inventory_is_not_quoted_with_its_secret(real: Fleet, mark: str) -> None:
    for text in (f"[hosts.a]\nssh = '{mark} x'\n", f"['{mark}']\n", f"[hosts.'{mark} x']\n", mark):
        real.inventory.write_text(text)
        result = real.run("hosts")
        assert (result.exit_code, leaked(result.output)) == (2, None), result.output


def test_redacted_json_keeps_its_structure() -> None:
    step = Step(
        id="pull",
        title=f"a{SECRET}\u202e\x9b\x7f\u200d é\n\t\U000e0041",
        argv=("nix", "--token", "x", f"https://{SECRET}@h", "--option", "access-tokens", "g=x"),
        run_as="root",
        limit=1,
    )
    line = safe_json(step)
    assert FORBIDDEN.search(line) is None
    found = json.loads(line)
    assert found["title"] == step.title  # nothing shows that this one is a secret
    assert found["argv"] == [
        *("nix", "--token", "‹redacted›", "https://‹redacted›@h"),
        *("--option", "access-tokens", "g=‹redacted›"),
    ]
    lone = msgspec.structs.replace(step, title="\ud800")
    assert json.loads(safe_json(lone))["title"] == "\ufffd"


# Our own words.


TABLES = (
    *(row.advice for row in FAILURES),
    *(text for words in CAUSES.values() for text in (words.meaning, words.cure)),
    *(text for words in REASONS.values() for text in (words.meaning, words.cure)),
    *(text for words in STEP_REASONS.values() for text in (words.meaning, words.cure)),
    *LEVEL_NOTES.values(),
)


def literals(source: str) -> Iterator[str]:
    """All texts in a module except docstrings; `x` stands for a filled-in value, and for the rest
    of the line after a text."""
    tree = ast.parse(source)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(parts):
                said = (part.value if isinstance(part, ast.Constant) else "x" for part in parts)
                text = "".join(map(str, said))
            case ast.Constant(str(text)) if id(node) not in docs:
                pass
            case _:
                continue
        yield f"{text}x" if text.endswith(" ") else text


def test_redactor_leaves_our_own_words_alone() -> None:
    for text in TABLES:
        assert safe(text) == text
    hidden: list[str] = []
    for path in (*(ROOT / "nixfleet_core").rglob("*.py"), *(ROOT / "tui").rglob("*.py")):
        if "sandbox" not in path.parts and path.name != "redact.py":
            hidden += (text for text in literals(path.read_text()) if redact(text) != text)
    # words for git, which are never shown
    assert hidden == ["username=x\npassword=x"]


# Only one module prints.

PRINTS = re.compile(
    r"click\.(?:secho|echo|echo_via_pager|prompt)\b|(?<![\w.])print\(|sys\.(?:__)?std(?:out|err)"
    r"(?:__)?\.(?:write|buffer)|import logging\b|\bwarnings\.warn\b|os\.write\([12],"
)


def test_only_the_boundary_prints() -> None:
    """The sandbox's tools may print: they are separate programs."""
    found = {
        str(path.relative_to(ROOT))
        for folder in ("nixfleet_core", "tui")
        for path in (ROOT / folder).rglob("*.py")
        if "sandbox" not in path.parts and PRINTS.search(path.read_text())
    }
    assert found == {"nixfleet_core/cli/output.py"}


# The log cannot imitate the program.


class Terminal(io.StringIO):
    """The output for a terminal that does not tell its width."""

    def isatty(self) -> bool:
        return True


OURS = re.compile(r"(?:\S+ +)?[│|] ")


def play(
    folder: Path, log: bytes, *, several: bool, stream: io.StringIO | None = None
) -> tuple[list[str], list[str]]:
    """The lines that a job with this log prints: the log's, and ours."""
    stream = stream or Terminal()
    printer = Printer(stream, several=several)
    (folder / "log.txt").write_bytes(log)
    printer.follows(Host("h"), JOB, PLAN, JobFiles(folder / "log", folder / "log.txt", folder))
    printer._print_log("h", len(log))
    printer.report(Report("h", unreachable("no route", "look")))
    printer.report(Report("h", PROVEN))
    lines = stream.getvalue().removesuffix("\n").split("\n")
    assert len(lines) == 1 + log.count(b"\n") + 3
    return lines[1:-3], [lines[0], *lines[-3:]]


FORGERIES = (
    b"updated: new\n",
    b"\x1b[1mupdated: new\x1b[0m\n",
    b"h            updated: new\n",
    b"h            \x1b[1mupdated: new\x1b[0m\n",
    "│ updated: new\n".encode(),
    b"\x1b[8m\n",
    b"\x1b[1;8;5mhidden\n",
    b"\x1b[31mnever ended\n",
    b"\x1b[38;5;8mgrey\n",
    b"\x1b[2K\x1b[1Gupdated: new\n",
    b"\rupdated: new\n",
    "\u202eupdated: new\n".encode(),
    "\x85updated: new\n".encode(),
    "\u2028updated: new\n".encode(),
)


@pytest.mark.parametrize("several", [False, True])
def test_no_line_of_a_log_looks_like_one_of_ours(tmp_path: Path, several: bool) -> None:
    logged, ours = play(tmp_path, b"".join(FORGERIES), several=several)
    before = "h            " if several else ""
    assert all(line.startswith(f"{before}│ ") for line in logged)
    assert not any(re.sub(r"\x1b\[[0-9;]*m", "", line).startswith(f"{before}│") for line in ours)
    for line in logged:
        codes = re.findall(r"\x1b\[([0-9;]*)m", line)
        assert not codes or codes[-1] == "0"
        for code in codes:
            numbers = re.sub(r"[345]8;5;\d+", "", code).split(";")
            assert not {"5", "6", "8"} & set(numbers)
        assert FORBIDDEN.search(re.sub(r"\x1b\[[0-9;]*m", "", line)) is None


def test_a_terminal_without_the_bar_gets_an_ascii_mark(tmp_path: Path) -> None:
    class Latin(Terminal):
        encoding = "latin-1"

    logged, ours = play(tmp_path, b"one\n", several=False, stream=Latin())
    assert logged == ["| one"]
    assert ours[-2:] == ["  ? look", "\x1b[1mupdated: new\x1b[0m"]


def read_all(terminal: int) -> str:
    """The output to a terminal that is closed by now."""
    sent = b""
    with suppress(OSError):  # EIO: Linux's way to say that nothing is left
        while chunk := os.read(terminal, 65536):
            sent += chunk
    os.close(terminal)
    return sent.decode()


@pytest.mark.parametrize("several", [False, True])
def test_a_long_log_line_is_never_continued_at_the_left_edge(tmp_path: Path, several: bool) -> None:
    """A terminal breaks a line that is too long and continues it at its left edge."""
    width = 40
    main, worker = pty.openpty()
    termios.tcsetwinsize(worker, (24, width))
    attributes = termios.tcgetattr(worker)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(worker, termios.TCSANOW, attributes)
    log = ("x" * 38 + "updated: new " * 9 + "é漢\t" * 9 + "\x1b[31m" + "y" * 99 + "\n").encode()
    (tmp_path / "log.txt").write_bytes(log)
    with os.fdopen(worker, "w", encoding="utf-8") as stream:
        printer = Printer(stream, several=several)
        printer.follows(Host("h"), JOB, PLAN, JobFiles(tmp_path, tmp_path / "log.txt", tmp_path))
        printer._print_log("h", len(log))
        sentence = "because " + "updated: new " * 9
        printer.report(Report("h", Verdict(kind="failed", sentence=sentence)))
    rows = [
        re.sub(r"\x1b\[[0-9;]*m", "", row) for row in read_all(main).removesuffix("\n").split("\n")
    ]
    assert all(len(row.expandtabs(8)) <= width for row in rows)
    before = "h            " if several else ""
    verdict = next(at for at, row in enumerate(rows) if row.startswith(f"{before}failed: "))
    begin = next(at for at, row in enumerate(rows) if row.startswith(f"{before}│ "))
    assert all(row.startswith(f"{before}│ ") for row in rows[begin:verdict])
    assert all(row.startswith(" " * 8) for row in rows[1:begin])
    assert all(row.startswith(" " * 8) for row in rows[verdict + 1 :])
    assert len(rows) > verdict + 2 > 8
    text = "".join(row.removeprefix(f"{before}│ ") for row in rows[begin:verdict])
    assert text == re.sub("\x1b\\[31m", "", log.decode()).removesuffix("\n")


def test_a_log_alone_has_no_marks_and_its_colours_end(
    fleet: Fleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def follow(session: FakeSession) -> AsyncIterator[JobEvent]:
        files = session.files(JOB)
        for path in (files.log, files.text):
            path.write_bytes(b"\x1b[31mred \x1b[8mhidden\nplain\r\n")
        yield LogGrew(size=9, text_size=9)
        yield Heartbeat(at=1, log=9)

    fleet.sessions["csb0"].says["follow"] = follow
    assert fleet.run("log", "csb0").stdout == "red hidden\nplain\n"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(SystemExit):
        nixfleet.main(["log", "csb0"], prog_name="nixfleet")
    assert terminal.getvalue() == "\x1b[31mred hidden\x1b[0m\nplain\n"


def test_help_warns_of_raw() -> None:
    assert "terminal" in CliRunner().invoke(nixfleet, ["log", "--help"]).output
