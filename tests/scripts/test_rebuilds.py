"""Who rebuilds a host and who activates, as the kernel shows it: nixos-rebuild, nh, comin, colmena,
deploy-rs, home-manager. Their command lines are as the tools' sources have them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import DARWIN, UNIT, FakeHost, look

from nixfleet_core.facts.model import Rebuild
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

PYTHON: Final = f"/nix/store/{'8' * 32}-python3-3.13/bin/python3.13"
BASH: Final = f"/nix/store/{'5' * 32}-bash-5.2/bin/bash"
PERL: Final = f"/nix/store/{'4' * 32}-perl-5.40/bin/perl"
NIX: Final = f"/nix/store/{'3' * 32}-nix-2.31/bin/nix"
NG: Final = f"/nix/store/{'9' * 32}-nixos-rebuild-ng-26.05/bin/.nixos-rebuild-wrapped"
NG_NAMED: Final = f"/nix/store/{'9' * 32}-nixos-rebuild-ng-25.05/bin/.nixos-rebuild-ng-wrapped"
OLD: Final = "/run/current-system/sw/bin/nixos-rebuild"
NH: Final = f"/nix/store/{'7' * 32}-nh-4.3/bin/.nh-wrapped"
COMIN: Final = f"/nix/store/{'6' * 32}-comin-0.9/bin/comin"
HOME: Final = "/home/ops/.nix-profile/bin/home-manager"
SWITCH: Final = f"/nix/store/{'a' * 32}-switch-to-configuration-ng/bin/switch-to-configuration"
TOPLEVEL: Final = f"/nix/store/{'b' * 32}-nixos-system-h-26.05"
SWITCH_PERL: Final = f"{TOPLEVEL}/bin/switch-to-configuration"
DEPLOY: Final = f"/nix/store/{'c' * 32}-deploy-rs-0.1.0/bin/activate"
GENERATION: Final = f"/nix/store/{'d' * 32}-home-manager-generation"
EVIL: Final = "/home/ops/evil"

SCRIPTS: Final = {NG: PYTHON, NG_NAMED: PYTHON, OLD: BASH, HOME: BASH, SWITCH_PERL: PERL}
"""Each script's interpreter."""

OTHER_USER: Final = 54321
PID: Final = 4711


def program(host: FakeHost, words: tuple[str, ...]) -> tuple[str, list[str]]:
    """What the kernel runs for these words, and the command line that it shows: of a script, its
    interpreter's."""
    argv = [f"{host.root}{word}" if word in SCRIPTS else word for word in words]
    if words[0] not in SCRIPTS:
        return words[0], argv
    interpreter = SCRIPTS[words[0]]
    host.put(interpreter)
    host.put(words[0], f"#!{host.root}{interpreter}\n")
    return interpreter, [interpreter, *argv]


def runs(host: FakeHost, *words: str, uid: int | None = None) -> None:
    exe, argv = program(host, words)
    host.let_run(PID, exe, *argv, uid=uid)


def seen(host: FakeHost, platform: str = "nixos") -> tuple[str | None, bool]:
    """The program that a look finds to rebuild, and whether an activation runs."""
    facts = look(host, NF_PLATFORM_GIVEN=platform)
    return facts.rebuild.program if facts.rebuild else None, facts.switch_running


