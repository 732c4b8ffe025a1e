"""An answer depends on nothing that stands around it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from left_out import need
from posix_shells import SHELLS

from nixfleet_core.transport.answer import NOISE_LIMIT, Answer, AnswerReader, Mark, own_words
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from pathlib import Path

MARK = Mark(("@nf-0123", "4567"))
TEXT = MARK.text
WORDS = st.binary(max_size=40) | st.sampled_from([TEXT, TEXT[:9], b"@", b"\n", TEXT + b" "])


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.data(), WORDS, WORDS, WORDS)
def test_an_answer_does_not_depend_on_what_is_around_it_or_how_it_arrives(
    data: st.DataObject, before: bytes, answer: bytes, after: bytes
) -> None:
    stream = before + TEXT + b" begin\n" + answer + TEXT + b" end 3\n" + after
    reader = AnswerReader(MARK)
    got = b"".join(reader.feed(part) for part in data.draw(cut(stream))) + reader.rest()
    assert (got, reader.rc) == (answer, 3)


@given(st.data(), WORDS)
def test_every_byte_of_an_answer_that_breaks_off_is_handed_on(
    data: st.DataObject, answer: bytes
) -> None:
    reader = AnswerReader(MARK)
    parts = data.draw(cut(TEXT + b" begin\n" + answer))
    assert b"".join(reader.feed(part) for part in parts) + reader.rest() == answer
    assert (reader.begun, reader.rc) == (True, None)


def test_only_what_could_be_the_end_is_kept_back() -> None:
    reader = AnswerReader(MARK)
    assert reader.feed(TEXT + b" begin\nx\n") == b"x\n"
    assert reader.feed(b"y" + TEXT) == b"y"
    assert reader.feed(b" end 1") == b""
    assert reader.feed(b"2\nz") == b""
    assert reader.rc == 12


def test_the_mark_is_nowhere_in_what_is_sent() -> None:
    assert TEXT not in MARK.around("true") + MARK.hello
    assert Mark().text != Mark().text


def test_words_on_stderr_are_the_scripts_own() -> None:
    around = b"banner" + TEXT + b" begin\nbad\n" + TEXT + b" end 1\nlater"
    assert own_words(around, MARK) == b"bad\n"
    assert own_words(b"ssh: no route\n", MARK) == b"ssh: no route\n"


# With real shells. `talk` stands for the login shell: it prints, and then reads the script.


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need(request, name)
    return " ".join(SHELLS[name])


def login(printed: str, then: str) -> Shell:
    return Shell(host="h", argv=("/bin/sh", "-c", f"{printed}\nexec {then}"))


NOISE = {
    "a window title": r"printf '\033]0;ops@host\007'",
    "OSC 7": r"printf '\033]7;file://h/home\033\\' >&2; printf '\033]7;file://h/home\033\\'",
    "a bell": r"printf '\007'",
    "words without a newline": "printf hi; printf hi >&2",
    "lines": "echo hi; echo hi >&2",
    "no UTF-8": r"printf '\377\376'; printf '\377' >&2",
    "our own words": "printf '@nf launched x nixfleet-probe 1'; echo '@nf denied' >&2",
}


@pytest.mark.parametrize("noise", NOISE)
async def test_start_up_files_may_print_anything(shell: str, noise: str) -> None:
    script = "printf out\nprintf bad >&2\nexit 7\n"
    answer = await login(NOISE[noise], shell).run(script, limit=10)
    assert answer == Answer(7, b"out", "bad")
    talk = await login(NOISE[noise], shell).open(script)
    assert await talk.read() == b"out"
    assert await talk.read() == b""
    assert await talk.close() == replace(answer, stdout=b"")


async def test_what_start_up_files_leave_behind_may_print_and_live_on(shell: str) -> None:
    left = "{ while sleep 0.01; do printf x; printf y >&2; done; } &"
    async with asyncio.timeout(20):
        answer = await login(left, shell).run("printf out\nexit 255\n", limit=20)
    assert (answer.end, answer.rc) == ("whole", 255)
    assert answer.stdout.replace(b"x", b"") == b"out"


async def test_a_script_keeps_its_own_end(shell: str) -> None:
    script = "trap 'echo over' EXIT\nset -u\nmissing() { : \"$nobody\"; }\nmissing\n"
    answer = await login(":", shell).run(script, limit=10)
    assert answer.end == "whole"
    assert answer.rc not in (0, 255)
    assert b"over" in answer.stdout or "zsh" in shell  # zsh runs no trap after such an error


MUTE = {
    "ends at once": "false",
    "says that the account is closed": "echo This account is currently not available.; exit 1",
    "shows a menu": "echo '1) backup'; read -r choice; exit 0",
    "speaks on stderr": "echo not here >&2; exit 2",
}


@pytest.mark.parametrize("elevate", [False, True])
@pytest.mark.parametrize("how", MUTE)
async def test_a_login_shell_that_ends_at_once_is_mute(how: str, elevate: bool) -> None:
    shell = Shell(host="h", argv=("/bin/sh", "-c", MUTE[how]))
    answer = await shell.run("echo ran\n", limit=10, elevate=elevate)
    assert (answer.end, answer.stdout) == ("mute", b"")
    said = re.findall(r"echo '?([^>';]*[^>'; ])", MUTE[how])
    assert answer.noise.split() == " ".join(said).split()


async def test_a_login_shell_that_floods_is_mute() -> None:
    shell = Shell(host="h", argv=("/bin/sh", "-c", "while :; do echo '1) backup'; done"))
    answer = await shell.run("echo ran\n", limit=60)
    assert answer.end == "mute"
    assert len(answer.noise) > NOISE_LIMIT


async def test_a_login_shell_that_prints_and_waits_is_mute() -> None:
    shell = Shell(host="h", argv=("/bin/sh", "-c", "echo 'press a key'; exec sleep 60"))
    answer = await shell.run("echo ran\n", limit=0.3)
    assert (answer.end, answer.noise) == ("mute", "press a key\n")


async def test_a_script_that_is_killed_is_cut_off(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"echo out; kill -9 $$; cat {pid}\n"
    shell = Shell(host="h", argv=("/bin/sh", "-c", "/bin/sh -s; exit $?"))
    answer = await shell.run(script, limit=10)
    assert (answer.end, answer.rc) == ("cut", 137)


@pytest.mark.parametrize(("script", "end"), [("", "away"), ("echo ran; kill -9 $$\n", "lost")])
async def test_a_connection_that_fails_is_told_from_one_that_breaks(script: str, end: str) -> None:
    carrier = "echo no route >&2; exit 255" if not script else "/bin/sh -s; exit 255"
    answer = await Shell(host="h", argv=("/bin/sh", "-c", carrier)).run(script, limit=10)
    assert (answer.end, answer.rc) == (end, 255)
