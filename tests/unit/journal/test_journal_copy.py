from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.errors import ClientFailed
from nixfleet_core.job.copies import Copies
from nixfleet_core.journal.copy import LIMIT, JournalCopy, new_copy
from nixfleet_core.scripts.compose import part

if TYPE_CHECKING:
    from pathlib import Path


def test_the_limit_is_50_mb_and_the_host_reads_no_more() -> None:
    assert LIMIT == 50 * 1024 * 1024
    assert f"NF_KEPT={LIMIT} " in part("journal")


def entry(number: int) -> bytes:
    return b"__CURSOR=%06d\nMESSAGE=%s\n\n" % (number, b"x" * 700)


def line(number: int) -> bytes:
    return b"line %06d %s\n" % (number, b"x" * 300)


def test_the_oldest_goes_in_whole_entries_and_lines_and_the_newest_stays(tmp_path: Path) -> None:
    limit = 1024 * 1024
    copy, largest = JournalCopy(tmp_path, limit=limit), 0
    for number in range(5000):
        copy.append("journal", entry(number), line(number))
        sizes = [path.stat().st_size for path in (copy.raw("journal"), copy.text)]
        largest = max(largest, sum(sizes))
        assert sum(sizes) <= limit
    assert largest > limit * 0.95
    raw, text = copy.raw("journal").read_bytes(), copy.text.read_bytes()
    first = int(text[5:11])
    assert 0 < first < 5000
    assert text == b"".join(map(line, range(first, 5000)))
    assert raw == b"".join(map(entry, range(first, 5000)))
    assert copy.text_size == len(text)
    assert copy.dropped == sum(len(line(number)) for number in range(first))


def test_each_of_two_files_loses_its_oldest(tmp_path: Path) -> None:
    copy = JournalCopy(tmp_path, limit=1024 * 1024)
    for number in range(5000):
        copy.append("err" if number % 3 else "out", line(number), line(number))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1024 * 1024
    first = int(copy.text.read_bytes()[5:11])
    for name, of in (("err", lambda n: n % 3), ("out", lambda n: not n % 3)):
        kept = b"".join(line(number) for number in range(first, 5000) if of(number))
        assert copy.raw(name).read_bytes() == kept


def test_a_portion_above_the_limit_does_not_stay(tmp_path: Path) -> None:
    copy = JournalCopy(tmp_path, limit=100_000)
    copy.append("journal", b"x" * 200_000, b"y" * 200_000)
    assert copy.text.read_bytes() == b""
    copy.append("journal", entry(1), line(1))
    assert copy.text.read_bytes() == line(1)


def test_only_the_owner_can_read_the_copy_and_it_ends_with_its_reader(tmp_path: Path) -> None:
    copy = new_copy(Copies(tmp_path), "csb0")
    copy.append("journal", entry(1), line(1))
    folder = copy.text.parent
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, copy.text, copy.raw("journal"))]
    assert modes == [0o700, 0o600, 0o600]
    copy.close()
    copy.close()
    assert not folder.exists()


def test_what_a_killed_program_left_goes_and_what_another_one_uses_stays(tmp_path: Path) -> None:
    left, used = (new_copy(Copies(tmp_path), "csb0") for _ in range(2))
    for copy in (left, used):
        copy.append("journal", entry(1), line(1))
    os.close(left._lock)  # as the kernel does when a process ends
    new = new_copy(Copies(tmp_path), "csb0")
    assert not left.text.exists()
    assert used.text.exists()
    assert new.text.parent != used.text.parent
    used.close()
    new.close()


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    copy = JournalCopy(tmp_path / "gone")
    with pytest.raises(ClientFailed, match="cannot be written: No such"):
        copy.append("journal", b"x", b"y")
    (tmp_path / "hosts").write_text("no folder")
    with pytest.raises(ClientFailed, match="no place for the log's copy"):
        new_copy(Copies(tmp_path), "csb0")
