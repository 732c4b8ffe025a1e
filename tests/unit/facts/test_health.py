"""What the doctor reads of a host's answer."""

from __future__ import annotations

import pytest
from hostile import PROBE, answer

from nixfleet_core.facts.health import Health, Launchd, Remote, parse_health
from nixfleet_core.facts.parse import ProbeError, parse_probe

NOW = 1_795_866_000
"""As in PROBE; its last look at the clock is 3 s later."""


def read(asked: float = NOW, answered: float = NOW + 9, /, **changes: bytes | None) -> Health:
    """The health with these records; `limit_files` stands for the key `limit.files`."""
    records = PROBE | {key.replace("_", ".", 1): value for key, value in changes.items() if value}
    for key, value in changes.items():
        if value is None:
            records.pop(key.replace("_", ".", 1))
    return parse_health(answer(records), asked, answered)


def test_a_whole_answer_is_read() -> None:
    health = read()
    assert health.facts.attributes == ("csb0", "csb1")
    assert (health.shell, health.home, health.files) == ("zsh", "/home/ops", 256)
    assert (health.bounds, health.git, health.carrier) == ("perl", "git version 2.47.3", "launchd")
    assert health.features == frozenset({"nix-command", "flakes"})
    assert (health.store_answers, health.unfinished) == (False, "MERGE_HEAD")
    assert health.foreign == ("./a", "./b")
    assert health.remote == Remote(
        answers=False,
        kind="ssh",
        is_near=True,
        said=("fatal: unable to access 'https://h/r': Could not resolve host: h",),
    )
    assert health.launchd == Launchd(
        session="Aqua",
        domains=("gui", "user"),
        types=("Aqua", "Background"),
        pended="inefficient",
        files=256,
        arguments="raw",
        newline="\\012",
    )


def test_the_answer_of_a_probe_knows_nothing_more() -> None:
    data = answer({"hostname": b"h"})
    assert parse_health(data, 0, 0) == Health(parse_probe(data))


@pytest.mark.parametrize(
    ("asked", "answered", "ahead"),
    [
        (NOW - 1, NOW + 4, 0),
        (NOW + 0.9, NOW + 3.2, 0),
        (NOW - 900, NOW - 897, 900),
        (NOW + 900, NOW + 903, -900),
        (NOW - 900, NOW + 900, 0),
    ],
)
def test_the_clock_is_compared_with_ours(asked: float, answered: float, ahead: int) -> None:
    assert read(asked, answered).clock == ahead


def test_text_before_the_answer_is_the_start_ups() -> None:
    data = answer(PROBE)
    assert not parse_health(data, 0, 0).greets
    assert parse_health(b"Welcome!\n" + data, 0, 0).greets


@pytest.mark.parametrize(
    ("text", "files"), [(b"unlimited", 10**9), (b"100", 100), (b"-1", None), (b"x", None)]
)
def test_limits_of_files(text: bytes, files: int | None) -> None:
    assert read(limit_files=text).files == files


def test_unknown_words_are_not_believed() -> None:
    health = read(bounds=b"gtimeout", root=b"su", remote_kind=b"ext", launchd_domains=b"gui system")
    assert (health.bounds, health.root) == (None, None)
    assert health.remote is not None
    assert health.remote.kind == "other"
    assert health.launchd is not None
    assert health.launchd.domains == ("gui",)


def test_names_that_were_cut_off_are_unknown() -> None:
    assert read(attributes=b"name\n" * 2000).facts.attributes is None


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(ProbeError):
        parse_health(answer(PROBE)[:-3], 0, 0)
