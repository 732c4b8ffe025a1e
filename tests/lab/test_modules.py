"""The flake and its modules, by real Nix; and what the sudo rule lets people do."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from nixfleet_core.config import Config, Limits, default_config_path, load_config
from nixfleet_core.host import Host
from nixfleet_core.inventory import load_inventory

from .fleet import SUITES
from .modules import PROJECT, STUB, SW_BIN, SYSTEM, activate, at, build_path, evaluate, put_flakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fleet import Fleet
    from .host import LabHost

PROJECT_ROOT: Final = Path(__file__).parents[2]
DOCS: Final = PROJECT_ROOT / "docs" / "nix.md"
LAUNCHER: Final = f"{SW_BIN}/nixfleet-launch"
CHECKOUT: Final = "/home/ops/Code/nixcfg"
STUBBED: Final = f"--no-write-lock-file --override-input nixpkgs path:{STUB}"
SYSTEMS: Final = ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"]
FINAL: Final = "{ callPackage = file: _: baseNameOf file; }"
TIMER: Final = {"OnCalendar": "04:00", "Persistent": True, "RandomizedDelaySec": 3600}


@pytest.fixture(scope="module", params=SUITES)
def nix(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[LabHost]:
    """Each host in turn, with the flakes on it; reset when the module's tests are done with it."""
    host = fleet[request.param]
    put_flakes(host)
    yield host
    fleet.reset(host.name)


@pytest.fixture(scope="module")
def seen(nix: LabHost) -> object:
    return evaluate(nix, "seen")


def names(paths: object) -> list[str]:
    """Names of store paths."""
    assert isinstance(paths, list)
    return [path.removeprefix("/nix/store/")[33:] for path in paths]


# --- the flake


def test_flake_passes_the_check_of_nix(nix: LabHost) -> None:
    nix.enter(f"nix flake check path:{PROJECT} --no-build {STUBBED}")


def test_the_lock_file_fits_the_flake(nix: LabHost) -> None:
    """There is no network, so a lock file that lacks something would fail."""
    said = nix.enter(f"nix flake metadata --json --no-update-lock-file path:{PROJECT}")
    locked = at(json.loads(said), "locks", "nodes", "nixpkgs", "locked")
    assert at(locked, "rev") == "61b7c44c4073f0b827768aff0049561b5110ea5a"


@pytest.mark.parametrize(
    ("attribute", "apply", "expected"),
    [
        (f"packages.{SYSTEM}.default", "p: p.name", "nixfleet-tui-0.1.0"),
        ("packages", "builtins.attrNames", SYSTEMS),
        (f"apps.{SYSTEM}", "builtins.mapAttrs (_: a: baseNameOf a.program)",
         {"default": "nixfleet", "nixfleet": "nixfleet", "nixfleet-update": "nixfleet-update"}),
        ("overlays", f"o: o.default {FINAL} 0", {"nixfleet-tui": "package.nix"}),
        (f"devShells.{SYSTEM}.default", "s: s.name", "shell"),
        (f"checks.{SYSTEM}", "builtins.attrNames", ["package", "scripts"]),
        ("nixosModules", "m: map baseNameOf m.default.imports", ["nixos-module.nix"]),
        ("homeModules", "m: map baseNameOf m.default.imports", ["home-manager-module.nix"]),
    ],
)  # fmt: skip
def test_the_flakes_outputs(nix: LabHost, attribute: str, apply: str, expected: object) -> None:
    said = nix.enter(f"nix eval --json path:{PROJECT}#{attribute} --apply '{apply}' {STUBBED}")
    assert json.loads(said) == expected


TEXTUAL: Final = {
    "pname": "textual",
    "version": "8.2.8",
    "hash": "sha256-PxBqn7xz453SZslxJDIIfeeKbWRAhMfCQdaiXDFpEVs=",
}


@pytest.mark.parametrize("version", ["8.0.0", "8.9"])
def test_the_package_takes_the_textual_of_nixpkgs(seen: object, version: str) -> None:
    assert at(seen, "textual", version) == [{"version": version, "src": "nixpkgs"}]


@pytest.mark.parametrize("version", ["6.2.1", "9.0.0"])
def test_the_package_brings_the_textual_that_it_needs(seen: object, version: str) -> None:
    assert at(seen, "textual", version) == [{"version": "8.2.8", "src": TEXTUAL}]


def test_the_package_names_its_page_and_its_licence(seen: object) -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert at(seen, "meta", "homepage") == project["urls"]["NixFleet"]
    assert at(seen, "meta", "license", "spdxId") == project["license"]
    assert at(seen, "meta", "description") == project["description"]


# --- the NixOS module