REBUILDS: Final = [
    (NG, "switch", "--flake", "."),
    (NG, "--flake", ".", "switch"),
    (NG, "--flake", "build", "switch"),
    (NG, "--verbose", "switch"),
    (NG, "boot", "--upgrade"),
    (NG, "test"),
    (NG, "switch", "--rollback"),
    (NG, "switch", "--build-host", "builder"),
    (NG_NAMED, "switch"),
    (OLD, "switch"),
    (NH, "os", "switch"),
    (NH, "-v", "os", "boot", "."),
    (NH, "-e", "sudo", "os", "test", "-H", "h"),
    (NH, "os", "--verbose", "switch", "--ask"),
    (NH, "os", "rollback"),
]
HOME_REBUILDS: Final = [
    (HOME, "--flake", ".", "switch"),
    (HOME, "switch", "-b", "old"),
    (HOME, "init", "--switch"),
    (NH, "home", "switch", "."),
]
ACTIVATIONS: Final = [
    (SWITCH, "switch"),
    (SWITCH, "boot"),
    (SWITCH, "test"),
    (SWITCH_PERL, "switch"),
    (DEPLOY, "--debug-logs", "activate", TOPLEVEL, "--profile-path", "/p", "--magic-rollback"),
    (DEPLOY, "revoke", "--profile-path", "/p"),
]
NEITHER: Final = [
    *((NG, action) for action in ("build", "dry-build", "dry-run", "dry-activate", "build-vm")),
    *((NG, action) for action in ("build-vm-with-bootloader", "build-image", "edit", "repl")),
    (NG, "list-generations", "--json"),
    (NG, "--flake", "switch", "build"),
    (NG, "--help"),
    (NG, "switch", "--target-host", "other"),
    (NG, "--target-host=other", "switch"),
    (OLD, "dry-activate"),
    *((NH, "os", action) for action in ("build", "build-vm", "build-image", "repl", "info")),
    (NH, "os", "switch", "--dry"),
    (NH, "os", "switch", "-n"),
    (NH, "os", "switch", "--target-host", "other"),
    (NH, "home", "build"),
    (NH, "search", "switch"),
    (NH, "clean", "all"),
    (HOME, "build", "--flake", "/switch"),
    (HOME, "generations"),
    (SWITCH, "dry-activate"),
    (SWITCH, "check"),
    (DEPLOY, "wait", TOPLEVEL),
    (DEPLOY, "activate", TOPLEVEL, "--dry-activate"),
    (NIX, "build", ".#nixosConfigurations.h.config.system.build.toplevel"),
    (NIX, "build", "nixos-rebuild"),
    (f"/nix/store/{'e' * 32}-tools/bin/activate", "activate"),
]


def name(words: tuple[str, ...]) -> str:
    return " ".join(word.rpartition("/")[2] or word for word in words)


def tool(words: tuple[str, ...]) -> str:
    """The name that a look has for it."""
    called = words[0].rpartition("/")[2].removeprefix(".").removesuffix("-wrapped")
    return "deploy-rs" if words[0] == DEPLOY else called


@one_shell
@pytest.mark.parametrize("words", REBUILDS, ids=name)
def test_a_rebuild_of_the_system_is_seen_before_its_activation(
    plain_host: FakeHost, words: tuple[str, ...]
) -> None:
    runs(plain_host, *words)
    assert seen(plain_host) == (tool(words), False)


@one_shell
@pytest.mark.parametrize("words", HOME_REBUILDS, ids=name)
def test_a_rebuild_of_the_home_is_seen_before_its_activation(
    plain_host: FakeHost, words: tuple[str, ...]
) -> None:
    runs(plain_host, *words)
    assert seen(plain_host, "home-manager") == (tool(words), False)


@one_shell
@pytest.mark.parametrize("words", ACTIVATIONS, ids=name)
def test_an_activation_of_the_system_is_seen_by_its_process(
    plain_host: FakeHost, words: tuple[str, ...]
) -> None:
    """Whoever runs it, in a unit of whatever name, or in none."""
    runs(plain_host, *words)
    assert seen(plain_host) == (tool(words), True)


@one_shell
@pytest.mark.parametrize("platform", ["nixos", "home-manager"])
@pytest.mark.parametrize("words", NEITHER, ids=name)
def test_what_moves_no_profile_here_makes_no_host_busy(
    plain_host: FakeHost, words: tuple[str, ...], platform: str
) -> None:
    runs(plain_host, *words)
    assert seen(plain_host, platform) == (None, False)


