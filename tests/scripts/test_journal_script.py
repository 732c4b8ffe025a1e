"""journal.sh, with a journalctl that does what the real ones do (tests/samples/journal has their
output), and with files of launchd."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from nixfleet_core.job.frames import Frame, FrameReader
from nixfleet_core.journal.export import FIELDS
from nixfleet_core.scripts.compose import question

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., subprocess.Popen[bytes]]

JOURNALCTL: Final = """#!/bin/sh
# Its words go to `asked`. It may open none of the system's files if `closed` is there, and the user
# has no journal if `none-own` is. `--follow` prints the file `export`, then waits for `more`.
cd "$STAND_IN" || exit
printf '%s\\n' "$*" >>asked
case $* in
  *--system*) if [ -e closed ]; then echo 'No journal files were opened' >&2; exit 1; fi; exit 0 ;;
  --user*) if ! [ -e none-own ]; then echo 'started'; fi; exit 0 ;;
esac
echo $$ >pid
cat export
case $* in *--follow*)
  until [ -e more ]; do sleep 0.05; done
  cat more
  while :; do sleep 0.05; done
  ;;
esac
"""
LAUNCHCTL: Final = """#!/bin/sh
cd "$STAND_IN" || exit
[ -e described ] || exit 113
cat described
"""
WAIT: Final = 20.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tmp_path / "export").touch()
    uid = tmp_path / "tools/id"
    for name, text in (("journalctl", JOURNALCTL), ("launchctl", LAUNCHCTL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    # a user, whoever runs the tests
    uid.write_text('#!/bin/sh\ncase $1 in -u) echo 1000 ;; *) exec /usr/bin/id "$@" ;; esac\n')
    uid.chmod(0o755)
    return tmp_path


@pytest.fixture
def start(home: Path, shell: tuple[str, ...]) -> Start:
    def start(kernel: str = "Linux", **values: str) -> subprocess.Popen[bytes]:
        given = {
            **dict.fromkeys(("NF_LINES", "NF_SINCE", "NF_CURSOR", "NF_FOLLOW", "NF_UNIT_UID"), ""),
            **dict.fromkeys(("NF_AT_ERR", "NF_AT_OUT", "NF_AT_LOG"), ""),
            "NF_FIELDS": ",".join(FIELDS),
            "NF_PLATFORM_GIVEN": "nixos",
            **values,
        }
        uname = home / "tools/uname"
        uname.write_text(f"#!/bin/sh\necho {kernel}\n")
        uname.chmod(0o755)
        script = question("journal", "", given).replace("sleep 5 ", "sleep 0.1 ")
        # only now are the stand-ins in front of the system's own folders
        own = f"PATH={home}/tools:$PATH NF_UID=$UID_IS"
        script = script.replace("\nnf_platform\n", f"\n{own}\nnf_platform\n")
        process = subprocess.Popen(
            [*shell, "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "STAND_IN": str(home),
                "HOME": str(home),
                "UID_IS": values.get("UID_IS", "1000"),
            },
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(script.encode())
        process.stdin.close()
        process.stdin = None
        return process

    return start


def ends(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    return process.communicate(timeout=WAIT)


def read_until(process: subprocess.Popen[bytes], done: Callable[[bytes], bool]) -> bytes:
    assert process.stdout is not None
    data, until = b"", time.monotonic() + WAIT
    while not done(data):
        assert time.monotonic() < until, data
        part = os.read(process.stdout.fileno(), 65536)
        assert part, data
        data += part
    return data


def stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def asked(home: Path) -> str:
    """journalctl's last words."""
    return (home / "asked").read_text().splitlines()[-1]


SAMPLE: Final = next((Path(__file__).parents[1] / "samples/journal").glob("*-252.export"))
ENTRIES: Final = SAMPLE.read_bytes()
COMMON: Final = f"--quiet --no-pager --output=export --output-fields={','.join(FIELDS)}"


