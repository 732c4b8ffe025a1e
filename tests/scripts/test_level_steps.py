"""The steps that force levels from 3 on add to the rebuild."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fake_host import AGENTS, CHAIN, DERIVATION, STORE, git

if TYPE_CHECKING:
    from fake_host import FakeHost

one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)
in_dash = pytest.mark.parametrize("shell", ["dash"], indirect=True)
in_busybox = pytest.mark.parametrize("shell", ["busybox"], indirect=True)

GIT = shutil.which("git")
INSTALLED = AGENTS["1.0"].removesuffix("/bin/agent")
NEW = DERIVATION.removesuffix(".drv")
REALISE = "nix-store --realise --log-format internal-json"
VERIFY = "nix --extra-experimental-features nix-command store verify --no-trust"


def work(host: FakeHost) -> list[str]:
    """The commands that change or compare something in the store, in order."""
    done = (REALISE, "nix-store --repair-path", VERIFY, "nixos-rebuild")
    return host.calls(*done)


def test_the_agent_is_checked_and_built_before_the_rebuild(host: FakeHost) -> None:
    tool, source = f"{STORE}/{'3' * 32}-go.drv", f"{STORE}/{'6' * 32}-nixfleet-agent-source"
    modules = f"{STORE}/{'4' * 32}-nixfleet-agent-2.0-go-modules.drv"
    wrapper = f"{STORE}/{'5' * 32}-nixfleet-agent.drv"
    host.set("requisites", "\n".join((tool, source, modules, DERIVATION, wrapper)))
    host.set("references", f"{source}\n{tool}")
    host.set("valid", INSTALLED)
    host.run_job(host.plan(more=("repair", "build")))
    assert host.steps == dict.fromkeys((*CHAIN[:4], "repair", "build", *CHAIN[4:]), "ok"), host.log
    assert work(host)[:-1] == [
        f"{VERIFY} {INSTALLED}",
        f"{REALISE} {tool}",
        f"{REALISE} --option substitute false {DERIVATION}",
        f"{REALISE} {tool}",
        f"{REALISE} --option substitute false {wrapper}",
    ]
    assert work(host)[-1].startswith("nixos-rebuild switch")


@one_shell
def test_an_agent_in_the_store_is_built_once_more_and_compared(host: FakeHost) -> None:
    host.set("valid", NEW)
    host.run_job(host.plan(more=("build",)))
    assert host.steps["build"] == "ok"
    assert work(host)[:-1] == [f"{REALISE} --check {DERIVATION}"]
    assert "has the hash that Nix noted" in host.log


@in_dash
def test_an_agent_that_builds_differently_is_not_deployed(host: FakeHost) -> None:
    host.set("valid", NEW)
    host.set("differs", "")
    host.run_job(host.plan(more=("build",)))
    assert (host.steps["build"], host.steps["rebuild"]) == ("failed", "skipped")
    assert (host.step("build").reason, host.result["reason"]) == ("not-reproduced",) * 2
    assert host.calls("nixos-rebuild") == []
    assert host.agent_runs()


@in_busybox
def test_a_build_that_fails_is_no_comparison(host: FakeHost) -> None:
    host.on("nix-store", 'case "$*" in *substitute*) exit 100 ;; esac; default "$@"')
    host.run_job(host.plan(more=("build",)))
    assert (host.step("build").rc, host.step("build").reason) == (100, "")
    assert host.calls("nixos-rebuild") == []


@one_shell
@pytest.mark.parametrize("beyond_repair", [False, True])
def test_damaged_files_are_repaired_or_the_update_stops(
    host: FakeHost, beyond_repair: bool
) -> None:
    host.set("valid", f"{INSTALLED}\n{NEW}")
    host.set("damaged", "")
    if beyond_repair:
        host.set("beyond-repair", "")
    host.run_job(host.plan(more=("repair",)))
    assert work(host)[:2] == [f"{VERIFY} {NEW}", f"nix-store --repair-path {NEW}"]
    if beyond_repair:
        assert (host.step("repair").reason, host.steps["rebuild"]) == ("damaged", "skipped")
        assert host.agent_runs()
    else:
        assert work(host)[2:4] == [f"{VERIFY} {NEW}", f"{VERIFY} {INSTALLED}"]
        assert (host.steps["repair"], host.steps["rebuild"]) == ("ok", "ok")


@in_dash
def test_an_agent_without_a_derivation_stops_the_update(host: FakeHost) -> None:
    host.set("requisites", f"{STORE}/{'3' * 32}-go.drv")
    host.run_job(host.plan(more=("build",)))
    assert (host.step("build").reason, host.calls("nixos-rebuild")) == ("no-derivation", [])


def test_the_input_is_locked_to_the_commit_that_git_names(host: FakeHost) -> None:
    host.run_job(host.plan(lines={"update": ("pin-latest", "nixfleet")}))
    assert host.steps["update"] == "ok"
    (call,) = (one for one in host.calls("nix ") if "override-input" in one or " update " in one)
    assert call.endswith(
        f"flake lock --override-input nixfleet git+{host.upstream.nixfleet}?rev={host.upstream.new}"
    )
    assert host.upstream.nixfleet not in host.log


@one_shell
def test_no_input_is_locked_when_git_names_no_commit(host: FakeHost) -> None:
    """It is asked again for the lock that the pull brings."""
    host.on(
        "git",
        f'case "$*" in *ls-remote*) if [ -e "$s/quiet" ]; then exit 0; fi ;; esac; exec {GIT} "$@"',
    )
    host.on("systemctl", 'if [ "$1" = stop ]; then : >"$s/quiet"; fi; default "$@"')
    host.run_job(host.plan(lines={"update": ("pin-latest", "nixfleet")}))
    assert (host.steps["update"], host.step("update").reason) == ("failed", "latest-unknown")
    assert git(host.checkout, "status", "--porcelain") == "", "the lock is the one that was pulled"