def test_every_shell_sees_them(plain_host: FakeHost) -> None:
    runs(plain_host, NH, "os", "switch")
    assert look(plain_host).rebuild == Rebuild(PID, "nh", is_agents=False)


def test_every_shell_sees_an_activation(plain_host: FakeHost) -> None:
    runs(plain_host, SWITCH_PERL, "switch")
    assert seen(plain_host) == ("switch-to-configuration", True)


@one_shell
@pytest.mark.parametrize("words", [*REBUILDS, *ACTIVATIONS[:4]], ids=name)
def test_a_rebuild_of_the_system_is_not_one_of_the_home(
    plain_host: FakeHost, words: tuple[str, ...]
) -> None:
    runs(plain_host, *words)
    assert seen(plain_host, "home-manager") == (None, False)


@one_shell
@pytest.mark.parametrize("words", HOME_REBUILDS, ids=name)
def test_a_home_is_rebuilt_only_by_its_user(plain_host: FakeHost, words: tuple[str, ...]) -> None:
    runs(plain_host, *words, uid=OTHER_USER)
    assert seen(plain_host, "home-manager") == (None, False)
    assert seen(plain_host) == (None, False)


# What a process says of itself is a claim.


@one_shell
@pytest.mark.parametrize("words", ACTIVATIONS, ids=name)
def test_only_root_activates_a_system(plain_host: FakeHost, words: tuple[str, ...]) -> None:
    runs(plain_host, *words, uid=OTHER_USER)
    assert seen(plain_host)[1] is False


@one_shell
def test_a_rebuild_of_another_user_is_a_claim(plain_host: FakeHost) -> None:
    runs(plain_host, NG, "switch", "--sudo", uid=OTHER_USER)
    found = Rebuild(PID, "nixos-rebuild", is_agents=False, is_claimed=True)
    assert look(plain_host).rebuild == found


@one_shell
@pytest.mark.parametrize(
    ("exe", "words"),
    [
        (EVIL, ["nixos-rebuild", "switch"]),
        (EVIL, ["/nix/store/x/bin/switch-to-configuration", "switch"]),
        (EVIL, ["nh", "os", "switch"]),
        (BASH, ["bash", "-c", "loop", "nixos-rebuild", "switch"]),
        (BASH, ["bash", "-c", NG, "switch"]),
        (BASH, ["bash", "-ec", NG, "switch"]),
        (BASH, ["bash", NG, "switch"]),
        (PYTHON, ["nixos-rebuild", "switch"]),
        (PYTHON, ["python3", "-c", NG, "switch"]),
        (PYTHON, ["python3", EVIL, NG, "switch"]),
        (None, ["bash", "-c", NG, "switch"]),
        (None, ["bash", EVIL, NG, "switch"]),
    ],
)
@pytest.mark.parametrize("in_agent", [True, False], ids=["in the agent's service", "elsewhere"])
def test_a_rebuild_is_not_known_by_a_word(
    plain_host: FakeHost, exe: str | None, words: list[str], in_agent: bool
) -> None:
    plain_host.put(NG, f"#!{plain_host.root}{PYTHON}\n")
    for path in (PYTHON, BASH, EVIL):
        plain_host.put(path)
    argv = [f"{plain_host.root}{word}" if word == NG else word for word in words]
    plain_host.let_run(PID, exe, *argv)
    if in_agent:
        plain_host.let_have(UNIT, PID)
    assert seen(plain_host) == (None, False)


@one_shell
@pytest.mark.parametrize(("uid", "found"), [(None, "nixos-rebuild"), (OTHER_USER, None)])
def test_a_process_that_we_may_not_look_at_is_believed_only_if_it_is_roots(
    host: FakeHost, uid: int | None, found: str | None
) -> None:
    host.let_run(PID, None, "/any/nixos-rebuild", "switch", uid=uid)
    assert seen(host) == (found, False)


