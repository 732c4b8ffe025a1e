"""The sandbox fleet, used as the engine uses it: by scripts on hosts, over real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

import pytest
import pytest_asyncio

import nixfleet_core
from nixfleet_core.log.text import TextDecoder
from nixfleet_core.nix.running import derivation_name
from nixfleet_core.sandbox.fleet import SandboxError, SandboxFleet, sandbox_fleet
from nixfleet_core.sandbox.hosts import SandboxHost
from nixfleet_core.sandbox.processes import snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAST = 500.0
AGENT = "nixfleet-agent.service"
PROJECT = Path(__file__).parents[3]
HAS_PIDFD = hasattr(os, "pidfd_open")


class Ran(NamedTuple):
    rc: int
    out: str
    err: str


async def run(host: SandboxHost, script: str) -> Ran:
    """Run a script as the local transport does."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-s",
        env=host.environment,
        cwd=host.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    text = f"NF_ROOT={quote(str(host.root))}\n{script}\n"
    out, err = await process.communicate(text.encode())
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def show(host: SandboxHost, unit: str, name: str) -> str:
    answer = await run(host, f"systemctl show {unit} -p {name}")
    return answer.out.rstrip("\n").partition("=")[2]


async def heard(pipe: Path) -> str:
    """What is written to a named pipe; waits for it."""
    return (await asyncio.to_thread(pipe.read_text)).strip()


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def make_pipe(host: SandboxHost, name: str) -> Path:
    path = host.root / "tmp" / name
    os.mkfifo(path)
    return path


def write_unit(host: SandboxHost, name: str, text: str) -> None:
    (host.root / "run/systemd/system" / name).write_text(text)


class Death:
    """The end of a process that need not be our child."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    async def wait(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._fd, ended.set)
        try:
            async with asyncio.timeout(30):
                await ended.wait()
        finally:
            loop.remove_reader(self._fd)
            os.close(self._fd)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet() -> AsyncIterator[SandboxFleet]:
    """For tests that use units of their own."""
    async with sandbox_fleet(speed=FAST) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def own_fleet() -> AsyncIterator[SandboxFleet]:
    """For tests that change what others look at."""
    async with sandbox_fleet(speed=FAST) as made:
        yield made


@pytest.fixture
def csb1(fleet: SandboxFleet) -> SandboxHost:
    return fleet.find("csb1")


@pytest.fixture
def csb0(own_fleet: SandboxFleet) -> SandboxHost:
    return own_fleet.find("csb0")


# -- the fleet -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "installed", "running", "locked", "pulled"),
    [
        ("csb0", "2.1.0", "2.1.0", "2.1.0", False),
        ("csb1", "2.2.0", "2.2.0", "2.2.0", True),
        ("gpc0", "2.2.0", "2.1.0", "2.2.0", True),
        ("hsb1", "2.1.0", "2.1.0", "2.1.0", None),
    ],
)
async def test_each_host_is_in_its_state(
    fleet: SandboxFleet,
    name: str,
    installed: str,
    running: str,
    locked: str,
    pulled: bool | None,
) -> None:
    host = fleet.find(name)
    assert f"nixfleet-agent-{installed}/bin" in await show(host, AGENT, "ExecStart")
    pid = await show(host, AGENT, "MainPID")
    claimed = await run(host, f"ps -o args= -p {pid}")
    assert f"nixfleet-agent-{running}/bin/nixfleet-agent" in claimed.out
    expected = await run(host, f"cd ~/Code/nixcfg && {expected_agent(name)}")
    assert f"-nixfleet-agent-{locked}/bin/nixfleet-agent" in expected.out
    behind = await run(
        host, "cd ~/Code/nixcfg && git fetch -q && git rev-list --count HEAD..@{upstream}"
    )
    if pulled is None:
        assert behind.rc != 0
        assert "Permission denied (publickey)" in behind.err
    else:
        assert behind.out.strip() == ("0" if pulled else "2")


def expected_agent(host: str) -> str:
    attribute = f'nixosConfigurations."{host}"'
    path = "config.systemd.services.nixfleet-agent.serviceConfig.ExecStart"
    return f"nix eval --raw --no-write-lock-file --apply toString {quote(f'.#{attribute}.{path}')}"


async def test_one_host_is_unreachable(fleet: SandboxFleet) -> None:
    assert [h.host.name for h in fleet.hosts if not h.reachable] == ["imac0"]


async def test_the_hosts_say_what_nixos_says(csb1: SandboxHost) -> None:
    answer = await run(csb1, "uname -s; uname -snm; nix --version; cat $NF_ROOT/etc/NIXOS")
    assert answer.out == "Linux\nLinux csb1 x86_64\nnix (Nix) 2.34.8\n"
    version = await run(csb1, "cat $NF_ROOT/run/current-system/nixos-version")
    assert version.out.startswith("26.05.")


async def test_current_system_and_profile_are_links_into_the_store(csb1: SandboxHost) -> None:
    answer = await run(
        csb1,
        "readlink -f $NF_ROOT/run/current-system $NF_ROOT/nix/var/nix/profiles/system\n"
        "readlink $NF_ROOT/nix/var/nix/profiles/system",
    )
    current, profile, link = answer.out.split()
    assert current == profile
    assert re.fullmatch(rf"{csb1.root}/nix/store/\w{{32}}-nixos-system-csb1-26\.05\S*", current)
    assert link == "system-398-link"


async def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    async with sandbox_fleet(speed=FAST, base=tmp_path) as fleet:
        host = fleet.find("csb1")
        pids = [int(await show(host, AGENT, "MainPID")), fleet.warden_pid]
        assert entries(tmp_path) == [fleet.folder]
    assert entries(tmp_path) == []
    assert not {process.pid for process in snapshot()} & set(pids)


async def test_the_developers_git_settings_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "broken"))
    (tmp_path / "broken").write_text("[user\n")
    async with sandbox_fleet(speed=FAST, base=tmp_path) as fleet:
        answer = await run(fleet.find("csb0"), "git -C ~/Code/nixcfg rev-parse --abbrev-ref HEAD")
    assert answer == Ran(0, "main\n", "")


@pytest.mark.parametrize(
    ("git", "said"),
    [
        ("exit 3", "could not be set up"),
        ('case "$*" in *clone*) echo boom >&2; exit 1 ;; esac; exec {git} "$@"', "git: boom"),
    ],
)
async def test_a_failed_setup_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, git: str, said: str
) -> None:
    base = replace_git(monkeypatch, tmp_path, git)
    with pytest.raises(SandboxError, match=said):
        async with sandbox_fleet(speed=FAST, base=base):
            pass
    assert entries(base) == []


async def test_a_cancelled_setup_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe = tmp_path / "cloning"
    os.mkfifo(pipe)
    git = f'case "$*" in *nixcfg-pulled*) echo now >{pipe} ;; esac; exec {{git}} "$@"'
    base = replace_git(monkeypatch, tmp_path, git)
    setup = asyncio.create_task(sandbox_fleet(speed=FAST, base=base).__aenter__())
    await heard(pipe)
    setup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await setup
    assert entries(base) == []


def replace_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> Path:
    """Put a git of our own in front of PATH; returns a folder for fleets."""
    tools, base = tmp_path / "tools", tmp_path / "base"
    tools.mkdir()
    base.mkdir()
    shim = tools / "git"
    shim.write_text(f"#!/bin/sh\n{script.format(git=shutil.which('git'))}\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return base


_APP = """
import asyncio, os, subprocess
from pathlib import Path
from nixfleet_core.sandbox.fleet import sandbox_fleet

