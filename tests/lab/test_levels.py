"""The force levels: each does what it says, and the one below does not."""

from __future__ import annotations

import json
import platform
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from nixfleet_core.facts.parse import read_records
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.nix.refs import ref_names
from nixfleet_core.nix.version import parse_version
from nixfleet_core.plan.levels import level_options
from nixfleet_core.scripts.compose import compose, question

from .binary_cache import BinaryCache
from .host import CHECKOUT
from .inputs import take_from
from .internet import GITHUB
from .repos import agent_program

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from .binary_cache import Fault
    from .client import Answer, Client
    from .fleet import Fleet
    from .host import LabHost

POISON: Final = "6.6.6"
"""The version that a forged agent prints."""
API: Final = "/repos/lab/nixfleet/"

on_trixie = pytest.mark.parametrize("name", ["csb0"], indirect=True)
on_sid = pytest.mark.parametrize("name", ["gpc0"], indirect=True)


@pytest.fixture
def cache(fresh: Fleet, host: LabHost, tmp_path: Path) -> Iterator[BinaryCache]:
    """A cache with nothing in it, which the host uses."""
    cache = BinaryCache(tmp_path / "cache", fresh.run.gateway)
    cache.trust(host)
    yield cache
    cache.close()


def flake(fleet: Fleet, name: str = "default") -> str:
    """The newest agent, or another package of its flake, as Nix names it."""
    url = f"git+{fleet.repos.url('nixfleet')}?ref=main&rev={fleet.repos.head('nixfleet')}"
    return f"{url}#packages.{platform.machine()}-linux.{name}"


def log_of(client: Client, host: LabHost, answer: Answer) -> str:
    assert answer["job"]
    return client.log_of(host, answer["job"]).read_text()


def was_built(log: str) -> bool:
    """Whether the host built the agent itself, according to the builder's output."""
    return "building nixfleet-agent" in log


def update(client: Client, host: LabHost, level: int, *, code: int = 0) -> tuple[Answer, str]:
    answer = client.update(host.name, f"--force={level}", code=code)
    return answer, log_of(client, host, answer)


def statuses(answer: Answer) -> dict[str, str]:
    return {step["id"]: step["status"] for step in answer["steps"]}


@contextmanager
def forged(host: LabHost) -> Iterator[None]:
    """While the context is open, a build on this host gives another agent than its source says."""
    (host.root / "opt/forged").write_bytes(agent_program(POISON))
    (host.root / "opt/install").write_text('#!/bin/sh\ncat /opt/forged > "$2"; chmod 555 "$2"\n')
    host.enter("chmod 755 /opt/install; cd /usr/bin; cp install /opt/real; mv /opt/install install")
    yield
    host.enter("mv /opt/real /usr/bin/install; rm /opt/forged")


@on_trixie
def test_level_1_asks_again_for_paths_that_a_cache_lacked(
    fresh: Fleet, host: LabHost, client: Client, cache: BinaryCache
) -> None:
    for level, version in enumerate(("2.2.0", "2.3.0")):
        fresh.repos.release(version)
        path = cache.stock(host, flake(fresh))
        cache.set_fault("narinfo", 404)
        host.enter(f"nix build --dry-run '{flake(fresh)}'")
        cache.set_fault("narinfo", "ok")
        assert cache.asked("narinfo", path)
        cache.forget()
        answer, log = update(client, host, level)
        assert (answer["verdict"], answer["after"]["store_path"]) == ("updated", path)
        assert cache.asked("narinfo", path) is (level == 1)
        assert was_built(log) is (level == 0)
        assert cache.served("nar") == level
        cache.forget()


@on_sid
def test_level_2_asks_again_for_paths_that_a_cache_had(
    fresh: Fleet, host: LabHost, client: Client, cache: BinaryCache
) -> None:
    for level, version in ((1, "2.2.0"), (2, "2.3.0")):
        fresh.repos.release(version)
        path = cache.stock(host, flake(fresh))
        host.enter(f"nix build --dry-run '{flake(fresh)}'")
        assert cache.asked("narinfo", path)
        cache.move_nars()
        cache.forget()
        answer, log = update(client, host, level)
        assert (answer["verdict"], answer["after"]["store_path"]) == ("updated", path)
        assert cache.asked("narinfo", path) is (level == 2)
        assert was_built(log) is (level == 1)
        assert cache.served("nar") == level - 1
        cache.forget()


