"""What the lines of real logs are."""

from __future__ import annotations

import re

import pytest

from nixfleet_core.log.failures import PROGRESS
from nixfleet_core.log.kinds import Kind, derivation_of, kind_of, lines_of_note

SAMPLES: list[tuple[str, Kind | None]] = [
    ("$ nix --extra-experimental-features nix-command flake update nixfleet", "command"),
    ("nixfleet-agent> $ make", None),
    ("error: builder for '/nix/store/x.drv' failed with exit code 2", "error"),
    ("lab-smp-fail> error: undefined reference to nixfleet_main", "error"),
    ("fatal: unable to access 'https://github.com/x/': Could not resolve host", "error"),
    ("Traceback (most recent call last):", "error"),
    ("jq> cc -Werror -o error_at_line.o failures.c", None),
    ("test result: ok. 12 passed; 0 failed", None),
    ("no error was found", None),
    ("jq> cc -c src/error.c -o build/error.o", None),
    ("libgpg-error> installing man/error.3", None),
    ("the build failed.", "error"),
    ("[ERROR] it broke", "error"),
    ("thread 'main' panicked at src/main.rs:7", "error"),
    ("Fatal: out of disk space", "error"),
    ("a failure of the disk", "error"),
    ("agent> cc -o failed-units fatal_panicked.traceback", None),
    ("warning: Git tree '/home/ops/Code/nixcfg' is dirty", "warning"),
    ("evaluation warning: `pkgs.foo` has failed to evaluate on 25.05", "warning"),
    ("trace: warning: the option `x` is deprecated", "warning"),
    ("jq> src/x.c:12:3: warning: unused variable 'y'", "warning"),
    ("jq> x.c:1: error: bad, see warning: above", "error"),
    ("warning: the following units failed: nginx.service", "error"),
    ("warning: error: unable to download 'https://x': HTTP 502; retrying in 300 ms", "retry"),
    ("cannot build on 'ssh://builder': error: failed to start SSH connection", "retry"),
    ("disabling binary cache 'https://cache.example' for 60 seconds", "retry"),
    ("nixfleet-agent> Running phase: buildPhase", "phase"),
    ("hello> unpacking sources", "phase"),
    ("building", None),
    ("hello> building the docs", None),
    ("building '/nix/store/abc-nixfleet-agent-2.2.0.drv'...", None),
]


@pytest.mark.parametrize(("line", "kind"), SAMPLES)
def test_a_line_has_the_kind_that_its_words_say(line: str, kind: Kind | None) -> None:
    assert kind_of(line) == kind


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("nixfleet-agent> go build", "nixfleet-agent"),
        ("gtk+3> Running phase: buildPhase", "gtk+3"),
        ("nixos-system (post)> done", "nixos-system"),
        ("       > tail of a log", ""),
        ("-> arrow", ""),
        ("a b> c", ""),
        ("two>words", ""),
    ],
)
def test_a_line_of_a_build_begins_with_its_name(line: str, name: str) -> None:
    assert derivation_of(line) == name


@pytest.mark.parametrize("before", ["", "quiet\n"])
def test_the_quick_look_misses_nothing(before: str) -> None:
    for line, kind in SAMPLES:
        for raw in (line, f"\x1b[31;1m{line}\x1b[0m" if kind != "command" else line):
            found = lines_of_note(f"{before}{raw}\nquiet\n".encode())
            if kind not in (None, "phase"):
                assert found == {len(before)}, line


def test_the_quick_look_passes_over_compiler_options() -> None:
    for kept in ("-Werror -c error.c", "-o failed-units", "fatal_panicked.traceback", "failures"):
        assert not lines_of_note(f"jq> cc {kept}\n".encode() * 100)


def test_every_form_of_progress_is_found() -> None:
    """A retry that the quick look passes over would not be counted."""
    forms = re.sub(r"\([^()]*\)", "x", PROGRESS).split("|")  # the choice is inside a form
    assert len(forms) == 3
    for form in forms:
        assert lines_of_note(f"{form}\n".encode()), form
