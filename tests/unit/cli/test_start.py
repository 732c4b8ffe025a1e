"""What the commands load before they answer: starting must stay fast. No clock is asked."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from fake_fleet import own_settings

import nixfleet_core.cli.commands
from nixfleet_core import __version__
from nixfleet_core.cli.command_folder import CommandFolder
from nixfleet_core.cli.main import nixfleet
from nixfleet_core.config import default_config_path

OWN: Final = "tui.main"
UPDATE: Final = "nixfleet_core.cli.update_here"

WORLD: Final = ("asyncio", "nixfleet_core.session", "nixfleet_core.transport", "textual")
"""What talks to hosts, or draws."""

SLOW: Final = (
    *WORLD,
    "humanize",
    "importlib.metadata",
    "msgspec",
    "nixfleet_core.config",
    "nixfleet_core.facts",
    "nixfleet_core.judge",
    "nixfleet_core.plan",
    "platformdirs",
)
"""What takes longer to load than all that `nixfleet --version` needs."""


ENGINE: Final = (
    "asyncio",
    "nixfleet_core.judge.verdict",
    "nixfleet_core.session.conduct",
    "textual",
)
"""What a command that asks no host does not need."""


def loaded(program: str, *words: str) -> set[str]:
    """The modules that a fresh Python has after the program has ended well."""
    lines = (
        "import atexit, sys",
        f"from {program} import main",
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))",
        f"sys.argv[1:] = {words!r}",
        "main()",
    )
    code = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("program", "words", "slow"),
    [
        (OWN, ("--version",), (*SLOW, "nixfleet_core.cli.commands")),
        (UPDATE, ("--version",), WORLD),
        (UPDATE, ("--help",), WORLD),
    ],
)
def test_a_program_says_its_version_or_options_without_its_engine(
    program: str, words: tuple[str, ...], slow: tuple[str, ...]
) -> None:
    found = loaded(program, *words)
    assert program in found
    assert sorted(found.intersection(slow)) == []


def test_the_app_loads_no_repositories_and_no_reports_before_somebody_asks() -> None:
    code = "import sys, tui.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    late = {"nixfleet_core.report.gather", "nixfleet_core.session.repository"}
    assert sorted(late.intersection(done.stdout.split())) == []


def test_only_config_loads_the_app_for_the_list_of_its_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own_settings(monkeypatch, tmp_path)
    path = default_config_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('[keys]\nfleet.update = "f2"\n')
    assert "tui.key_rules" in loaded(OWN, "config")
    found = loaded(OWN, "why", "--help")
    assert "nixfleet_core.config" in found
    assert sorted(found.intersection(ENGINE)) == []


def test_a_command_loads_no_other_command() -> None:
    package = nixfleet_core.cli.commands.__name__
    found = loaded(OWN, "why", "--help")
    assert {name for name in found if name.startswith(f"{package}.")} == {f"{package}.why"}


def test_help_lists_the_command_of_every_file_with_what_it_does() -> None:
    commands = CommandFolder(nixfleet_core.cli.commands.__name__)
    assert {"demo", "hosts", "update", "why"} <= set(commands)
    lines = CliRunner().invoke(nixfleet, ["--help"]).stdout.partition("Commands:\n")[2].splitlines()
    said = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    for name, command in commands.items():
        assert command.name == name
        assert said[name][0] == command.get_short_help_str().split()[0]


def test_each_command_has_an_example_that_it_understands() -> None:
    for name, command in CommandFolder(nixfleet_core.cli.commands.__name__).items():
        told = CliRunner().invoke(nixfleet, [name, "--help"]).stdout
        examples = re.findall(rf"^    nixfleet {name}\b(.*)$", told, re.MULTILINE)
        assert examples, name
        for example in examples:
            words = shlex.split(example.partition(" >")[0])
            command.make_context(name, words)


@pytest.mark.parametrize("word", ["__init__", "hosts.hosts", "../hosts", "", "click"])
def test_only_files_of_the_folder_are_commands(word: str) -> None:
    assert word not in CommandFolder(nixfleet_core.cli.commands.__name__)
    assert CliRunner().invoke(nixfleet, [word]).exit_code == 2


def test_a_wrong_command_gets_the_names_that_are_near() -> None:
    assert "'hosts'" in CliRunner().invoke(nixfleet, ["hots"]).stderr


def test_the_version_is_the_programs_own() -> None:
    assert CliRunner().invoke(nixfleet, ["--version"]).stdout == f"nixfleet {__version__}\n"


def test_the_package_for_nix_has_the_same_version() -> None:
    package = (Path(__file__).parents[3] / "nix/package.nix").read_text()
    assert f'version = "{__version__}";' in package
