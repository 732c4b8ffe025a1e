"""Our caller has closed a stream."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("nixfleet")


@pytest.mark.parametrize(
    ("words", "closed", "code", "said"),
    [
        ("", "<&-", 2, "the app needs a terminal"),
        ("", "2>&-", 2, ""),
        ("config", "<&-", 0, "refresh"),
        ("config", ">&-", 0, ""),
        ("config", "2>&-", 0, "refresh"),
        ("update csb0", "<&-", 2, "confirm at a terminal, or add --yes"),
        ("update nobody", "2>&-", 2, ""),
    ],
)
def test_there_is_a_sentence_or_nothing(
    tmp_path: Path, words: str, closed: str, code: int, said: str
) -> None:
    inventory = tmp_path / "hosts.toml"
    inventory.write_text('[hosts.csb0]\nssh = "nobody@127.0.0.1:1"\n')
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {words} {closed}', "sh", PROGRAM, "--hosts", inventory],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert said or not done.stdout + done.stderr
