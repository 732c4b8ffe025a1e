from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_export import RECORDED

from nixfleet_core.journal.export import Entry, ExportReader
from nixfleet_core.journal.text import EntryText, FileText, clock, remark
from nixfleet_core.log.characters import FORBIDDEN, SGR
from nixfleet_core.log.redact import REDACTED
from nixfleet_core.log.text import LINE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = 1796038053860371
KEY = ["-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU" * 2]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(*entries: Entry) -> list[str]:
    text = EntryText()
    return b"".join(text.feed(entry) for entry in entries).decode().splitlines()


def says(message: bytes | None, priority: int = 6) -> Entry:
    return Entry(b"raw", "c", AT, message, priority, "nixfleet-agent", "7")


@RECORDED
def test_what_three_versions_wrote_reads_as_journalctl_shows_it(path: Path) -> None:
    lines = shown(*ExportReader().feed(path.read_bytes()))
    assert [line[16:] for line in lines[:2]] == [
        "systemd[1]: Starting nixfleet-agent.service - NixFleet agent...",
        "systemd[1]: Started nixfleet-agent.service - NixFleet agent.",
    ]
    words = [line.partition("]: ")[2] for line in lines[2:]]
    assert words[1] == "\x1b[31mfirst line of three\x1b[0m"
    assert lines[4:6] == ["    \x1b[31msecond line\x1b[0m", "    \x1b[31mthird\x1b[0m"]
    assert words[4:6] == ["not utf-8: \ufffd\ufffd end", "colour: \x1b[31mred\x1b[0m"]
    assert words[6] == "\x1b[31man error by priority\x1b[0m"
    assert words[8] == f"password: {REDACTED}"


def test_a_time_is_that_of_this_machine() -> None:
    assert shown(says(b"hello")) == ["Nov 30 11:27:33 nixfleet-agent[7]: hello"]
    assert clock(0) == clock(10**18) == "(no time)"


def test_a_warning_is_yellow_and_an_error_red() -> None:
    ends = [shown(says(b"x", priority))[0].partition("]: ")[2] for priority in (3, 4, 5)]
    assert ends == ["\x1b[31mx\x1b[0m", "\x1b[33mx\x1b[0m", "x"]


def test_a_private_key_is_hidden_though_each_of_its_lines_is_an_entry() -> None:
    lines = shown(*(says(line.encode()) for line in KEY), says(b"and on"))
    assert KEY[1] not in "".join(lines)
    assert lines[2].endswith("and on")


def test_a_private_key_in_one_message_is_hidden() -> None:
    assert KEY[1] not in "".join(shown(says("\n".join(KEY).encode())))


def test_an_entry_that_was_too_large_or_says_nothing_is_told() -> None:
    assert shown(Entry(b"", "c")) == ["── an entry of more than 8 MiB is left out ──"]
    assert shown(says(None))[0].endswith(": [no message]")


def test_a_long_line_is_cut_into_pieces() -> None:
    lines = shown(says(b"word " * 40_000))
    assert len(lines) == 200_000 // LINE_LIMIT + 1
    assert sum(line.count("word") for line in lines) == 40_000


def test_a_remark_is_one_line() -> None:
    assert remark("a\nb").decode().count("\n") == 1


@given(message=st.binary(), name=st.text())
def test_no_entry_drives_a_terminal_or_writes_a_line_of_ours(message: bytes, name: str) -> None:
    for line in shown(Entry(b"raw", "c", AT, message, 6, name, "1\n")):
        assert not FORBIDDEN.search(SGR.sub("", line).replace("\t", ""))
        assert not line.startswith("──")


def test_the_lines_of_a_file_have_its_sign() -> None:
    text = FileText("err")
    assert text.feed(b"one\ntw") == (b"one\n", "err│ one\n".encode())
    assert text.feed(b"o") == (b"", b"")
    assert text.feed(b"\n") == (b"two\n", "err│ two\n".encode())
    assert text.feed(b"end") == (b"", b"")
    assert text.end() == (b"end", "err│ end\n".encode())
    assert text.end() == (b"", b"")


def test_a_private_key_in_a_file_is_hidden_over_a_lost_link() -> None:
    text = FileText("out")
    text.feed(f"{KEY[0]}\n{KEY[1][:9]}".encode())
    text.forget()
    assert KEY[1] not in text.feed(f"{KEY[1]}\n".encode())[1].decode()


@given(data=st.binary(), cuts=st.lists(st.integers(0, 300)))
def test_a_file_gives_the_same_lines_whatever_the_portions(data: bytes, cuts: list[int]) -> None:
    whole, parts = FileText("log"), FileText("log")
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(places)]
    said = [parts.feed(piece) for piece in pieces] + [parts.end()]
    told = [whole.feed(data), whole.end()]
    for number in (0, 1):
        assert b"".join(one[number] for one in said) == b"".join(one[number] for one in told)
    assert b"".join(raw for raw, _ in said) == data
