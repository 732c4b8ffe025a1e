"""The follower of an agent's log, with a host that answers as a test says; nothing waits for a
clock."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

import pytest
from fake_talk import Talk

from nixfleet_core.errors import BadAnswer, NoLog, NoTimes, Unreachable
from nixfleet_core.job.events import Link
from nixfleet_core.journal.copy import JournalCopy
from nixfleet_core.journal.wanted import Grew, JournalEvent, Opened, Wanted
from nixfleet_core.scripts.compose import question
from nixfleet_core.session import link
from nixfleet_core.session.journal import JOURNAL, JournalFollower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nixfleet_core.transport.shell import Shell

ONCE = Wanted(follow=False)


def entry(number: int, at: int | None = None) -> bytes:
    time = 1796038053000000 + (number if at is None else at)
    return b"__CURSOR=c%d\n__REALTIME_TIMESTAMP=%d\nMESSAGE=line %d\n\n" % (number, time, number)


ENTRIES = [entry(number) for number in range(6)]
LOG = b"".join(ENTRIES)


@dataclass
class Host:
    """A shell whose connections are made by `answer`, from what was asked."""

    answer: Callable[[dict[str, str]], Talk]
    root: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    lost: int = 0

    async def open(self, script: str, *, elevate: bool = False) -> Talk:
        found = dict(re.findall(r"^(NF_\w+)='?([^'\n]*)'?$", script, re.MULTILINE))
        self.asked.append(found | {"root": "1" if elevate else ""})
        assert len(self.asked) < 30, "it never has enough"
        self.talks.append(self.answer(self.asked[-1]))
        return self.talks[-1]

    async def drop(self) -> None:
        self.lost += 1


def says(*talks: Talk | Exception) -> Host:
    """A host whose connections give these in turn."""
    left = list(talks)

    def answer(_: dict[str, str]) -> Talk:
        talk = left.pop(0)
        if isinstance(talk, Exception):
            raise talk
        return talk

    return Host(answer)


def greet(what: str = "systemd") -> bytes:
    return f"nixfleet-journal 1 {what} 1796038000 1000\n".encode()


def whole(*parts: bytes, what: str = "systemd") -> Talk:
    return Talk([greet(what) + b"".join(parts)], "whole")


def journal(entries: list[bytes], cut: Callable[[bytes], bytes]) -> Host:
    """A host with these entries that cuts what it sends, and answers as journalctl does: with the
    cursor's entry and all behind it."""

    def answer(asked: dict[str, str]) -> Talk:
        cursor = asked["NF_CURSOR"].encode()
        first = next((n for n, one in enumerate(entries) if b"=" + cursor + b"\n" in one), 0)
        data = greet() + b"".join(entries[first if cursor else 0 :])
        sent = cut(data)
        return Talk([sent], "whole" if sent == data else "lost")

    return Host(answer)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[JournalCopy]:
    copy = JournalCopy(tmp_path)
    yield copy
    copy.close()


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    with patch.object(link, "RETRY_DELAYS", (0.0,)):
        yield


def follower(host: Host, copy: JournalCopy, wanted: Wanted) -> JournalFollower:
    def script(values: dict[str, str]) -> str:
        return question("journal", "", values)

    return JournalFollower(cast("Shell", host), copy, wanted, script, host.drop)


async def collect(host: Host, copy: JournalCopy, wanted: Wanted = ONCE) -> list[JournalEvent]:
    return [event async for event in follower(host, copy, wanted).events()]


async def until(
    host: Host, copy: JournalCopy, done: Callable[[], bool], wanted: Wanted | None = None
) -> list[JournalEvent]:
    """The events of a log that is followed, until it has come so far."""
    told: list[JournalEvent] = []
    async with aclosing(follower(host, copy, wanted or Wanted()).events()) as live:
        async for event in live:
            told.append(event)
            if done():
                break
    return told


def raw(copy: JournalCopy, name: str = JOURNAL) -> bytes:
    path = copy.raw(name)
    return path.read_bytes() if path.exists() else b""


def lines(copy: JournalCopy) -> list[str]:
    return copy.text.read_text().splitlines() if copy.text.exists() else []


async def test_what_is_there_is_brought_once(copy: JournalCopy) -> None:
    host = says(whole(LOG))
    assert await collect(host, copy) == [Opened("systemd"), Grew()]
    assert raw(copy) == LOG
    assert [line.partition(": ")[2] for line in lines(copy)] == [f"line {n}" for n in range(6)]
    asked = host.asked[0]
    assert (asked["NF_LINES"], asked["NF_FOLLOW"], asked["NF_CURSOR"]) == ("200", "", "")
    assert host.talks[0].closed


