"""An evaluation that nobody waits for: only on an idle host, within limits, and offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_host import AGENTS, JOB
from test_probe_script import probe

if TYPE_CHECKING:
    from fake_host import FakeHost

FREE = "MemTotal: 8000000 kB\nMemAvailable: 2097152 kB\n"


@pytest.fixture
def idle(host: FakeHost) -> FakeHost:
    """Two cores, and nobody needs them."""
    (host.root / "proc/meminfo").unlink(missing_ok=True)
    (host.root / "proc/meminfo").write_text(FREE)
    (host.root / "proc/loadavg").write_text("1.99 3.00 4.00 1/100 4711\n")
    host.on("getconf", "echo 2")
    for tool in ("renice", "ionice"):
        host.on(tool, ":")
    host.set("expected", f"@{AGENTS['1.0']} agent --serve")
    return host


def proven(host: FakeHost) -> tuple[str | None, str | None, bool | None]:
    """What the look proves, why it does not, and whether the state counts as failed."""
    facts = probe(host, NF_DEEP="1", NF_ATTRIBUTE="h", NF_IDLE="1")
    assert facts.proof is not None
    builds = facts.expected.path if facts.expected else None
    return builds, facts.expected_error, facts.proof.fails


def test_an_idle_host_evaluates_with_the_lowest_priority_and_offline(idle: FakeHost) -> None:
    assert proven(idle) == (AGENTS["1.0"], None, False)
    (call,) = idle.calls("nix --extra")
    assert " --offline --option allow-import-from-derivation false eval --raw " in call
    assert idle.calls("renice")[0].startswith("renice -n 19 -p ")
    assert idle.calls("ionice")[0].startswith("ionice -c 3 -p ")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("proc/meminfo", FREE.replace("2097152", "2097151")),
        ("proc/meminfo", "MemTotal: 8000000 kB\n"),
        ("proc/loadavg", "2.00 0.00 0.00 1/100 4711\n"),
        ("proc/loadavg", "10.5 0.00 0.00 1/100 4711\n"),
        ("proc/loadavg", ""),
    ],
)
def test_a_host_that_others_need_evaluates_nothing(idle: FakeHost, file: str, text: str) -> None:
    (idle.root / file).write_text(text)
    assert proven(idle) == (None, "busy", False)
    assert idle.calls("nix --extra") == []


def test_a_host_with_a_job_evaluates_nothing(idle: FakeHost) -> None:
    (idle.run_state).mkdir(parents=True, exist_ok=True)
    (idle.run_state / "current").write_text(f"{JOB}\n")
    idle.let_live("nixfleet-job.service")
    assert proven(idle) == (None, "busy", False)
    assert idle.calls("nix --extra") == []


def test_a_state_that_does_not_evaluate_is_told_from_a_busy_host(idle: FakeHost) -> None:
    idle.on("nix", 'case "$*" in *eval*) exit 1 ;; *) default "$@" ;; esac')
    assert proven(idle) == (None, "eval", True)


def test_the_evaluator_may_use_so_much_memory_and_no_more(idle: FakeHost) -> None:
    idle.on(
        "nix",
        'case "$*" in *eval*) echo "$GC_MAXIMUM_HEAP_SIZE $(ulimit -v)" >"$s/limits"; exit 1 ;; '
        '*) default "$@" ;; esac',
    )
    proven(idle)
    heap, mapped = (idle.state / "limits").read_text().split()
    assert (heap, mapped) == (str(2 * 2**30), str(6 * 2**20))
