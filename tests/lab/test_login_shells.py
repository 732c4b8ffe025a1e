"""Login shells whose start-up files print, and accounts whose login shell runs nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .login_shells import LINES, NOLOGIN, OSC7, START_UP, TITLE, TO_STDERR, use_shell
from .operator import assert_all_works, assert_works, operator, reached, states

if TYPE_CHECKING:
    from .fleet import Fleet

NOISE = {
    "lines": LINES,
    "a window title without a newline": TITLE,
    "OSC 7 and stderr without a newline": OSC7 + TO_STDERR,
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("shell", START_UP)
def test_what_start_up_files_print_is_no_answer(fresh: Fleet, shell: str, noise: str) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    use_shell(host, shell, NOISE[noise])
    printed = host.run("true", "ops")
    assert printed.stdout + printed.stderr, "the start-up file prints nothing"
    with operator(fresh, "", host) as client:
        assert_all_works(client, host)
        doctor = client.run("doctor", host.name, "--json")
        assert doctor.returncode in (0, 3), doctor.stderr
        why = json.loads(client.run("why", host.name, "--json").stdout)
        assert why["cause"] == "lock-not-pushed", why


def test_what_a_start_up_file_leaves_behind_holds_nothing_up(fresh: Fleet) -> None:
    """sshd ends a session only when nobody holds its pipes any more."""
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    use_shell(host, "bash", "sleep 600 &\n")
    with operator(fresh, "", host) as client:
        assert_works(client, host)


MUTE = {
    "false": ("/bin/false", ""),
    "nologin": (NOLOGIN, "This account is currently not available."),
    "menu": ("/usr/local/bin/menu", "1) backup 2) logs"),
    "endless menu": ("/usr/local/bin/endless", "1) backup 2) logs"),
}

MENU = "#!/bin/sh\nprintf '1) backup\\n2) logs\\n'\nread -r choice\nexit 0\n"
ENDLESS = "#!/bin/sh\nwhile :; do printf '1) backup\\n2) logs\\n'; read -r choice; done\n"


@pytest.mark.parametrize("name", MUTE)
def test_a_login_shell_that_runs_nothing_is_not_offline(fresh: Fleet, name: str) -> None:
    host = fresh["csb0"]
    shell, printed = MUTE[name]
    for program, text in (("menu", MENU), ("endless", ENDLESS)):
        path = host.root / "usr/local/bin" / program
        path.write_text(text)
        path.chmod(0o755)
    host.enter(f"usermod --shell {shell} ops")
    with operator(fresh, "", host) as client:
        done = client.run("hosts", "--json")
        row = json.loads(done.stdout)
        assert row["state"] == "no-shell", row
        assert "reachable, but its login shell runs nothing" in row["why"]
        assert printed in row["why"]
        answer = client.update(host.name, "--force", code=5)
        assert (answer["verdict"], answer["cause"]) == ("unreachable", "no-shell")
        if name != "endless menu":  # the operator sees that one, and ends it
            with client.at_terminal("connect", host.name) as running:
                assert running.wait() == 0, running.output
        assert states(client) == {host.name: "no-shell"}
        host.enter("usermod --shell /bin/bash ops")
        assert reached(client) == {host.name}