async def main():
    async with sandbox_fleet(speed=1, base=Path(os.environ["BASE"])) as fleet:
        host = fleet.find("csb0")
        # one like a follower: our own child, in a session of its own, deaf to most signals
        child = subprocess.Popen(
            ["/bin/sh", "-c", "trap '' TERM HUP; echo $$; exec sleep 1000"],
            env=host.environment, start_new_session=True, stdout=subprocess.PIPE,
        )
        pid = child.stdout.readline().decode().strip()
        ask = "systemctl show nixfleet-agent.service -p MainPID"
        agents = [
            subprocess.check_output(ask.split(), env=h.environment,
                                    executable=f"{h.root}/shims/systemctl")[8:].decode().strip()
            for h in fleet.hosts if h.reachable
        ]
        print(fleet.folder, fleet.warden_pid, pid, *agents, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(not HAS_PIDFD, reason="awaits the end of processes that are not its children")
async def test_nothing_is_left_after_a_sigkill_of_the_app(tmp_path: Path) -> None:
    package = Path(nixfleet_core.__file__).parents[1]
    app = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _APP,
        env={**os.environ, "PYTHONPATH": str(package), "BASE": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert app.stdout is not None
    folder, *pids = (await app.stdout.readline()).decode().split()
    deaths = [Death(int(pid)) for pid in pids]
    assert entries(tmp_path) == [Path(folder)]
    app.kill()
    await asyncio.gather(app.wait(), *(death.wait() for death in deaths))
    assert len(deaths) == 6
    assert entries(tmp_path) == []


# -- systemctl -------------------------------------------------------------------------------


async def test_show_prints_what_was_asked_in_systemds_order(csb1: SandboxHost) -> None:
    answer = await run(
        csb1,
        f"systemctl show {AGENT} -p Id -p ActiveState -p LoadState -p SubState -p Result "
        "-p MainPID -p NRestarts -p ExecStart -p NoSuchProperty",
    )
    lines = dict(line.split("=", 1) for line in answer.out.splitlines())
    path = r"/nix/store/\w{32}-nixfleet-agent-2\.2\.0/bin/nixfleet-agent"
    assert list(lines) == [
        *("MainPID", "Result", "NRestarts", "ExecStart", "Id"),
        *("LoadState", "ActiveState", "SubState"),
    ]
    assert re.fullmatch(
        rf"\{{ path=({path}) ; argv\[\]=\1 ; ignore_errors=no ; start_time=\[n/a\] ; "
        rf"stop_time=\[n/a\] ; pid={lines['MainPID']} ; code=\(null\) ; status=0/0 \}}",
        lines["ExecStart"],
    )
    assert (lines["Id"], lines["LoadState"], lines["ActiveState"]) == (AGENT, "loaded", "active")
    assert (lines["SubState"], lines["Result"], lines["NRestarts"]) == ("running", "success", "0")


async def test_show_of_several_units_leaves_a_line_between_them(csb1: SandboxHost) -> None:
    answer = await run(csb1, f"systemctl show {AGENT} nosuch 'nosuch*' 'nixfleet-a*' -p Id")
    assert answer.out == f"Id={AGENT}\n\nId=nosuch.service\n\nId={AGENT}\n"


async def test_show_of_an_unknown_unit_is_no_error(csb1: SandboxHost) -> None:
    answer = await run(csb1, "systemctl show nosuch -p LoadState -p ActiveState -p ExecStart")
    assert answer == Ran(0, "LoadState=not-found\nActiveState=inactive\n", "")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"is-active {AGENT}", Ran(0, "active\n", "")),
        ("is-active nixfleet-agent", Ran(0, "active\n", "")),
        ("is-active nosuch.service", Ran(4, "inactive\n", "")),
        (f"is-active nosuch {AGENT}", Ran(0, "inactive\nactive\n", "")),
        ("is-active 'nixos-rebuild-switch-to-configuration*'", Ran(3, "", "")),
        ("is-active 'nixfleet-a*'", Ran(0, "active\n", "")),
        (
            "start nosuch",
            Ran(5, "", "Failed to start nosuch.service: Unit nosuch.service not found.\n"),
        ),
        (
            "stop nosuch",
            Ran(5, "", "Failed to stop nosuch.service: Unit nosuch.service not loaded.\n"),
        ),
        (
            "kill -s KILL nosuch",
            Ran(1, "", "Failed to kill unit nosuch.service: Unit nosuch.service not loaded.\n"),
        ),
        (
            "reset-failed nosuch",
            Ran(
                1,
                "",
                "Failed to reset failed state of unit nosuch.service: "
                "Unit nosuch.service not loaded.\n",
            ),
        ),
        ("frobnicate", Ran(1, "", "Unknown command verb 'frobnicate'.\n")),
        ("show --frob", Ran(1, "", "systemctl: unrecognized option '--frob'\n")),
        (
            "list-units --plain --no-legend --all 'nixfleet-agent*'",
            Ran(0, f"{AGENT} loaded active running NixFleet agent\n", ""),
        ),
        ("list-units --plain --no-legend --all 'nosuch*'", Ran(0, "", "")),
        ("daemon-reload", Ran(0, "", "")),
    ],
)
async def test_systemctl_answers_as_the_real_one(
    csb1: SandboxHost, command: str, expected: Ran
) -> None:
    assert await run(csb1, f"systemctl {command}") == expected