async def test_a_link_that_dies_at_any_byte_leaves_no_gap_and_no_double(tmp_path: Path) -> None:
    size = len(greet() + LOG)
    for at in range(0, size, 3):
        cuts = iter((at, max(at - 40, 0), at + 5))
        folder = tmp_path / str(at)
        folder.mkdir()
        copy = JournalCopy(folder)

        def cut(data: bytes, cuts: Iterator[int] = cuts) -> bytes:
            return data[: next(cuts, None)]

        host = journal(ENTRIES, cut)
        await until(host, copy, lambda copy=copy: raw(copy) == LOG)  # type: ignore[misc]
        assert raw(copy) == LOG
        assert [line[-6:] for line in lines(copy)] == [f"line {n}" for n in range(6)]
        copy.close()


async def test_a_journal_that_forgot_the_newest_entry_is_told_as_a_gap(copy: JournalCopy) -> None:
    host = says(Talk([greet() + ENTRIES[0] + ENTRIES[1]]), Talk([greet() + ENTRIES[4]]))
    await until(host, copy, lambda: "line 4" in "".join(lines(copy)))
    assert host.asked[1]["NF_CURSOR"] == "c1"
    assert [line[-6:] for line in lines(copy)[:2]] == ["line 0", "line 1"]
    assert "some are missing here" in lines(copy)[2]
    assert lines(copy)[3].endswith("line 4")


async def test_an_entry_of_the_same_moment_before_the_newest_is_no_gap(copy: JournalCopy) -> None:
    other = entry(9, at=1)
    host = says(
        Talk([greet() + ENTRIES[0] + ENTRIES[1]]), Talk([greet() + other + ENTRIES[1] + ENTRIES[2]])
    )
    await until(host, copy, lambda: "line 2" in "".join(lines(copy)))
    assert raw(copy) == ENTRIES[0] + ENTRIES[1] + other + ENTRIES[2]
    assert not any("missing" in line for line in lines(copy))


async def test_only_what_comes_is_wanted_and_the_link_breaks_before_it_comes(
    copy: JournalCopy,
) -> None:
    host = says(Talk([greet()]), Talk([greet() + ENTRIES[0]]))
    await until(host, copy, lambda: bool(lines(copy)), Wanted(lines=0))
    assert [(one["NF_LINES"], one["NF_SINCE"]) for one in host.asked] == [
        ("0", ""),
        ("", "@1796038000"),
    ]


async def test_the_wanted_part_is_asked_for(copy: JournalCopy) -> None:
    host = says(whole())
    await collect(host, copy, Wanted(lines=None, since="-600s", follow=False))
    assert (host.asked[0]["NF_LINES"], host.asked[0]["NF_SINCE"]) == ("", "-600s")


@pytest.mark.parametrize(("what", "uid"), [("denied-systemd", ""), ("denied-user", "1000")])
async def test_a_closed_journal_is_read_as_root(copy: JournalCopy, what: str, uid: str) -> None:
    host = says(Talk([greet(what)], "whole"), whole(LOG))
    await collect(host, copy)
    assert [(one["root"], one["NF_UNIT_UID"]) for one in host.asked] == [("", ""), ("1", uid)]
    assert host.lost == 0
    assert raw(copy) == LOG


async def test_a_journal_that_root_cannot_read_either_is_an_error(copy: JournalCopy) -> None:
    denied = [Talk([greet("denied-systemd")], "whole") for _ in range(2)]
    with pytest.raises(NoLog, match="closed to root"):
        await collect(says(*denied), copy)


async def test_a_host_without_a_log_is_an_error(copy: JournalCopy) -> None:
    with pytest.raises(NoLog, match="nothing there keeps a log"):
        await until(says(Talk([greet("none")], "whole")), copy, lambda: False)


async def test_lines_without_times_are_not_asked_for_by_time(copy: JournalCopy) -> None:
    with pytest.raises(NoTimes, match="lines have no times"):
        await collect(says(whole(what="launchd")), copy, Wanted(since="-60s", follow=False))


async def test_what_journalctl_says_ends_a_log_that_is_not_followed(copy: JournalCopy) -> None:
    failed = Talk([greet()], "lost", stderr="\n\nFailed to open the journal: Bad message\n")
    with pytest.raises(Unreachable, match=r"^Failed to open the journal: Bad message$"):
        await collect(says(failed), copy)


async def test_who_waits_for_no_host_hears_at_once_that_it_is_away(copy: JournalCopy) -> None:
    with pytest.raises(Unreachable, match="no route"):
        await until(says(Unreachable("no route")), copy, lambda: False, Wanted(patient=False))


async def test_a_host_that_has_answered_once_is_waited_for(copy: JournalCopy) -> None:
    host = says(
        *(Talk([greet() + ENTRIES[0]]), Unreachable("no route"), Talk([greet() + LOG])),
    )
    told = await until(host, copy, lambda: raw(copy) == LOG, Wanted(patient=False))
    links = [event.why for event in told if isinstance(event, Link)]
    assert links == ["the connection broke", "no route"]
    assert host.lost == 2


