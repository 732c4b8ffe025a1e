from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.scripts.compose import assignments, compose, part

PARTS = [
    "become_root",
    "cancel",
    "chain",
    "common",
    "follow",
    "incoming",
    "launch",
    "plan",
    "preflight",
    "probe",
]


@given(st.dictionaries(st.from_regex(r"NF_[A-Z]{1,8}", fullmatch=True), st.text(), max_size=3))
def test_a_value_is_assigned_as_it_is_or_refused(values: dict[str, str]) -> None:
    if any("\0" in value for value in values.values()):
        with pytest.raises(ValueError, match="NUL"):
            assignments(values)
        return
    # each is one shell word: no line holds a command
    for name, value in values.items():
        line = assignments({name: value})
        assert line.startswith(f"{name}=")
        assert line.endswith("\n")
        assert line[len(name) + 1 : -1].replace("'\"'\"'", "").count("'") in (0, 2)


def test_the_root_comes_first_and_not_from_the_environment() -> None:
    script = compose("plan", root="/r o", call="plan", values={"NF_ID": "x"})
    prelude = "NF_ROOT='/r o'\nNF_PLATFORM_GIVEN=''\nNF_IDLE=''\nNF_ID=x\n"
    assert script.startswith(f"set +vx\n{prelude}")
    assert compose(root="", call=":").startswith("set +vx\nNF_ROOT=''\n")


def test_common_comes_before_the_parts_and_the_call_is_last() -> None:
    script = compose("plan", "probe", root="", call="plan </dev/null")
    places = [script.index(text) for text in ("\nset -u", "\nplan() {", "\nprobe() {")]
    assert places == sorted(places)
    assert script.endswith("{\nnf_platform\nplan </dev/null\nexit\n}\n")


@pytest.mark.parametrize("name", [*PARTS, "runner"])
def test_a_part_exists_and_has_no_lines_for_the_linter(name: str) -> None:
    text = part(name)
    assert text.rstrip().endswith("}") or name == "common"
    assert "\n# shellcheck" not in f"\n{text}"


@pytest.mark.parametrize("call", ["follow", "probe </dev/null", "true"])
def test_a_call_is_read_whole_before_it_runs(call: str) -> None:
    script = compose(root="", call=f"echo called; {call}")
    for size in range(len(script) - 2 - len(call), len(script) - 1):
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script[:size].encode(), capture_output=True, check=False
        )
        assert done.stdout == b""
