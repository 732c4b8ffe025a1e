"""Restart debt on real hosts: exactly what a switch has left old is named, and how it is paid."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from .client import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

_FILES: Final = Path(__file__).with_name("debt")
STEADY: Final = 90
"""So many units stay as they are."""

OLD: Final = {
    *("plain.service", "kept.service", "many@one.service", "socket.service", "script.service"),
    *("wrapper.service", "deleted.service", "library.service", "own.service"),
}
STARTED: Final = (
    *(f"steady@{number}.service" for number in range(STEADY)),
    *sorted(OLD - {"socket.service", "own.service"}),
    *("socket.socket", "container.service", "runner.service"),
)


def activate(host: LabHost, release: str, base: str) -> str:
    """Build the system of that release, and switch to it without a restart of anything."""
    system = host.enter(
        f"nix-build --no-out-link /root/debt/system.nix --argstr release {release} "
        f"--argstr base {base}"
    ).splitlines()[-1]
    host.enter(
        f"nix-env -p /nix/var/nix/profiles/system --set {system}; "
        f"cp {system}/etc/systemd/system/* /etc/systemd/system; "
        f"cp {system}/etc/systemd/user/* /etc/systemd/user; "
        f"ln -sfn {system} /run/current-system; echo {system} >/boot/lab-default; "
        "systemctl daemon-reload"
    )
    as_user(host, "systemctl --user daemon-reload")
    return system


def as_user(host: LabHost, command: str) -> str:
    return host.enter(f"XDG_RUNTIME_DIR=/run/user/1000 {command}", "ops")


def set_up(host: LabHost) -> tuple[str, str]:
    """A host that has booted the first release. Return the lab's own system, and this one."""
    for file in _FILES.iterdir():
        text = file.read_text()
        host.enter(f"mkdir -p debt; cat >debt/{file.name} <<'TEXT'\n{text}\nTEXT")
    base = host.enter("readlink -f /run/current-system")
    first = activate(host, "1.0", base)
    host.enter(
        f"ln -sfn {first} /run/booted-system; mkdir -p /run/lab/job; "
        "job=$(nix-store --add /usr/bin/sleep); ln -s $job /run/lab/job/job; "
        f"systemctl start {' '.join(STARTED)}; systemctl start socket.service"
    )
    as_user(host, "systemctl --user start own.service")
    return base, first


@contextmanager
def others(host: LabHost, first: str) -> Iterator[None]:
    """What else runs something of the old system, and is no debt: a session, and a build."""
    plain = program(host, first, "plain")
    build = (
        'derivation { name = "slow"; system = builtins.currentSystem; '
        f'builder = {plain}; args = [ "infinity" ]; }}'
    )
    with ExitStack() as running:
        for command in (
            f"echo begun; exec {plain} infinity",
            f"echo begun; exec nix-build --option sandbox false --no-out-link -E '{build}'",
        ):
            words = ["ssh", "-tt", "-F", str(host.ssh_config), host.ssh_address(), command]
            process = running.enter_context(
                subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
            )
            running.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
        yield


