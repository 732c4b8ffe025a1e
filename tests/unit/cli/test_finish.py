"""--on-finish: the operator's own command, with real processes, once for each verdict on a job."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_fleet import Fleet
from fakes import CURRENT
from marked import SECRET

from nixfleet_core.cli import finish
from nixfleet_core.cli.setup import Setup
from nixfleet_core.cli.update_here import nixfleet_update
from nixfleet_core.config import load_config
from nixfleet_core.errors import Unreachable
from nixfleet_core.judge.verdict import Verdict
from nixfleet_core.log.characters import FORBIDDEN
from nixfleet_core.plan.model import Refusal
from nixfleet_core.sandbox.here import FLEET
from nixfleet_core.session.protocol import Busy
from nixfleet_core.transport.process import open_process as real_open

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.transport.process import Process

EVIL = "\x1b]0;owned\x07 \x9b2J\u202e"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Keeps what it is told: its stdin, and its words."""
    return write_script(
        tmp_path / "tell me",
        f"""\
cat >>{str(tmp_path / "told")!r}.json
for word; do printf '<%s>' "$word"; done >{str(tmp_path / "words")!r}
echo noise; echo noise >&2
""",
    )


def write_script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def told(script: Path) -> list[dict[str, Any]]:
    """What the script was told, verdict by verdict."""
    path = script.with_name("told.json")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_config(fleet: Fleet, *words: object) -> None:
    path = fleet.inventory.parent / ".config/nixfleet/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"on-finish = {json.dumps([str(word) for word in words])}\n")


def test_the_command_gets_the_json_of_the_verdict_and_no_shell_reads_its_words(
    fleet: Fleet, script: Path
) -> None:
    verdict = Verdict(kind="partial", sentence="x", notes=(f"see ghp_{SECRET} {EVIL}",))
    fleet.sessions["csb0"].says["verdict"] = verdict
    command = f"'{script}' '$HOME;' `id` '' \"two words\""
    done = fleet.run("update", "--yes", "csb0", "--json", "--on-finish", command)
    assert done.exit_code == 4
    assert told(script) == [json.loads(done.stdout)]
    assert script.with_name("words").read_text() == "<$HOME;><`id`><><two words>"
    raw = script.with_name("told.json").read_text().removesuffix("\n")
    assert FORBIDDEN.search(raw) is None
    assert SECRET not in raw
    assert "noise" not in done.output


@pytest.mark.parametrize("name", ["update", "rollback", "attach"])
@pytest.mark.parametrize("where", ["config", "variable", "before", "behind"])
def test_each_command_that_follows_a_job_tells_its_verdict(
    fleet: Fleet, script: Path, name: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = ("--on-finish", f"'{script}'")
    if where == "config":
        write_config(fleet, script)
    elif where == "variable":
        monkeypatch.setenv("NIXFLEET_ON_FINISH", flag[1])
    words = (name, "csb0", *(() if name == "attach" else ("--yes",)))
    before, behind = (flag if where == place else () for place in ("before", "behind"))
    assert fleet.run(*before, *words, *behind).exit_code == 0
    (verdict,) = told(script)
    assert (verdict["host"], verdict["verdict"]) == ("csb0", "updated")


def test_the_hosts_own_command_tells_it_too(fleet: Fleet, script: Path) -> None:
    write_config(fleet, "/nowhere/else")
    done = fleet.run("--on-finish", f"'{script}'", command=nixfleet_update)
    assert (done.exit_code, len(told(script)), "nowhere" in done.stderr) == (0, 1, False)


def test_an_empty_command_is_none(fleet: Fleet, script: Path) -> None:
    write_config(fleet, script)
    assert fleet.run("update", "--yes", "csb0", "--on-finish", "").exit_code == 0
    assert told(script) == []


def test_a_job_that_is_shown_again_is_told_no_more(fleet: Fleet, script: Path) -> None:
    write_config(fleet, script)
    for words in (("update", "--yes", "csb0"), ("attach", "csb0"), ("attach", "csb0")):
        assert fleet.run(*words).exit_code == 0
    assert len(told(script)) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("update", "--yes", "csb0"), {"probe": Unreachable("no route")}),
        (("update", "--yes", "csb0"), {"plan": Refusal("disk", "full", "free some")}),
        (("update", "--yes", "csb0"), {"launch": Busy("x")}),
        (("update", "--yes", "csb0"), {"verdict": Unreachable("the link is gone")}),
        (("update", "--yes", "csb0"), {"verify": Verdict(kind="current", sentence="x")}),
        (("update", "--yes", "--detach", "csb0"), {}),
        (("verify", "csb0"), {"probe": CURRENT}),
    ],
    ids=["away", "refused", "busy", "not judged", "nothing to do", "detached", "verify"],
)
def test_only_a_verdict_on_a_job_is_told(
    fleet: Fleet, script: Path, words: tuple[str, ...], says: dict[str, Any]
) -> None:
    write_config(fleet, script)
    fleet.sessions["csb0"].says |= says
    fleet.run(*words)
    assert told(script) == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("/nowhere/tell", "/nowhere/tell cannot be started: No such file or directory"),
        ("'{folder}/fails' x", "fails ended with 3: the last �]0;owned�"),
        ("'{folder}/silent'", "silent ended with 4"),
        ("'{folder}/dies'", "dies ended with -15"),
    ],
)
def test_a_command_that_fails_is_one_line_on_stderr_and_changes_nothing(
    fleet: Fleet, tmp_path: Path, command: str, says: str
) -> None:
    write_script(tmp_path / "fails", r"printf 'first\nthe last \033]0;owned\007\n' >&2; exit 3")
    write_script(tmp_path / "silent", "exit 4")
    write_script(tmp_path / "dies", "kill -TERM $$")
    command = command.format(folder=tmp_path)
    plain = fleet.run("update", "--yes", "csb1", "--json")
    done = fleet.run("update", "--yes", "csb1", "--json", "--on-finish", command)
    assert done.exit_code == plain.exit_code == 0
    (line,) = done.stderr.splitlines()[len(plain.stderr.splitlines()) :]
    assert line.startswith("csb1: --on-finish: ")
    assert line.endswith(says)
    assert len(done.stdout.splitlines()) == 1