@one_shell
def test_a_look_is_no_suspect_itself(host: FakeHost) -> None:
    """Its own words in ps would each cost a look at a process."""
    host.on("awk", f'printf "%s\\n" "$*" >>"$s/awk"; exec {shutil.which("awk")} "$@"')
    look(host)
    said = (host.state / "awk").read_text()
    assert "nf_suspects" in said
    assert not re.search("nixos-rebuild|switch-to-configuration|home-manager|activate", said)


@one_shell
def test_a_container_rebuilds_itself_and_not_its_host(host: FakeHost) -> None:
    runs(host, SWITCH, "switch")
    (host.root / f"proc/{PID}/root").symlink_to("/usr")
    assert seen(host) == (None, False)
    (host.root / f"proc/{PID}/root").unlink()
    (host.root / f"proc/{PID}/root").symlink_to("/")
    assert seen(host) == ("switch-to-configuration", True)


# Services.


@pytest.mark.parametrize(
    ("words", "program"),
    [
        ((NG, "switch"), "nixos-rebuild"),
        ((SWITCH, "switch"), "switch-to-configuration"),
        ((HOME, "switch"), "home-manager"),
        ((NH, "home", "switch"), "nh"),
    ],
)
def test_a_rebuild_in_the_agents_service_ends_with_it(
    plain_host: FakeHost, words: tuple[str, ...], program: str
) -> None:
    runs(plain_host, *words, uid=OTHER_USER)
    plain_host.let_have(UNIT, 4001, PID)
    assert look(plain_host).rebuild == Rebuild(PID, program, is_agents=True)


@one_shell
@pytest.mark.parametrize("state", ["activating start", "active running", "deactivating stop"])
def test_the_upgrade_by_a_timer_is_seen_all_the_time(host: FakeHost, state: str) -> None:
    """Between two commands of its script, too."""
    host.let_live("nixos-upgrade.service", state)
    assert look(host).rebuild == Rebuild(None, "nixos-upgrade", is_agents=False)
    host.let_end("nixos-upgrade.service")
    assert look(host).rebuild is None


@one_shell
def test_the_home_has_an_upgrade_by_a_timer_of_its_own(host: FakeHost) -> None:
    host.on("systemctl", 'if [ "$1" = --user ]; then shift; fi; default "$@"')
    host.let_live("home-manager-auto-upgrade.service", "activating start")
    found = Rebuild(None, "home-manager-auto-upgrade", is_agents=False)
    assert look(host, NF_PLATFORM_GIVEN="home-manager").rebuild == found
    assert look(host).rebuild is None


@one_shell
def test_the_upgrades_own_rebuild_is_named_before_its_unit(plain_host: FakeHost) -> None:
    plain_host.let_live("nixos-upgrade.service", "activating start")
    runs(plain_host, NG, "switch")
    assert look(plain_host).rebuild == Rebuild(PID, "nixos-rebuild", is_agents=False)


@one_shell
@pytest.mark.parametrize("nix", [NIX, NIX.replace("/nix-2", "/lix-2"), f"{NIX}-instantiate"])
def test_comin_rebuilds_once_it_runs_nix(host: FakeHost, nix: str) -> None:
    host.let_run(4712, COMIN, COMIN, "run", "--config", "/c")
    host.let_have("comin.service", 4712)
    assert look(host).rebuild is None
    host.let_run(4713, nix, "nix", "build", "--no-link")
    assert look(host).rebuild is None, "another's plain build does not count"
    host.let_have("comin.service", 4712, 4713)
    assert look(host).rebuild == Rebuild(4713, "comin", is_agents=False)


# Activations of a home: real processes.

ACTIVATE: Final = """#!/bin/sh
echo up
read line
"""


def put_generation(host: FakeHost) -> Path:
    """A generation, and home-manager's link to it in a temporary folder."""
    host.put(f"{GENERATION}/activate", ACTIVATE)
    (host.root / GENERATION[1:] / "home-files").mkdir()
    return link(host, "tmp/home-manager-build.7f3jK2abcd/generation")


