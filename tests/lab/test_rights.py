"""Rights on a host with several users: who reads a job, who owns its place, what root runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .client import QUICK
from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

JOBS = "/var/lib/nixfleet/jobs"
ROOT_ONLY = "only root may read this job's log: reading it asks for root"
FILES = ("log", "events", "plan.json", "run.sh", "before", "after", "result", "flake.lock.before")


def as_on_nixos(host: LabHost) -> None:
    """All normal users have one primary group; eve is one of them."""
    host.enter(
        "usermod -g users ops; useradd -m -g users -s /bin/bash eve; chgrp -R users /home/ops"
    )


def readable(host: LabHost, job: str, user: str, jobs: str = JOBS) -> set[str]:
    """Which of a job's files that user can read."""
    files = [f"{jobs}/{job}/{name}" for name in FILES]
    found = host.run(
        f"for f in {' '.join(files)}; do cat $f >/dev/null 2>&1 && echo $f; done", user
    )
    return {path.rpartition("/")[2] for path in found.stdout.split()}


def reads_nothing(host: LabHost, job: str, user: str) -> bool:
    looked = host.run(f"find /run/nixfleet {JOBS}/{job} -type f", user)
    return readable(host, job, user) == set() and looked.stdout.split() == ["/run/nixfleet/current"]


