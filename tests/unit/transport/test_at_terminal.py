"""The operator's own shell begins in the checkout, whatever its path, and whoever reads that."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from left_out import OLD_BASH, need
from posix_shells import SHELLS

from nixfleet_core.transport.at_terminal import local_shell_argv, remote_shell, shell_script

if TYPE_CHECKING:
    from pathlib import Path

ODD = {
    "plain": "nixcfg",
    "blanks": " my  config ",
    "quotes": """it's "his" `id` $(id) $HOME""",
    "option": "-P",
    "format": r"100%s %n \x41 \\ \ ",
    "csh": "one!two!! {a,b} [c]*",
    "newlines": "a\nb\n\n",
    "a control character": "a\x1b]0;x\x07",
    "letters": "nixcfg-für-alle-🐚",
    "no utf-8": os.fsdecode(b"caf\xe9"),
    "fish": r"a\'; id; \'b",
}
LOGIN = "#!/bin/sh\nprintf '%s\\n' \"$#:$1:${folder-unset}\"; pwd -P | od -An -c\n"
"""A login shell that says how it was called, and where."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "login").write_text(LOGIN)
    (tmp_path / "login").chmod(0o755)
    return home


def opened(home: Path, argv: tuple[str, ...]) -> tuple[str, str]:
    """What the login shell said, and what came on stderr."""
    env = {**os.environ, "HOME": str(home), "SHELL": str(home.parent / "login"), "CDPATH": "/"}
    done = subprocess.run(argv, env=env, cwd=home, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def said_in(folder: bytes) -> str:
    """What it says there."""
    shown = subprocess.run(
        ["od", "-An", "-c"], input=folder + b"\n", capture_output=True, check=True
    )
    return "1:-l:unset\n" + shown.stdout.decode()


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
@pytest.mark.parametrize("where", ["home", "root"])
def test_it_begins_in_the_checkout(home: Path, name: str, where: str) -> None:
    folder = home / name
    folder.mkdir()
    asked = f"~/{name}" if where == "home" else str(folder)
    assert opened(home, local_shell_argv(asked)) == (said_in(os.fsencode(folder)), "")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_every_shell_of_a_host_reads_it_in_the_same_way(
    home: Path, shell: str, name: str, request: pytest.FixtureRequest
) -> None:
    """As the login shell, and as /bin/sh."""
    program, *options = SHELLS[shell]
    need(request, shell if shell == OLD_BASH else program)
    (home / name).mkdir()
    said = said_in(os.fsencode(home / name))
    as_sh = (program, *(one for one in options if one != "-s"), "-c", shell_script(f"~/{name}"))
    assert opened(home, as_sh) == (said, "")
    login = (program, "ash", "-c") if program == "busybox" else (program, "-c")
    assert opened(home, (*login, remote_shell(f"~/{name}"))) == (said, "")


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_nothing_in_it_means_different_things_to_login_shells(name: str) -> None:
    """Inside single quotes fish takes a backslash before a quote or another one, csh a `!` and a
    newline; only ASCII is the same in every locale."""
    script = shell_script(f"/srv/{name}")
    assert script.isascii()
    assert script.isprintable()
    assert not re.search(r"['!]|\\\\", script)
    assert remote_shell(f"/srv/{name}") == f"exec /bin/sh -c '{script}'"


def test_without_a_checkout_it_begins_at_home(home: Path) -> None:
    said = "There is no checkout to go to.\n"
    assert opened(home, local_shell_argv("~/nixcfg")) == (said_in(os.fsencode(home)), said)


def test_elvish_is_asked_for_nothing_that_it_does_not_know(home: Path) -> None:
    elvish = home.parent / "elvish"
    elvish.write_text("#!/bin/sh\necho $#\n")
    elvish.chmod(0o755)
    env = {**os.environ, "HOME": str(home), "SHELL": str(elvish)}
    done = subprocess.run(local_shell_argv("~/x"), env=env, capture_output=True, check=True)
    assert done.stdout == b"0\n"


def test_an_account_without_a_shell_gets_sh(home: Path) -> None:
    done = subprocess.run(
        local_shell_argv("~/x"),
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=home,
        input=b"exit 7",
        check=False,
    )
    assert done.returncode == 7
