from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from fakes import make_proof
from odd_files import ODD

from nixfleet_core.facts.origins import Origin
from nixfleet_core.job.copies import Asked, Copies, JobCopy, Result, default_copies
from nixfleet_core.job.work import BuildTime, BuildTimes
from nixfleet_core.limits import PLAN_LIMIT
from nixfleet_core.plan.model import Options, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = "20261123-004101-ab12"
SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The worst umask: all that is not closed on purpose is open to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def copy(tmp_path: Path) -> JobCopy:
    copy = Copies(tmp_path).job("csb0", JOB)
    copy.prepare()
    return copy


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_users_copies_are_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    told: list[str] = []
    copies = default_copies(told.append)
    assert copies.root == tmp_path / "state/nixfleet"
    assert mode(copies.root) == 0o700
    copies.root.chmod(0o755)
    assert mode(default_copies(told.append).root) == 0o700
    assert told == []


@pytest.mark.parametrize("state", ["/proc/nowhere", "file", "loop"])
def test_a_state_folder_that_cannot_be_used_is_named_and_the_copies_live_as_long_as_we(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / state))
    told: list[str] = []
    copies = default_copies(told.append)
    (said,) = told
    assert said.startswith(f"{tmp_path / state}/nixfleet cannot be used (")
    copies.job("csb0", JOB).check_grows()
    assert mode(copies.root) == 0o700


def test_a_job_has_a_directory_of_its_own(tmp_path: Path) -> None:
    copy = Copies(tmp_path).job("csb0", JOB)
    assert not copy.path.exists()
    copy.prepare()
    assert copy.path == tmp_path / "hosts/csb0/jobs" / JOB
    assert mode(copy.path) == 0o700
    assert Copies(tmp_path).job("csb0", JOB) == copy
    assert [path.name for path in (copy.files.log, copy.files.text, copy.files.events)] == [
        *("log", "log.txt", "events"),
    ]


@pytest.mark.parametrize(
    ("host", "job"),
    [("../x", JOB), ("", JOB), ("-x", JOB), ("a/b", JOB), ("csb0", "../x"), ("csb0", ""),
     ("csb0", f"{JOB}/"), ("csb0", "latest")],
)  # fmt: skip
def test_an_odd_name_becomes_no_path(tmp_path: Path, host: str, job: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        Copies(tmp_path).job(host, job)
    assert list(tmp_path.iterdir()) == []


def test_lists_only_jobs(tmp_path: Path) -> None:
    copies = Copies(tmp_path)
    assert copies.jobs("csb0") == ()
    ids = ("20261123-004101-ab12", "20261123-004101-0f00", "20250101-000000-ffff")
    for job in ids:
        copies.job("csb0", job).prepare()
    (tmp_path / "hosts/csb0/jobs/.DS_Store").touch()
    (tmp_path / "hosts/csb0/jobs/old").mkdir()
    assert copies.jobs("csb0") == tuple(sorted(ids))
    assert copies.jobs("csb1") == ()
    with pytest.raises(ValueError, match="no host name"):
        copies.jobs("../../x")


def test_a_small_file_appears_whole_and_closed(copy: JobCopy) -> None:
    assert copy.read("result") is None
    copy.write("result", b"one")
    left_over = copy.path / ".result.new"
    left_over.touch(0o600)
    left_over.write_bytes(b"by a client that was killed")
    copy.write("result", b"two")
    assert copy.read("result") == b"two"
    assert mode(copy.path / "result") == 0o600
    assert [path.name for path in copy.path.iterdir()] == ["result"]


def test_a_proof_without_room_is_not_kept_and_an_odd_file_has_none(tmp_path: Path) -> None:
    proof = make_proof("/a", "/a", "0" * 40, "nixfleet")
    copies = Copies(tmp_path / "state")
    copies.keep_proof("csb0", proof)
    assert copies.proofs("csb0") == (proof,)
    path = tmp_path / "state/hosts/csb0/proofs.json"
    for what in ODD:
        path.unlink()
        ODD[what](path)
        assert copies.proofs("csb0") == ()
        if path.is_dir():
            copies.keep_proof("csb0", proof)
            path.rmdir()
            path.touch()
    (tmp_path / "file").touch()
    Copies(tmp_path / "file").keep_proof("csb0", proof)


BUILT = BuildTimes((BuildTime("git-2.47", "git", 90), BuildTime("größe-1", "größe", 2)))


def test_what_a_job_has_built_is_kept(copy: JobCopy) -> None:
    assert copy.built() == BuildTimes()
    copy.keep_built(BUILT)
    assert copy.built() == BUILT
    assert mode(copy.path / "builds.json") == 0o600
    copy.keep_built(BuildTimes(BUILT.builds[:1]))
    assert copy.built() == BuildTimes(BUILT.builds[:1])
    assert [path.name for path in copy.path.iterdir()] == ["builds.json"]


def test_what_is_kept_already_is_not_written_again(copy: JobCopy) -> None:
    copy.keep_built(BUILT)
    before = (copy.path / "builds.json").stat().st_ino
    copy.keep_built(BUILT)
    assert (copy.path / "builds.json").stat().st_ino == before


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b"[" * 9999),
        *(b'{"builds":7}', b'{"builds":[{}]}', b'{"builds":[["git-2.47","git",90]]}'),
        b'{"builds":[{"name":"git-2.47","package":"git","seconds":-1}]}',
        b'{"builds":[{"name":"git-2.47","package":"git","seconds":1e99}]}',
        b'{"builds":[{"name":7,"package":"git","seconds":1}]}',
    ],
)
def test_damaged_times_of_builds_count_as_none(copy: JobCopy, data: bytes) -> None:
    copy.write("builds.json", data)
    assert copy.built() == BuildTimes()
    copy.keep_built(BUILT)
    assert copy.built() == BUILT


