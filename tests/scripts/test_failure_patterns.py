"""The known texts mean the same to every host, whatever its grep and shell, and to the client."""

from __future__ import annotations

import random
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest
from left_out import commands

from nixfleet_core.job.compile import TEXTS as PRELUDE
from nixfleet_core.log.failure_table import FAILURES, LAN_UNREACHABLE, Failure
from nixfleet_core.log.failures import (
    BUILDERS,
    PROGRESS,
    TOLD,
    WARNINGS,
    find_failure,
    ranked_patterns,
    strip_colours,
)
from nixfleet_core.scripts.compose import compose

SAMPLES = Path(__file__).parents[1] / "samples"
TEXTS: dict[str, dict[str, list[str]]] = tomllib.loads((SAMPLES / "failures.toml").read_text())
SAID: dict[str, dict[str, str | bool]] = tomllib.loads((SAMPLES / "said.toml").read_text())

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
def test_every_grep_reads_the_patterns_of_a_job(argv: tuple[str, ...]) -> None:
    ranked = [line.split(" ", 2)[2] for line in ranked_patterns().splitlines()]
    for pattern in (*ranked, BUILDERS, PROGRESS, WARNINGS, TOLD):
        assert grep(argv, pattern, ["Done.", "", "fatal: Could not read from remote."]) == []


ALL_SAID: Final = [str(text["said"]) for text in SAID.values()]


def tried_again(shell: tuple[str, ...], folder: Path, texts: list[str]) -> list[bool]:
    """What a host's runner decides about each text, printed by a step that failed."""
    logs = folder / "logs"
    logs.mkdir()
    for number, text in enumerate(texts):
        (logs / str(number)).write_text(f"{text}\n")
    call = """
for NF_LOG in $(ls "$LOGS" | sort -n); do
  NF_LOG=$LOGS/$NF_LOG
  if nf_is_transient; then echo yes; else echo no; fi
done"""
    values = {**PRELUDE, "NF_ID": "x", "NF_STEP": "pull", "nf_try_from": "0", "LOGS": str(logs)}
    script = compose("runner", root=str(folder), call=call, values=values)
    done = subprocess.run([*shell, "-s"], input=script.encode(), capture_output=True, check=True)
    assert not done.stderr
    return [answer == "yes" for answer in done.stdout.decode().split()]


def test_a_host_tries_again_what_passes_and_nothing_else(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    decided = tried_again(shell, tmp_path, ALL_SAID)
    assert dict(zip(SAID, decided, strict=True)) == {
        name: text["again"] for name, text in SAID.items()
    }


def test_a_host_and_the_client_agree_about_texts_that_come_together(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    known = [*ALL_SAID, *(text for row in TEXTS.values() for text in row["yes"])]
    chosen = random.Random(12)
    texts = ["\n".join(chosen.sample(known, 2)) for _ in range(60)]
    rows = [find_failure(text.split("\n")) for text in texts]
    ours = [row is not None and row.kind == "transient" for row in rows]
    assert dict(zip(texts, tried_again(shell, tmp_path, texts), strict=True)) == dict(
        zip(texts, ours, strict=True)
    )


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