async def test_stop_ends_the_agent_and_start_brings_it_back(own_fleet: SandboxFleet) -> None:
    host = own_fleet.find("csb1")
    before = int(await show(host, AGENT, "MainPID"))
    stopped = await run(host, f"systemctl stop {AGENT}; systemctl is-active {AGENT}")
    assert stopped == Ran(3, "inactive\n", "")
    assert before not in {process.pid for process in snapshot()}
    started = await run(host, f"systemctl start {AGENT}; systemctl is-active {AGENT}")
    assert started == Ran(0, "active\n", "")
    assert int(await show(host, AGENT, "MainPID")) not in (0, before)


async def test_another_unit_file_changes_what_is_installed_not_what_runs(
    csb0: SandboxHost,
) -> None:
    unit = csb0.root / "etc/systemd/system" / AGENT
    pid = await show(csb0, AGENT, "MainPID")
    unit.write_text(re.sub(r"ExecStart=.*", "ExecStart=/nix/store/other/bin/x", unit.read_text()))
    await run(csb0, "systemctl daemon-reload")
    assert "path=/nix/store/other/bin/x ;" in await show(csb0, AGENT, "ExecStart")
    assert await show(csb0, AGENT, "MainPID") == pid


async def test_a_masked_unit_cannot_be_started(csb0: SandboxHost) -> None:
    unit = csb0.root / "etc/systemd/system" / AGENT
    unit.unlink()
    unit.symlink_to("/dev/null")
    assert await show(csb0, AGENT, "LoadState") == "masked"
    refused = await run(csb0, f"systemctl stop {AGENT}; systemctl start {AGENT}")
    assert refused == Ran(1, "", f"Failed to start {AGENT}: Unit {AGENT} is masked.\n")


