"""Starting, following, cancelling and listing jobs: real runs of the scripts on a fake host."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from fake_host import CHECKOUT, JOB, FakeHost, git, read_frames, tree

from nixfleet_core.job.frames import Frame, FrameReader
from nixfleet_core.job.history import read_history
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "20261123-004102-cd34"
ODD_IDS = ["", "../x", f"{JOB}/..", "20261123-004101-AB12", "20261123-004101-ab1", "*", f" {JOB}"]
NUMBERS = {"NF_NICE": "5", "NF_IO_WEIGHT": "50"}
one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)


def launch(host: FakeHost, job: str = JOB, **env: str) -> subprocess.CompletedProcess[bytes]:
    values = {"NF_PLAN": '{"it\'s":"a $(plan)"}', "NF_RUN_SH": "echo 'it'\\''s run'"}
    return host.send(host.script("launch", NF_ID=job, **values, **NUMBERS), **env)


# launch


def test_a_launch_writes_the_job_and_starts_its_unit(host: FakeHost) -> None:
    done = launch(host, SUDO_UID=str(os.getuid()))
    assert (done.stdout, done.stderr) == (f"@nf launched {JOB}\n".encode(), b"")
    plan = json.loads((host.job / "plan.json").read_text())
    assert (plan["format"], plan["uid"], plan["plan"]) == (
        *(1, os.getuid(), {"it's": "a $(plan)"}),
    )
    assert (host.job / "run.sh").read_text() == "echo 'it'\\''s run'\n"
    argv = (host.state / "systemd-run.argv").read_text().split("\0")[:-1]
    assert argv[-5:] == [
        *("/bin/sh", f"{host.job}/run.sh", "main", str(host.jobs), str(host.run_state)),
    ]
    assert {"--collect", "--unit=nixfleet-job.service", "--service-type=exec"} < set(argv)
    assert {"Nice=5", "IOWeight=50", "OOMPolicy=continue"} < set(argv)
    assert [word for word in argv if word.endswith("=nixfleet-finish.service")] == [
        *("OnSuccess=nixfleet-finish.service", "OnFailure=nixfleet-finish.service"),
    ]


def test_only_the_launcher_may_read_a_job_and_only_root_writes_it(host: FakeHost) -> None:
    launch(host)
    modes = {
        "": 0o700,
        "plan.json": 0o600,
        "run.sh": 0o600,
        "log": 0o600,
        "ctl": 0o700,
    }
    assert {name: stat.S_IMODE((host.job / name).stat().st_mode) for name in modes} == modes
    assert stat.S_IMODE(host.jobs.parent.stat().st_mode) == 0o711


def test_the_other_unit_runs_the_script_of_the_job_that_has_begun(plain_host: FakeHost) -> None:
    host = plain_host
    launch(host)
    text = (host.root / "run/systemd/system/nixfleet-finish.service").read_text()
    finish = host.root / "run/systemd/system/nixfleet-finish"
    assert f"ExecStart=/bin/sh {finish}\n" in text
    assert "Type=oneshot" in text
    assert host.calls("systemctl daemon-reload") == ["systemctl daemon-reload"]
    # no job has begun
    done = subprocess.run([*host.shell, str(finish)], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    shutil.rmtree(host.job)
    host.run_job()
    assert finish.read_text().endswith((host.job / "run.sh").read_text())
    # even if the job's own script is gone
    (host.job / "run.sh").unlink()
    host.tool("systemctl", "stop", "nixfleet-agent.service")
    subprocess.run([*host.shell, str(finish)], env=host.env, check=True)
    assert host.agent_runs()
    # the next launch leaves it alone until its own job begins
    before = finish.read_bytes()
    launch(host, OTHER)
    assert finish.read_bytes() == before


def test_a_launch_is_repeated_without_harm(host: FakeHost) -> None:
    launch(host)
    (host.job / "events").touch(mode=0o600)
    (host.run_state / "current").write_text(f"{JOB}\n")
    host.let_live("nixfleet-job.service")
    before = tree(host.job)
    (host.state / "systemd-run.argv").unlink()
    assert launch(host).stdout == f"@nf launched {JOB}\n".encode()
    assert tree(host.job) == before
    assert not (host.state / "systemd-run.argv").exists()
    # the job is over, or was never seen to begin
    host.let_end("nixfleet-job.service")
    (host.job / "result").touch()
    assert launch(host).stdout == f"@nf launched {JOB}\n".encode()
    assert not (host.state / "systemd-run.argv").exists()


def test_a_launch_names_another_running_job_and_writes_nothing(host: FakeHost) -> None:
    launch(host, OTHER)
    (host.run_state / "current").write_text(f"{OTHER}\n")
    host.let_live("nixfleet-job.service")
    assert launch(host).stdout == f"@nf busy {OTHER}\n".encode()
    assert not host.job.exists()


def test_a_launch_waits_until_what_an_earlier_job_left_frees_the_unit(host: FakeHost) -> None:
    taken = (
        "Failed to start transient service unit: Unit nixfleet-job.service was already loaded or "
        "has a fragment file."
    )
    refuses = f'if [ ! -e "$s/free" ]; then : >"$s/free"; echo "{taken}" >&2; exit 1; fi'
    host.on("systemd-run", f'{refuses}\ndefault "$@"')
    assert launch(host).stdout == f"@nf launched {JOB}\n".encode()
    host.on("systemd-run", f"echo '{taken}' >&2; exit 1")
    shutil.rmtree(host.job)
    done = launch(host)
    assert (done.stdout, taken in done.stderr.decode()) == (b"@nf failed\n", True)
    assert len(host.calls("systemd-run")) == 2 + 5


def test_the_launch_that_loses_the_race_leaves_nothing(host: FakeHost) -> None:
    host.run_state.mkdir()
    (host.run_state / "current").write_text(f"{OTHER}\n")
    # the other launch gets the lock after this one has looked
    job = '"$root/run/systemd/units/nixfleet-job.service"'
    host.on("systemd-run", f"echo active running 9 success 0 >{job}; exit 1")
    assert launch(host).stdout == f"@nf busy {OTHER}\n".encode()
    assert list(host.jobs.iterdir()) == []


@one_shell
def test_a_job_that_cannot_start_says_why(host: FakeHost) -> None:
    host.on("systemd-run", "echo 'Failed to connect to bus' >&2; exit 1")
    done = launch(host)
    assert (done.stdout, done.stderr) == (b"@nf failed\n", b"Failed to connect to bus\n")


@one_shell
@pytest.mark.parametrize("job", ODD_IDS)
def test_a_launch_with_a_malformed_id_writes_nothing(host: FakeHost, job: str) -> None:
    before = tree(host.root / "var")
    assert launch(host, job).stdout == b"@nf failed\n"
    assert tree(host.root / "var") == before
    assert host.calls("systemd-run") == []


@one_shell
def test_the_operators_origin_is_kept_if_it_is_an_address(host: FakeHost) -> None:
    for job, source, kept in (
        (JOB, "192.0.2.1 51000 fe80::1%eth0 22", "192.0.2.1 51000 fe80::1%eth0 22"),
        (OTHER, '"},"x', ""),
    ):
        launch(host, job, NF_FROM=source)
        assert json.loads((host.jobs / job / "plan.json").read_text())["from"] == kept


@one_shell
@pytest.mark.parametrize(("name", "kept"), [("ops", "ops"), ('o"ps', "")])
def test_the_operators_name_is_kept_if_it_is_a_plain_one(
    host: FakeHost, name: str, kept: str
) -> None:
    host.on("id", f"""case "$*" in "-un 4242") echo '{name}' ;; *) /usr/bin/id "$@" ;; esac""")
    launch(host, SUDO_UID="4242")
    asked = json.loads((host.job / "plan.json").read_text())
    assert (asked["uid"], asked["user"]) == (4242, kept)


@one_shell
def test_the_last_twenty_jobs_are_kept(host: FakeHost) -> None:
    old = [f"20251123-0000{number:02}-0000" for number in range(25)]
    for job in old:
        (host.jobs / job).mkdir(parents=True)
    (host.jobs / "notes").mkdir()
    launch(host)
    assert {path.name for path in host.jobs.iterdir()} == {*old[6:], JOB, "notes"}


# follow


def follow(host: FakeHost, log_at: int = 0, events_at: int = 0, job: str = JOB) -> str:
    values = {"NF_ID": job, "NF_LOG_AT": str(log_at), "NF_EVENTS_AT": str(events_at)}
    return compose("follow", root=str(host.root), values=values, call="follow")


def frames(host: FakeHost, log_at: int = 0, events_at: int = 0) -> list[Frame]:
    done = host.send(follow(host, log_at, events_at))
    assert (done.returncode, done.stderr) == (0, b"")
    return read_frames(done.stdout)


@pytest.fixture
def ended(host: FakeHost) -> FakeHost:
    """A host with a job that is over."""
    (host.job / "ctl").mkdir(parents=True)
    for name, data in {
        "plan.json": b'{"it":"$(x)"}\n',
        "log": b"one\n\xff\x00\x1b[31m@log 0 3\ntwo",
        "events": b'{"event":"job-start","at":1}\n',
        "before": b"before\n",
        "after": b"after",
        "latest": b"1" * 40 + b"\n",
        "result": b'{"outcome":"done"}\n',
    }.items():
        (host.job / name).write_bytes(data)
    return host


def test_a_job_that_is_over_is_sent_whole(ended: FakeHost) -> None:
    found = {frame.kind: frame for frame in frames(ended)}
    for name in ("plan.json", "log", "events", "before", "after", "latest", "result"):
        assert found[name].data == (ended.job / name).read_bytes(), name
        assert found[name].offset == 0
    assert [frame.kind for frame in frames(ended)][-1] == "result"
    assert found["beat"].data == str((ended.job / "log").stat().st_size).encode()


@pytest.mark.parametrize("log_at", [1, 5, 100])
def test_bytes_that_the_client_has_are_not_sent_again(ended: FakeHost, log_at: int) -> None:
    data = (ended.job / "log").read_bytes()
    found = {frame.kind: frame for frame in frames(ended, log_at, 29)}
    assert "events" not in found
    assert ("log" in found) is (log_at < len(data))
    if "log" in found:
        assert (found["log"].offset, found["log"].data) == (log_at, data[log_at:])
    assert "result" in found


@one_shell
def test_a_long_log_comes_in_portions_without_a_gap(ended: FakeHost) -> None:
    data = os.urandom(5 * 1024 * 1024 // 2)
    (ended.job / "log").write_bytes(data)
    done = ended.send(follow(ended, 7))
    sizes = [int(size) for size in re.findall(rb"\n@log \d+ (\d+)\n", done.stdout) if int(size)]
    assert max(sizes[:3]) == 1048576
    assert b"".join(f.data for f in read_frames(done.stdout) if f.kind == "log") == data[7:]


def test_a_growing_log_is_followed_to_the_result(ended: FakeHost) -> None:
    (ended.job / "result").rename(ended.job / "hidden")
    ended.let_live("nixfleet-job.service")
    process = subprocess.Popen(
        [*ended.shell, "-s"], env=ended.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(follow(ended).encode())
    process.stdin.close()
    reader, got = FrameReader(), b""
    log = ended.job / "log"
    for more in (b"", b"three\n", b"four"):
        with log.open("ab") as file:
            file.write(more)
        while got != log.read_bytes():
            data = os.read(process.stdout.fileno(), 65536)
            assert data
            got += b"".join(frame.data for frame in reader.feed(data) if frame.kind == "log")
    (ended.job / "hidden").rename(ended.job / "result")
    rest = reader.feed(process.stdout.read())
    assert rest[-1] == Frame("result", 0, b'{"outcome":"done"}\n')
    assert process.wait(10) == 0


@one_shell
def test_a_job_without_a_result_or_a_unit_has_died(ended: FakeHost) -> None:
    (ended.job / "result").unlink()
    found = frames(ended)
    assert found[-1] == Frame("gone", 0, b"interrupted")
    assert len([frame for frame in found if frame.kind == "beat"]) == 2
    assert {"before", "after", "log"} < {frame.kind for frame in found}


@one_shell
def test_a_result_that_the_disk_could_not_hold_is_read_from_memory(ended: FakeHost) -> None:
    (ended.job / "result").unlink()
    (ended.run_state / JOB).mkdir(parents=True)
    (ended.run_state / JOB / "result").write_bytes(b'{"outcome":"failed"}\n')
    last = frames(ended)[-1]
    assert (last.kind, last.data.strip()) == ("result", b'{"outcome":"failed"}')


@one_shell
def test_a_missing_or_foreign_job_is_reported_as_gone(host: FakeHost) -> None:
    assert frames(host) == [Frame("gone", 0, b"missing")]
    host.job.mkdir(parents=True)
    assert frames(host) == [Frame("gone", 0, b"denied")]


@one_shell
@pytest.mark.parametrize("job", ODD_IDS)
def test_a_malformed_id_is_not_followed(host: FakeHost, job: str) -> None:
    done = host.send(follow(host, job=job))
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_follower_without_a_reader_ends(ended: FakeHost) -> None:
    (ended.job / "result").unlink()
    ended.let_live("nixfleet-job.service")
    process = subprocess.Popen(
        [*ended.shell, "-s"], env=ended.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(follow(ended).encode())
    process.stdin.close()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) is not None


# cancel, confirm, plan


@pytest.mark.parametrize(("script", "entry"), [("cancel", "cancel"), ("confirm", "confirmed")])
def test_a_request_is_an_entry_in_ctl(host: FakeHost, script: str, entry: str) -> None:
    assert host.ask(script, NF_ID=JOB).stdout == b"@nf denied\n"
    (host.job / "ctl").mkdir(parents=True)
    for _ in range(2):
        assert host.ask(script, NF_ID=JOB).stdout == b"@nf ok\n"
        assert (host.job / "ctl" / entry).exists()


@one_shell
@pytest.mark.parametrize(("script", "entry"), [("cancel", "cancel"), ("confirm", "confirmed")])
def test_a_link_in_ctl_is_not_followed(
    host: FakeHost, script: str, entry: str, tmp_path: Path
) -> None:
    (host.job / "ctl").mkdir(parents=True)
    precious, missing = tmp_path / "precious", tmp_path / "missing"
    precious.write_text("dear")
    for target in (precious, missing):
        (host.job / "ctl" / entry).symlink_to(target)
        host.ask(script, NF_ID=JOB)
        (host.job / "ctl" / entry).unlink()
    assert (precious.read_text(), missing.exists()) == ("dear", False)


@one_shell
def test_cancel_of_a_job_that_is_over_says_so(ended: FakeHost) -> None:
    assert ended.ask("cancel", NF_ID=JOB).stdout == b"@nf over\n"


def test_the_plan_of_a_job_is_printed(ended: FakeHost) -> None:
    assert ended.ask("plan", NF_ID=JOB).stdout == b'@nf plan\n{"it":"$(x)"}\n'
    assert ended.ask("plan", NF_ID=OTHER).stdout == b"@nf missing\n"
    (ended.job / "plan.json").unlink()
    assert ended.ask("plan", NF_ID=JOB).stdout == b"@nf denied\n"


@one_shell
@pytest.mark.parametrize("script", ["cancel", "confirm", "plan"])
@pytest.mark.parametrize("job", ODD_IDS)
def test_a_question_with_a_malformed_id_is_refused(host: FakeHost, script: str, job: str) -> None:
    done = host.ask(script, NF_ID=job)
    assert (done.returncode, done.stdout) == (2, b"")


# history


def test_the_history_of_a_host(host: FakeHost) -> None:
    for number in range(3):
        launch(host, f"2026112{number}-000000-0000")
    newest = host.jobs / "20261122-000000-0000"
    (newest / "result").write_text('{"outcome":"failed","failed":"pull","rc":1,"ended":9}\n')
    found = read_history(host.ask("past_jobs").stdout)
    assert [job.job for job in found.jobs] == [f"2026112{n}-000000-0000" for n in (2, 1, 0)]
    assert found.jobs[0].result is not None
    assert found.jobs[0].result.failed == "pull"
    assert (found.jobs[1].result, found.running) == (None, None)


# incoming


def incoming(host: FakeHost) -> subprocess.CompletedProcess[bytes]:
    return host.ask("incoming", NF_CHECKOUT=CHECKOUT)


def test_incoming_commits_are_printed_and_nothing_changes(host: FakeHost) -> None:
    before = tree(host.checkout)
    head = git(host.upstream.nixcfg, "rev-parse", "HEAD")
    done = incoming(host)
    assert (done.stdout.decode(), done.stderr) == (f"{head} Fix the disk\n", b"")
    assert tree(host.checkout) == before
    assert list((host.root / "tmp").iterdir()) == []


@one_shell
def test_incoming_commits_of_a_flake_in_a_folder(host: FakeHost) -> None:
    (host.checkout / "nix").mkdir()
    done = host.ask("incoming", NF_CHECKOUT=f"{CHECKOUT}/nix")
    assert done.stdout.decode().endswith(" Fix the disk\n")


@one_shell
def test_no_incoming_commits_print_nothing(host: FakeHost) -> None:
    git(host.checkout, "pull", "-q")
    done = incoming(host)
    assert (done.returncode, done.stdout) == (0, b"")


@one_shell
@pytest.mark.parametrize("kind", ["shallow", "partial", "sha256"])
def test_incoming_commits_of_each_kind_of_repository(host: FakeHost, kind: str) -> None:
    source, place = host.root / "source", host.checkout
    shutil.rmtree(place)
    git(
        host.root,
        "init",
        "-q",
        "-b",
        "main",
        *(("--object-format=sha256",) * (kind == "sha256")),
        str(source),
    )
    git(source, "config", "uploadpack.allowFilter", "true")
    git(source, "commit", "-q", "--allow-empty", "-m", "First")
    options = {"shallow": ("--depth=1",), "partial": ("--filter=blob:none",)}.get(kind, ())
    git(host.root, "clone", "-q", *options, f"file://{source}", str(place))
    (source / "file").write_text("x")
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "Second")
    host.env["GIT_DEFAULT_HASH"] = "sha1"
    before = tree(place)
    done = incoming(host)
    head = git(source, "rev-parse", "HEAD")
    assert (done.stdout.decode(), done.stderr) == (f"{head} Second\n", b"")
    assert tree(place) == before


@one_shell
def test_what_git_gives_to_its_hooks_does_not_reach_our_git(host: FakeHost) -> None:
    names = git(host.root, "rev-parse", "--local-env-vars").split()
    assert len(names) > 10
    said = host.send(
        compose("rights", root=str(host.root), call="env"), **dict.fromkeys(names, "1")
    )
    left = [line for line in said.stdout.decode().splitlines() if line.partition("=")[0] in names]
    assert left == []


@one_shell
def test_incoming_says_why_no_commits_can_come(host: FakeHost) -> None:
    git(host.checkout, "checkout", "-q", "--detach")
    assert b"detached HEAD" in incoming(host).stderr
    git(host.checkout, "checkout", "-q", "main")
    git(host.checkout, "remote", "set-url", "origin", "file:///not/there")
    assert b"not/there" in incoming(host).stderr
    assert list((host.root / "tmp").iterdir()) == []