def link(host: FakeHost, path: str) -> Path:
    at = host.root / path
    at.parent.mkdir(parents=True)
    at.symlink_to(host.root / GENERATION[1:])
    return at


@contextmanager
def process(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        yield child
        child.kill()


def is_activated(host: FakeHost, kernel: str) -> bool:
    """Whether an activation of the home runs; on a Mac, lsof says what a process has open."""
    proc = host.root / "proc"
    if proc.is_dir() and not proc.is_symlink():
        shutil.rmtree(proc)
        if kernel == "Linux":
            proc.symlink_to("/proc")
        else:
            host.on("uname", DARWIN)
    values = {"NF_PLATFORM_GIVEN": "home-manager"}
    call = "if nf_switch_lives; then echo yes; else echo no; fi"
    script = compose("service", root=str(host.root), call=call, values=values)
    done = host.send(script)
    assert done.stderr == b""
    return done.stdout == b"yes\n"


KERNELS: Final = [
    "Linux",
    pytest.param("Darwin", marks=pytest.mark.needs("lsof")),
]
PLACES: Final = {
    "home-manager's": "tmp/home-manager-build.AAAAAAAAAA/generation",
    "of another TMPDIR, with a blank": "home/ops/my tmp/home-manager-build.AAAAAAAAAA/generation",
    "nh's": "tmp/nh-homeXy12/result",
    "of another tool": "somewhere/else",
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("gone", [False, True], ids=["there", "removed"])
def test_an_activation_is_known_by_the_links_target(
    plain_host: FakeHost, kernel: str, gone: bool
) -> None:
    """A driver that gets a signal removes its folder, and the activation goes on."""
    at = put_generation(plain_host)
    assert not is_activated(plain_host, kernel)
    with process(f"{at}/activate", "--driver-version", "1") as child:
        if gone:
            shutil.rmtree(at.parent)
        assert is_activated(plain_host, kernel)
        child.communicate(b"\n")
        assert not is_activated(plain_host, kernel)


@one_shell
@pytest.mark.parametrize("gone", [False, True], ids=["there", "removed"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_activation_is_not_known_by_the_links_place(
    plain_host: FakeHost, place: str, gone: bool
) -> None:
    put_generation(plain_host)
    at = link(plain_host, place)
    with process(f"{at}/activate"):
        if gone:
            at.unlink()
        assert is_activated(plain_host, "Linux")


@one_shell
def test_a_specialisation_and_the_generation_itself_are_activations(plain_host: FakeHost) -> None:
    put_generation(plain_host)
    other = plain_host.root / "nix/store" / f"{'f' * 32}-home-manager-generation"
    link(plain_host, f"{other.relative_to(plain_host.root)}/specialisation/night")
    for started in (f"{other}/specialisation/night", f"{plain_host.root}{GENERATION}"):
        with process(f"{started}/activate"):
            assert is_activated(plain_host, "Linux")


@one_shell
def test_only_a_generations_script_in_its_interpreter_is_an_activation(
    plain_host: FakeHost,
) -> None:
    host, shell = plain_host, "echo up; read line"
    at = put_generation(host)
    system = host.put(f"{TOPLEVEL}/activate", ACTIVATE)
    mine = host.put("/tmp/home-manager-build.BBBBBBBBBB/generation/activate", ACTIVATE)
    (host.root / "tmp/home-manager-build.BBBBBBBBBB/generation/home-files").mkdir()
    reads = "import sys; file = open(sys.argv[1]); print('up', flush=True); input()"
    for argv in (
        (system,),
        (mine,),
        ("sh", "-c", shell, f"{at}/activate"),
        (sys.executable, "-c", reads, f"{at}/activate"),
    ):
        with process(*argv):
            assert not is_activated(host, "Linux"), argv


@one_shell
def test_deploy_rs_activates_a_home_until_it_is_confirmed(host: FakeHost) -> None:
    runs(host, DEPLOY, "activate", GENERATION, "--magic-rollback")
    assert seen(host, "home-manager") == ("deploy-rs", True)
