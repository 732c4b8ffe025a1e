"""Who owns a folder: the places of jobs, and the folders in root's PATH."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, JOB, FakeHost, read_frames
from left_out import need
from test_job_scripts import follow, launch

from nixfleet_core.job.history import read_history
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)
as_root = pytest.mark.needs("root")  # only root can give a folder away
OK = dict.fromkeys(CHAIN, "ok")


def opened(folder: Path) -> None:
    """Let others write to it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)


def given_away(folder: Path) -> None:
    """Make it the StateDirectory= of another user's service."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, 65534, 65534)


def linked(folder: Path) -> None:
    """Make it a link into a folder that others can write to."""
    target = folder.parent.parent / "elsewhere"
    target.mkdir()
    target.chmod(0o777)
    (target / "place").mkdir()
    folder.symlink_to(target / "place")


TAKEN = [opened, pytest.param(given_away, marks=as_root), linked]


@pytest.mark.parametrize("take", TAKEN)
@pytest.mark.parametrize("place", ["var/lib/nixfleet", "run/nixfleet"])
def test_launch_uses_the_other_place_when_one_is_foreign(
    host: FakeHost, place: str, take: Callable[[Path], None]
) -> None:
    take(host.root / place)
    assert launch(host).stdout == f"@nf launched {JOB}\n".encode()
    jobs = host.root / ("var/lib/nixfleet-update" if "var" in place else "var/lib/nixfleet")
    state = host.root / ("run/nixfleet-update" if "run" in place else "run/nixfleet")
    argv = (host.state / "systemd-run.argv").read_text().split("\0")[:-1]
    job = jobs / "jobs" / JOB
    assert argv[-4:] == [f"{job}/run.sh", "main", str(jobs / "jobs"), str(state)]
    assert list((host.root / place).iterdir()) == []
    # every script finds the same place
    assert [one.job for one in read_history(host.ask("past_jobs").stdout).jobs] == [JOB]
    assert host.ask("plan", NF_ID=JOB).stdout.startswith(b"@nf plan\n")
    assert host.ask("cancel", NF_ID=JOB).stdout == b"@nf ok\n"


@one_shell
def test_launch_fails_when_both_places_are_foreign(host: FakeHost) -> None:
    for name in ("nixfleet", "nixfleet-update"):
        opened(host.root / "var/lib" / name)
    done = launch(host)
    assert done.stdout == b"@nf failed\n"
    said = done.stderr.decode()
    assert f"others can write to {host.root}/var/lib/nixfleet (drwxrwxrwx)" in said
    assert f"others can write to {host.root}/var/lib/nixfleet-update (drwxrwxrwx)" in said
    assert host.calls("systemd-run") == []
    assert host.ask("past_jobs").stdout.startswith(b"@nf running")


@one_shell
def test_the_other_place_stays_in_use(host: FakeHost) -> None:
    opened(host.root / "var/lib/nixfleet")
    launch(host)
    shutil.rmtree(host.root / "var/lib/nixfleet")
    assert [one.job for one in read_history(host.ask("past_jobs").stdout).jobs] == [JOB]


@one_shell
@as_root
def test_a_place_in_a_home_belongs_to_its_user(host: FakeHost) -> None:
    given_away(host.root / "home/ops/.local/state/nixfleet")
    done = host.send(
        host.script(
            "launch", NF_PLATFORM_GIVEN="home-manager", NF_ID=JOB, NF_PLAN="{}", NF_RUN_SH=":"
        )
    )
    assert done.stdout == b"@nf failed\n"
    assert b".local/state/nixfleet belongs to nobody; it has to be yours" in done.stderr


TAKE = {"opened": "chmod 777", "given away": "chown -R 65534:65534"}


def test_job_moves_when_its_place_is_taken(host: FakeHost) -> None:
    """As by a switch that starts a service with StateDirectory=nixfleet."""
    take = TAKE["given away" if os.getuid() == 0 else "opened"]
    host.on("nixos-rebuild", f'echo before; {take} "$root/var/lib/nixfleet"; default "$@"')
    host.run_job()
    moved = host.root / "var/lib/nixfleet-update/jobs" / JOB
    text = (moved / "log").read_text()
    assert (
        f"{host.job} was given to somebody else while this job ran: it goes on in {moved}" in text
    )
    assert "\nbefore\n" in text
    assert not (host.job / "result").exists()
    assert b'"outcome":"done"' in (moved / "result").read_bytes()
    frames = {frame.kind: frame.data for frame in read_frames(host.send(follow(host)).stdout)}
    assert frames["log"].decode() == text
    assert {"plan.json", "before", "after", "latest", "result"} <= {*frames}
    assert (moved / "flake.lock.before").exists()
    assert not list((host.root / "run/systemd/system").glob("nixfleet-2*"))
    assert frames["events"].count(b'"status":"ok"') == len(CHAIN)
    assert host.agent_runs()
    for path in moved.iterdir():
        assert path.stat().st_uid == os.getuid(), path.name
        assert not path.stat().st_mode & 0o022, path.name


@pytest.mark.parametrize("places", [("var/lib",), ("run",), ("var/lib", "run")])
@one_shell
def test_agent_comes_back_whichever_place_is_taken(host: FakeHost, places: tuple[str, ...]) -> None:
    os.mkfifo(host.state / "fifo")
    take = TAKE["given away" if os.getuid() == 0 else "opened"]
    taken = "; ".join(f'{take} "{host.root}/{place}/nixfleet"' for place in places)
    script = f'{taken}; echo $$ >"$1"; exec {shutil.which("sleep")} 60'
    script = script.replace("$(root)", "\\$(root)")
    words = ("sh", "-c", script, "sh", "/state/fifo")
    host.write_job(host.plan(lines={"rebuild": words}))
    job = host.start_job()
    step = int((host.state / "fifo").read_text())
    os.killpg(job.pid, signal.SIGKILL)
    os.kill(step, signal.SIGKILL)
    job.communicate(timeout=60)
    assert not host.agent_runs()
    # the new owner of the places writes a script that root must not run
    (host.job / "run.sh").write_text('echo bad >"$NF_BAD"\n')
    finish = host.root / "run/systemd/system/nixfleet-finish"
    env = {**host.env, "NF_BAD": str(host.state / "bad")}
    subprocess.run([*host.shell, str(finish)], env=env, timeout=60, check=True)
    assert host.agent_runs()
    assert not (host.state / "bad").exists()


# looking at many folders at once


def trusted(shell: tuple[str, ...], root: Path, path: Path, *ahead: Path) -> bool:
    """Whether the path is trusted once these folders have been looked at."""
    words = " ".join(quote(str(folder)) for folder in ahead)
    call = f"nf_is_trusted {quote(str(path))} && echo yes"
    return after_ahead(shell, root, words, call) == "yes\n"


def after_ahead(shell: tuple[str, ...], root: Path, words: str, call: str) -> str:
    """The output of the call after a look at these folders."""
    script = compose(root=str(root), call=f"NF_TRUSTED=:\nnf_trust_ahead {words}\n{call}")
    env = {"PATH": os.environ["PATH"], "HOME": "/"}
    done = subprocess.run(
        [*shell, "-s"], input=script.encode(), env=env, capture_output=True, check=False
    )
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("take", "is_good"),
    [
        (lambda folder: folder.chmod(0o755), True),
        (opened, False),
        (lambda folder: folder.chmod(0o1777), False),
        pytest.param(lambda folder: folder.chmod(0o775), False, marks=as_root),
        pytest.param(lambda folder: os.chown(folder, 65534, 0), False, marks=as_root),
    ],
    ids=["closed", "open", "sticky", "the group's", "given away"],
)
def test_looking_ahead_trusts_no_more_folders(
    shell: tuple[str, ...], tmp_path: Path, take: Callable[[Path], None], is_good: bool
) -> None:
    folder = tmp_path / "folder"
    within = folder / "within"
    within.mkdir(parents=True)
    take(folder)
    is_sticky = folder.stat().st_mode & stat.S_ISVTX
    for ahead in ((), (folder,), (within,), (within, folder)):
        assert trusted(shell, tmp_path, folder, *ahead) == is_good
        assert trusted(shell, tmp_path, within, *ahead) == (is_good or bool(is_sticky))


def test_looking_ahead_checks_each_folder_once(shell: tuple[str, ...], tmp_path: Path) -> None:
    within = tmp_path / "folder/within"
    within.mkdir(parents=True)
    words = f"{quote(str(within))} {quote(str(within.parent))}"
    known = after_ahead(shell, tmp_path, words, 'printf %s "$NF_TRUSTED"')
    assert sorted(known.strip(":").split(":")) == [
        *map(str, (tmp_path, within.parent, within)),
    ]


def test_trust_in_one_folder_extends_to_no_other(shell: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    opened(folder)
    line = f"drwxr-xr-x 2 {os.getuid()} 0 4096 Jan 1 00:00 {folder}"
    evil = Path(f"{tmp_path}/evil\n{line}")
    evil.mkdir(parents=True)
    assert not trusted(shell, tmp_path, folder, evil)


# root's PATH


def path_of(shell: tuple[str, ...], root: Path, **env: str) -> list[str]:
    script = compose(root=str(root), call='printf "%s\\n" "$PATH"')
    done = subprocess.run(
        [*shell, "-s"], input=script.encode(), env=env, capture_output=True, check=True
    )
    return done.stdout.decode().rstrip("\n").split(":")


@as_root
@pytest.mark.parametrize("name", ["root", "it's a root"])
def test_root_runs_only_programs_that_only_root_can_write(
    shell: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    folders = {
        name: root / name / "bin"
        for name in ("good", "open", "theirs", "in an open one", "home/.nix-profile", "linked")
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    folders["open"].chmod(0o775)
    os.chown(folders["theirs"], 65534, 65534)
    folders["in an open one"].parent.chmod(0o777)
    link = root / "link"
    link.symlink_to(folders["good"])
    os.chown(link, 65534, 65534, follow_symlinks=False)
    own = root / "own link"
    own.symlink_to("good/bin")
    before = [*map(str, folders.values()), str(link), str(own), "relative", "", "/usr/bin"]
    env = {"PATH": ":".join(before), "HOME": str(root / "home")}
    found = path_of(shell, root, **env)
    assert [path for path in found if path.startswith(str(root))] == [
        *(str(folders["good"]), str(folders["linked"]), str(own)),
    ]
    assert "relative" not in found
    assert "" not in found


@as_root
def test_root_does_not_read_a_profile_script_of_others(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    script = tmp_path / "nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh"
    script.parent.mkdir(parents=True)
    mark = tmp_path / "mark"
    script.write_text(f": >'{mark}'\n")
    path_of(shell, tmp_path, PATH="/usr/bin:/bin", HOME="/")
    assert mark.exists()
    mark.unlink()
    os.chown(script, 65534, 65534)
    path_of(shell, tmp_path, PATH="/usr/bin:/bin", HOME="/")
    assert not mark.exists()


# who may read


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@as_root
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("acl", (0o750, 0, 0o640, 0)),
        ("own group", (0o750, 54321, 0o640, 54321)),
        ("shared group", (0o700, 0, 0o600, 0)),
        ("group with a member", (0o700, 0, 0o600, 0)),
        ("directory in the network", (0o700, 0, 0o600, 0)),
        ("no users", (0o700, 0, 0o600, 0)),
    ],
)
def test_only_the_launcher_and_root_read_a_job(
    host: FakeHost,
    request: pytest.FixtureRequest,
    how: str,
    expected: tuple[int, int, int, int],
) -> None:
    if how == "acl":
        need(request, "setfacl")
    if how != "acl":
        host.on("setfacl", "exit 1")
        gid = 100 if how == "shared group" else 54321
        member = "eve" if how == "group with a member" else ""
        users = (
            "exit 1"
            if how == "no users"
            else f"echo ops:x:54321:{gid}::/:; echo eve:x:54322:100::/:"
        )
        host.on("getent", f"case $1 in passwd) {users} ;; *) echo g:x:{gid}:{member} ;; esac")
        host.on(
            "id", f"case $* in -u) echo 0 ;; '-un 54321') echo ops ;; '-g ops') echo {gid} ;; esac"
        )
        source = "files sss" if how == "directory in the network" else "files systemd"
        (host.root / "etc/nsswitch.conf").write_text(
            f"passwd: {source} # x\ngroup:files [success=merge] systemd\n"
        )
    # a job of an older version
    old = host.jobs / "20251123-000000-0000"
    (old / "ctl").mkdir(parents=True)
    os.chown(old / "ctl", 54321, 100)
    (old / "log").touch()
    for path in (old, old / "log"):
        path.chmod(0o750)
        os.chown(path, 0, 100)
    launch(host, SUDO_UID="54321", SUDO_GID="100")
    for job in (host.job, old):
        found = (*(mode(job), job.stat().st_gid), *(mode(job / "log"), (job / "log").stat().st_gid))
        assert found == expected, job
        if how == "acl":
            shown = subprocess.run(
                ["getfacl", "-cnp", str(job / "log")], capture_output=True, text=True, check=True
            )
            assert shown.stdout.split() == [
                "user::rw-",
                "user:54321:r--",
                "group::---",
                "mask::r--",
                "other::---",
            ]


@as_root
@one_shell
def test_log_says_that_only_root_may_read_the_job(host: FakeHost) -> None:
    host.on("setfacl", "exit 1")
    host.write_job()
    os.chown(host.job / "ctl", 54321, 100)
    host.run_job()
    assert host.log.startswith("only root may read this job's log: reading it asks for root\n")


def test_a_job_that_was_moved_meanwhile_is_not_moved_again(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    """The runner and what watches beside it both see that the place is given away."""
    call = """nf_set_up; NF_CARRIER=guard
mkdir -p "$NF_JOB" "$NF_KEPT" "$NF_RUN"; : >"$NF_JOB/log"
nf_move_job /old
ls -A "$NF_JOBS" "$NF_JOB"; cat "$NF_JOB/log"
"""
    values = {"NF_ID": JOB, "NF_PLATFORM_GIVEN": "nixos"}
    script = compose("runner", root=str(tmp_path), call=call, values=values)
    done = subprocess.run([*shell, "-s"], input=script, capture_output=True, text=True)
    jobs = tmp_path / "var/lib/nixfleet/jobs"
    assert done.stdout == f"{jobs}:\n{JOB}\n\n{jobs}/{JOB}:\nlog\n", done.stderr