def test_the_journals_own_bytes_pass_unchanged(home: Path, start: Start) -> None:
    (home / "export").write_bytes(ENTRIES)
    out, err = ends(start(NF_LINES="9"))
    greeting, _, rest = out.partition(b"\n")
    assert re.fullmatch(rb"nixfleet-journal 1 systemd [0-9]{10} 1000", greeting)
    assert rest == ENTRIES
    assert err.strip() == b""
    assert asked(home) == f"{COMMON} --lines=9 --unit=nixfleet-agent.service"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"NF_LINES": "0"}, "--follow --lines=0"),
        ({}, "--no-tail --follow"),
        ({"NF_SINCE": "-600s"}, "--no-tail --follow --since=-600s"),
        ({"NF_SINCE": "@5", "NF_LINES": "3"}, "--follow --lines=3 --since=@5"),
        (
            {"NF_SINCE": "@5", "NF_LINES": "3", "NF_CURSOR": "s=1;i=2 $(id)"},
            "--no-tail --follow --cursor=s=1;i=2 $(id)",
        ),
    ],
)
def test_journalctl_is_asked_for_what_is_wanted(
    home: Path, start: Start, values: dict[str, str], words: str
) -> None:
    process = start(NF_FOLLOW="1", **values)
    (home / "more").write_bytes(b"end")
    read_until(process, lambda data: data.endswith(b"end"))
    stop(process)
    assert asked(home) == f"{COMMON} {words} --unit=nixfleet-agent.service"


def test_a_reader_that_goes_away_ends_journalctl(home: Path, start: Start) -> None:
    (home / "export").write_bytes(ENTRIES)
    process = start(NF_FOLLOW="1")
    read_until(process, lambda data: data.endswith(ENTRIES))
    reader = int((home / "pid").read_text())
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()  # the next sign of life is not heard
    process.wait(WAIT)
    until = time.monotonic() + WAIT
    while Path(f"/proc/{reader}/stat").exists():
        if ") Z " in Path(f"/proc/{reader}/stat").read_text():
            break
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_closed_journal_is_not_read_in_part(home: Path, start: Start) -> None:
    (home / "closed").touch()
    (home / "export").write_bytes(ENTRIES)
    out, _ = ends(start())
    assert re.fullmatch(rb"nixfleet-journal 1 denied-systemd [0-9]{10} 1000\n", out)


@pytest.mark.parametrize(
    ("closed", "own", "answer"),
    [
        (False, False, b"user"),
        (True, True, b"user"),
        (True, False, b"denied-user"),
    ],
)
def test_a_users_own_journal_is_enough_for_the_users_unit(
    home: Path, start: Start, closed: bool, own: bool, answer: bytes
) -> None:
    if closed:
        (home / "closed").touch()
    if not own:
        (home / "none-own").touch()
    out, _ = ends(start(NF_PLATFORM_GIVEN="home-manager"))
    assert out.split()[2] == answer
    if answer == b"user":
        matches = [f"{key}=nixfleet-agent.service _UID=1000" for key in
                   ("_SYSTEMD_USER_UNIT", "USER_UNIT")]  # fmt: skip
        assert asked(home) == f"{COMMON} {' + '.join(matches)}"


def test_root_reads_the_users_unit(home: Path, start: Start) -> None:
    (home / "closed").touch()
    out, _ = ends(start(UID_IS="0", NF_UNIT_UID="1234"))
    assert out.split()[2] == b"user"
    assert "_SYSTEMD_USER_UNIT=nixfleet-agent.service _UID=1234 + " in asked(home)


# launchd


def describe(home: Path, **paths: Path) -> None:
    text = "".join(f"\t{name} path = {path}\n" for name, path in paths.items())
    (home / "described").write_text(f"gui/501/x = {{\n{text}}}\n")


def frames(out: bytes) -> list[tuple[str, int, bytes]]:
    greeting, _, rest = out.partition(b"\n")
    assert greeting.startswith(b"nixfleet-journal 1 launchd ")
    reader = FrameReader(b"", frozenset())
    return [(one.kind, one.offset, one.data) for one in reader.feed(rest)]


def mac(start: Start, **values: str) -> subprocess.Popen[bytes]:
    return start("Darwin", NF_PLATFORM_GIVEN="home-manager", UID_IS=str(os.getuid()), **values)


def inode(path: Path) -> int:
    return path.stat().st_ino


@pytest.fixture
def files(home: Path) -> tuple[Path, Path]:
    err, out = home / "agent it's.err", home / "agent.log"
    err.write_bytes(b"one\ntwo\n\xff three\n")
    out.write_bytes(b"started\nrest")
    describe(home, stderr=err, stdout=out)
    return err, out


