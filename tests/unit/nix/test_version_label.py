"""What version tags and files VERSION tell; all of it is untrusted."""

from __future__ import annotations

import pytest

from nixfleet_core.nix.version_label import version_of_file, version_of_tag


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v2.3.0", "2.3.0"),
        ("V2.3", "2.3"),
        ("2.3.0", "2.3.0"),
        ("2.3.0-rc.1+linux", "2.3.0-rc.1+linux"),
        ("2.3.0rc1", "2.3.0rc1"),
        ("release/2.3.0", "2.3.0"),
        ("nixfleet-agent-v2.3.0", "2.3.0"),
        ("20261123", "20261123"),
        ("latest", None),
        ("v", None),
        ("stable-release", None),
        ("v2.3.0 \x1b[2J", None),
        ("v2.3.0\n", None),
        ("v2.3.0/x", None),
        ("2.3.0;rm", None),
        ("v२.३", None),
        ("v" + "1" * 200, None),
        ("a-" * 60 + "!", None),
    ],
)
def test_a_tag_tells_a_version_or_none(tag: str, version: str | None) -> None:
    assert version_of_tag(tag) == version


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"2.3.0\n", "2.3.0"),
        (b"2.3.0", "2.3.0"),
        (b"v2.3.0\r\n", "2.3.0"),
        (b"2.3.0-dev\n", "2.3.0-dev"),
        (b"", None),
        (b"\n2.3.0\n", None),
        (b"2.3.0\n\n", None),
        (b"2.3.0\n2.4.0\n", None),
        (b"2.3.0 final\n", None),
        (b"next\n", None),
        (b"\x1b[31m2.3.0\n", None),
        (b"2.3.0\xff\n", None),
        (b"1" * 101, None),
    ],
)
def test_a_file_tells_a_version_if_that_is_all_it_has(data: bytes, version: str | None) -> None:
    assert version_of_file(data) == version
