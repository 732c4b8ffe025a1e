"""The fleet without an inventory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.inventory import this_machine
from nixfleet_core.session.discovery import hosts_without_inventory

FLAKE = "Code/nixcfg"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a nixcfg, and a `nix` that prints $ANSWER."""
    (tmp_path / FLAKE).mkdir(parents=True)
    (tmp_path / FLAKE / "flake.nix").touch()
    nix = tmp_path / "bin/nix"
    nix.parent.mkdir()
    nix.write_text(
        '#!/bin/sh\necho "$*" >> "$HOME/asked"\nenv > "$HOME/environment"\n'
        'case "$*" in *homeConf*) echo "${HOMES:-[]}" ;; *) echo "$ANSWER" ;; esac\n'
        'printf "%b" "$SAID" >&2\n'
        'exit "${CODE:-0}"\n'
    )
    nix.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(nix.parent), prepend=":")
    return tmp_path


def test_the_flakes_hosts_are_reached_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine().name
    monkeypatch.setenv("ANSWER", f'["csb0", "{here}", "-oProxyCommand=x", "../x"]')
    assert hosts_without_inventory(list[str]().append) == (
        Host(name=here, attribute=here),
        Host(name="csb0", address=SshAddress("csb0"), attribute="csb0"),
    )
    assert f"{home}/{FLAKE}#nixosConfigurations" in (home / "asked").read_text()


def test_homes_are_reached_as_their_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine().name
    homes = ("markus@imac0", "imac0", "eve@imac0", "ops@csb0", f"ops@{here}", "-x@mac", "a b@c")
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("HOMES", json.dumps(homes))
    assert hosts_without_inventory(list[str]().append)[2:] == (
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
def test_a_malformed_answer_leaves_only_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setenv("ANSWER", answer)
    assert hosts_without_inventory(list[str]().append) == (this_machine(),)


def test_without_a_flake_nix_is_not_asked(home: Path) -> None:
    (home / FLAKE / "flake.nix").unlink()
    assert hosts_without_inventory(list[str]().append) == (this_machine(),)
    assert not (home / "asked").exists()


def test_a_failing_nix_leaves_only_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("CODE", "1")
    assert hosts_without_inventory(list[str]().append) == (this_machine(),)


def said(
    monkeypatch: pytest.MonkeyPatch, answer: str, complaint: str = "", code: int = 0
) -> list[str]:
    """The messages when Nix answers so."""
    for name, value in {"ANSWER": answer, "SAID": complaint, "CODE": str(code)}.items():
        monkeypatch.setenv(name, value)
    lines: list[str] = []
    hosts_without_inventory(lines.append)
    return lines


def test_discovery_says_which_flake_it_evaluates(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"Reading the names of hosts from the flake {home}/{FLAKE} ..."
    assert said(monkeypatch, '["csb0"]', "warning: Git tree is dirty\\n") == [line]
    (home / FLAKE / "flake.nix").unlink()
    assert said(monkeypatch, '["csb0"]') == []


UNKNOWN = "Some names could not be read; nothing is built or fetched for them: "
DISABLED = "cannot build '/nix/store/x.drv^out' during evaluation because the option is disabled"


@pytest.mark.parametrize(
    ("complaint", "shown"),
    [
        (f"error:\\n   … while calling\\n\\n   \\033[31;1merror:\\033[0m {DISABLED}\\n", DISABLED),
        ("error: unable to download\\n(use '--show-trace')\\n", "unable to download"),
        ("", "Nix failed and did not say why"),
    ],
)
def test_discovery_says_once_why_names_are_unknown(
    home: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, shown: str
) -> None:
    assert said(monkeypatch, "[]", complaint, 1)[1:] == [UNKNOWN + shown]


def test_a_flake_without_homes_causes_no_complaint(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "error: flake 'path:/x' does not provide attribute 'homeConfigurations'\\n"
    assert len(said(monkeypatch, "[]", missing, 1)) == 1
    assert said(monkeypatch, "null")[1:] == [f"{UNKNOWN}Nix gave no list of names"]


def test_names_are_read_without_building_and_without_the_network(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:8080")
    monkeypatch.setenv("NO_PROXY", "*")
    said(monkeypatch, "[]")
    calls = (home / "asked").read_text().splitlines()
    assert len(calls) == 2
    for call in calls:
        for option in (
            "--option allow-import-from-derivation false",
            "--option accept-flake-config false",
            "--no-write-lock-file",
            "--offline",
        ):
            assert f" eval {option}" in call or f" {option} " in call
    environment = (home / "environment").read_text().splitlines()
    assert "GIT_ALLOW_PROTOCOL=file" in environment
    assert "https_proxy=http://127.0.0.1:9" in environment
    assert not [line for line in environment if line.lower().startswith("no_proxy=")]
