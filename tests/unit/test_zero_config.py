"""The fleet without an inventory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.inventory import this_machine
from nixfleet_core.zero_config import hosts_without_inventory

FLAKE = "Code/nixcfg"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a nixcfg, and a `nix` that answers with what $ANSWER names."""
    (tmp_path / FLAKE).mkdir(parents=True)
    (tmp_path / FLAKE / "flake.nix").touch()
    nix = tmp_path / "bin/nix"
    nix.parent.mkdir()
    nix.write_text(
        '#!/bin/sh\necho "$*" >> "$HOME/asked"\n'
        'case "$*" in *homeConf*) echo "${HOMES:-[]}" ;; *) echo "$ANSWER" ;; esac\n'
        'exit "${CODE:-0}"\n'
    )
    nix.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(nix.parent), prepend=":")
    return tmp_path


def test_the_flakes_hosts_are_reached_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine().name
    monkeypatch.setenv("ANSWER", f'["csb0", "{here}", "-oProxyCommand=x", "../x"]')
    assert hosts_without_inventory() == (
        Host(name=here, attribute=here),
        Host(name="csb0", address=SshAddress("csb0"), attribute="csb0"),
    )
    assert f"{home}/{FLAKE}#nixosConfigurations" in (home / "asked").read_text()


def test_homes_are_reached_as_their_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine().name
    homes = ("markus@imac0", "imac0", "eve@imac0", "ops@csb0", f"ops@{here}", "-x@mac", "a b@c")
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("HOMES", json.dumps(homes))
    assert hosts_without_inventory()[2:] == (
        Host(
            name="imac0",
            address=SshAddress("imac0", "markus"),
            platform="home-manager",
            attribute="markus@imac0",
        ),
        Host(
            name="imac0-eve",
            address=SshAddress("imac0", "eve"),
            platform="home-manager",
            attribute="eve@imac0",
        ),
    )


@pytest.mark.parametrize("answer", ["", "null", "[1]", "not JSON"])
def test_an_answer_that_is_none_leaves_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setenv("ANSWER", answer)
    assert hosts_without_inventory() == (this_machine(),)


def test_without_a_flake_nix_is_not_asked(home: Path) -> None:
    (home / FLAKE / "flake.nix").unlink()
    assert hosts_without_inventory() == (this_machine(),)
    assert not (home / "asked").exists()


def test_a_failing_nix_leaves_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("CODE", "1")
    assert hosts_without_inventory() == (this_machine(),)