def test_module_changes_nothing_when_disabled(seen: object) -> None:
    assert at(seen, "nixos", "off") == {
        "assertions": [],
        "files": {},
        "packages": [],
        "sudo": {"extraRules": [], "text": ""},
        "sudo-rs": {"extraRules": []},
        "systemd": {"services": {}, "timers": {}},
    }
    assert at(seen, "home", "off") == {
        "assertions": [],
        "files": {},
        "packages": [],
        "launchd": {"agents": {}},
        "systemd": {"user": {"services": {}, "timers": {}}},
    }


def test_enabled_module_installs_the_command_and_gives_no_rights(seen: object) -> None:
    plain = at(seen, "nixos", "plain")
    assert names(at(plain, "packages")) == [
        "nixfleet-tui-0.1.0",
        "nixfleet-update",
        "nixfleet-launch",
    ]
    assert at(plain, "sudo", "text") == ""
    assert at(plain, "systemd") == {"services": {}, "timers": {}}


def test_everything(nix: LabHost, seen: object) -> None:
    config = at(seen, "nixos", "everything")
    assert names(at(config, "packages"))[-1] == "nixfleet-agent"
    assert at(config, "sudo", "text") == "".join(
        f'{who} ALL=(root) NOPASSWD: {LAUNCHER} ""\n' for who in ("watcher", "%wheel")
    )
    assert at(config, "sudo-rs", "extraRules") == at(config, "sudo", "extraRules")
    command = at(config, "packages", 1)
    assert at(config, "systemd", "services") == {
        # the agent's own unit is left alone: its ExecStart is a link of the proof
        "nixfleet-agent": {
            "serviceConfig": {"ExecStart": nix.agent_exe(), "User": "watcher"},
        },
        "nixfleet-update": {
            "description": "Update the NixFleet agent",
            "after": ["network-online.target"],
            "wants": ["network-online.target"],
            "restartIfChanged": False,
            "stopIfChanged": False,
            "environment": {"HOME": "/root"},
            "serviceConfig": {
                "Type": "oneshot",
                "ExecStart": f"{command}/bin/nixfleet-update",
                "SuccessExitStatus": "6 9",
            },
        },
    }
    assert at(config, "systemd", "timers", "nixfleet-update") == {
        "description": "Update the NixFleet agent",
        "wantedBy": ["timers.target"],
        "timerConfig": TIMER,
    }
    assert at(config, "assertions", 0, "assertion") is True


def test_a_wrapper_needs_an_agent(seen: object) -> None:
    assertion = at(seen, "nixos", "wrapperWithoutAgent", "assertions", 0)
    assert at(assertion, "assertion") is False
    assert "services.nixfleet-agent is not enabled" in str(at(assertion, "message"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("noCheckout", "checkout' is used but not defined"),
        ("relativeCheckout", "checkout' is not of type"),
        ("homeCheckout", "checkout' is not of type"),
        ("oddInput", "input' is not of type"),
        ("oddName", "name' is not of type"),
        ("oddAttribute", "attribute' is not of type"),
        ("unknownOption", "force' does not exist"),
        ("negativeDelay", "timer.randomizedDelaySec' is not of type"),
    ],
)
def test_wrong_options_do_not_evaluate(nix: LabHost, name: str, said: str) -> None:
    with pytest.raises(RuntimeError, match=f"programs.nixfleet-update.{re.escape(said)}"):
        evaluate(nix, f"wrong.{name}")


# --- the Home Manager module


def test_home_on_linux(seen: object) -> None:
    config = at(seen, "home", "everything")
    assert names(at(config, "packages")) == [
        "nixfleet-tui-0.1.0",
        "nixfleet-update",
        "nixfleet-agent",
    ]
    assert at(config, "launchd", "agents") == {}
    user = at(config, "systemd", "user")
    # the unit changes with each update, and runs the switch
    assert at(user, "services", "nixfleet-update", "Unit", "X-SwitchMethod") == "keep-old"
    assert at(user, "services", "nixfleet-update", "Service") == {
        "Type": "oneshot",
        "ExecStart": f"{at(config, 'packages', 1)}/bin/nixfleet-update",
        "SuccessExitStatus": "6 9",
    }
    assert at(user, "timers", "nixfleet-update", "Timer") == TIMER
    assert at(user, "timers", "nixfleet-update", "Install") == {"WantedBy": ["timers.target"]}


def test_home_on_a_mac(seen: object) -> None:
    config = at(seen, "home", "mac")
    assert names(at(config, "packages"))[-1] == "nixfleet-agent"
    assert at(config, "systemd") == {"user": {"services": {}, "timers": {}}}
    job = at(config, "launchd", "agents", "nixfleet-update")
    assert at(job, "enable") is True
    words = ["/home/ops/.nix-profile/bin/nixfleet-update-later"]
    assert at(job, "config", "ProgramArguments") == words
    assert at(job, "config", "StartCalendarInterval") == [{"Hour": 4, "Minute": 0}]
    assert at(job, "config", "StandardErrorPath") == "/home/ops/Library/Logs/nixfleet-update.log"


