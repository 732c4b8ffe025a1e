"""A process that is not yet the agent: what starts it waits, and then becomes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import AGENTS, CHECKOUT, FakeHost

from nixfleet_core.facts.model import Facts
from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Sequence

AGENT: Final = AGENTS["1.0"]
BASH: Final = "/bin/bash"
SAMPLES: Final = Path(__file__).parents[1] / "samples" / "launchctl"
SCRIPT: Final = f"""# Wait for the network
while ! curl -sf "$HEALTH"; do sleep 2; done
exec {AGENT}
"""


def look(host: FakeHost, exe: str | None, words: Sequence[str]) -> Facts:
    """Look at a host whose agent's process is that."""
    host.install(AGENT)
    folder = host.root / "proc/4001"
    (folder / "exe").unlink(missing_ok=True)
    if exe is not None:
        (folder / "exe").symlink_to(f"{host.root}{exe}")
    (folder / "cmdline").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))
    names = ("NF_INPUT", "NF_ATTRIBUTE", "NF_DEEP")
    values = dict.fromkeys(names, "") | {"NF_CHECKOUT": CHECKOUT, "NF_PLATFORM_GIVEN": "nixos"}
    done = host.ask("probe", **values)
    assert done.returncode == 0, done.stderr
    return parse_probe(done.stdout)


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
    assert is_starting(look(host, exe, words))


@pytest.mark.parametrize("words", OTHERS.values(), ids=OTHERS)
def test_any_other_shell_may_be_anything(host: FakeHost, words: list[str]) -> None:
    facts = look(host, BASH, words)
    assert not is_starting(facts)
    assert facts.running is not None
    assert facts.running.proof == "other"


def test_the_agent_itself_is_not_starting_whatever_its_words_say(host: FakeHost) -> None:
    facts = look(host, AGENT, [BASH, "-c", SCRIPT])
    assert not is_starting(facts)
    assert facts.running is not None
    assert facts.running.proof == "exe"


def test_launchds_xpcproxy_is_starting(host: FakeHost) -> None:
    folder = host.root / "proc/4001"
    host.install(AGENT)
    (folder / "exe").unlink(missing_ok=True)
    (folder / "exe").symlink_to("/usr/libexec/xpcproxy")
    done = host.ask(
        "probe",
        NF_PLATFORM_GIVEN="nixos",
        NF_CHECKOUT=CHECKOUT,
        NF_INPUT="",
        NF_ATTRIBUTE="",
        NF_DEEP="",
    )
    assert is_starting(parse_probe(done.stdout))


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