@pytest.mark.parametrize("name", ["csb0", "gpc0"], indirect=True)
def test_level_3_locks_the_commit_that_git_names(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    internet = fresh.internet
    internet.open()
    try:
        take_from(fresh, host, GITHUB)
        commit = fresh.repos.release("2.2.0")
        internet.set_fault(404, target="api")
        answer, log = update(client, host, 2, code=3)
        assert (answer["verdict"], host.agent_version()) == ("stale", "2.1.0")
        assert (404, f"{API}commits/HEAD") in internet.requests
        assert "using cached version" in log
        internet.requests.clear()
        answer, _ = update(client, host, 3)
        assert (answer["verdict"], host.agent_version()) == ("updated", "2.2.0")
        assert answer["after"]["commit"] == commit
        assert not [path for _, path in internet.requests if path.startswith(API)]
        internet.set_fault("ok")
        commit = fresh.repos.release("2.3.0")
        answer, _ = update(client, host, 0)
        assert (answer["verdict"], answer["after"]["commit"]) == ("updated", commit)
    finally:
        internet.close()


PINS: Final = {
    "git+https://h/r?rev=": {"type": "git", "url": "https://h/r"},
    # a query may hold a secret, which no argument may show
    "": {"type": "git", "url": "git+https://h/r?x=1", "rev": "0" * 40},
    "git+https://h/r?dir=a%20b&ref=c%26d&submodules=1&rev=": {
        "type": "git",
        "url": "https://h/r",
        "ref": "c&d",
        "dir": "a b",
        "submodules": True,
    },
    "github:o/r?rev=": {"type": "github", "owner": "o", "repo": "r", "ref": "main"},
    "github:o/r?dir=sub&host=git.corp&rev=": {
        "type": "github",
        "owner": "o",
        "repo": "r",
        "host": "git.corp",
        "dir": "sub",
    },
    "gitlab:g%2Fsub/r?rev=": {"type": "gitlab", "owner": "g%2Fsub", "repo": "r"},
}


def test_a_host_knows_how_a_commit_of_an_input_is_named(fleet: Fleet, host: LabHost) -> None:
    nodes = {f"n{number}": {"original": original} for number, original in enumerate(PINS.values())}
    root = {"inputs": {name: name for name in nodes}}
    lock = json.dumps({"nodes": {"root": root, **nodes}, "root": "root", "version": 7})
    asked = "".join(f'nf_lock "$file" {name} | cut -f 6\n' for name in nodes)
    call = f"nf_owner .; file=$(mktemp); echo {shlex.quote(lock)} >$file\n{asked}rm $file"
    done = host.run("exec /bin/sh -s", "ops", stdin=compose(root="", call=call))
    assert done.stdout.splitlines() == list(PINS), done.stderr


REFS: Final = (
    {"type": "git", "url": "https://h/r"},
    {"type": "git", "url": "https://h/r", "ref": "v1"},
    {"type": "git", "url": "https://h/r", "ref": "refs/tags/v1"},
    {"type": "git", "url": "file:///r"},
    {"type": "git", "url": "/r"},
    {"type": "git", "url": "git@h:r"},
    {"type": "github", "owner": "o", "repo": "r"},
    {"type": "github", "owner": "o", "repo": "r", "ref": "v1"},
    {"type": "gitlab", "owner": "g%2Fsub", "repo": "r", "ref": "HEAD"},
    {"type": "sourcehut", "owner": "~o", "repo": "r", "ref": "v1"},
)


def test_host_and_client_know_what_a_ref_can_be_for_that_nix(fleet: Fleet, host: LabHost) -> None:
    nodes = {f"n{number}": {"original": original} for number, original in enumerate(REFS)}
    root = {"inputs": {name: name for name in nodes}}
    text = json.dumps({"nodes": {"root": root, **nodes}, "root": "root", "version": 7})
    asked = "".join(
        f'NF_LOCK_VALUES=$(nf_lock "$file" {name}); nf_field 2\n'
        'nf_ref_names "$(nf_field 3)" "$(nf_field 1)" "$(nf_field 8)"\n'
        for name in nodes
    )
    call = f"nf_owner .; file=$(mktemp); echo {shlex.quote(text)} >$file\n{asked}rm $file"
    script = compose("lock", root="", call=call)
    done = host.run("exec /bin/sh -s", "ops", stdin=script)
    nix, lock = parse_version(host.enter("nix --version", user="ops")), parse_lock(text)
    assert nix is not None
    found = [lock.find(name) for name in nodes]
    sources = [one.source.read_by(nix) for one in found if one is not None]
    wanted = [
        line
        for source in sources
        for line in (source.url, " ".join(ref_names(source.ref, any_kind=source.any_kind)))
    ]
    assert done.stdout.splitlines() == wanted, done.stderr


@on_sid
def test_level_4_evaluates_again(fresh: Fleet, host: LabHost, client: Client) -> None:
    path = fresh.repos.path("nixcfg") / "flake.nix"
    mood = 'assert builtins.readFile (sh "mood" ./mood.sh { }) == "good\\n"; '
    text = path.read_text().replace("toplevel = host: ", f"toplevel = host: {mood}")
    script = "cat /run/lab/mood > $out\n"
    fresh.repos.commit_nixcfg("Have moods", files={"flake.nix": text, "mood.sh": script})
    host.enter("mkdir -p /run/lab; echo bad > /run/lab/mood")
    answer, _ = update(client, host, 3, code=1)
    assert answer["verdict"] == "failed"
    host.enter("echo good > /run/lab/mood; nix store delete /nix/store/*-mood")
    answer, log = update(client, host, 3, code=1)
    assert (answer["verdict"], answer["cause"]) == ("failed", "eval-failed")
    assert "level 4" in answer["advice"]
    assert "cached fail" in log
    answer, _ = update(client, host, 4)
    assert answer["verdict"] == "current"


@pytest.mark.parametrize(
    ("name", "fault"), [("csb1", "wrong"), ("csb0", "truncated"), ("gpc0", 500)], indirect=["name"]
)
def test_level_5_builds_paths_that_a_cache_cannot_deliver(
    fresh: Fleet, host: LabHost, client: Client, cache: BinaryCache, fault: Fault
) -> None:
    fresh.repos.release("2.2.0")
    cache.stock(host, flake(fresh))
    cache.set_fault("nar", fault)
    if fault == "wrong":
        answer, log = update(client, host, 4, code=1)
        assert (answer["verdict"], answer["cause"]) == ("failed", "hash-mismatch")
        assert "level 5" in answer["advice"]
        assert host.agent_version() == "2.1.0"
    answer, log = update(client, host, 5)
    assert cache.asked("nar")
    assert (answer["verdict"], host.agent_version(), was_built(log)) == ("updated", "2.2.0", True)


def need_a_tool(fleet: Fleet) -> None:
    """Give the agent a build input that can be built only under `forged`."""
    path = fleet.repos.path("nixfleet") / "flake.nix"
    tool = """rec {
        tool = derivation {
          inherit system;
          name = "tool";
          builder = "/bin/sh";
          args = [ "-euc" "read -r _ < /opt/forged; echo tool > $out" ];
        };
        default = derivation {
          inherit tool;"""
    text = path.read_text().replace(".default = derivation {", f" = {tool}")
    text = text.replace("\n      };\n    };", "\n      };\n      };\n    };")
    fleet.repos.commit("nixfleet", "Need a tool", {"flake.nix": text})


def test_level_6_builds_the_agent_itself(
    fresh: Fleet, host: LabHost, client: Client, cache: BinaryCache
) -> None:
    need_a_tool(fresh)
    for level, version, runs in ((5, "2.2.0", POISON), (6, "2.3.0", "2.3.0")):
        fresh.repos.release(version)
        with forged(host):
            path = cache.stock(host, flake(fresh))
            tool = cache.stock(host, flake(fresh, "tool"))
        answer, log = update(client, host, level)
        assert (answer["verdict"], answer["after"]["store_path"]) == ("updated", path)
        # the agent's build inputs are fetched
        assert cache.asked("narinfo", tool) is (level == 6)
        assert (host.agent_version(), was_built(log)) == (runs, level == 6)
        if level == 5:
            again, log = update(client, host, 6, code=1)
            assert (again["verdict"], again["cause"]) == ("failed", "not-reproduced")
            assert statuses(again)["build"] == "failed"
            assert "not what its source builds here" in log
            assert host.agent_version() == POISON


def test_level_7_repairs_the_agents_files(fresh: Fleet, host: LabHost, client: Client) -> None:
    exe = host.agent_exe()
    whole = host.enter(f"sha256sum < {exe}")
    rot = f"chmod u+w {exe}; echo rotten >> {exe}; chmod u-w {exe}"
    host.enter(f"systemctl stop nixfleet-agent; {rot}; systemctl start nixfleet-agent")
    # the second build is compared with the hash that Nix noted, not with the files
    answer, log = update(client, host, 6)
    assert (answer["verdict"], "has the hash that Nix noted" in log) == ("current", True)
    assert host.enter(f"sha256sum < {exe}") != whole
    answer, log = update(client, host, 7)
    assert (answer["verdict"], host.agent_exe()) == ("current", exe)
    assert host.enter(f"sha256sum < {exe}") == whole
    assert "is damaged" in log


@pytest.fixture
def homes_cache(fresh_homes: Fleet, tmp_path: Path) -> Iterator[BinaryCache]:
    """The same for the host with Home Manager, whose user the nix daemon does not trust."""
    cache = BinaryCache(tmp_path / "cache", fresh_homes.run.gateway)
    cache.trust(fresh_homes["hsb1"])
    yield cache
    cache.close()


def test_an_untrusted_user_reaches_only_some_levels(
    fresh_homes: Fleet, homes_cache: BinaryCache
) -> None:
    fresh, cache = fresh_homes, homes_cache
    host = fresh["hsb1"]

    def switch(level: int) -> subprocess.CompletedProcess[str]:
        url = flake(fresh).partition("#")[0]
        lock = f"cd {CHECKOUT}; nix flake lock --override-input nixfleet '{url}'"
        options = shlex.join(level_options(level, "home-manager"))
        command = f".nix-profile/bin/home-manager switch -L --flake '{CHECKOUT}#ops@hsb1' {options}"
        return host.run(f"({lock}) && {command}", "ops")

    fresh.repos.release("2.2.0")
    path = cache.stock(host, flake(fresh))
    cache.set_fault("narinfo", 404)
    host.enter(f"nix build --dry-run '{flake(fresh)}'", "ops")
    cache.set_fault("narinfo", "ok")
    assert cache.asked("narinfo", path)
    cache.forget()
    done = switch(1)
    assert (done.returncode, was_built(done.stderr)) == (0, True), done.stderr
    assert "ignoring the client-specified setting 'narinfo-cache-negative-ttl'" in done.stderr
    assert not cache.asked("narinfo", path)

    fresh.repos.release("2.3.0")
    cache.stock(host, flake(fresh))
    cache.set_fault("nar", "wrong")
    assert switch(4).returncode == 1
    done = switch(5)
    assert (done.returncode, was_built(done.stderr)) == (0, True), done.stderr

    fresh.repos.release("2.4.0")
    path = cache.stock(host, flake(fresh))
    cache.set_fault("nar", "ok")
    cache.forget()
    realise = f"nix-store --realise $(nix eval --raw '{flake(fresh, 'default.drvPath')}')"
    host.enter(f"{realise} --option substitute false; {realise} --check", "ops")
    host.enter(f"nix store verify --no-trust {path}", "ops")
    assert not cache.asked("nar")


def test_look_sees_whether_the_daemon_trusts_a_user(fresh: Fleet, host: LabHost) -> None:
    values = {
        "NF_PLATFORM_GIVEN": "home-manager",
        "NF_CHECKOUT": "",
        "NF_INPUT": "",
        "NF_ATTRIBUTE": "",
        "NF_DEEP": "",
    }

    def look(user: str, stamp: str = "") -> dict[str, str]:
        script = question("probe", "", {**values, "NF_NIX_STAMP": stamp})
        return read_records(host.run("exec /bin/sh -s", user, stdin=script).stdout.encode())

    first = look("ops")
    assert (first["nix.trusted"], look("root").get("nix.trusted")) == ("0", None)
    assert not {"nix", "nix.trusted"} & look("ops", first["nix.stamp"]).keys(), "nix was run again"
    trust = "trusted-users = root @nix-users"
    host.enter(f"echo {trust} >> /etc/nix/nix.conf; systemctl try-restart nix-daemon")
    again = look("ops", first["nix.stamp"])
    assert (again["nix"], again["nix.trusted"]) == (first["nix"], "1")