async def test_another_program_is_given_up(copy: JournalCopy) -> None:
    noise = [Talk([b"Welcome to the login shell\n"]) for _ in range(20)]
    with pytest.raises(BadAnswer, match="the agent's log cannot be read: another program answers"):
        await until(says(*noise), copy, lambda: False)


async def test_who_stops_reading_closes_the_connection(copy: JournalCopy) -> None:
    host = says(Talk([greet() + LOG], hangs=True))
    await until(host, copy, lambda: bool(lines(copy)))
    assert host.talks[0].closed


# launchd's files


def part(stream: str, at: int, data: bytes) -> bytes:
    return b"@%s %d %d\n%s\n" % (stream.encode(), at, len(data), data)


def note(stream: str, words: str, at: int, said: str = "/tmp/agent.err") -> bytes:
    return part(f"{stream}.note", at, f"{words} {said}".encode())


FIRST = note("err", "first 7", 100)


async def test_both_files_are_shown_each_with_its_sign(copy: JournalCopy) -> None:
    sent = (FIRST, part("err", 100, b"one\ntw"), note("out", "first 8", 0, "/tmp/agent.log"))
    host = says(
        whole(*sent, part("out", 0, b"started\n"), part("err", 106, b"o\n"), what="launchd")
    )
    assert (await collect(host, copy))[0] == Opened("launchd")
    assert lines(copy) == [
        *("── err│ /tmp/agent.err ──", "err│ one", "── out│ /tmp/agent.log ──"),
        *("out│ started", "err│ two"),
    ]
    assert (raw(copy, "err"), raw(copy, "out")) == (b"one\ntwo\n", b"started\n")


async def test_a_last_line_without_newline_is_shown_at_the_end(copy: JournalCopy) -> None:
    await collect(says(whole(FIRST, part("err", 100, b"panic"), what="launchd")), copy)
    assert lines(copy)[-1] == "err│ panic"


async def test_a_link_that_dies_at_any_byte_of_a_file_leaves_no_gap_and_no_double(
    tmp_path: Path,
) -> None:
    file = b"".join(b"line %d \xff\n" % number for number in range(9))

    def answer(asked: dict[str, str], cut: int) -> Talk:
        inode, _, at = asked["NF_AT_ERR"].partition(" ")
        begin = note("err", "first 7", 0) if not inode else b""
        data = greet("launchd") + begin + part("err", int(at or 0), file[int(at or 0) :])
        return Talk([data[:cut]])

    for cut in range(len(greet("launchd")), 200):
        (tmp_path / str(cut)).mkdir()
        copy, cuts = JournalCopy(tmp_path / str(cut)), iter((cut, cut // 2, cut))
        host = Host(lambda asked, cuts=cuts: answer(asked, next(cuts, 10_000)))  # type: ignore[misc]
        await until(host, copy, lambda copy=copy: raw(copy, "err") == file)  # type: ignore[misc]
        assert lines(copy)[1:] == [f"err│ line {number} \ufffd" for number in range(9)]
        copy.close()


@pytest.mark.parametrize(
    ("words", "said", "shown"),
    [
        ("again 9", "/tmp/agent.err", "/tmp/agent.err is another file now: what was written last"),
        ("shorter 7", "/tmp/agent.err", "/tmp/agent.err was emptied, or written anew"),
    ],
)
async def test_a_file_that_was_rotated_or_truncated_is_told(
    copy: JournalCopy, words: str, said: str, shown: str
) -> None:
    changed = note("err", words, 0, said)
    sent = (FIRST, part("err", 100, b"one\nend"), changed, part("err", 0, b"new\n"))
    host = says(Talk([greet("launchd") + b"".join(sent)]), whole(what="launchd"))
    await until(host, copy, lambda: len(host.asked) == 2)
    assert lines(copy)[1:3] == ["err│ one", "err│ end"]
    assert shown in lines(copy)[3]
    assert lines(copy)[4] == "err│ new"
    assert host.asked[1]["NF_AT_ERR"] == f"{words.split()[1]} 4"


@pytest.mark.parametrize("state", ["gone", "refused"])
async def test_a_file_that_cannot_be_read_is_told_once(copy: JournalCopy, state: str) -> None:
    host = says(Talk([greet("launchd") + note("out", f"{state} 0", 0, "/tmp/x")]), whole())
    await until(host, copy, lambda: len(host.asked) == 2)
    assert "/tmp/x" in lines(copy)[0]
    assert host.asked[1]["NF_AT_OUT"] == f"{state} 0"


@pytest.mark.parametrize(
    "data", [part("err", 5, b"x\n"), part("err.note", 0, b"stolen 7 x"), b"@err x\n"]
)
async def test_frames_that_do_not_fit_are_no_log(copy: JournalCopy, data: bytes) -> None:
    with pytest.raises(BadAnswer):
        await collect(says(whole(data, what="launchd")), copy)
