"""Any text of a plan or a host arrives unchanged, under every shell."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from fake_host import JOB
from hypothesis import given, settings
from hypothesis import strategies as st
from left_out import need

from nixfleet_core.facts.parse import read_records
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.plan.model import Options, Plan, Step
from nixfleet_core.scripts.compose import assignments, compose

# characters that shells treat specially, and any others except NUL
_SPECIAL = st.sampled_from(
    [
        *(
            "'",
            '"',
            "\\",
            "$(id)",
            "`id`",
            "$HOME",
            "$'",
            "'\\''",
            "\n",
            "\r\n",
            " ",
            "\t",
            "*",
            "?",
        ),
        *("[a]", "~", "-n", "--", "-", ";", "&", "|", "<", ">", "#", "!", "{a,b}", "}", "=", "%s"),
        *("\\0", "\\c", "é", "漢", "\x1b[", "\x7f", "EOF", "\nEOF\n"),
    ]
)
_TEXT = st.lists(_SPECIAL | st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(
    "".join
)
_quick = settings(max_examples=25)


def run(shell: tuple[str, ...], script: bytes, *words: str) -> bytes:
    """Run a script from a file, as the host runs a job."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(script)
        file.flush()
        done = subprocess.run([*shell, file.name, *words], capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode == 0
    return done.stdout


@_quick
@given(
    argv=st.lists(_TEXT, max_size=4),
    checkout=_TEXT,
    attribute=_TEXT,
    root=st.just("") | st.just("/a root's $(x)"),
)
def test_a_plan_survives_compilation(
    shell: tuple[str, ...], argv: list[str], checkout: str, attribute: str, root: str
) -> None:
    plan = Plan(
        host="h",
        attribute=attribute,
        checkout=checkout,
        owner="ops",
        input="nixfleet",
        options=Options(),
        steps=(
            Step(id="pull", title="", argv=tuple(argv), run_as="owner", limit=9, tries=2),
            Step(id="start", title="", argv=("last",), run_as="root", limit=8),
        ),
        tools=(),
    )
    text = compile_plan(plan, JOB, root)
    # a function that shows the steps replaces the runner's own
    show = """
nf_step() { printf '%s\\0' "$#" "$@"; }
nf_enter_show() { printf '%s\\0' "$NF_ROOT" "$NF_CHECKOUT" "$NF_ATTRIBUTE"; nf_plan; }
"""
    at = text.rindex("{\nnf_platform\nnf_set_up ")
    said = run(shell, (text[:at] + show + text[at:]).encode(), "show")
    words = [f"{root}{word}" if word.startswith("/") else word for word in argv]
    expected = [
        *(root, checkout, attribute),
        *(str(4 + len(argv)), "pull", "owner", "9", "2", *words),
        *("5", "start", "root", "8", "1", "last"),
    ]
    assert said.decode().split("\0") == [*expected, ""]


@_quick
@given(argv=st.lists(_TEXT, max_size=4))
@pytest.mark.parametrize("how", ["nf_bounded 9", "nf_step_down 9", "nf_as_owner 9"])
def test_a_command_gets_its_words_as_they_are(
    shell: tuple[str, ...], how: str, argv: list[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="it's $(x) ") as folder:
        stub = Path(folder) / "stub"
        stub.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
        stub.chmod(0o755)
        call = f'NF_OWNER_UID=$NF_UID; {how} "$STUB" {shlex.join(argv)}'
        script = compose(root="", call=call, values={"STUB": str(stub)})
        said = run(shell, script.encode())
    # printf with a format and nothing else prints it once
    assert said.decode().split("\0") == ([*argv, ""] if argv else ["", ""])


@_quick
@given(values=st.dictionaries(st.from_regex(r"NF_[A-Z]{1,9}", fullmatch=True), _TEXT, max_size=3))
def test_values_of_a_script_arrive(shell: tuple[str, ...], values: dict[str, str]) -> None:
    names = " ".join(f'"${name}"' for name in values)
    script = f"{assignments(values)}printf '%s\\0' end {names}\n"
    assert run(shell, script.encode()).decode().split("\0") == ["end", *values.values(), ""]


@_quick
@given(value=st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"")))
def test_any_bytes_of_a_host_arrive_in_their_record(shell: tuple[str, ...], value: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "value").write_bytes(value)
        call = """echo 'nixfleet-probe 1'; put a "$(cat "$VALUE")"; put b x; echo end 0"""
        values = {"VALUE": f"{folder}/value"}
        said = run(shell, compose("probe", root="", call=call, values=values).encode())
    # a command substitution drops the newlines at the end
    assert read_records(said) == {"a": value.rstrip(b"\n").decode("utf-8", "replace"), "b": "x"}


# Linting the sent scripts.

EXCLUDED = {
    "SC2012": "ls -ldn prints numbers before any name, and stat is different everywhere",
    "SC2016": "Nix has $ and quotes of its own",
    "SC2317": "a job's functions are called by name",
    "SC2329": "the same, as newer versions say it",
    "SC2088": "a tilde in a setting is text until it is compared",
    "SC3045": "ulimit -S -n works in every shell, though POSIX has it without -S",
}

SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which(
    "shellcheck"
)


def test_a_compiled_job_is_clean(request: pytest.FixtureRequest) -> None:
    if SHELLCHECK is None:
        need(request, "shellcheck")
    step = Step(id="pull", title="", argv=("git", "pull", "a b"), run_as="owner", limit=9)
    plan = Plan(
        host="h",
        attribute="h",
        checkout="/c d",
        owner="ops",
        input="nixfleet",
        options=Options(),
        steps=(step,),
        tools=("git",),
    )
    done = subprocess.run(
        [SHELLCHECK or "shellcheck", "--shell=sh", f"--exclude={','.join(EXCLUDED)}", "-"],
        input=compile_plan(plan, JOB).encode(),
        capture_output=True,
        check=False,
    )
    assert done.stdout.decode() == ""
