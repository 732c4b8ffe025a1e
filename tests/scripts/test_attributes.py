"""The names that a flake has for homes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_host import CHECKOUT

if TYPE_CHECKING:
    import pytest
from fake_host import FakeHost


@pytest.mark.parametrize(("platform", "kind"), [("nixos", "nixos"), ("home-manager", "home")])
def test_names_come_one_a_line(host: FakeHost, platform: str, kind: str) -> None:
    host.on("nix", "printf 'h\\nops@h'")
    said = host.ask("attributes", NF_CHECKOUT=CHECKOUT, NF_PLATFORM_GIVEN=platform)
    assert (said.returncode, said.stdout) == (0, b"h\nops@h\n")
    assert host.calls()[-1].endswith(f"{CHECKOUT}#{kind}Configurations")


def test_the_evaluation_gets_the_time_of_the_settings(host: FakeHost) -> None:
    host.on("timeout", 'shift 3; exec "$@"')
    host.ask("attributes", NF_CHECKOUT=CHECKOUT, NF_EVALUATION="777")
    assert host.calls("timeout -k 5 777 ")


def test_a_flake_that_cannot_be_evaluated_has_unknown_names(host: FakeHost) -> None:
    host.on("nix", "echo 'error: syntax error' >&2; exit 1")
    said = host.ask("attributes", NF_CHECKOUT=CHECKOUT)
    assert (said.returncode, said.stdout) == (1, b"")