@pytest.mark.parametrize("name", ["csb0"])
def test_only_the_launcher_reads_a_job_by_an_acl(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    as_on_nixos(host)
    # a job of an older version
    old = "20251123-000000-0000"
    folder = f"{JOBS}/{old}"
    host.enter(
        f"mkdir -p {folder}/ctl; cd {folder}; echo old >log; echo '{{}}' >plan.json;"
        "chown ops ctl; chgrp -R users .; chmod -R g+rX,o= ."
    )
    assert readable(host, old, "eve") == {"log", "plan.json"}
    fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force")
    job = answer["job"]
    assert job
    assert readable(host, job, "ops") == set(FILES)
    assert reads_nothing(host, job, "eve")
    assert readable(host, old, "ops") == {"log", "plan.json"}
    assert readable(host, old, "eve") == set()
    owners = host.enter(f"find {JOBS}/{job} ! -name ctl ! -user root -o ! -name ctl ! -group root")
    assert owners == ""
    assert ROOT_ONLY not in host.enter(f"cat {JOBS}/{job}/log")
    # without root: no sudo, and everything is told
    host.enter("mv /usr/bin/sudo /root")
    assert client.run("log", host.name, job).returncode == 0
    assert client.run("attach", host.name).returncode == 0
    assert job in client.run("jobs", host.name).stdout


@pytest.mark.parametrize("name", ["csb1"])
def test_only_root_reads_a_job_without_acls(fresh: Fleet, host: LabHost, client: Client) -> None:
    as_on_nixos(host)
    fresh.repos.release("2.2.0")
    with client.start("update", host.name, "--force", *QUICK) as running:
        assert running.wait() == 0, running.output
    assert running.output.count(ROOT_ONLY) == 1
    job = host.enter(f"ls {JOBS}")
    for user in ("ops", "eve"):
        assert reads_nothing(host, job, user), user
    assert host.enter(f"head -n 1 {JOBS}/{job}/log") == ROOT_ONLY
    # reading goes through root
    assert ROOT_ONLY in client.run("log", host.name, job).stdout
    assert client.run("attach", host.name).returncode == 0
    done = client.run("rollback", host.name, "--yes", "--json")
    assert json.loads(done.stdout)["verdict"] == "rolled-back", done.stderr


@pytest.mark.parametrize("name", ["gpc0"])
def test_the_launchers_own_group_reads_a_job_without_acls(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    host.enter("useradd -m -s /bin/bash eve")
    fresh.repos.release("2.2.0")
    job = client.update(host.name, "--force")["job"]
    assert job
    assert readable(host, job, "ops") == set(FILES)
    assert reads_nothing(host, job, "eve")
    # now another user is in the group
    host.enter("usermod -aG ops eve")
    client.update(host.name, "--force")
    for user in ("ops", "eve"):
        assert readable(host, job, user) == set(), user


@pytest.mark.parametrize("name", ["csb0"])
def test_a_result_in_memory_is_read_as_root(fresh: Fleet, host: LabHost, client: Client) -> None:
    """As after a full disk: the launcher may read the job, but not root's files in memory."""
    job = client.update(host.name, "--force")["job"]
    assert job
    host.enter(f"rm {JOBS}/{job}/result; test -e /run/nixfleet/{job}/result")
    copy = client.log_of(host, job).parent
    for name in ("result", "after"):
        (copy / name).unlink()
    assert client.run("attach", host.name).returncode == 0
    assert b'"outcome":"done"' in (copy / "result").read_bytes()


SERVICE = """[Service]
Type=exec
User=svc
ExecStart=/bin/sleep infinity
StateDirectory=nixfleet
RuntimeDirectory={runtime}
RuntimeDirectoryPreserve=yes
"""


def add_service(host: LabHost, runtime: str = "") -> None:
    """A service of another user whose directories have our names."""
    host.enter("useradd -r -m svc")
    unit = host.root / "etc/systemd/system/svc.service"
    unit.write_text(SERVICE.format(runtime=runtime))
    host.enter("systemctl daemon-reload")


@pytest.mark.parametrize("name", ["csb0", "csb1"])
def test_update_uses_the_other_place_when_the_first_is_foreign(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    add_service(host, "nixfleet")
    host.enter("systemctl start svc")
    assert host.enter("stat -c %U /var/lib/nixfleet /run/nixfleet") == "svc\nsvc"
    fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force")
    assert answer["verdict"] == "updated"
    job = answer["job"]
    assert job
    assert (
        host.enter("ls -A /var/lib/nixfleet /run/nixfleet")
        == "/run/nixfleet:\n\n/var/lib/nixfleet:"
    )
    assert host.enter("ls /var/lib/nixfleet-update/jobs") == job
    assert readable(host, job, "ops", "/var/lib/nixfleet-update/jobs") == set(FILES)
    assert client.run("attach", host.name).returncode == 0
    assert job in client.run("jobs", host.name).stdout
    done = client.run("rollback", host.name, "--yes", "--json")
    assert json.loads(done.stdout)["verdict"] == "rolled-back", done.stderr
    host.reboot()
    assert job in client.run("jobs", host.name).stdout
    # nobody's place is left
    host.enter("chown -R svc /var/lib/nixfleet-update")
    refused = client.run("update", host.name, "--force", *QUICK)
    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    for path in ("/var/lib/nixfleet", "/var/lib/nixfleet-update"):
        assert f"{path} belongs to svc" in said
    assert host.agent_state() == "active success"


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
@pytest.mark.parametrize("runtime", ["", "nixfleet"])
def test_job_leaves_a_place_that_the_switch_gives_away(
    fresh: Fleet, host: LabHost, client: Client, runtime: str
) -> None:
    add_service(host, runtime)
    fresh.repos.release("2.2.0")
    with (
        host.gate("switch") as gate,
        client.start("update", host.name, "--force", *QUICK, "--json") as running,
    ):
        gate.wait_reached()
        job = host.enter(f"ls {JOBS}")
        host.enter("systemctl start svc")
        assert host.enter(f"stat -c %U {JOBS}/{job} {JOBS}/{job}/run.sh") == "svc\nsvc"
        gate.open()
        code = running.wait()
    answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], code) == ("updated", 0), running.output
    moved = f"/var/lib/nixfleet-update/jobs/{job}"
    assert host.enter(f"grep -c 'given to somebody else' {moved}/log") == "1"
    assert client.log_of(host, job).read_text() == host.enter(f"cat {moved}/log; echo x")[:-1]
    assert host.enter(f"find {moved} ! -name ctl ! -user root") == ""
    assert not (host.root / JOBS[1:] / job / "result").exists()


@pytest.mark.parametrize("name", ["csb0"])
def test_root_runs_no_file_in_a_place_that_was_given_away(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    add_service(host, "nixfleet")
    with (
        host.gate("switch") as gate,
        client.start("update", host.name, "--force", *QUICK, "--json") as running,
    ):
        gate.wait_reached()
        job = host.enter(f"ls {JOBS}")
        host.enter("systemctl start svc")
        bad = "id -u >>/tmp/ran"
        host.enter(
            f"for f in {JOBS}/{job}/run.sh /run/nixfleet/{job}/run.sh /run/nixfleet/finish;"
            f"do echo '{bad}' >$f; done",
            "svc",
        )
        host.enter("systemctl kill -s KILL nixfleet-job")
        gate.open()
        running.wait()
    host.enter(
        "while systemctl is-active nixfleet-finish | grep -qE '^(de)?activ'; do sleep 0.1; done"
    )
    assert host.agent_state() == "active success"
    assert host.enter("ls /tmp | grep ran || true") == ""
    kept = f"/var/lib/nixfleet-update/jobs/{job}"
    assert readable(host, job, "ops", "/var/lib/nixfleet-update/jobs") >= {"plan.json", "before"}
    assert host.enter(f"grep -c fleet {kept}/run.sh") != "0"
    assert host.enter("ls -d /run/systemd/system/nixfleet-2* || true") == ""


@pytest.mark.parametrize("name", ["csb0"])
def test_root_runs_no_program_of_the_callers_home(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    """sudo keeps HOME and PATH here; only the owner runs the owner's programs."""
    host.enter(
        "sed -i /secure_path/d /etc/sudoers.d/lab;"
        "echo 'Defaults env_keep += \"HOME PATH\"' >>/etc/sudoers.d/lab"
    )
    program = '#!/bin/sh\n: >/tmp/ran-$(/usr/bin/id -u)-{name}\nexec /usr/bin/{name} "$@"\n'
    for name in ("date", "git", "id", "ls"):
        text = program.format(name=name)
        host.enter(
            "mkdir -p ~/.nix-profile/bin; cd ~/.nix-profile/bin;"
            f"cat >{name} <<'X'\n{text}X\nchmod 755 {name}",
            "ops",
        )
    fresh.repos.release("2.2.0")
    assert client.update(host.name, "--force")["verdict"] == "updated"
    ran = host.enter("ls /tmp | grep ran-").split()
    assert "ran-1000-git" in ran
    assert [name for name in ran if name.startswith("ran-0")] == []
    units = host.enter("cat /run/systemd/system/nixfleet-finish.service")
    assert "/home" not in units
    assert "/run/current-system/sw/bin" in units


@pytest.mark.parametrize("name", ["csb0"])
def test_a_program_of_the_owner_cannot_truncate_the_log(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    """Git runs programs that the checkout's configuration names."""
    text = (
        "#!/usr/bin/perl\n"
        'open M, ">>", "/tmp/tried"; print M "$>\\n"; close M;\n'
        "truncate STDOUT, 0; truncate STDERR, 0; exec 'cat';\n"
    )
    host.enter(
        f"cat >~/cut <<'X'\n{text}X\n"
        f"chmod 755 ~/cut; cd {CHECKOUT}; git config filter.cut.smudge ~/cut; "
        "echo 'lab.json filter=cut' > .git/info/attributes",
        "ops",
    )
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg()
    job = client.update(host.name, "--force")["job"]
    assert job
    assert "1000" in host.enter("cat /tmp/tried")
    log = (host.root / JOBS[1:] / job / "log").read_bytes()
    assert b"\0" not in log
    assert b" fetch --quiet " in log
    assert client.log_of(host, job).read_bytes() == log
