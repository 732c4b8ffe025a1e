"""The failure patterns mean the same to every grep that a host may have."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from left_out import commands

from nixfleet_core.log.failures import (
    FAILURES,
    LAN_UNREACHABLE,
    Failure,
    permanent_pattern,
    strip_colours,
    transient_pattern,
)

SAMPLES = Path(__file__).parents[1] / "samples" / "failures.toml"
TEXTS: dict[str, dict[str, list[str]]] = tomllib.loads(SAMPLES.read_text())

GREPS = commands(("grep", "-E"), ("busybox", "grep", "-E"))


def grep(argv: tuple[str, ...], pattern: str, texts: list[str]) -> list[str]:
    """The texts that match."""
    done = subprocess.run(
        [*argv, "-e", pattern],
        input="".join(f"{text}\n" for text in texts),
        env={"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def texts(row: Failure, which: str) -> list[str]:
    return [strip_colours(text) for text in TEXTS[row.id][which]]


@pytest.mark.parametrize("argv", GREPS)
@pytest.mark.parametrize("row", FAILURES, ids=lambda row: row.id)
def test_a_row_means_the_same_to_grep(argv: tuple[str, ...], row: Failure) -> None:
    assert grep(argv, row.pattern, texts(row, "yes")) == texts(row, "yes")
    assert grep(argv, row.pattern, texts(row, "no")) == []


@pytest.mark.parametrize("argv", GREPS)
def test_the_alternations_work_in_grep(argv: tuple[str, ...]) -> None:
    for kind, pattern in (("transient", transient_pattern()), ("permanent", permanent_pattern())):
        rows = [row for row in FAILURES if row.kind == kind and (row.weight or kind == "transient")]
        known = [text for row in rows for text in texts(row, "yes")]
        assert grep(argv, pattern, known) == known
        assert grep(argv, pattern, ["Done.", "", "fatal: Could not read from remote."]) == []


LAN = [
    "ssh: connect to host 192.168.1.5 port 22: No route to host",
    "ssh: connect to host 10.0.0.7 port 2222: No route to host",
    "ssh: connect to host 172.20.1.1 port 22: No route to host",
    "ssh: connect to host fd12:3456:789a::1 port 22: No route to host",
    "ssh: connect to host fe80::1%en0 port 22: No route to host",
    "ssh: connect to host git.local port 22: No route to host",
    "ssh: connect to host nas port 22: No route to host",
    "'http://git.lan/x/': Failed to connect to git.lan port 80 after 2 ms: No route to host",
    "git.home.arpa[0: 192.168.1.5]: errno=No route to host",
]
ELSEWHERE = [
    "ssh: connect to host github.com port 22: No route to host",
    "ssh: connect to host 203.0.113.10 port 22: No route to host",
    "ssh: connect to host 110.0.0.7 port 22: No route to host",
    "ssh: connect to host 172.40.1.1 port 22: No route to host",
    "ssh: connect to host 2001:db8::1 port 22: No route to host",
    "ssh: connect to host git.localhost.example port 22: No route to host",
    "ssh: connect to host 192.168.1.5 port 22: Connection refused",
]


@pytest.mark.parametrize("argv", GREPS)
def test_only_a_host_of_the_local_network_is_one(argv: tuple[str, ...]) -> None:
    assert grep(argv, LAN_UNREACHABLE, LAN + ELSEWHERE) == LAN
