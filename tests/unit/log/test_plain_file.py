from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from odd_files import ODD

from nixfleet_core.log.plain_file import OddFileError, open_plain, read_plain

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = (os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREAT)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("what", ODD)
def test_what_is_no_plain_file_is_named_and_not_waited_for(
    tmp_path: Path, what: str, flags: int
) -> None:
    path = tmp_path / "log"
    ODD[what](path)
    with pytest.raises(OddFileError) as caught:
        open_plain(path, flags)
    assert (caught.value.filename, caught.value.strerror) == (str(path), f"it is {what}")


def test_a_link_to_a_good_file_is_no_plain_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "log").symlink_to("other")
    with pytest.raises(OddFileError, match="a symbolic link"):
        open_plain(tmp_path / "log")


def test_a_device_is_no_plain_file(tmp_path: Path) -> None:
    link = tmp_path / "zero"
    with pytest.raises(OddFileError, match="a device"):
        read_plain(type(link)("/dev/zero"), 10)


def test_a_new_file_is_closed_to_others(tmp_path: Path) -> None:
    os.close(open_plain(tmp_path / "new", os.O_WRONLY | os.O_CREAT))
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) & 0o077 == 0


def test_no_more_than_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == b"12345"
    os.truncate(path, 10**12)  # takes no room
    with pytest.raises(OddFileError, match="larger than 5 bytes"):
        read_plain(path, 5)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")