def test_the_last_lines_of_both_files_are_sent(start: Start, files: tuple[Path, Path]) -> None:
    err, out = files
    assert frames(ends(mac(start, NF_LINES="2"))[0]) == [
        ("err.note", 4, f"first {inode(err)} {err}".encode()),
        ("err", 4, b"two\n\xff three\n"),
        ("out.note", 0, f"first {inode(out)} {out}".encode()),
        ("out", 0, b"started\nrest"),
    ]


@pytest.mark.parametrize(("lines", "at"), [("0", 16), ("", 0), ("99", 0)])
def test_so_many_lines_as_are_wanted(
    start: Start, files: tuple[Path, Path], lines: str, at: int
) -> None:
    assert frames(ends(mac(start, NF_LINES=lines))[0])[0][:2] == ("err.note", at)


def test_one_file_for_both_is_one_log(home: Path, start: Start) -> None:
    both = home / "both"
    both.write_text("x\n")
    describe(home, stderr=both, stdout=both)
    sent = frames(ends(mac(start, NF_LINES="9"))[0])
    assert [one[0] for one in sent] == ["log.note", "log"]


def test_the_client_goes_on_where_it_was(start: Start, files: tuple[Path, Path]) -> None:
    err, out = files
    at = {"NF_AT_ERR": f"{inode(err)} 8", "NF_AT_OUT": f"{inode(out)} 12"}
    assert frames(ends(mac(start, NF_LINES="2", **at))[0]) == [("err", 8, b"\xff three\n")]


def test_another_and_a_shorter_file_are_told(start: Start, files: tuple[Path, Path]) -> None:
    err, out = files
    at = {"NF_AT_ERR": "1 8", "NF_AT_OUT": f"{inode(out)} 999"}
    assert frames(ends(mac(start, **at))[0]) == [
        ("err.note", 0, f"again {inode(err)} {err}".encode()),
        ("err", 0, err.read_bytes()),
        ("out.note", 0, f"shorter {inode(out)} {out}".encode()),
        ("out", 0, out.read_bytes()),
    ]


def test_only_our_own_regular_file_is_read(
    home: Path, start: Start, files: tuple[Path, Path]
) -> None:
    err, out = files
    (home / "secret").write_text("secret")
    err.unlink()
    err.symlink_to(home / "secret")
    out.unlink()
    sent = frames(ends(mac(start))[0])
    assert sent == [
        ("err.note", 0, f"refused 0 {err} is not read: it is no regular file".encode()),
        ("out.note", 0, f"gone 0 {out}".encode()),
    ]
    said = {"NF_AT_ERR": "refused 0", "NF_AT_OUT": "gone 0"}
    assert frames(ends(mac(start, **said))[0]) == []


def test_a_file_of_somebody_else_is_not_read(start: Start, files: tuple[Path, Path]) -> None:
    uid = os.getuid() + 1
    process = start("Darwin", NF_PLATFORM_GIVEN="home-manager", UID_IS=str(uid))
    kind, _, data = frames(ends(process)[0])[0]
    assert kind == "err.note"
    assert b"is not read: it belongs to " in data


def test_an_agent_that_launchd_does_not_know_has_no_log(start: Start) -> None:
    assert ends(mac(start))[0].split()[2] == b"none"


def test_files_are_followed_as_they_grow_are_rotated_and_come_back(
    start: Start, files: tuple[Path, Path]
) -> None:
    err, out = files
    process = mac(start, NF_FOLLOW="1", NF_LINES="0")
    read = read_until(process, lambda data: data.count(b"first") == 2)
    steps: list[tuple[Callable[[], object], bytes]] = [
        (lambda: err.open("ab").write(b"four\n"), b"four\n"),
        (lambda: err.rename(err.with_name("old")), b"gone 0"),
        (lambda: err.write_bytes(b"new file\n"), b"new file\n"),
        (lambda: out.write_bytes(b"\xfe"), b"\xfe\n"),
    ]
    for change, seen in steps:
        change()
        read += read_until(process, lambda data, seen=seen: seen in data)  # type: ignore[misc]
    stop(process)
    got: list[Frame] = FrameReader(b"", frozenset()).feed(read.partition(b"\n")[2])
    assert [(one.kind, one.data.split()[0]) for one in got] == [
        *(("err.note", b"first"), ("out.note", b"first"), ("err", b"four"), ("err.note", b"gone")),
        *(("err.note", b"first"), ("err", b"new"), ("out.note", b"shorter"), ("out", b"\xfe")),
    ]