async def test_the_journal_has_the_agents_last_words(csb0: SandboxHost) -> None:
    connected = "nixfleet-agent 2.1.0: connected, reporting every 60 s\n"
    stopped = "nixfleet-agent 2.1.0: shutting down\n"
    await run(csb0, f"systemctl stop {AGENT}")
    for ask, said in (
        (f"--quiet --no-pager --lines=20 --unit={AGENT}", connected + stopped),
        (f"-q -o cat -n 1 _SYSTEMD_UNIT={AGENT}", stopped),
    ):
        assert await run(csb0, f"journalctl {ask}") == Ran(0, said, "")


SLOW_STARTER = """
import os, subprocess, sys
from pathlib import Path
from nixfleet_core.sandbox.keeper import leave_to_keeper
from nixfleet_core.sandbox.machine import Machine
from nixfleet_core.sandbox.units import Unit

unit = Unit(Machine(Path(sys.argv[1])), sys.argv[2])
assert unit.take()
told = leave_to_keeper(unit, [], is_awaited=False)
subprocess.run(["systemctl", "stop", sys.argv[2]], check=True)
print(os.read(told, 64), os.read(told, 64))
"""
"""Starts a unit, and reads the answer only after somebody has stopped it."""


async def test_a_start_is_answered_once_though_the_unit_ends_before_it_is_read(
    csb0: SandboxHost,
) -> None:
    await run(csb0, f"systemctl stop {AGENT}")
    python = f"PYTHONPATH={quote(str(PROJECT))} {quote(sys.executable)}"
    answer = await run(csb0, f"{python} -c {quote(SLOW_STARTER)} {quote(str(csb0.root))} {AGENT}")
    assert answer.out == "b'success' b''\n", answer.err


@pytest.mark.parametrize("second", ["start", "restart", "stop"])
async def test_what_is_asked_at_once_is_done_one_after_the_other(
    csb0: SandboxHost, second: str
) -> None:
    await run(csb0, f"systemctl stop {AGENT}")
    answers = await asyncio.gather(
        *(run(csb0, f"systemctl {verb} {AGENT}") for verb in ("start", second) * 3)
    )
    assert {answer.rc for answer in answers} == {0}
    await run(csb0, f"systemctl start {AGENT}")
    agents = await run(csb0, "ps -A -o args=")
    assert agents.out.count(f"{csb0.root}/nix/store") == 1


async def test_a_unit_that_restarts_always_comes_back_after_a_kill(csb1: SandboxHost) -> None:
    pipe = make_pipe(csb1, "restarts")
    write_unit(
        csb1,
        "pulse.service",
        f"[Service]\nRestart=always\nRestartSec=3\n"
        f"ExecStart=/bin/sh -c 'echo $$$$ >{pipe}; exec sleep 1000'\n",
    )
    first, _ = await asyncio.gather(heard(pipe), run(csb1, "systemctl start pulse"))
    second, _ = await asyncio.gather(heard(pipe), run(csb1, "systemctl kill -s KILL pulse"))
    assert first != second
    assert await show(csb1, "pulse", "MainPID") == second
    assert await show(csb1, "pulse", "NRestarts") == "1"
    assert await run(csb1, "systemctl stop pulse") == Ran(0, "", "")


