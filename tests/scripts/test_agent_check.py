"""The agent's own check after the proof: run only if its help names it, and never believed
against the proof."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from fake_host import AGENTS, CHAIN, FakeHost

from nixfleet_core.job.events import AGENT_CHECK, Check
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HELP = "echo 'Usage: agent [flags]'; echo '  --check  look at configuration and connectivity'"
one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)
OK = dict.fromkeys(CHAIN, "ok")


def offer(host: FakeHost, *, asked: str, check: str) -> None:
    """The new agent answers so, and its process has a user and settings."""
    agent = host.root / AGENTS["2.0"][1:]
    agent.write_text(
        f'#!/bin/sh\ncase $1 in\n--help) {asked} ;;\n--check) : >"$CHECKED"; {check} ;;\nesac\n'
    )
    settings = rf"CHECKED={host.state}/checked\0A.B=1\0URL=wss://a b/$(x)\0TEXT=one\ntwo\0"
    (host.state / "settings").write_bytes(
        settings.encode().decode("unicode_escape").encode("latin1")
    )
    host.on(
        "systemctl",
        'default "$@"; rc=$?\n'
        'for process in "$root"/proc/*; do\n'
        f'  printf "Uid:\\t{os.getuid()}\\t0\\nGid:\\t{os.getgid()}\\t0\\n" >"$process/status"\n'
        '  cp "$s/settings" "$process/environ"\n'
        "done\nexit $rc",
    )


def said(host: FakeHost) -> list[tuple[bool, str]]:
    return [
        (e.ok, e.reason) for e in host.events if isinstance(e, Check) and e.check == AGENT_CHECK
    ]


def test_the_agents_check_runs_with_its_own_settings_and_is_kept(host: FakeHost) -> None:
    offer(host, asked=HELP, check='echo "reached $URL"; echo "$TEXT" >&2')
    host.run_job()
    assert (host.steps, said(host)) == (OK, [(True, "")])
    assert "the agent's own --check ended with 0; it said:\nreached wss://a b/$(x)\none" in host.log


@one_shell
def test_a_failed_check_is_told_and_decides_nothing(host: FakeHost) -> None:
    offer(host, asked=HELP, check="echo 'no route'; exit 3")
    host.run_job()
    assert (host.steps, said(host), host.result["outcome"]) == (OK, [(False, "failed")], "done")
    assert "--check ended with 3; it said:\nno route" in host.log


@one_shell
def test_a_check_that_hangs_is_ended(host: FakeHost) -> None:
    os.mkfifo(host.state / "checked.never")
    offer(host, asked=HELP, check='read x <"$CHECKED.never"')
    real = shutil.which("timeout")
    host.on(
        "timeout",
        f'case "$*" in *--check) shift 3; set -- -k 1 0.2 "$@" ;; esac\nexec {real} "$@"',
    )
    host.run_job()
    assert (host.steps, said(host)) == (OK, [(False, "timeout")])


@one_shell
def test_a_check_has_more_time_than_it_takes_at_most(host: FakeHost) -> None:
    offer(host, asked=HELP, check="exit 0")
    real = shutil.which("timeout")
    host.on("timeout", f'case "$*" in *--check) echo "$3" >"$s/limit" ;; esac\nexec {real} "$@"')
    host.run_job()
    assert int((host.state / "limit").read_text()) == 15  # its own limit is 10 s


@pytest.mark.parametrize("check", ["echo 'no route'; exit 3", "exit 3"])
def test_the_place_of_the_checks_words_in_the_log_is_told(host: FakeHost, check: str) -> None:
    offer(host, asked=HELP, check=check)
    host.run_job()
    (told,) = (e for e in host.events if isinstance(e, Check) and e.check == AGENT_CHECK)
    words = "no route\n" if "echo" in check else "\n"
    assert host.log.encode()[told.said : told.log].decode() == words


@one_shell
@pytest.mark.parametrize("asked", ["echo 'Usage: agent --check-interval N'", "exit 2"])
def test_an_agent_that_offers_no_check_is_not_asked(host: FakeHost, asked: str) -> None:
    offer(host, asked=asked, check="exit 3")
    host.run_job()
    assert (host.steps, said(host)) == (OK, [])
    assert not (host.state / "checked").exists()


def test_endless_help_of_the_agent_is_cut_off(host: FakeHost) -> None:
    offer(host, asked=f"while {HELP}; do :; done", check="while echo floods; do :; done")
    host.run_job()
    assert (host.steps, said(host)) == (OK, [(False, "failed")])
    assert len(host.log) < 16384


@one_shell
def test_a_process_of_an_unknown_user_is_not_asked(host: FakeHost) -> None:
    offer(host, asked=HELP, check="exit 3")
    host.on("systemctl", 'default "$@"')
    host.run_job()
    assert (host.steps, said(host)) == (OK, [])


@one_shell
@pytest.mark.parametrize(
    "spoil",
    [
        lambda host, file: file.chmod(0o775),
        lambda host, file: file.chmod(0o757),
        lambda host, file: os.chown(file, 54321, -1) if os.geteuid() == 0 else file.chmod(0o777),
        lambda host, file: elsewhere(host),
        lambda host, file: hidden(host),
    ],
    ids=["its group writes", "others write", "another owner", "outside the store", "not seen"],
)
def test_only_a_proven_program_of_the_store_is_run(
    host: FakeHost, spoil: Callable[[FakeHost, Path], None]
) -> None:
    offer(host, asked=HELP, check="exit 3")
    spoil(host, host.root / AGENTS["2.0"][1:])
    host.run_job()
    assert (host.steps, said(host)) == (OK, [])
    assert not (host.state / "checked").exists()
    assert not (host.state / "asked").exists()


def elsewhere(host: FakeHost) -> None:
    """The agent's process runs a file of its user under the agent's name."""
    evil = host.root / "home/ops/evil"
    evil.write_text('#!/bin/sh\n: >"${0%/home/*}/state/asked"\necho --check\n')
    evil.chmod(0o755)
    spoil_process(host, 'ln -sfn "$root/home/ops/evil" "$process/exe"')


def hidden(host: FakeHost) -> None:
    """We may not look at the agent's process, which names the new agent."""
    spoil_process(
        host, f'rm -f "$process/exe"; printf "%s\\0" "{AGENTS["2.0"]}" >"$process/cmdline"'
    )


