"""The names that a flake has for homes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_host import CHECKOUT

if TYPE_CHECKING:
    from fake_host import FakeHost


def test_names_come_one_a_line(host: FakeHost) -> None:
    host.on("nix", "printf 'h\\nops@h'")
    said = host.ask("attributes", NF_CHECKOUT=CHECKOUT)
    assert (said.returncode, said.stdout) == (0, b"h\nops@h\n")
    assert host.calls()[-1].endswith(f"{CHECKOUT}#homeConfigurations")


def test_a_flake_that_cannot_be_evaluated_has_unknown_names(host: FakeHost) -> None:
    host.on("nix", "echo 'error: syntax error' >&2; exit 1")
    said = host.ask("attributes", NF_CHECKOUT=CHECKOUT)
    assert (said.returncode, said.stdout) == (1, b"")