async def test_a_failure_is_kept_until_it_is_reset(csb1: SandboxHost) -> None:
    write_unit(csb1, "once.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    failed = await run(csb1, "systemctl start once")
    assert (failed.rc, failed.out) == (1, "")
    assert failed.err.startswith("Job for once.service failed because")
    assert await show(csb1, "once", "Result") == "exit-code"
    states = await run(
        csb1,
        "for again in reset-failed; do systemctl is-active once; "
        "systemctl $again once; done; systemctl is-active once",
    )
    assert states.out == "failed\ninactive\n"


async def test_what_restarts_is_what_is_installed_then(csb0: SandboxHost) -> None:
    pipe = make_pipe(csb0, "new-agent")
    unit = csb0.root / "etc/systemd/system" / AGENT
    new = f"ExecStart=/bin/sh -c 'echo $$$$ >{pipe}; exec sleep 1000'"
    unit.write_text(re.sub(r"ExecStart=.*", new, unit.read_text()))
    pid, _ = await asyncio.gather(heard(pipe), run(csb0, f"systemctl kill -s KILL {AGENT}"))
    assert await show(csb0, AGENT, "MainPID") == pid


async def test_a_program_that_is_not_there_does_not_start(csb0: SandboxHost) -> None:
    unit = csb0.root / "etc/systemd/system" / AGENT
    unit.write_text(re.sub(r"ExecStart=.*", "ExecStart=/nix/store/gone", unit.read_text()))
    assert (await run(csb0, f"systemctl restart {AGENT}")).rc == 1
    assert await run(csb0, f"systemctl stop {AGENT}") == Ran(0, "", "")


async def test_a_unit_goes_on_when_who_started_it_has_gone(csb1: SandboxHost) -> None:
    up = make_pipe(csb1, "alone")
    write_unit(
        csb1,
        "alone.service",
        f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo up >{up}; read line <{up}'\n",
    )
    starting = await asyncio.create_subprocess_exec(
        *(str(csb1.root / "shims/systemctl"), "start", "alone"),
        env=csb1.environment,
        start_new_session=True,
    )
    assert await heard(up) == "up"
    os.killpg(starting.pid, signal.SIGKILL)
    await starting.wait()
    assert (await run(csb1, "systemctl is-active alone")).out == "activating\n"
    await asyncio.to_thread(up.write_text, "go\n")
    assert await run(csb1, "systemctl stop alone; systemctl is-active alone") == Ran(
        3, "inactive\n", ""
    )


async def test_what_ignores_the_stop_is_killed_in_the_end(csb1: SandboxHost) -> None:
    pipe = make_pipe(csb1, "deaf")
    write_unit(
        csb1,
        "deaf.service",
        f"[Service]\nTimeoutStopSec=20\n"
        f"ExecStart=/bin/sh -c 'trap \"\" TERM; echo up >{pipe}; while :; do sleep 1000; done'\n",
    )
    await asyncio.gather(heard(pipe), run(csb1, "systemctl start deaf"))
    assert (await run(csb1, "systemctl stop deaf")).rc == 0
    assert await show(csb1, "deaf", "MainPID") == "0"


# -- systemd-run -----------------------------------------------------------------------------


async def test_a_units_name_is_a_lock_until_it_ends(csb1: SandboxHost) -> None:
    hold, over = make_pipe(csb1, "hold"), make_pipe(csb1, "over")
    write_unit(
        csb1,
        "over.service",
        f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo ended >{over}'\n",
    )
    launch = (
        "systemd-run --collect --quiet --no-ask-password --unit=lock-job --service-type=exec "
        f"-p OnSuccess=over.service -p OOMPolicy=continue -- sh -c 'cat {hold}'"
    )
    assert await run(csb1, launch) == Ran(0, "", "")
    assert await run(csb1, launch) == Ran(
        1,
        "",
        "Failed to start transient service unit: Unit lock-job.service was already loaded "
        "or has a fragment file.\n",
    )
    assert (await run(csb1, "systemctl is-active lock-job")).out == "active\n"
    await asyncio.to_thread(hold.write_text, "go\n")
    assert await heard(over) == "ended"
    assert (await run(csb1, "systemctl show lock-job -p LoadState")).out == "LoadState=not-found\n"
    assert (await run(csb1, "systemd-run --quiet --wait --unit=lock-job -- true")).rc == 0


@pytest.mark.parametrize("kill", ["group", "systemctl"])
async def test_on_failure_runs_after_the_whole_job_was_killed(csb1: SandboxHost, kill: str) -> None:
    up, over = make_pipe(csb1, f"{kill}-up"), make_pipe(csb1, f"{kill}-over")
    write_unit(
        csb1,
        f"{kill}-over.service",
        f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'x=ended; echo \"$$x\" >{over}'\n",
    )
    pid, launched = await asyncio.gather(
        heard(up),
        run(
            csb1,
            f"systemd-run --collect --unit={kill}-job -p OnSuccess={kill}-over.service "
            f"-p OnFailure={kill}-over.service sh -c 'echo $$$$ >{up}; sleep 1000'",
        ),
    )
    assert launched == Ran(0, "", f"Running as unit: {kill}-job.service\n")
    if kill == "group":
        os.killpg(int(pid), signal.SIGKILL)
    else:
        assert (await run(csb1, f"systemctl kill -s KILL {kill}-job")).rc == 0
    assert await heard(over) == "ended"


@pytest.mark.skipif(shutil.which("setsid") is None or not HAS_PIDFD, reason="needs setsid")
async def test_a_stop_also_ends_what_left_the_jobs_session(csb1: SandboxHost) -> None:
    pipe = make_pipe(csb1, "escaped")
    job = f"setsid env -i PATH=\"$PATH\" sh -c 'echo $$$$ >{pipe}; exec sleep 1000' & wait"
    pid, _ = await asyncio.gather(
        heard(pipe), run(csb1, f"systemd-run --quiet --unit=escape-job sh -c {quote(job)}")
    )
    death = Death(int(pid))
    assert (await run(csb1, "systemctl stop escape-job")).rc == 0
    await death.wait()


@pytest.mark.parametrize(
    ("script", "rc"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$$$", 255), ("kill $$$$", 0)]
)
async def test_pipe_passes_the_streams_and_the_outcome(
    csb1: SandboxHost, script: str, rc: int
) -> None:
    answer = await run(
        csb1,
        "echo in | systemd-run --pipe --quiet --collect --setenv=A=b --setenv=C=d "
        f"sh -c 'cat; echo $A $C >&2; {script}'",
    )
    assert answer == Ran(rc, "in\n", "b d\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--frob -- true", "systemd-run: unrecognized option '--frob'\n"),
        (
            "-- /no/such/program",
            "Failed to find executable /no/such/program: No such file or directory\n",
        ),
        ("--unit=x", "Command line to execute required.\n"),
    ],
)
async def test_systemd_run_refuses_as_the_real_one(
    csb1: SandboxHost, arguments: str, said: str
) -> None:
    assert await run(csb1, f"systemd-run {arguments}") == Ran(1, "", said)


