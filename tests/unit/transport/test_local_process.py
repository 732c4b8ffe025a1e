from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nixfleet_core.transport import process as tee
from nixfleet_core.transport.process import Process, open_process, run

SH = "/bin/sh"
LONG = 60
"""More seconds than any test may take."""


def sh(script: str, *args: str) -> tuple[str, ...]:
    return (SH, "-c", script, "sh", *args)


def python(script: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script, *args)


class Lifeline:
    """A pipe whose writing end a child keeps open: it reaches end of file when the child dies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lifeline"
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    async def until_dead(self) -> bytes:
        os.set_blocking(self._fd, True)
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._read), 20)
        finally:
            os.close(self._fd)

    def _read(self) -> bytes:
        data = b""
        while chunk := os.read(self._fd, 100):
            data += chunk
        return data


@pytest.fixture
def lifeline(tmp_path: Path) -> Lifeline:
    return Lifeline(tmp_path)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tee, "GRACE", 0.3)
    monkeypatch.setattr(tee, "_DRAIN", 0.05)


STUBBORN = """
trap '' TERM
( exec 3>"$1"; echo alive >&3; echo started; sleep 60 ) &
wait
"""
"""A child and a grandchild that both ignore TERM; the grandchild holds the lifeline."""


async def test_run_gives_both_streams_and_the_exit_code() -> None:
    done = await run(sh("echo out; echo err >&2; exit 3"), limit=LONG)
    assert (done.rc, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert not done.timed_out


async def test_a_signal_is_a_negative_exit_code() -> None:
    assert (await run(sh("kill -KILL $$"), limit=LONG)).rc == -signal.SIGKILL


async def test_the_child_inherits_nothing_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"keys of the operator\n")
    saved = os.dup(0)
    os.dup2(reading, 0)
    try:
        done = await run(("cat",), limit=LONG)
        assert done.stdout == b""
        os.set_blocking(reading, False)
        assert os.read(reading, 100) == b"keys of the operator\n"
    finally:
        os.dup2(saved, 0)
        for fd in (saved, reading, writing):
            os.close(fd)


async def test_the_child_has_a_session_of_its_own() -> None:
    done = await run(python("import os; print(os.getsid(0) == os.getpid())"), limit=LONG)
    assert done.stdout == b"True\n"


async def test_env_replaces_the_environment_and_cwd_is_used(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    done = await run(
        python("import os; print(os.environ.get('HOME'), os.environ['A'], os.listdir())"),
        env={"A": "1"},
        cwd=tmp_path,
        limit=LONG,
    )
    assert done.stdout == b"None 1 ['here']\n"


@pytest.mark.parametrize("argv", [("/no/such/program",), ("/",)])
async def test_a_program_that_cannot_start_is_an_os_error(argv: tuple[str, ...]) -> None:
    with pytest.raises(OSError):
        await run(argv, limit=LONG)


COPIED = {
    "one line of 5 MB": b"x" * 5_000_000,
    "invalid UTF-8": b"\xff\xfe\x80 caf\xe9\n\x00\xc3",
    "random": os.urandom(2_000_000),
    "nothing": b"",
}


@pytest.mark.parametrize("data", COPIED.values(), ids=COPIED)
async def test_keeps_byte_for_byte(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tee, "KEEP", 10_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    assert (await run(("cat", str(source)), limit=LONG)).stdout == data


async def test_keeps_the_start_of_stdout_and_the_end_of_stderr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tee, "KEEP", 1000)
    script = (
        "import sys; sys.stdout.write('a' + 'x' * 99_999); sys.stderr.write('x' * 99_999 + 'z')"
    )
    done = await run(python(script), limit=LONG)
    assert (len(done.stdout), done.stdout[:1]) == (1000, b"a")
    assert (len(done.stderr), done.stderr[-1:]) == (1000, b"z")


async def test_endless_output_stays_within_its_memory_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tee, "KEEP", 1000)
    done = await run(("cat", "/dev/zero"), limit=0.3)
    assert done.timed_out
    assert len(done.stdout) == 1000


async def test_time_out_ends_the_whole_group(lifeline: Lifeline) -> None:
    done = await run(sh(STUBBORN, str(lifeline.path)), limit=1)
    assert done.timed_out
    assert done.rc == -signal.SIGKILL
    assert await lifeline.until_dead() in (b"alive\n", b"")


async def test_time_out_is_gentle_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tee, "GRACE", 20.0)
    script = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    done = await run(sh(script), limit=1)
    assert done.timed_out
    assert (done.rc, done.stdout) == (5, b"ready\nbye\n")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("turns", range(8))
async def test_cancellation_of_a_start_ends_the_whole_group(
    lifeline: Lifeline, turns: int, times: int
) -> None:
    task = asyncio.create_task(run(sh(STUBBORN, str(lifeline.path)), limit=LONG))
    for _ in range(turns):
        await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251 - the child runs on, we do not
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task
    assert await lifeline.until_dead() in (b"alive\n", b"")


@pytest.mark.parametrize("times", [1, 2])
async def test_cancellation_ends_the_whole_group(
    lifeline: Lifeline, times: int, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    script = STUBBORN.replace("echo started", f"echo started >{shlex.quote(str(told))}")
    task = asyncio.create_task(run(sh(script, str(lifeline.path)), limit=LONG))
    assert await asyncio.to_thread(told.read_text) == "started\n"
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lifeline.until_dead() == b"alive\n"


async def test_a_background_child_that_holds_the_pipes_does_not_block_run(tmp_path: Path) -> None:
    lifeline = Lifeline(tmp_path)
    script = 'exec 3>"$1"; echo out; sleep 60 & echo $!'
    begin = time.monotonic()
    done = await run(sh(script, str(lifeline.path)), limit=LONG)
    assert time.monotonic() - begin < 20
    assert done.rc == 0
    out, pid = done.stdout.split()
    assert out == b"out"
    os.kill(int(pid), signal.SIGKILL)  # it was left alone: this raises if it is gone
    assert await lifeline.until_dead() == b""


def is_reaped(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


async def test_reaps_every_child() -> None:
    pids = [int((await run(sh("echo $$"), limit=LONG)).stdout) for _ in range(5)]
    assert all(is_reaped(pid) for pid in pids)


async def read_all(process: Process) -> bytes:
    data = bytearray()
    while chunk := await process.read():
        data += chunk
    return bytes(data)


async def test_a_dialogue_with_an_open_process() -> None:
    process = await open_process(sh('while read -r line; do echo "got $line"; done; exit 4'))
    process.write(b"one\n")
    assert await process.read() == b"got one\n"
    process.write(b"two\n")
    assert await process.read() == b"got two\n"
    assert process.rc is None
    process.close_stdin()
    assert await process.read() == b""
    assert await process.wait() == 4
    assert await process.close() == 4


async def test_stdin_arrives_whole_and_ends() -> None:
    data = os.urandom(3_000_000)
    process = await open_process(("cat",))
    process.write(data)
    process.close_stdin()
    assert await read_all(process) == data
    await process.close()


async def test_a_child_that_does_not_read_its_stdin_is_no_error() -> None:
    process = await open_process(sh("exit 0"))
    process.write(b"x" * 1_000_000)
    process.close_stdin()
    assert await process.wait() == 0
    await process.close()


async def test_an_open_process_streams_byte_for_byte_past_its_buffers() -> None:
    process = await open_process(
        python("import os; [os.write(1, bytes([i]) * 9999) for i in range(256)]")
    )
    data = await read_all(process)
    assert (
        hashlib.sha256(data).digest()
        == hashlib.sha256(b"".join(bytes([i]) * 9999 for i in range(256))).digest()
    )
    assert await process.wait() == 0
    await process.close()


async def test_a_slow_reader_loses_nothing_after_the_process_has_ended(
    lifeline: Lifeline,
) -> None:
    size = 180_000  # more than is read ahead, so that some waits in the pipe
    script = f'exec 3>"$1"; head -c {size} /dev/zero'
    process = await open_process(sh(script, str(lifeline.path)))
    first = await process.read(1)
    assert await lifeline.until_dead() == b""
    await asyncio.sleep(5 * tee._DRAIN)  # longer than an ended process's pipes may stay silent
    assert len(first + await read_all(process)) == size
    await process.close()


async def test_a_background_child_is_heard_while_it_talks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tee, "_DRAIN", 0.5)
    lines = 15
    script = f"(i=0; while [ $i -lt {lines} ]; do echo $i; i=$((i+1)); sleep 0.05; done) & exit 0"
    done = await run(sh(script), limit=LONG)
    assert done.stdout.split() == [str(number).encode() for number in range(lines)]


async def test_an_open_process_keeps_the_end_of_stderr() -> None:
    process = await open_process(
        python("import sys; sys.stderr.write('x' * 1_000_000 + 'the end')")
    )
    await read_all(process)
    await process.wait()
    assert len(process.stderr) == 64 * 1024
    assert process.stderr.endswith(b"xthe end")
    await process.close()


async def test_close_ends_a_stubborn_group_in_bounded_time(lifeline: Lifeline) -> None:
    process = await open_process(sh(STUBBORN, str(lifeline.path)))
    assert await process.read() == b"started\n"
    begin = time.monotonic()
    assert await process.close() == -signal.SIGKILL
    assert time.monotonic() - begin < 10
    assert await lifeline.until_dead() == b"alive\n"
    assert is_reaped(process.pid)
    assert await process.close() == -signal.SIGKILL


async def test_writing_to_a_process_that_has_ended_is_no_error() -> None:
    process = await open_process(sh("exit 0"))
    assert await read_all(process) == b""
    assert await process.wait() == 0
    with contextlib.suppress(BrokenPipeError):
        process.write(b"late")
    process.close_stdin()
    await process.close()


LEAVES = f"""
import asyncio, sys, time
from nixfleet_core.transport.process import run

async def leave(turns, times):
    task = asyncio.create_task(run(("{SH}", "-c", "exec sleep 60"), limit={LONG}))
    for _ in range(turns):
        await asyncio.sleep(0)
    time.sleep(0.01)  # the child runs on, we do not
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)

for turns in range(8):
    asyncio.run(leave(turns, int(sys.argv[1])))
"""


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_loop_that_ends_while_a_process_starts_does_end(times: int) -> None:
    """asyncio cancels its own part of the start, too, and would then wait for ever."""
    subprocess.run([sys.executable, "-c", LEAVES, str(times)], check=True, timeout=LONG)