def test_an_update_leaves_the_macs_timer_as_it_is(seen: object) -> None:
    """Home Manager boots an agent out if its plist has changed; this one runs the switch."""
    now, then = (at(seen, "home", name) for name in ("mac", "nextMac"))
    job = at(now, "launchd", "agents", "nixfleet-update")
    assert job == at(then, "launchd", "agents", "nixfleet-update")
    assert "/nix/store" not in json.dumps(job)
    assert at(now, "packages", 2) != at(then, "packages", 2)
    assert (
        names(at(now, "packages"))[2] == names(at(then, "packages"))[2] == "nixfleet-update-later"
    )


# --- the settings


@pytest.mark.parametrize(
    ("kind", "name"), [("nixos", "xdg/nixfleet/config.toml"), ("home", "nixfleet/config.toml")]
)
def test_settings_are_what_the_program_reads(
    nix: LabHost,
    seen: object,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    name: str,
) -> None:
    files = at(seen, kind, "everything", "files")
    assert isinstance(files, dict)
    assert list(files) == [name]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc/xdg"))
    default_config_path().parent.mkdir()
    default_config_path().write_text(nix.enter(f"cat {files[name]}"))
    loaded = load_config({})
    assert loaded.problems == ()
    assert loaded.config == Config(
        refresh=120.0,
        theme="light",
        on_finish=("notify-send", 'a "b"'),
        limits=Limits(rebuild=7200),
    )


def test_no_settings_write_no_file(seen: object) -> None:
    assert at(seen, "nixos", "plain", "files") == at(seen, "home", "plain", "files") == {}


# --- what is built


def put_program(host: LabHost, path: str, script: str) -> None:
    program = host.root / path
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("nixos", "plain", Host("csb1", platform="nixos", checkout=CHECKOUT, attribute="csb1")),
        (
            "nixos",
            "other",
            Host(
                "cloud",
                platform="nixos",
                checkout='/srv/my "nix" cfg',
                input="fleet",
                attribute="csb1-server",
            ),
        ),
        ("home", "plain", Host("home", platform="home-manager")),
    ],
)
def test_the_command_knows_this_host(
    nix: LabHost, tmp_path: Path, kind: str, name: str, expected: Host
) -> None:
    path = build_path(nix, "home" if kind == "home" else "nixos", name)
    put_program(nix, "usr/local/bin/nixfleet-update", "printf '%s\\n' \"$@\"")
    option, file, *rest = nix.enter(f"{path}/bin/nixfleet-update --force 'a b'").splitlines()
    assert (option, rest) == ("--hosts", ["--force", "a b"])
    copy = tmp_path / "hosts.toml"
    copy.write_text(nix.enter(f"cat {file}"))
    assert load_inventory(copy).hosts == (expected,)


def test_the_wrapper_becomes_the_agent(nix: LabHost) -> None:
    path = build_path(nix, "nixos", "everything")
    version = nix.enter(f"{nix.agent_exe()} --version")
    assert nix.enter(f"{path}/bin/nixfleet-agent --version") == version


def test_odd_values_are_quoted_in_the_scripts(nix: LabHost) -> None:
    path = build_path(nix, "nixos", "other")
    put_program(nix, "opt/agent's/bin/nixfleet-agent", 'echo "$0"')
    assert nix.enter(f"{path}/bin/nixfleet-agent") == "/opt/agent's/bin/nixfleet-agent"


# --- the options' page


@pytest.mark.parametrize("kind", ["nixos", "home"])
def test_every_option_is_on_the_page(seen: object, kind: str) -> None:
    options = at(seen, "options", kind)
    assert isinstance(options, list)
    assert all(option["described"] for option in options)
    page = DOCS.read_text()
    assert [option["name"] for option in options if f"| `{option['name']}` |" not in page] == []


# --- what the sudo rule lets people do