# -- nix -------------------------------------------------------------------------------------

GO = "cd ~/Code/nixcfg || exit 99\n"
LOCK_FIELDS = (
    "nix --extra-experimental-features 'nix-command flakes' eval --impure --raw "
    '--argstr lock "$PWD/flake.lock" --argstr input {name} --expr x fields'
)


def lock_of(host: SandboxHost) -> dict[str, dict[str, dict[str, object]]]:
    nodes = json.loads((host.root / "home/ops/Code/nixcfg/flake.lock").read_text())["nodes"]
    assert isinstance(nodes, dict)
    return nodes


async def head_of(host: SandboxHost) -> str:
    url = lock_of(host)["nixfleet"]["original"]["url"]
    return (await run(host, f"git ls-remote {url} refs/heads/main")).out.split()[0]


async def test_an_update_moves_the_input_to_its_branchs_head(csb0: SandboxHost) -> None:
    before, head = lock_of(csb0), await head_of(csb0)
    url = before["nixfleet"]["original"]["url"]
    old = before["nixfleet"]["locked"]["rev"]
    answer = await run(csb0, f"{GO}nix flake update nixfleet --option connect-timeout 5")
    assert (answer.rc, answer.out) == (0, "")
    assert re.fullmatch(
        'warning: updating lock file "/home/ops/Code/nixcfg/flake.lock":\n'
        "• Updated input 'nixfleet':\n"
        rf"    'git\+{url}\?ref=main&rev={old}' \(\d{{4}}-\d\d-\d\d\)\n"
        rf"  → 'git\+{url}\?ref=main&rev={head}' \(\d{{4}}-\d\d-\d\d\)\n",
        answer.err,
    )
    after = lock_of(csb0)
    assert after["nixfleet"]["locked"]["rev"] == head != old
    assert after["nixfleet"]["original"] == before["nixfleet"]["original"]
    del before["nixfleet"], after["nixfleet"]
    assert after == before


async def test_an_update_with_nothing_new_says_nothing(csb0: SandboxHost) -> None:
    await run(csb0, f"{GO}nix flake update nixfleet")
    before = lock_of(csb0)
    again = await run(csb0, f"{GO}nix flake update nixfleet")
    assert again == Ran(0, "", "warning: Git tree '/home/ops/Code/nixcfg' is dirty\n")
    assert lock_of(csb0) == before


async def test_an_unknown_input_is_only_a_warning(csb0: SandboxHost) -> None:
    before = lock_of(csb0)
    answer = await run(csb0, f"{GO}nix flake update nosuch")
    assert answer == Ran(0, "", "warning: 'nosuch' does not match any input of this flake\n")
    assert lock_of(csb0) == before


async def test_a_failed_fetch_is_a_stale_success(
    own_fleet: SandboxFleet, csb0: SandboxHost
) -> None:
    before = lock_of(csb0)
    (own_fleet.folder / "git/nixfleet").rename(own_fleet.folder / "git/gone")
    answer = await run(csb0, f"{GO}nix flake update nixfleet")
    assert answer.rc == 0
    assert "does not appear to be a git repository" in answer.err
    assert "; continuing with the most recent version" in answer.err
    assert lock_of(csb0) == before


async def test_an_override_pins_the_input_and_keeps_its_branch(csb0: SandboxHost) -> None:
    head, original = await head_of(csb0), lock_of(csb0)["nixfleet"]["original"]
    url = f"git+{original['url']}?ref=main&rev={head}"
    answer = await run(csb0, f"{GO}nix flake lock --override-input nixfleet '{url}'")
    assert (answer.rc, "Updated input 'nixfleet'" in answer.err) == (0, True)
    assert lock_of(csb0)["nixfleet"]["locked"]["rev"] == head
    assert lock_of(csb0)["nixfleet"]["original"] == original


async def test_internal_json_tells_of_the_update(csb0: SandboxHost) -> None:
    answer = await run(csb0, f"{GO}nix flake update nixfleet --log-format internal-json")
    said = json.loads(answer.err.removeprefix("@nix "))
    assert (said["action"], said["level"]) == ("msg", 1)
    assert "• \x1b[1mUpdated input 'nixfleet':\x1b[0m\n" in said["msg"]


async def test_the_locks_fields_are_read(csb0: SandboxHost) -> None:
    node = lock_of(csb0)["nixfleet"]
    answer = await run(csb0, GO + LOCK_FIELDS.format(name="nixfleet"))
    url = node["original"]["url"]
    fields = ["git", url, "main", node["locked"]["rev"], "", f"git+{url}?ref=main&rev=", "", ""]
    assert answer == Ran(0, "\t".join(map(str, fields)), "")
    missing = await run(csb0, GO + LOCK_FIELDS.format(name="nosuch"))
    assert missing == Ran(0, "missing", "")


