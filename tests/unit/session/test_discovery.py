"""The fleet without an inventory."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import CURRENT, JOB

from nixfleet_core.errors import Unreachable
from nixfleet_core.facts.model import Unit
from nixfleet_core.host import Host, SshAddress
from nixfleet_core.inventory import this_machine
from nixfleet_core.session.discovery import (
    FoundHosts,
    hosts_without_inventory,
    known_checkout,
    login_name,
)
from nixfleet_core.session.no_hosts import Searched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nixfleet_core.facts.model import Facts

FLAKE = "Code/nixcfg"
BOTH = "nixosConfigurations and homeConfigurations"


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
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(nix.parent), prepend=":")
    return tmp_path


async def kept(_: Host) -> Facts:
    """This machine has an agent."""
    return CURRENT


async def bare(_: Host) -> Facts:
    """This machine has none."""
    return replace(CURRENT, unit=None, running=None, installed=None, job_last=None)


async def not_asked(_: Host) -> Facts:
    raise AssertionError("this machine was asked")


def find(
    look: Callable[[Host], Awaitable[Facts]] = kept,
    *named: str,
    say: Callable[[str], None] | None = None,
) -> FoundHosts:
    return asyncio.run(hosts_without_inventory(say or list[str]().append, look, named))


def found_hosts() -> tuple[Host, ...]:
    return find().hosts


def test_the_flakes_hosts_are_reached_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine().name
    monkeypatch.setenv("ANSWER", f'["csb0", "{here}", "-oProxyCommand=x", "../x"]')
    assert found_hosts() == (
        Host(name=here, attribute=here),
        Host(name="csb0", address=SshAddress("csb0"), attribute="csb0"),
    )
    assert f"{home}/{FLAKE}#nixosConfigurations" in (home / "asked").read_text()


def test_homes_are_reached_as_their_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_machine().name
    homes = ("markus@imac0", "imac0", "eve@imac0", "ops@csb0", f"ops@{here}", "-x@mac", "a b@c")
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("HOMES", json.dumps(homes))
    assert found_hosts()[2:] == (
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
    assert found_hosts() == (this_machine(),)


def test_without_a_flake_nix_is_not_asked(home: Path) -> None:
    (home / FLAKE / "flake.nix").unlink()
    assert found_hosts() == (this_machine(),)
    assert not (home / "asked").exists()


def test_a_failing_nix_leaves_only_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("CODE", "1")
    assert found_hosts() == (this_machine(),)


def said(
    monkeypatch: pytest.MonkeyPatch, answer: str, complaint: str = "", code: int = 0
) -> list[str]:
    """The messages when Nix answers so."""
    for name, value in {"ANSWER": answer, "SAID": complaint, "CODE": str(code)}.items():
        monkeypatch.setenv(name, value)
    lines: list[str] = []
    problems = find(say=lines.append).problems
    return [*lines, *problems]


def test_discovery_says_which_flake_it_evaluates(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"Reading the names of hosts from the flake {home}/{FLAKE} ..."
    assert said(monkeypatch, '["csb0"]', "warning: Git tree is dirty\\n") == [line]
    (home / FLAKE / "flake.nix").unlink()
    assert said(monkeypatch, '["csb0"]') == []


def unknown(home: Path, why: str, of: str = BOTH) -> str:
    return (
        f"The names of hosts under {of} in {home}/{FLAKE} could not be read; none is known from "
        f"before. Nothing is built or fetched for them: {why}"
    )


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
    assert said(monkeypatch, "[]", complaint, 1)[1:] == [unknown(home, shown)]


def test_a_flake_without_homes_causes_no_complaint(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "error: flake 'path:/x' does not provide attribute 'homeConfigurations'\\n"
    assert len(said(monkeypatch, "[]", missing, 1)) == 1
    assert said(monkeypatch, "null")[1:] == [
        unknown(home, "Nix gave no list of names", "nixosConfigurations")
    ]


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


# The last time that it worked.


def remembered(home: Path) -> Path:
    return home / "state/nixfleet/flake-names.json"


def look(home: Path, monkeypatch: pytest.MonkeyPatch, systems: str, homes: str) -> None:
    """One that works."""
    monkeypatch.setenv("ANSWER", systems)
    monkeypatch.setenv("HOMES", homes)
    assert not find().problems


def break_flake(monkeypatch: pytest.MonkeyPatch, said: str = "error: no network\n") -> None:
    for name, value in {"ANSWER": "", "HOMES": "", "SAID": said, "CODE": "1"}.items():
        monkeypatch.setenv(name, value)


def test_hosts_stay_when_the_flake_cannot_be_evaluated_and_are_marked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(home, monkeypatch, '["csb0"]', '["markus@imac0"]')
    before = found_hosts()
    break_flake(monkeypatch)
    hosts, problems, _ = find()
    assert [host.name for host in hosts] == [host.name for host in before]
    assert [host.remembered for host in hosts] == [False, True, True]
    assert [replace(host, remembered=False) for host in hosts] == list(before)
    assert [host.listed_where for host in hosts[1:]] == [
        *("csb0 (remembered)", "markus@imac0 (remembered)"),
    ]
    (problem,) = problems
    assert problem.endswith(". Nothing is built or fetched for them: no network")
    assert f"under {BOTH} in {home}/{FLAKE} could not be read; those that are marked" in problem


def test_only_the_source_that_fails_is_remembered(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(home, monkeypatch, '["csb0", "csb1"]', '["markus@imac0"]')
    monkeypatch.setenv("ANSWER", '["csb0"]')
    monkeypatch.setenv("HOMES", "not JSON")
    hosts, problems, _ = find()
    assert [(host.name, host.remembered) for host in hosts[1:]] == [
        *(("csb0", False), ("imac0", True)),
    ]
    assert "under homeConfigurations in" in problems[0]
    # what was read now is remembered: csb1 is gone
    break_flake(monkeypatch)
    assert [host.name for host in found_hosts()[1:]] == ["csb0", "imac0"]


def test_another_flake_of_that_path_is_another_look(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(home, monkeypatch, '["csb0"]', "[]")
    assert stat.S_IMODE(remembered(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(remembered(home).parent.stat().st_mode) == 0o700
    text = remembered(home).read_text().replace(f"{home}/{FLAKE}", "/elsewhere")
    remembered(home).write_text(text)
    break_flake(monkeypatch)
    assert found_hosts() == (this_machine(),)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "{", '{"flakes":[]}', "\udcff", "{" * 10_000),
        '{"flakes":{"FLAKE":{"nixosConfigurations":{"at":0,"names":["csb0"]}}}}',
        '{"flakes":{"FLAKE":{"nixosConfigurations":{"at":99999999999999,"names":["csb0"]}}}}',
        '{"flakes":{"FLAKE":{"nixosConfigurations":{"at":1,"names":"csb0"}}}}',
        '{"flakes":{"FLAKE":{"nixosConfigurations":{"at":1,"names":[""]}}}}',
        '{"flakes":{"FLAKE":{"nixosConfigurations":{"at":1,"names":["-oProxyCommand=x","../x"]}}}}',
        '{"flakes":{"FLAKE":{"nixosConfigurations":{"at":1,"names":["csb0"]}}}}' + " " * 300_000,
    ],
    ids=range(13),
)
def test_a_remembered_file_that_somebody_else_wrote_names_no_host(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    remembered(home).parent.mkdir(parents=True)
    text = text.replace("FLAKE", f"{home}/{FLAKE}")
    remembered(home).write_bytes(text.encode("utf-8", "surrogateescape"))
    break_flake(monkeypatch)
    assert found_hosts() == (this_machine(),)


def test_a_link_or_a_pipe_in_place_of_the_file_is_not_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(home, monkeypatch, '["csb0"]', "[]")
    break_flake(monkeypatch)
    remembered(home).rename(home / "other")
    remembered(home).symlink_to(home / "other")
    assert found_hosts() == (this_machine(),)
    remembered(home).unlink()
    os.mkfifo(remembered(home))
    assert found_hosts() == (this_machine(),)


def test_a_state_directory_that_cannot_be_made_is_no_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "state").touch()
    look(home, monkeypatch, '["csb0"]', "[]")
    break_flake(monkeypatch)
    assert found_hosts() == (this_machine(),)


# No hosts at all.

HERE = this_machine()


def searched_in_vain(look: Callable[[Host], Awaitable[Facts]] = bare) -> Searched:
    found = find(look)
    assert (found.hosts, found.searched is None) == ((), False)
    assert found.searched is not None
    return found.searched


@pytest.fixture
def config(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of hosts.toml; it is not there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.chdir(home)
    return home / "config/nixfleet"


def test_without_hosts_it_is_known_where_they_were_looked_for(
    config: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", "[]")
    assert searched_in_vain() == Searched(
        config / "hosts.toml",
        has_folder=False,
        flake="no-names",
        here=HERE.name,
        user=login_name(),
        checkout=f"~/{FLAKE}",
    )
    config.mkdir(parents=True)
    (home / FLAKE / "flake.nix").unlink()
    seen = searched_in_vain()
    assert (seen.has_folder, seen.flake, seen.checkout) == (True, "no-flake", "")
    (home / FLAKE).rmdir()
    assert searched_in_vain().flake == "no-folder"


def test_without_nix_the_flake_is_not_asked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert searched_in_vain().flake == "no-nix"


def test_a_flake_that_cannot_be_read_says_why_there_are_no_hosts(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_flake(monkeypatch)
    seen = searched_in_vain()
    assert seen.flake == "not-read"
    assert [problem.endswith(": no network") for problem in seen.problems] == [True]


@pytest.mark.parametrize(
    "trace",
    [
        {"unit": Unit(load="loaded", active="inactive")},
        {"unit": Unit(load="masked", active="inactive")},
        {"running": CURRENT.running},
        {"installed": CURRENT.installed},
        {"job_running": JOB},
        {"job_last": JOB},
    ],
    ids=str,
)
def test_this_machine_is_a_host_if_it_has_an_agent_or_a_job(
    config: Path, monkeypatch: pytest.MonkeyPatch, trace: dict[str, Any]
) -> None:
    async def look(host: Host) -> Facts:
        return replace(await bare(host), **trace)

    monkeypatch.setenv("ANSWER", "[]")
    assert find(look).hosts == (HERE,)


async def without_unit(host: Host) -> Facts:
    return replace(await bare(host), unit=Unit(load="not-found", active="inactive"))


async def silent(_: Host) -> Facts:
    raise Unreachable("no answer in time")


def test_this_machine_is_a_host_if_it_cannot_say(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", "[]")
    assert find(silent).hosts == (HERE,)
    searched_in_vain(without_unit)


@pytest.mark.parametrize(
    ("systems", "homes", "named"),
    [
        (f'["{HERE.name}"]', "[]", ()),
        ("[]", f'["markus@{HERE.name}"]', ()),
        ('["csb0"]', "[]", ()),
        ("[]", "[]", (HERE.name,)),
    ],
    ids=["system", "home", "other", "named"],
)
def test_this_machine_is_not_asked_if_it_is_a_host_anyway(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    systems: str,
    homes: str,
    named: tuple[str, ...],
) -> None:
    monkeypatch.setenv("ANSWER", systems)
    monkeypatch.setenv("HOMES", homes)
    found = find(not_asked, *named)
    assert (found.hosts[0].name, found.searched) == (HERE.name, None)


LOCK = """{"version":7,"root":"r","nodes":{"r":{"inputs":{"%s":"n"}},"n":{"locked":{}}}}"""


def test_the_operators_own_flake_is_offered_as_the_checkout(
    config: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = home / "src/mine/hosts"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert known_checkout() == f"~/{FLAKE}"
    (home / FLAKE / "flake.nix").unlink()
    assert known_checkout() == ""
    (below.parent / "flake.nix").touch()
    assert known_checkout() == "", "it has no lock"
    (below.parent / "flake.lock").write_text(LOCK % "nixpkgs")
    assert known_checkout() == ""
    (below.parent / "flake.lock").write_text(LOCK % "nixfleet")
    assert known_checkout() == "~/src/mine"
    monkeypatch.setenv("HOME", "/elsewhere")
    assert known_checkout() == str(below.parent)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert known_checkout() == "", "it is somebody else's, and root would build it"