ALLOWED: Final = {
    "update": "printf update | sudo -n {launcher}",
    "force": "echo force | sudo -n {launcher}",
    "by its name": "echo force | sudo -n nixfleet-launch",
}
REFUSED: Final = {
    "a shell": "sudo -n sh -c id",
    "no command": "sudo -n -s id",
    "a login": "sudo -n -i id",
    "systemctl": "sudo -n systemctl stop nixfleet-agent",
    "systemd-run": "sudo -n systemd-run id",
    "nixos-rebuild": f"sudo -n {SW_BIN}/nixos-rebuild switch",
    "the command itself": f"echo force | sudo -n {SW_BIN}/nixfleet-update --force",
    "an argument": "echo force | sudo -n {launcher} force",
    "an option": "echo force | sudo -n {launcher} --hosts=/tmp/hosts.toml",
    "an empty argument": "echo force | sudo -n {launcher} ''",
    "what the rule says": "echo force | sudo -n {launcher} '\"\"'",
    "another user": "echo force | sudo -n -u ops {launcher}",
    "another group": "echo force | sudo -n -g ops {launcher}",
    "a variable": "echo force | sudo -n PYTHONPATH=/tmp {launcher}",
    "the whole environment": "echo force | sudo -n -E {launcher}",
    "a program of that name": "cp /bin/sh /tmp/nixfleet-launch; sudo -n /tmp/nixfleet-launch -c id",
    "its file": "sudo -n -e {launcher}",
    "another way to its file": "echo force | sudo -n {launcher}/../nixos-rebuild",
}


@pytest.fixture(scope="module")
def guarded(fleet: Fleet) -> Iterator[LabHost]:
    """csb1 with the rules of `everything`; nixfleet-update only notes its run and its user."""
    host = fleet["csb1"]
    put_flakes(host)
    notes = 'echo "$(id -u) $*" | tee -a /root/ran\nenv >/root/env'
    put_program(host, "usr/local/bin/nixfleet-update", notes)
    host.enter("groupadd wheel; useradd -m watcher; useradd -m -G wheel member")
    activate(host, "everything")
    yield host
    fleet.reset(host.name)


def tries(host: LabHost, user: str, command: str) -> tuple[int, str, str]:
    """A command's exit code, what nixfleet-update noted, and what was printed."""
    host.enter("rm -f /root/ran")
    said = host.enter(f"({command.format(launcher=LAUNCHER)}) 2>&1 || echo exit $?", user=user)
    printed, _, code = said.rpartition("exit ")
    noted = host.enter("cat /root/ran 2>/dev/null || true")
    return (int(code), noted, printed) if printed else (0, noted, said)


def refused_by_sudo(tried: tuple[int, str, str]) -> bool:
    code, noted, printed = tried
    by_sudo = re.search(
        "^sudo: (a password is required|sorry, you are not allowed|you are not permitted)"
        "|is not allowed to execute",
        printed,
        re.MULTILINE,
    )
    return (code, noted) == (1, "") and by_sudo is not None


@pytest.mark.parametrize("user", ["watcher", "member"])
@pytest.mark.parametrize("how", ALLOWED)
def test_the_rule_allows_the_launch(guarded: LabHost, user: str, how: str) -> None:
    code, noted, printed = tries(guarded, user, ALLOWED[how])
    assert (code, printed) == (0, noted)
    words = "" if how == "update" else " --force"
    assert re.fullmatch(rf"0 --hosts /nix/store/\S+ --detach --json{words}", noted)


@pytest.mark.parametrize("how", REFUSED)
def test_the_rule_allows_nothing_else(guarded: LabHost, how: str) -> None:
    tried = tries(guarded, "watcher", REFUSED[how])
    assert refused_by_sudo(tried), tried


def test_nobody_else_may_launch(guarded: LabHost) -> None:
    assert refused_by_sudo(tries(guarded, "pw", ALLOWED["force"]))


@pytest.mark.parametrize("word", ["", "sh", "force --hosts=/tmp/x", "update; id"])
def test_launcher_refuses_other_words(guarded: LabHost, word: str) -> None:
    code, noted, printed = tries(guarded, "watcher", f"echo '{word}' | sudo -n {{launcher}}")
    assert (code, noted) == (2, "")
    assert printed.startswith("nixfleet-launch: say")


def test_launch_ignores_the_callers_environment(guarded: LabHost) -> None:
    hostile = "export PYTHONPATH=/tmp HOME=/tmp XDG_CONFIG_HOME=/tmp LC_ALL=de_DE.UTF-8"
    tries(guarded, "watcher", f"{hostile}; echo force | sudo -n {{launcher}}")
    seen = dict(line.split("=", 1) for line in guarded.enter("cat /root/env").splitlines())
    watcher = guarded.enter("id -u watcher")
    assert {key: seen[key] for key in seen if key not in ("PWD", "OLDPWD", "SHLVL", "_")} == {
        "PATH": "/run/wrappers/bin:/run/current-system/sw/bin:/usr/bin:/bin",
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "LC_ALL": "C",
        "SUDO_UID": watcher,
    }


def test_only_root_can_change_the_launched_program(guarded: LabHost) -> None:
    path = guarded.enter(f"readlink -f {LAUNCHER}")
    assert path.startswith("/nix/store/")
    # every folder on the way, and the program
    for user in ("watcher", "ops"):
        guarded.enter(
            f"p={path}; while [ $p != / ]; do [ ! -w $p ]; p=$(dirname $p); done", user=user
        )
