"""`nixfleet-agent`, the wrapper: it hands --self-update over, and else becomes the agent."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from left_out import shells

WRAPPER = Path(__file__).parents[2] / "nix" / "agent-wrapper.sh"
JOB = "20261123-004101-ab12"
FORCE = ["--self-update", "--force-rebuild"]
LOCKED = ["--self-update", "--as-locked"]
REQUESTS = {
    "update": (FORCE[:1], []),
    "force": (FORCE, ["--force"]),
    "as-locked": (LOCKED, ["--as-locked"]),
    "force-as-locked": ([*FORCE, "--as-locked"], ["--force", "--as-locked"]),
}
"""What the launcher is asked for; the wrapper's words, and those for nixfleet-update."""


def answer(job: str | None, advice: str = "") -> str:
    """The output of nixfleet-update --json."""
    shown = {"host": "csb0", "verdict": None, "advice": advice, "job": job, "log": None}
    return json.dumps(shown, separators=(",", ":"))


def command(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@dataclass
class Wrapped:
    """A wrapper around programs that tests write; `calls` has the words of each program called."""

    folder: Path
    shell: tuple[str, ...]

    def run(
        self,
        *words: str,
        agent: str = "echo agent",
        says: str = answer(JOB),
        code: int = 9,
        uid: int = 0,
        launcher: str = "",
    ) -> subprocess.CompletedProcess[str]:
        self.write(agent, says, code, uid, launcher)
        return subprocess.run(
            [*self.shell, str(self.folder / "wrapper"), *words],
            env=self.env,
            input="what the agent reads",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def write(
        self, agent: str, says: str = "", code: int = 0, uid: int = 0, launcher: str = ""
    ) -> None:
        record = f'printf "%s\\n" "${{0##*/}}" "$@" >>{shlex.quote(str(self.folder / "calls"))}'
        done = f"cat >>{shlex.quote(str(self.folder / 'stdin'))}; echo {shlex.quote(says)}"
        command(self.folder / "id", f"echo {uid}")
        values = {
            "agent": command(self.folder / "agent", agent),
            "update": command(self.folder / "update", f"{record}; {done}; exit {code}"),
            "sudo": command(self.folder / "sudo", f"{record}; {done}; exit {code}"),
            "launcher": launcher,
        }
        text = WRAPPER.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", shlex.quote(str(value)))
        (self.folder / "wrapper").write_text(text)

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}:/usr/bin:/bin", "TOKEN": "from the unit"}

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def stdin(self) -> str:
        return (self.folder / "stdin").read_text()


@pytest.fixture(params=shells())
def wrapped(request: pytest.FixtureRequest, tmp_path: Path) -> Wrapped:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    return Wrapped(folder, request.param)


# --- other words go to the agent


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["--check", "a b", "", "$(id)", "new\nline", "*"],
        ["--force-rebuild", "--self-update"],
        ["--as-locked"],
        ["--config", "--self-update"],
        ["--self-update=1"],
    ],
)
def test_the_agent_gets_the_words_and_the_input(wrapped: Wrapped, words: list[str]) -> None:
    done = wrapped.run(*words, agent="printf '<%s>' \"$@\"; cat; echo oh >&2; exit 37")
    assert done.stdout == "".join(f"<{word}>" for word in words or [""]) + "what the agent reads"
    assert (done.returncode, done.stderr, wrapped.calls) == (37, "oh\n", [])


def test_the_agent_gets_the_environment(wrapped: Wrapped) -> None:
    done = wrapped.run(agent="tr '\\0' '\\n' </proc/$$/environ")
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    shells_own = ("_", "PWD", "OLDPWD", "SHLVL")
    assert {key: seen[key] for key in seen if key not in shells_own} == wrapped.env


