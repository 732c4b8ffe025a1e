"""The agent's own log on real hosts: nothing of it is lost, doubled or changed on its way here."""

from __future__ import annotations

import signal
import subprocess
from contextlib import ExitStack
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.journal.export import FIELDS

from .host import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

SPEAK = """\
group=$(find /sys/fs/cgroup -type d -name nixfleet-agent.service | head -n 1)
echo $$ >"$group/cgroup.procs"
{ for number in $(seq %d %d); do printf 'line %%d \\377\\033[31m\\n' "$number"; done; sleep 1; } |
  systemd-cat -t nixfleet-agent
"""
PERSISTENT = """\
printf '[Journal]\\nStorage=persistent\\n' >/etc/systemd/journald.conf.d/zz.conf
systemctl restart systemd-journald
journalctl --flush
"""


@pytest.fixture
def at_home(fresh_homes: Fleet, tmp_path: Path) -> Client:
    """An operator of the hosts with Home Manager."""
    (tmp_path / "op").mkdir()
    client = fresh_homes.client(tmp_path / "op")
    client.write_inventory({host: host.user for host in fresh_homes.hosts.values()})
    return client


def speak(host: LabHost, first: int, last: int) -> None:
    """Let the agent's unit print these lines; none of them is text."""
    host.enter(SPEAK % (first, last))


def await_true(done: Callable[[], bool]) -> None:
    until = monotonic() + 60
    while not done():
        assert monotonic() < until
        sleep(0.05)


def test_a_link_that_dies_three_times_loses_doubles_and_changes_no_byte(
    fresh: Fleet, host: LabHost, client: Client, tmp_path: Path
) -> None:
    client.write_inventory({host: "ops"})
    raw = tmp_path / "raw"
    command = client.command("journal", host.name, "-f", "-n", "2", "--raw")
    with (
        raw.open("wb") as file,
        client.start("journal", host.name, "-f", "-n", "1") as shown,
        subprocess.Popen(
            command, env=client.env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE
        ) as copied,
        ExitStack() as ends,
    ):
        ends.callback(copied.kill)  # a test that fails waits for nobody
        shown.wait_for("nixfleet-agent 2.1.0 started")
        await_true(lambda: b"nixfleet-agent 2.1.0 started" in raw.read_bytes())
        for round_ in range(3):
            assert host.drop_ssh_connections()
            speak(host, 300 * round_, 300 * round_ + 299)  # while they connect anew
            last = 300 * round_ + 299
            shown.wait_for(f"line {last} ")
            await_true(lambda last=last: b"line %d " % last in raw.read_bytes())  # type: ignore[misc]
        copied.send_signal(signal.SIGINT)
        assert copied.wait(20) == 0
        shown.signal(signal.SIGINT)
        assert shown.wait() == 0
    words = f"-q -u nixfleet-agent.service -o export --output-fields={','.join(FIELDS)}"
    host.enter(f"journalctl {words} >/root/export")
    whole = (host.root / "root/export").read_bytes()
    copy = raw.read_bytes()
    assert copy.count(b"__CURSOR=") >= 902
    assert whole.endswith(copy)
    numbers = [
        int(line.partition("]: line ")[2].split()[0])
        for line in shown.output.splitlines()
        if "]: line " in line
    ]
    assert numbers == list(range(900))


def test_only_root_and_who_may_read_the_journal_read_it(fresh: Fleet, client: Client) -> None:
    host = fresh["gpc0"]
    host.enter(PERSISTENT)
    host.enter("systemctl restart nixfleet-agent; runuser -u pw -- logger hello; journalctl --sync")
    client.write_inventory({host: "pw"})
    refused = client.run("journal", "gpc0")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "only root and the group systemd-journal may read" in refused.stderr
    with client.at_terminal("journal", "gpc0") as asked:
        asked.wait_for("sudo password on gpc0: ")
        asked.type(f"{PASSWORD}\n")
        assert asked.wait() == 0
    assert "Started nixfleet-agent.service" in asked.output
    assert "nixfleet-agent 2.1.0 started" in asked.output
    assert asked.output.count("sudo password") == 1
    host.enter("usermod -aG systemd-journal pw")
    client.run("connect", "gpc0")
    host.drop_ssh_connections()  # a new login has the group
    seen = client.run("journal", "gpc0", "--since", "10 min ago")
    assert seen.returncode == 0, seen.stderr
    assert "Started nixfleet-agent.service" in seen.stdout


def test_the_log_beside_a_running_update_has_the_agents_end_and_its_beginning(
    fresh: Fleet, client: Client
) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    client.write_inventory({host: "ops"})
    with client.start("journal", "csb0", "-f", "-n", "1") as log:
        log.wait_for("nixfleet-agent 2.1.0 started")
        answer = client.update("csb0", "--force")
        assert answer["verdict"] == "updated"
        log.wait_for("nixfleet-agent 2.2.0 started")
        log.signal(signal.SIGINT)
        assert log.wait() == 0
    stopped, started = (log.output.find(one) for one in ("Stopped nixfleet", "2.2.0 started"))
    assert 0 < stopped < started


def test_a_users_unit_is_read_from_the_users_journal(fresh_homes: Fleet, at_home: Client) -> None:
    host = fresh_homes["hsb1"]
    closed = at_home.run("journal", "hsb1")  # in memory, it lies among the system's files
    assert closed.returncode == 1
    assert "only root and the group systemd-journal may read" in closed.stderr
    host.enter(PERSISTENT)
    agent = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user restart nixfleet-agent"
    host.enter(agent, "ops")
    host.enter("journalctl --sync")
    seen = at_home.run("journal", "hsb1")
    assert seen.returncode == 0, seen.stderr
    assert "nixfleet-agent 2.1.0 started" in seen.stdout
    assert "Started nixfleet-agent.service" in seen.stdout


def test_launchds_files_are_followed_over_lost_links_and_a_rotation(
    fresh_homes: Fleet, at_home: Client
) -> None:
    mac = fresh_homes["imac0"]
    since = at_home.run("journal", "imac0", "--since", "today")
    assert since.returncode == 2
    assert "lines have no times: --since cannot be used" in since.stderr
    with at_home.start("journal", "imac0", "-f", "-n", "1") as log:
        log.wait_for("out│ nixfleet-agent 2.1.0 started")
        for number in range(3):
            assert mac.drop_ssh_connections()
            mac.run(f"printf 'error {number}\\nhal' >>/tmp/nixfleet-agent.err", "markus")
            log.wait_for(f"error {number}")
        mac.run(
            "mv /tmp/nixfleet-agent.log /tmp/old; echo 'all new' >/tmp/nixfleet-agent.log", "markus"
        )
        log.wait_for("out│ all new")
        log.signal(signal.SIGINT)
        assert log.wait() == 0
    lines = [line for line in log.output.splitlines() if line.startswith("err│ ")]
    assert lines == ["err│ error 0", "err│ halerror 1", "err│ halerror 2"]