@pytest.mark.parametrize("what", ODD)
def test_an_odd_file_has_no_times_of_builds_and_stays(copy: JobCopy, what: str) -> None:
    ODD[what](copy.path / "builds.json")
    before = os.lstat(copy.path / "builds.json").st_ino
    assert copy.built() == BuildTimes()
    copy.keep_built(BUILT)
    assert os.lstat(copy.path / "builds.json").st_ino == before
    assert copy.built() == BuildTimes()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_times_of_builds_without_room_are_not_kept(
    copy: JobCopy, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def fail(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patched:
        patched.setattr("nixfleet_core.job.copies.open_plain", fail)
        copy.keep_built(BUILT)
    assert copy.built() == BuildTimes()
    assert list(copy.path.iterdir()) == []


def test_a_job_without_its_folder_has_no_files_and_makes_none(tmp_path: Path) -> None:
    copy = Copies(tmp_path).job("csb0", JOB)
    copy.keep_built(BUILT)
    assert (copy.asked(), copy.result(), copy.built()) == (None, None, BuildTimes())
    copy.discard_empty()
    assert list(tmp_path.iterdir()) == []


def test_a_write_without_room_leaves_the_old_file_and_nothing_else(copy: JobCopy) -> None:
    copy.write("result", b"old")
    limited = """
import resource, signal, sys
from pathlib import Path
from nixfleet_core.errors import ClientFailed
from nixfleet_core.job.copies import JobCopy
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    JobCopy(Path(sys.argv[1])).write("result", bytes(10000))
except ClientFailed as error:
    print(error)
"""
    command = (sys.executable, "-c", limited, str(copy.path))
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    why = os.strerror(errno.EFBIG)
    assert said == f"{copy.path}/result cannot be written here: {why}; the job goes on\n"
    assert {file.name: file.read_bytes() for file in copy.path.iterdir()} == {"result": b"old"}


def test_reads_the_files_of_the_host(copy: JobCopy) -> None:
    plan = Plan(
        host="csb0",
        attribute="csb0",
        checkout="/c",
        owner="ops",
        input="nixfleet",
        options=Options(),
        steps=(),
        tools=(),
    )
    assert (copy.asked(), copy.result()) == (None, None)
    copy.write(
        "plan.json",
        b'{"format":1,"at":5,"uid":1000,"from":"192.0.2.1 5 192.0.2.2 22","plan":%s}'
        % msgspec.json.encode(plan),
    )
    copy.write("result", b'{"format":1,"outcome":"failed","failed":"pull","rc":3,"ended":9}\n')
    assert copy.asked() == Asked(plan, 5, 1000, from_="192.0.2.1 5 192.0.2.2 22")
    assert copy.result() == Result("failed", "pull", 3, ended=9)


def test_reads_the_plan_of_another_version(copy: JobCopy) -> None:
    """Plans of three other versions: with a field since removed, with more fields, with fewer."""
    text = (SAMPLES / "plan.json").read_text()
    assert text.count('"always":true') == 2
    copy.write("plan.json", text.encode())
    asked = copy.asked()
    assert asked is not None
    assert (asked.at, asked.uid, asked.plan.restore_lock) == (1795394461, 1000, "123 456")
    assert [(step.id, step.limit, step.tries) for step in asked.plan.steps] == [
        *(("preflight", 300, 3), ("stop", 30, 1), ("pull", 300, 5), ("update", 300, 5)),
        *(("rebuild", 7200, 3), ("start", 120, 1), ("verify", 300, 1)),
        *(("rollback", 1800, 1), ("commit", 60, 1)),
    ]
    assert asked.plan.options == Options(
        force=True, level=2, rollback_on_failure=True, commit_lock=True, limits={"rebuild": 7200}
    )
    later = re.sub(r'(?<!"limits":)\{', '{"new":[1,{}],', text)
    copy.write("plan.json", later.encode())
    assert copy.asked() == asked
    unknown_then = ',"always":(true|false)|"goal":"update",|,"nice":5,"io_weight":50|,"tries":1'
    copy.write("plan.json", re.sub(unknown_then, "", text).encode())
    assert copy.asked() == asked


def test_reads_the_known_steps_of_a_later_plan(copy: JobCopy) -> None:
    text = (SAMPLES / "plan.json").read_text()
    copy.write("plan.json", text.encode())
    asked = copy.asked()
    new = '{"id":"new-step","title":"N","argv":["n"],"run_as":"guest","limit":{"seconds":1}}'
    later = text.replace('"steps":[', f'"steps":[{new},')
    later = later.replace('{"id":"start"', f'{new},{{"id":"start"')
    assert later.count("new-step") == 2
    copy.write("plan.json", later.encode())
    assert copy.asked() == asked
    for wrong in ('{"id":7}', '{"title":"N"}', "7"):
        copy.write("plan.json", text.replace('"steps":[', f'"steps":[{wrong},').encode())
        assert copy.asked() is None
    copy.write("plan.json", text.encode() + b" " * PLAN_LIMIT)
    assert copy.asked() is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"outcome":1}', b'{"plan":{}}', b"\xff", b"[" * 9999]
)
def test_a_damaged_file_counts_as_missing(copy: JobCopy, data: bytes) -> None:
    for name in ("plan.json", "result"):
        copy.write(name, data)
    assert (copy.asked(), copy.result()) == (None, None)