def spoil_process(host: FakeHost, script: str) -> None:
    tool = host.root / "run/wrappers/bin/systemctl"
    text = tool.read_text()
    loop = 'for process in "$root"/proc/*; do\n'
    assert loop in text
    tool.write_text(text.replace(loop, f"{loop}  {script}\n"))


# On a Mac, where only ps shows the settings.

SHOWN = "/nix/store/x-nixfleet-agent/bin/agent -v PATH=/usr/bin:/bin NIXFLEET_URL=wss://h/ws?a=b "
TOKEN = "NIXFLEET_TOKEN=s3cret-marked"


def ask_on_mac(host: FakeHost, shown: str, uid: int | None = None) -> str:
    """What the job writes down when ps shows that of the agent's process."""
    agent = host.root / "agent"
    told = 'echo "$NIXFLEET_URL ${#NIXFLEET_TOKEN} $2"; [ "$NIXFLEET_LOCATION" = "" ]'
    agent.write_text(f"#!/bin/sh\ncase $1 in\n--help) {HELP} ;;\n--check) {told} ;;\nesac\n")
    agent.chmod(0o755)
    host.set("shown", shown)
    uid = os.getuid() if uid is None else uid
    host.on("ps", f'case "$*" in *"uid= -p 42") echo "  {uid}" ;; *-E*42) cat "$s/shown" ;; esac')
    call = """NF_MANAGER=launchd agent_pid=42 NF_RUN=$NF_ROOT/tmp NF_LOG=$NF_ROOT/tmp/log
nf_may_ask() { nf_may_ask_program=/agent; }
nf_keep_place() { :; }
: >"$NF_LOG"
nf_say() { printf '%s\\n' "$*"; }
nf_event() { printf '%s\\n' "$2"; }
nf_ask_agent"""
    script = compose("service", "runner", "chain", root=str(host.root), call=call)
    done = host.send(script)
    assert done.stderr == b""
    assert "marked" not in "".join(host.calls())
    return done.stdout.decode()


def test_on_a_mac_the_check_gets_the_settings_that_ps_shows(host: FakeHost) -> None:
    said = ask_on_mac(host, f"{SHOWN}{TOKEN} NIXFLEET_LOCATION= A=b c d X=\\012 SHELL=/bin/zsh")
    assert said.splitlines() == [
        "the agent's own --check ended with 0; it said:",
        "wss://h/ws?a=b 13 ",
        ',"check":"agent","ok":true,"said":0,"log":0',
    ]


@pytest.mark.parametrize(
    "more",
    [
        f"{TOKEN} NIXFLEET_LOCATION=the attic HOME=/",
        f"{TOKEN} NIXFLEET_LOCATION=attic  HOME=/",
        f"{TOKEN} NIXFLEET_LOCATION=the\\012attic",
        f"{TOKEN} with blanks",
    ],
)
@one_shell
def test_settings_that_cannot_be_told_apart_are_not_guessed(host: FakeHost, more: str) -> None:
    said = ask_on_mac(host, SHOWN + more)
    assert said.startswith("the agent's own --check is left out, if it has one: its settings")
    assert len(said.splitlines()) == 1


@one_shell
def test_an_agent_whose_settings_are_hidden_is_not_asked(host: FakeHost) -> None:
    for shown, uid in (("/nix/store/x/agent -v", None), ("", None), (SHOWN + TOKEN, 1)):
        said = ask_on_mac(host, shown, uid)
        assert said.startswith("the agent's own --check is left out, if it has one: its settings")
