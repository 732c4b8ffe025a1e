from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.nix.version import NixVersion, parse_version, pin_input_argv, update_input_argv

OLD = ("nix", "flake", "lock", "--update-input", "nixfleet")
NEW = ("nix", "flake", "update", "nixfleet")


@pytest.mark.parametrize(
    ("output", "version", "shown", "argv"),
    [
        ("nix (Nix) 2.8.0\n", NixVersion("nix", (2, 8), "2.8.0"), "Nix 2.8.0", OLD),
        ("nix (Nix) 2.18.9", NixVersion("nix", (2, 18), "2.18.9"), "Nix 2.18.9", OLD),
        ("nix (Nix) 2.19.0", NixVersion("nix", (2, 19), "2.19.0"), "Nix 2.19.0", NEW),
        ("nix (Nix) 2.26.3", NixVersion("nix", (2, 26), "2.26.3"), "Nix 2.26.3", NEW),
        (
            "nix (Nix) 2.32pre20250901_abcdef0",
            NixVersion("nix", (2, 32), "2.32pre20250901_abcdef0"),
            "Nix 2.32pre20250901_abcdef0",
            NEW,
        ),
        ("nix (Nix) 3.0", NixVersion("nix", (3, 0), "3.0"), "Nix 3.0", NEW),
        (
            "nix (Lix, like Nix) 2.93.0\nSystem type: x86_64-linux",
            NixVersion("lix", (2, 93), "2.93.0"),
            "Lix 2.93.0",
            NEW,
        ),
        (
            "nix (Determinate Nix 3.22.2) 2.35.2",
            NixVersion("determinate", (2, 35), "2.35.2"),
            "Determinate Nix 2.35.2",
            NEW,
        ),
    ],
)
def test_known_versions(
    output: str, version: NixVersion, shown: str, argv: tuple[str, ...]
) -> None:
    assert parse_version(output) == version
    assert str(version) == shown
    assert update_input_argv(version, "nixfleet") == argv


@pytest.mark.parametrize(
    "output",
    [
        "",
        "nix: command not found",
        "nix (Guix) 2.8.0",
        "warning: x\nnix (Nix) 2.8.0",
        "nix (Nix) two",
        "nix (Nix) 2",
        "nix (Nix) 2." + "1" * 5000,
    ],
    ids=range(7),
)
def test_other_output_is_no_version(output: str) -> None:
    version = parse_version(output)
    assert version is None or len(version.text) < 80


def test_a_version_is_plain_text() -> None:
    version = parse_version("nix (Nix) 2.8.0\x1b[2J[@click=app.quit]")
    assert version == NixVersion("nix", (2, 8), "2.8.0")


def test_pinning_keeps_the_inputs_origin() -> None:
    url = "git+https://h/x?ref=main&rev=" + "1" * 40
    assert pin_input_argv("nixfleet", url) == (
        "nix", "flake", "lock", "--override-input", "nixfleet", url,
    )  # fmt: skip


@given(st.one_of(st.text(), st.text().map("nix (Nix) 2.8".__add__)))
def test_parser_survives_any_output(output: str) -> None:
    version = parse_version(output)
    assert version is None or str(version).isprintable()