def debt(client: Client, host: LabHost, code: int) -> dict[str, Any]:
    done = client.run("debt", host.name, "--json")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_exactly_what_a_switch_left_old_is_named_and_can_be_paid(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    base, first = set_up(host)
    assert debt(client, host, 0)["units"] == []
    with others(host, first):
        second = activate(host, "2.0", base)
        gone = program(host, first, "deleted")
        host.enter(f"rm -rf {gone.rpartition('/bin/')[0]}")
        answer = debt(client, host, 3)
        units = {one["unit"]: one for one in answer["units"]}
        assert sorted(units) == sorted(OLD), json.dumps(answer)
        assert [part["part"] for part in answer["boot"]] == ["kernel"]
        assert answer["unseen"] == 0
        # the build's program and its shell, the container, the job of the runner, the session
        apart = answer["apart"]
        assert (apart["containers"], apart["foreign"], apart["tasks"]) == (1, 1, 0), apart
        assert apart["builders"] == 1, apart
        assert apart["sessions"] == 1, apart
        for name in ("plain.service", "kept.service", "many@one.service", "socket.service"):
            old, new = (program(host, system, "plain") for system in (first, second))
            assert (units[name]["old"], units[name]["kind"]) == (old, "program")
            assert units[name]["new"] == new.rpartition("/bin/")[0]
        assert "on purpose" in units["kept.service"]["reason"]
        assert units["plain.service"]["reason"] == ""
        assert units["script.service"]["kind"] == "script"
        assert ".wrap-wrapped-1.0/" in units["wrapper.service"]["old"]
        assert units["library.service"]["kind"] == "library"
        assert "libextra-2.0" in units["library.service"]["new"]
        assert {name for name, one in units.items() if one["is_deleted"]} == {"deleted.service"}
        assert {name: one["uid"] for name, one in units.items() if one["uid"] is not None} == {
            "own.service": 1000
        }
        assert all(one["since"] >= booted(host) for one in units.values())
        # without root
        host.enter("mv /usr/bin/sudo /root")
        blind = debt(client, host, 3)
        assert [one["unit"] for one in blind["units"]] == ["own.service"]
        assert blind["unseen"] > STEADY
        host.enter("mv /root/sudo /usr/bin")
        verified = json.loads(client.run("verify", host.name, "--json").stdout)
        assert any("9 more units run old programs" in note for note in verified["notes"])
    # each is paid by the command that it names
    for one in units.values():
        if one["uid"] is None:
            host.enter(one["pay"], "ops")
        else:
            as_user(host, one["pay"])
    answer = debt(client, host, 3)
    assert (answer["units"], [part["part"] for part in answer["boot"]]) == ([], ["kernel"])
    host.reboot()
    assert debt(client, host, 0)["sentence"] == "nothing old runs"


@pytest.mark.parametrize("name", ["csb0"])
def test_the_last_step_of_a_job_notes_it_and_the_others_look_at_nothing(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fresh.repos.release("2.2.0")
    agent = host.agent_exe()
    # a second unit of the agent's program, which a switch does not restart
    host.enter(
        f"printf '[Service]\\nExecStart={agent}\\n' >/etc/systemd/system/second.service; "
        "systemctl daemon-reload; systemctl start second.service"
    )
    with host.gate("build") as gate, client.start("update", host.name, "--force", *QUICK) as job:
        gate.wait_reached()
        answer = debt(client, host, 1)
        assert (answer["not_seen"], answer["units"]) == (["job"], [])
        gate.open()
        assert job.wait() == 0, job.output
    assert "1 more unit runs old programs: second.service" in job.output
    folder = host.enter("ls -d /var/lib/nixfleet/jobs/*")
    assert host.enter(f"grep -c '^debt ' {folder}/after") == "1"
    assert host.enter(f"grep -c '^debt ' {folder}/before || :") == "0"


def program(host: LabHost, system: str, name: str) -> str:
    """The program that a unit of that system starts."""
    return host.enter(
        f"sed -n 's/^ExecStart=\\([^ ]*\\).*/\\1/p' {system}/etc/systemd/system/{name}.service"
    )


def booted(host: LabHost) -> int:
    """When this machine has booted, in seconds since the epoch."""
    return int(host.enter("sed -n 's/^btime //p' /proc/stat"))


def test_a_home_owes_what_its_generation_no_longer_has(fresh_homes: Fleet, tmp_path: Path) -> None:
    home = fresh_homes["hsb1"]
    client = fresh_homes.client(tmp_path / "op")
    client.folder.mkdir()
    client.write_inventory({home: home.user})
    fresh_homes.repos.release("2.2.0")
    # a second unit of the agent's program, by hand; it has started once it runs that program
    write = (
        "mkdir -p .config/systemd/user; printf '[Service]\\nType=exec\\nExecStart={}\\n' "
        ">.config/systemd/user/second.service"
    )
    home.enter(write.format(home.agent_exe()), home.user)
    as_user(home, "systemctl --user daemon-reload")
    as_user(home, "systemctl --user start second.service")
    assert debt(client, home, 0)["units"] == []
    updated = client.update(home.name, "--force")
    assert any("1 more unit runs old programs: second.service" in n for n in updated["notes"])
    (owed,) = debt(client, home, 3)["units"]
    assert (owed["unit"], owed["uid"], owed["pay"]) == (
        *("second.service", 1000, "systemctl --user stop second.service"),
    )
    home.enter(write.format(home.agent_exe()), home.user)
    as_user(home, "systemctl --user daemon-reload")
    (owed,) = debt(client, home, 3)["units"]
    assert owed["pay"] == "systemctl --user restart second.service"
    as_user(home, owed["pay"])
    assert debt(client, home, 0)["sentence"] == "nothing old runs"