def test_a_secret_in_the_commands_last_words_is_hidden_before_they_are_cut(
    fleet: Fleet, tmp_path: Path
) -> None:
    script = write_script(tmp_path / "fails", f"printf '%0180d ghp_{SECRET}' 0 >&2; exit 3")
    done = fleet.run("update", "--yes", "csb0", "--on-finish", str(script))
    assert "ended with 3: 000" in done.stderr
    assert SECRET[:6] not in done.stderr


def test_no_host_waits_for_the_command_of_another(fleet: Fleet, tmp_path: Path) -> None:
    gate, ended = tmp_path / "gate", tmp_path / "ended"
    os.mkfifo(gate)
    script = write_script(
        tmp_path / "tell",
        f'case $(cat) in *csb0*) read -r _ <"{gate}" ;; *) echo >"{gate}" ;; esac\n'
        f'echo ended >>"{ended}"',
    )
    done = fleet.run("update", "--yes", "csb0", "csb1", "--on-finish", str(script))
    assert (done.exit_code, done.stderr) == (0, "")
    assert ended.read_text() == "ended\nended\n"


@pytest.fixture
def hangs(tmp_path: Path) -> str:
    """A command that waits for something that never comes."""
    os.mkfifo(tmp_path / "gate")
    return str(write_script(tmp_path / "hangs", f'read -r _ <"{tmp_path}/gate"'))


def test_a_command_that_hangs_is_ended(
    fleet: Fleet, hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Process] = []

    async def open_process(argv: Sequence[str]) -> Process:
        started.append(await real_open(argv))
        return started[-1]

    monkeypatch.setattr(finish, "open_process", open_process)
    monkeypatch.setattr(finish, "LIMIT", 0.01)
    done = fleet.run("update", "--yes", "csb0", "--on-finish", hangs)
    assert done.exit_code == 0
    assert f"{hangs} was ended: it took longer than" in done.stderr
    assert [process.rc for process in started] == [-signal.SIGTERM]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_for_it(
    fleet: Fleet, hangs: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, waiting = [], asyncio.Event()
    started: list[Process] = []

    async def open_process(argv: Sequence[str]) -> Process:
        started.append(await real_open(argv))
        await waiting.wait()
        os.kill(os.getpid(), number)
        return started[-1]

    def say_waiting(text: str) -> None:
        waits.append(text)
        waiting.set()

    monkeypatch.setattr(finish, "open_process", open_process)
    monkeypatch.setattr(finish, "say_waiting", say_waiting)
    done = fleet.run("update", "--yes", "csb0", "--on-finish", hangs)
    assert (done.exit_code, done.stderr) == (0, "")
    assert waits == [f"waiting for {hangs}, at most 30 seconds; ctrl-c ends it", ""]
    assert [process.rc for process in started] == [-signal.SIGTERM]
    assert fleet.sessions["csb0"].cancelled == []


def test_a_failure_does_not_stand_behind_the_words_of_the_wait(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    script = write_script(tmp_path / "fails", f'read -r _ <"{gate}"; exit 3')
    opened = os.open(gate, os.O_RDWR)
    said: list[str] = []

    def say_waiting(text: str) -> None:
        said.append(text)
        if text:
            os.write(opened, b"\n")

    monkeypatch.setattr(finish, "say_waiting", say_waiting)
    monkeypatch.setattr("nixfleet_core.cli.run.say", lambda text, *, err: said.append(text))
    assert fleet.run("update", "--yes", "csb0", "--on-finish", str(script)).exit_code == 0
    os.close(opened)
    waiting, failed = f"waiting for {script}, at most 30 seconds; ctrl-c ends it", "ended with 3"
    assert said == [waiting, "", f"csb0: --on-finish: {script} {failed}", ""]


def test_the_demos_hosts_are_told_only_by_the_flag(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(Path("hosts.toml"), None, load_config({"NIXFLEET_ON_FINISH": "tell"}))
    assert setup.on_finish() == ("tell",)
    monkeypatch.setenv(FLEET, "/tmp/demo")
    assert setup.on_finish() == ()
    assert setup.on_finish("try it") == ("try", "it")
