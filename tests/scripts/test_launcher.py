"""`nixfleet-launch`: the program that root runs for the users of the sudo rule."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from left_out import shells

LAUNCHER = Path(__file__).parents[2] / "nix" / "launcher.sh"
NOBODY = 65534
HOSTILE = {
    "PATH": "/nonexistent",
    "HOME": "/home/mallory",
    "XDG_CONFIG_HOME": "/home/mallory",
    "PYTHONPATH": "/home/mallory",
    "LD_LIBRARY_PATH": "/home/mallory",
    "NIXFLEET_SSH_CONFIG": "/home/mallory/config",
    "NIX_CONFIG": "substituters = http://mallory",
    "GIT_SSH_COMMAND": "/home/mallory/ssh",
    "ENV": "/home/mallory/env",
    "IFS": "o",
}


def as_root() -> list[str]:
    """How to look like root; skips if that is not possible."""
    if os.geteuid() == 0:
        return []
    # by its path: the caller's PATH may be anything
    argv = [shutil.which("unshare") or "unshare", "--map-root-user"]
    try:
        subprocess.run([*argv, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("they need root, or a user namespace to be root in")
    return argv


@pytest.fixture(params=shells())
def shell(request: pytest.FixtureRequest) -> list[str]:
    argv: tuple[str, ...] = request.param
    return [shutil.which(argv[0]) or "", *argv[1:]]


@pytest.fixture
def update(tmp_path: Path) -> Path:
    """Stands for nixfleet-update: prints its words and environment, and exits 9."""
    program = tmp_path / "nixfleet-update"
    program.write_text('#!/bin/sh\nprintf "<%s>" "$@"; pwd; cat; /usr/bin/env; exit 9\n')
    program.chmod(0o755)
    return program


def launch(
    shell: list[str],
    update: Path,
    *words: str,
    says: bytes = b"force\n",
    env: dict[str, str] | None = None,
    root: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    text = LAUNCHER.read_text().replace("@update@", shlex.quote(str(update)))
    prefix = as_root() if root else []
    return subprocess.run(
        [*prefix, *shell, "-c", text, "nixfleet-launch", *words],
        env=env or {},
        input=says,
        capture_output=True,
        timeout=30,
        check=False,
        cwd="/",
        user=None if root or os.geteuid() else NOBODY,
    )


def refusal(done: subprocess.CompletedProcess[bytes]) -> str:
    assert (done.returncode, done.stdout) == (2, b"")
    return done.stderr.decode().removeprefix("nixfleet-launch: ").strip()


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"update\n", "<--detach><--json>"),
        (b"force\n", "<--detach><--json><--force>"),
        (b"force", "<--detach><--json><--force>"),
        (b"as-locked\n", "<--detach><--json><--as-locked>"),
        (b"force-as-locked\n", "<--detach><--json><--force><--as-locked>"),
    ],
)
def test_one_word_starts_the_update(
    shell: list[str], update: Path, says: bytes, words: str
) -> None:
    done = launch(shell, update, says=says)
    assert done.returncode == 9
    assert done.stdout.decode().splitlines()[0] == f"{words}/"


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"\n",
        b"Force\n",
        b"force update\n",
        b"force\nupdate\n",
        b"force-as-locked\nupdate\n",
        b"as-locked force\n",
        b"--force\n",
        b"force;id\n",
        b"$(id)\n",
        b"*\n",
        b"fo\xffrce\n",
        b"force          x\n",
        b"force" * 1_000_000,
    ],
    ids=range(14),
)
def test_any_other_word_is_refused(shell: list[str], update: Path, says: bytes) -> None:
    words = '"update", "force", "as-locked" or "force-as-locked"'
    assert refusal(launch(shell, update, says=says)) == f"say {words} on stdin"


@pytest.mark.parametrize("word", ["", '""', "--force", "--hosts=/home/mallory/hosts.toml"])
def test_arguments_are_refused(shell: list[str], update: Path, word: str) -> None:
    assert refusal(launch(shell, update, word)) == "it takes no arguments"


def test_launcher_refuses_to_run_without_root(shell: list[str], update: Path) -> None:
    assert refusal(launch(shell, update, root=False)) == "run it through sudo"


def seen(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    lines = done.stdout.decode().splitlines()[1:]
    values = dict(line.split("=", 1) for line in lines)
    return {key: values[key] for key in values if key not in ("_", "PWD", "OLDPWD", "SHLVL")}


def test_launcher_ignores_the_callers_environment(shell: list[str], update: Path) -> None:
    assert seen(launch(shell, update, env=HOSTILE)) == {
        "PATH": "/run/wrappers/bin:/run/current-system/sw/bin:/usr/bin:/bin",
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "LC_ALL": "C",
        "SUDO_UID": "0",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1000", "1000"),
        ("$(id)", "0"),
        ("-1", "0"),
        ("", "0"),
    ],
)
def test_launcher_passes_on_who_asked_if_it_is_a_number(
    shell: list[str], update: Path, given: str, expected: str
) -> None:
    values = seen(launch(shell, update, env={"SUDO_UID": given}))
    assert values["SUDO_UID"] == expected