async def test_a_cut_off_lock_is_an_error(csb0: SandboxHost) -> None:
    (csb0.root / "home/ops/Code/nixcfg/flake.lock").write_text('{"nodes": {')
    answer = await run(csb0, GO + LOCK_FIELDS.format(name="nixfleet"))
    assert answer.rc == 1
    assert answer.err.startswith("error: Could not parse '/home/ops/Code/nixcfg/flake.lock'")


async def test_a_hosts_attribute_exists_or_not(csb1: SandboxHost) -> None:
    ask = (
        GO + 'nix eval --no-write-lock-file --apply \'x: true\' "$PWD#nixosConfigurations.\\"{}\\""'
    )
    assert (await run(csb1, ask.format("csb1")))[:2] == (0, "true\n")
    missing = await run(csb1, ask.format("nosuch"))
    assert missing.rc == 1
    assert (
        "error: flake 'git+file:///home/ops/Code/nixcfg' does not provide attribute "
        "'packages.x86_64-linux.nixosConfigurations.\"nosuch\"'"
    ) in missing.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("nix flake update nixfleet --frob", "error: unrecognised flag '--frob'\n"),
        ("nix frob", "error: 'frob' is not a recognised command\n"),
        ("nix flake frob", "error: 'frob' is not a recognised command\n"),
        ("cd / && nix flake update nixfleet", "error: path '/' does not contain a 'flake.nix'"),
        ("nix-env -p /nix/var/nix/profiles/system", "error: no operation specified\n"),
        ("nix-store --frob", "error: no operation specified\n"),
        ("nix-store --realise /nix/store/x.drv", "error: path '/nix/store/x.drv' is not valid\n"),
        ("nix-store --check-validity /nix/store/x", "error: path '/nix/store/x' is not valid\n"),
        ("nix store verify --no-trust /nix/store/x", "error: path '/nix/store/x' is not valid\n"),
    ],
)
async def test_nix_refuses_as_the_real_one(csb1: SandboxHost, command: str, said: str) -> None:
    answer = await run(csb1, GO + command)
    assert (answer.rc, answer.out) == (1, "")
    assert answer.err.startswith(said)


# -- nixos-rebuild ---------------------------------------------------------------------------

REBUILD = (
    'nixos-rebuild switch --flake "$PWD#csb0" --log-format internal-json '
    "--option narinfo-cache-negative-ttl 0"
)
PROFILES = "nix/var/nix/profiles"


async def test_two_systems_differ_in_their_agents(csb0: SandboxHost) -> None:
    compare = "nix --extra-experimental-features nix-command store diff-closures"
    old = "$(readlink -f run/current-system)"
    profiles = "nix/var/nix/profiles/system"
    same = await run(csb0, f"cd {csb0.root}; {compare} {old} {old}")
    assert same == Ran(0, "", "")
    await run(
        csb0,
        f'{GO}nix flake update nixfleet && nixos-rebuild switch --flake "$PWD#csb0"',
    )
    ran = await run(
        csb0,
        f"cd {csb0.root}; {compare} $(readlink -f {profiles}-411-link) $(readlink -f {profiles})",
    )
    assert ran == Ran(0, "nixfleet-agent: 2.1.0 → 2.2.0\n", "")
    missing = await run(csb0, f"{compare} /nix/store/x /nix/store/y")
    assert missing.rc == 1


def generation(host: SandboxHost) -> str:
    return str((host.root / PROFILES / "system").readlink())


async def test_a_rebuild_builds_moves_the_profile_and_activates(csb0: SandboxHost) -> None:
    pid = await show(csb0, AGENT, "MainPID")
    answer = await run(csb0, f"{GO}git pull -q && nix flake update nixfleet && {REBUILD}")
    assert answer.rc == 0
    lines = answer.err.splitlines()
    records = [json.loads(line[5:]) for line in lines if line.startswith("@nix ")]
    plain = [line for line in lines if not line.startswith("@nix ")]
    assert sum(r.get("type") == 105 and r["action"] == "start" for r in records) == 1 + 41
    assert sum(r.get("type") == 104 and r["action"] == "start" for r in records) == 2
    assert "building the system configuration..." in plain
    assert "NOT restarting the following changed units: nixfleet-agent.service" in plain
    assert plain[-1] == "Done. The new configuration is "
    system = csb0.root / answer.out.strip().lstrip("/")
    assert generation(csb0) == "system-413-link"
    assert (csb0.root / PROFILES / "system").resolve() == system
    assert (csb0.root / "run/current-system").resolve() == system
    assert "nixfleet-agent-2.2.0" in await show(csb0, AGENT, "ExecStart")
    assert await show(csb0, AGENT, "MainPID") == pid


