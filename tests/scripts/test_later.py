"""`nixfleet-update-later`: launchd's random delay."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from left_out import shells

LATER = Path(__file__).parents[2] / "nix" / "later.sh"
# the output of od for four bytes
SMALLEST, LARGEST = "          0", " 4294967295"


@pytest.mark.parametrize("shell", shells())
@pytest.mark.parametrize(
    ("seconds", "random", "slept"),
    [(0, LARGEST, 0), (3600, SMALLEST, 0), (3600, " 3600", 3600), (3600, " 3601", 0)],
)
def test_command_waits_and_becomes_the_update(
    tmp_path: Path, shell: tuple[str, ...], seconds: int, random: str, slept: int
) -> None:
    for name, script in {
        "od": f"echo '{random}'",
        "sleep": "echo slept $1",
        "update it": "echo updating; exit 3",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    text = LATER.read_text().replace("@seconds@", str(seconds))
    text = text.replace("@update@", shlex.quote(str(tmp_path / "update it")))
    done = subprocess.run(
        [*shell, "-c", text],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"slept {slept}\nupdating\n", "")
    assert done.returncode == 3
