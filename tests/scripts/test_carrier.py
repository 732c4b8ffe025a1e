"""The lock of a job without systemd, and the time limit of commands without timeout."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from left_out import OLD_BASH, OLD_BASH_ARGV

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


@pytest.fixture(params=["perl", "bash"])
def without_timeout(
    tmp_path: Path, request: pytest.FixtureRequest, shell: tuple[str, ...]
) -> dict[str, str]:
    """A PATH as on macOS, without timeout; and with perl, or without."""
    tools = tmp_path / "bin"
    tools.mkdir()
    if shell == OLD_BASH_ARGV:
        (tools / "bash").symlink_to(shell[0])
    elif request.param == "bash":
        (tools / "bash").symlink_to(shutil.which("bash") or "")
    perl = ("perl",) if request.param == "perl" else ()
    for tool in (*perl, "sh", "sleep", "cat", "id", "uname", "getent", "env", "ps", "tr"):
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


@pytest.mark.parametrize("shell", ["dash", OLD_BASH], indirect=True)
def test_a_signal_to_the_limit_reaches_the_command(
    shell: tuple[str, ...], without_timeout: dict[str, str]
) -> None:
    """As at a cancellation: the pid of the subshell is the limit's own."""
    call = f"""PATH={without_timeout["PATH"]}; hash -r
(NF_EXEC=exec; nf_bounded 20 sh -c "$COMMAND") & pid=$!
until [ -e "$UP" ]; do sleep 0.1; done
kill -s TERM "$pid"; wait "$pid"; echo "rc $?"
"""
    up = f"{without_timeout['PATH']}/../up"
    command = "trap 'exit 5' TERM; : >\"$UP\"; sleep 20 & wait"
    done = run(shell, call, COMMAND=command, UP=up, PATH=os.environ["PATH"])
    assert (done.stdout, done.stderr) == ("rc 5\n", "")


@pytest.mark.parametrize(
    ("carrier", "given", "hard", "had"),
    [
        ("launchd", 256, 20000, 10240),
        ("launchd", 256, 4100, 4096),
        ("launchd", 256, 300, 256),
        ("launchd", 15000, 20000, 15000),
        ("user", 256, 20000, 256),
    ],
)
def test_a_job_of_launchd_may_open_more_files(
    shell: tuple[str, ...], carrier: str, given: int, hard: int, had: int
) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < hard:
        pytest.skip("this machine lets nobody open so many files")
    limits = f"ulimit -S -n 200; ulimit -H -n {hard}; ulimit -S -n {given}"
    call = f"NF_CARRIER={carrier}; nf_open_more; ulimit -S -n; ulimit -H -n"
    script = f"{limits}\n{compose('runner', root='', call=call)}"
    done = subprocess.run(
        [*shell, "-s"], input=script, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout.split(), done.stderr) == ([str(had), str(hard)], "")