async def test_a_rebuild_starts_a_stopped_agent_already_new(csb0: SandboxHost) -> None:
    answer = await run(csb0, f"{GO}systemctl stop {AGENT}; nix flake update nixfleet && {REBUILD}")
    assert "the following new units were started: nixfleet-agent.service" in answer.err
    claimed = await run(csb0, f"ps -o args= -p {await show(csb0, AGENT, 'MainPID')}")
    assert "nixfleet-agent-2.2.0/bin/nixfleet-agent" in claimed.out


async def test_a_second_rebuild_builds_nothing_and_makes_no_generation(csb0: SandboxHost) -> None:
    first = await run(csb0, f"{GO}nix flake update nixfleet && {REBUILD}")
    second = await run(csb0, GO + REBUILD)
    assert (second.rc, second.out) == (0, first.out)
    assert '"type":105,"action":"start"' not in second.err
    assert "building '" not in second.err
    assert generation(csb0) == "system-413-link"


async def test_a_rebuild_tells_what_runs_as_a_real_one_does(csb0: SandboxHost) -> None:
    answer = await run(csb0, f"{GO}nix flake update nixfleet && {REBUILD}")
    decoder, downloads, phases = TextDecoder(), dict[str, set[int]](), set[tuple[bytes, str]]()
    for line in answer.err.encode().splitlines(keepends=True):
        decoder.feed(line)
        for download in decoder.running.downloads.values():
            downloads.setdefault(derivation_name(download.what), set()).add(download.bytes.done)
        phases |= {(build.label, build.phase) for build in decoder.running.builds.values()}
    assert {name: max(done) for name, done in downloads.items()} == {
        "jq-1.7.1.tar.gz": 1323456,
        "git-2.47.3.tar.xz": 7657528,
        "tmux-3.5a.tar.gz": 715736,
    }
    assert len(downloads["git-2.47.3.tar.xz"]) > 100  # it is on its way for a while
    assert {(b"nixfleet-agent", "buildPhase"), (b"git", "fixupPhase")} <= phases
    running = decoder.running
    assert not any((running.builds, running.downloads, running.others, running.announced))
    assert [built.name for built in running.built].count("nixfleet-agent-2.2.0") == 1


async def test_without_internal_json_the_log_is_plain(csb0: SandboxHost) -> None:
    answer = await run(
        csb0, f'{GO}nix flake update nixfleet && nixos-rebuild switch --flake "$PWD#csb0"'
    )
    assert "@nix" not in answer.err
    assert re.search(
        r"^building '/nix/store/\w{32}-nixfleet-agent-2\.2\.0\.drv'\.\.\.$", answer.err, re.M
    )
    assert re.search(r"^nixfleet-agent> github\.com/gorilla/websocket$", answer.err, re.M)


@pytest.mark.parametrize(
    ("arguments", "rc", "said"),
    [
        ('switch --flake "$PWD#csb0" --dry-run', 1, "returned non-zero exit status 1.\n"),
        ("frob", 2, "invalid choice: 'frob'\n"),
        ('switch --flake "$PWD#nosuch"', 1, "returned non-zero exit status 1.\n"),
    ],
)
async def test_nixos_rebuild_refuses_as_the_real_one(
    csb0: SandboxHost, arguments: str, rc: int, said: str
) -> None:
    answer = await run(csb0, f"{GO}nixos-rebuild {arguments}")
    assert answer.rc == rc
    assert answer.err.endswith(said)
    assert generation(csb0) == "system-412-link"


async def test_a_rebuild_that_is_killed_leaves_the_profile_alone() -> None:
    async with sandbox_fleet(speed=1.0) as fleet:
        host = fleet.find("csb0")
        rebuild = await asyncio.create_subprocess_exec(
            *(str(host.root / "shims/nixos-rebuild"), "switch", "--flake", ".#csb0"),
            env=host.environment,
            cwd=host.root / "home/ops/Code/nixcfg",
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert rebuild.stderr is not None
        await rebuild.stderr.readline()
        os.killpg(rebuild.pid, signal.SIGTERM)
        assert await rebuild.wait() == -signal.SIGTERM
        assert generation(host) == "system-412-link"


async def test_the_profile_goes_back_a_generation(csb0: SandboxHost) -> None:
    profile = "nix/var/nix/profiles/system"
    back = await run(csb0, f"nix-env -p $NF_ROOT/{profile} --set $NF_ROOT/{profile}-411-link")
    assert (back, generation(csb0)) == (Ran(0, "", ""), "system-413-link")
    same = await run(csb0, f"nix-env -p /{profile} --set /{profile}-413-link")
    assert (same, generation(csb0)) == (Ran(0, "", ""), "system-413-link")
    system = (csb0.root / PROFILES / "system").resolve()
    switched = await run(csb0, f"{system}/bin/switch-to-configuration switch")
    assert switched.rc == 0
    assert (csb0.root / "run/current-system").resolve() == system
