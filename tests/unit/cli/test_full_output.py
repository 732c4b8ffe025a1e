"""The place where the output goes is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="only Linux has it")


@pytest.mark.parametrize("words", [("config",), ("hosts", "--json"), ("--help",), ("--version",)])
def test_one_sentence_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    inventory = tmp_path / "hosts.toml"
    inventory.write_text('[hosts.away]\nssh = "nobody@127.0.0.1:1"\n')
    program = Path(sys.executable).with_name("nixfleet")
    with FULL.open("w") as full:
        done = subprocess.run(
            [program, "--hosts", inventory, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


def test_what_stdout_has_is_kept_if_stderr_is_full(tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "nixfleet" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("unknown = 1\n")
    with FULL.open("w") as full:
        done = subprocess.run(
            [Path(sys.executable).with_name("nixfleet"), "config"],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            timeout=60,
        )
    assert done.returncode == 1
    assert "refresh" in done.stdout
