"""A script whose transfer breaks off has no effect, wherever it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_host import JOB, FakeHost, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from nixfleet_core.job.compile import compile_plan

if TYPE_CHECKING:
    from collections.abc import Iterable

TAIL = 60
"""At this many last bytes every cut is tried: the call is there."""


def scripts(host: FakeHost) -> dict[str, str]:
    run = compile_plan(host.plan(), JOB, str(host.root))
    numbers = {"NF_NICE": "5", "NF_IO_WEIGHT": "50"}
    return {
        "launch": host.script("launch", NF_ID=JOB, NF_PLAN="{}", NF_RUN_SH=run, **numbers),
        "cancel": host.script("cancel", NF_ID=JOB),
    }


def check(host: FakeHost, script: str, sizes: Iterable[int]) -> None:
    (host.job / "ctl").mkdir(parents=True, exist_ok=True)
    before = tree(host.root)
    for size in sizes:
        done = host.send(script[:size])
        assert b"@nf" not in done.stdout
        assert tree(host.root) == before, size


@pytest.mark.parametrize("name", ["launch", "cancel"])
def test_a_script_cut_off_in_its_last_bytes_does_nothing(host: FakeHost, name: str) -> None:
    script = scripts(host)[name]
    # without the newline after the last brace it is whole
    check(host, script, range(len(script) - TAIL, len(script) - 1))
    assert b"@nf" in host.send(script).stdout


@settings(max_examples=40)
@given(st.data())
def test_a_script_cut_off_anywhere_does_nothing(host: FakeHost, data: st.DataObject) -> None:
    script = scripts(host)["launch"]
    check(host, script, [data.draw(st.integers(0, len(script) - 2))])
