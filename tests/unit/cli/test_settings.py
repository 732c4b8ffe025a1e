"""`nixfleet config`: the settings as a config.toml that can be read back."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.cli.settings import config_lines, toml_value
from nixfleet_core.config import (
    MEANINGS,
    SSH_CONFIG_VARIABLE,
    THEME_VARIABLE,
    Config,
    Held,
    Loaded,
    default_config_path,
    load_config,
)
from nixfleet_core.log.display import safe

if TYPE_CHECKING:
    from fake_fleet import Fleet

README: Final = (Path(__file__).parents[3] / "README.md").read_text()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc/xdg"))
    default_config_path().parent.mkdir(parents=True)
    return tmp_path


def printed(loaded: Loaded) -> str:
    """As the command prints it."""
    return "".join(f"{safe(line)}\n" for line in config_lines(loaded.held))


def read_back(text: str) -> Loaded:
    default_config_path().write_text(text)
    return load_config({})


def test_every_setting_says_what_it_is_for_and_that_it_has_its_default() -> None:
    loaded = load_config({})
    lines = printed(loaded).splitlines()
    assert {held.name for held in loaded.held} == set(MEANINGS)
    for meaning in MEANINGS.values():
        assert lines.count(f"# {meaning}") == 1
    assert "# refresh = 60  # default" in lines
    assert '# prove = "off"  # default' in lines
    assert "# look = 40  # default" in lines
    assert f"# {SSH_CONFIG_VARIABLE}=  # default" in lines
    assert tomllib.loads(printed(loaded)) == {"limits": {}}


def test_each_value_that_somebody_has_set_says_who() -> None:
    default_config_path().write_text('prove = "background"\nlimits.look = 40\n')
    environ = {THEME_VARIABLE: "nord", SSH_CONFIG_VARIABLE: "/my/config"}
    lines = printed(load_config(environ, refresh="off")).splitlines()
    file = "~/.config/nixfleet/config.toml"
    for line in (
        'refresh = "off"  # --refresh',
        f'prove = "background"  # {file}:1',
        f'theme = "nord"  # {THEME_VARIABLE}',
        f"look = 40  # {file}:2",
        f"# {SSH_CONFIG_VARIABLE}=/my/config  # environment",
        "# rebuild = 14400  # default",
    ):
        assert line in lines


def test_what_is_commented_out_gives_the_defaults_too() -> None:
    text = printed(load_config({}))
    whole = re.sub(r"^# (?=[a-z-]+ = )", "", text, flags=re.MULTILINE)
    back = read_back(whole)
    assert (back.config, back.problems) == (Config(), ())
    assert not any(held.is_default for held in back.held if held.name != SSH_CONFIG_VARIABLE)


@given(
    theme=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    refresh=st.sampled_from(["off", "10", "12.5", "86400", "10.000000001"]),
    prove=st.sampled_from(["off", "background"]),
    look=st.integers(10, 600),
)
def test_what_is_printed_gives_the_same_settings_again(
    theme: str, refresh: str, prove: str, look: int
) -> None:
    default_config_path().write_text(f'prove = "{prove}"\nlimits.look = {look}\n')
    before = load_config({THEME_VARIABLE: theme}, refresh=refresh)
    after = read_back(printed(before))
    assert (after.config, after.problems) == (before.config, ())
    again = read_back(printed(after))
    assert (again.config, again.problems) == (before.config, ())


@pytest.mark.parametrize(
    "text",
    [
        'a"b\\c',
        "a\nrefresh = 10\n#",
        "\x1b]0;owned\x07",
        "\x7f\x9b2J\u202e\u200d\u3164\u2028",
        "ü 日",
    ],
)
def test_a_value_cannot_leave_its_line_or_drive_a_terminal(text: str) -> None:
    shown = toml_value(text)
    assert safe(shown) == shown
    assert tomllib.loads(f"x = {shown}") == {"x": text}
    (line,) = list(config_lines([Held(SSH_CONFIG_VARIABLE, text, text, text)]))[-1:]
    assert safe(line) == line
    assert line.startswith("# ")


def test_bytes_that_are_no_text_are_replaced() -> None:
    shown = toml_value("a\udcffb")
    assert tomllib.loads(f"x = {shown}") == {"x": "a\ufffdb"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (60.0, "60"),
        (12.5, "12.5"),
        (7, "7"),
        ((), "[]"),
        (("notify-send", 'a "b"'), '["notify-send", "a \\"b\\""]'),
    ],
)
def test_each_type_is_written_as_toml_has_it(value: object, written: str) -> None:
    assert toml_value(value) == written
    tomllib.loads(f"x = {written}")


def test_the_command_into_a_file_gives_the_same_settings(
    real: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_config_path().write_text('theme = "light"\nlimits.rebuild = 60\n')
    monkeypatch.setenv("NIXFLEET_REFRESH", "30")
    done = real.run("--theme", "dark", "config")
    monkeypatch.delenv("NIXFLEET_REFRESH")
    assert (done.exit_code, done.stderr) == (0, "")
    back = read_back(done.stdout)
    assert (back.config.refresh, back.config.theme, back.config.limits.rebuild) == (30, "dark", 60)
    again = real.run("config", "--check")
    assert again.exit_code == 0
    assert read_back(again.stdout).config == back.config


def test_the_command_names_the_systems_file(home: Path, real: Fleet) -> None:
    path = home / "etc/xdg/nixfleet/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("refresh = 120\nbel = true\n")
    result = real.run("config", "--check")
    assert result.exit_code == 2
    assert "~/etc/xdg/nixfleet/config.toml:2: bel: unknown key" in result.stderr
    assert "\nrefresh = 120  # ~/etc/xdg/nixfleet/config.toml:1\n" in result.stdout


def test_the_readme_says_the_same_of_each_setting() -> None:
    section = README[README.index("\n## The settings\n") :]
    block, _ = re.findall(r"```toml\n(.*?)```", section[: section.index("\n## ", 4)], re.DOTALL)
    said: dict[str, tuple[str, str]] = {}
    table = ""
    for line in filter(None, block.splitlines()):
        if header := re.fullmatch(r"\[(.+)\]", line):
            table = f"{header[1]}."
            continue
        setting = re.fullmatch(r"([a-z-]+) *= (.+?) +# (.+)", line)
        assert setting is not None, line
        said[f"{table}{setting[1]}"] = (setting[2], setting[3])
    assert said == {
        held.name: (toml_value(held.setting), MEANINGS[held.name])
        for held in load_config({}).held
        if held.name != SSH_CONFIG_VARIABLE
    }
