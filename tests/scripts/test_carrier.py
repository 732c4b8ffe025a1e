"""The lock of a job without systemd, and the time limit of commands without timeout."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from pathlib import Path


def run(shell: tuple[str, ...], call: str, **env: str) -> subprocess.CompletedProcess[str]:
    script = compose(root="", values={"NF_PLATFORM_GIVEN": ""}, call=call)
    return subprocess.run(
        [*shell, "-s"],
        input=script,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def take(shell: tuple[str, ...], lock: Path) -> str:
    call = 'if nf_lock_take "$LOCK"; then echo taken; else echo refused; fi'
    done = run(shell, call, LOCK=str(lock))
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_lock_is_held_as_long_as_its_process_lives(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    lock = tmp_path / "a lock's"
    hold = 'nf_lock_take "$LOCK" && echo taken; read -r _ <"$GATE"; exit 0'
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = compose(root="", values={"NF_PLATFORM_GIVEN": ""}, call=hold)
    holder = subprocess.Popen(
        [*shell, "-c", script],
        env={
            "PATH": os.environ["PATH"],
            "HOME": "/nowhere",
            "LOCK": str(lock),
            "GATE": str(gate),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    assert take(shell, lock) == "refused"
    assert lock.is_symlink()
    gate.write_text("\n")
    holder.wait(10)
    holder.stdout.close()
    assert take(shell, lock) == "taken", "a dead process holds nothing"
    assert [path.name for path in tmp_path.iterdir() if path != gate] == [lock.name]


@pytest.mark.parametrize(
    "held", ["", "x", "1,never,no boot", "99999999,_,x", "$(id),a,b"], ids=range(5)
)
def test_a_lock_without_a_living_process_is_free(
    shell: tuple[str, ...], tmp_path: Path, held: str
) -> None:
    lock = tmp_path / "lock"
    lock.symlink_to(held or " ")
    assert take(shell, lock) == "taken"


@pytest.fixture
def without_timeout(tmp_path: Path) -> dict[str, str]:
    """A PATH as on macOS, with perl and without timeout."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("perl", "sh", "sleep", "cat", "id", "uname", "getent", "env", "ps", "tr"):
        found = shutil.which(tool)
        assert found, tool
        (tools / tool).symlink_to(found)
    return {"PATH": str(tools)}


def bounded(shell: tuple[str, ...], env: dict[str, str], command: str) -> str:
    """The exit code of a command under a limit of one second; nf_path must not find timeout."""
    call = f'PATH={env["PATH"]}; hash -r; nf_bounded 1 sh -c "$COMMAND"; echo "rc $?"'
    return run(shell, call, COMMAND=command, PATH=os.environ["PATH"]).stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo hi; exit 7", "hi\nrc 7\n"),
        ("kill -TERM $$", "rc 143\n"),
        ("cat", "rc 0\n"),
        ("trap 'echo bye; exit 0' TERM; sleep 30 & wait", "bye\nrc 124\n"),
    ],
)
def test_a_limit_works_without_the_program_timeout(
    shell: tuple[str, ...], without_timeout: dict[str, str], command: str, said: str
) -> None:
    assert bounded(shell, without_timeout, command) == said