def make_origin(commit: str, at: int = 5) -> Origin:
    return Origin(commit=commit * 40, programs=("/nix/store/x",), at=at)


def test_origins_are_remembered_and_grow(tmp_path: Path) -> None:
    copies = Copies(tmp_path)
    copies.learn_origins("csb0", (make_origin("1"),))
    copies.learn_origins("csb0", (make_origin("2", 6),))
    assert copies.origins("csb0") == (make_origin("2", 6), make_origin("1"))
    assert copies.origins("csb1") == ()
    assert mode(tmp_path / "hosts/csb0/origins.json") == 0o600


def test_another_program_that_writes_origins_is_not_disturbed(tmp_path: Path) -> None:
    copies = Copies(tmp_path)
    copies.learn_origins("csb0", (make_origin("1"),))
    with (tmp_path / "hosts/csb0/origins.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copies.learn_origins("csb0", (make_origin("2"),))
        assert copies.origins("csb0") == (make_origin("1"),)
    copies.learn_origins("csb0", (make_origin("2"),))
    assert len(copies.origins("csb0")) == 2


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_in_the_place_of_origins_is_no_error(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "hosts/csb0/origins.json"
    place.parent.mkdir(parents=True)
    ODD[kind](place)
    copies = Copies(tmp_path)
    copies.learn_origins("csb0", (make_origin("1"),))
    assert copies.origins("csb0") in ((), (make_origin("1"),))


def test_a_host_speaks_only_of_its_own_programs(tmp_path: Path) -> None:
    copies = Copies(tmp_path)
    copies.learn_origins("liar", (make_origin("2"),))
    assert copies.origins("csb0") == ()