def test_the_agent_is_the_process_and_gets_its_signals(wrapped: Wrapped) -> None:
    wrapped.write("trap 'exit 42' USR1\necho $$\nwhile :; do read -r line || exit 1; done")
    with subprocess.Popen(
        [*wrapped.shell, str(wrapped.folder / "wrapper"), "--log", "x"],
        env=wrapped.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == f"{process.pid}\n"
        process.send_signal(signal.SIGUSR1)
        with suppress(BrokenPipeError):  # the agent has ended
            # some shells take the signal only after the read
            os.write(process.stdin.fileno(), b"\n")
        assert process.wait(30) == 42


def test_an_agent_that_crashes_can_be_updated(wrapped: Wrapped) -> None:
    crash = "kill -s SEGV $$"
    assert wrapped.run("--version", agent=crash).returncode == -signal.SIGSEGV
    done = wrapped.run(*FORCE, agent=crash)
    assert (done.returncode, done.stdout) == (0, f"{JOB}\n")


# --- words for nixfleet-update


@pytest.mark.parametrize(("words", "more"), REQUESTS.values(), ids=REQUESTS)
def test_root_starts_the_update_itself(wrapped: Wrapped, words: list[str], more: list[str]) -> None:
    done = wrapped.run(*words, launcher="/run/current-system/sw/bin/nixfleet-launch")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{JOB}\n", "")
    assert wrapped.calls == ["update", "--detach", "--json", *more]
    assert wrapped.stdin == ""


@pytest.mark.parametrize("word", REQUESTS)
def test_others_ask_the_launcher(wrapped: Wrapped, word: str) -> None:
    words, _ = REQUESTS[word]
    done = wrapped.run(*words, uid=1000, launcher="/sw/bin/nixfleet-launch")
    assert (done.returncode, done.stdout) == (0, f"{JOB}\n")
    assert wrapped.calls == ["sudo", "-n", "--", "/sw/bin/nixfleet-launch"]
    assert wrapped.stdin == f"{word}\n"


def test_the_order_of_the_options_does_not_matter(wrapped: Wrapped) -> None:
    wrapped.run(*LOCKED, "--force-rebuild")
    assert wrapped.calls == ["update", "--detach", "--json", "--force", "--as-locked"]


def test_wrapper_without_a_launcher_does_not_become_root(wrapped: Wrapped) -> None:
    wrapped.run(*FORCE, uid=1000)
    assert wrapped.calls == ["update", "--detach", "--json", "--force"]


def test_wrapper_needs_no_path(wrapped: Wrapped) -> None:
    wrapped.write("echo agent", answer(JOB), 9)
    shell = shutil.which(wrapped.shell[0]) or ""
    done = subprocess.run(
        [shell, *wrapped.shell[1:], str(wrapped.folder / "wrapper"), *FORCE],
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{JOB}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        [*FORCE, "x"],
        [*FORCE, "--force-rebuild"],
        [*FORCE, "--as-locked", "--as-locked"],
        ["--self-update", "--self-update"],
        ["--self-update", ""],
        ["--self-update", "--force-rebuild --as-locked"],
        ["--self-update", "--force-rebuild:--as-locked", ""],
        ["--self-update", "--as-locked=1"],
        ["--self-update", "*"],
    ],
)
def test_wrapper_refuses_other_words(wrapped: Wrapped, words: list[str]) -> None:
    done = wrapped.run(*words)
    assert (done.returncode, done.stdout, wrapped.calls) == (2, "", [])
    assert "usage: nixfleet-agent --self-update [--force-rebuild] [--as-locked]\n" in done.stderr


# --- its answers


@pytest.mark.parametrize(
    ("says", "code", "printed", "exits"),
    [
        (answer(JOB, 'read "job":"x" there'), 9, f"{JOB}\n", 0),
        (answer(JOB), 6, f"{JOB}\n", 6),
        (answer(None), 0, "", 0),
        (answer(None), 1, "", 1),
        ("", 2, "", 2),
        ("", 127, "", 127),
    ],
    ids=["started", "busy", "current", "failed", "usage", "no command"],
)
def test_wrapper_prints_the_job_and_gives_the_exit_code(
    wrapped: Wrapped, says: str, code: int, printed: str, exits: int
) -> None:
    done = wrapped.run(*FORCE, says=says, code=code)
    assert (done.stdout, done.returncode) == (printed, exits)


def test_wrapper_prints_why_sudo_refuses(wrapped: Wrapped) -> None:
    done = wrapped.run(*FORCE, uid=1000, launcher="/x", says="", code=1)
    assert (done.stdout, done.returncode) == ("", 1)
