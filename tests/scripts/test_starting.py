"""A process that is not yet the agent: what starts it waits, and then becomes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import AGENTS, FakeHost, look, runs

from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

AGENT: Final = AGENTS["1.0"]
BASH: Final = "/bin/bash"
SAMPLES: Final = Path(__file__).parents[1] / "samples" / "launchctl"
SCRIPT: Final = f"""# Wait for the network
while ! curl -sf "$HEALTH"; do sleep 2; done
exec {AGENT}
"""


def is_starting(facts: Facts) -> bool:
    assert facts.unit is not None
    assert not (facts.unit.waits and facts.running), "what waits is no agent"
    return facts.unit.waits


WAITING: Final = {
    "several lines": [BASH, "-c", SCRIPT],
    "Home Manager's shell": ["/bin/sh", "-c", f"/bin/wait4path /nix/store && exec {AGENT}"],
    "with options": [BASH, "-euc", SCRIPT],
}
OTHERS: Final = {
    "no agent in it": [BASH, "-c", "exec sleep 600"],
    "nothing becomes it": [BASH, "-c", f"while :; do {AGENT}; done"],
    "a script": [BASH, "/home/ops/start", f"exec {AGENT}"],
    "a word of its name": [BASH, "-c", f"executor {AGENT}"],
    "its own words": ["agent", "--config", f"exec {AGENT}"],
}


@pytest.mark.parametrize("words", WAITING.values(), ids=WAITING)
@pytest.mark.parametrize("exe", [BASH, None], ids=["seen", "not seen"])
def test_a_shell_that_will_exec_the_agent_is_starting(
    host: FakeHost, exe: str | None, words: list[str]
) -> None:
    """Also where we may not look at its program: it is no agent in either case."""
    runs(host, exe, *words)
    assert is_starting(look(host))


@pytest.mark.parametrize("words", OTHERS.values(), ids=OTHERS)
def test_any_other_shell_may_be_anything(host: FakeHost, words: list[str]) -> None:
    runs(host, BASH, *words)
    facts = look(host)
    assert not is_starting(facts)
    assert facts.running is not None
    assert facts.running.proof == "other"


def test_the_agent_itself_is_not_starting_whatever_its_words_say(host: FakeHost) -> None:
    runs(host, AGENT, BASH, "-c", SCRIPT)
    facts = look(host)
    assert not is_starting(facts)
    assert facts.running is not None
    assert facts.running.proof == "exe"


@pytest.mark.parametrize("exe", ["/usr/lib/systemd/systemd-executor", "/usr/libexec/xpcproxy"])
def test_what_systemd_and_launchd_start_a_program_with_is_starting(
    host: FakeHost, exe: str
) -> None:
    (host.root / "proc/4001/exe").unlink()
    (host.root / "proc/4001/exe").symlink_to(exe)
    facts = look(host)
    assert facts.running is None
    assert is_starting(facts)


def test_a_macs_ps_prints_a_newline_as_its_number(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """Without /proc the command line comes from ps; the agent's path ends before the newline."""
    line = (SAMPLES / "ps-args-waiting.txt").read_text().rstrip("\n")
    (tmp_path / "ps").write_text(f"#!/bin/sh\ncat <<'EOF'\n{line}\nEOF\n")
    (tmp_path / "ps").chmod(0o755)
    call = "NF_ROOT=/none; if nf_becomes 4001 /bin/bash; then echo waits; fi; nf_words 4001"
    script = compose("process", root="", call=call)
    done = subprocess.run(
        [*shell, "-c", script],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    said = done.stdout.split("\n")
    assert said[0] == "waits", done.stderr
    path = "/nix/store/4k9x2c7v1hq0pz8m3n6w5d2j7r1s0b4g-nixfleet-agent-3.1.5/bin/nixfleet-agent"
    assert f"{path}\1" in said
