from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.config import (
    FPS_VARIABLE,
    ON_FINISH_VARIABLE,
    REFRESH_VARIABLE,
    SSH_CONFIG_VARIABLE,
    THEME_VARIABLE,
    Config,
    Limits,
    Loaded,
    check_fps,
    check_refresh,
    check_theme,
    default_config_path,
    load_config,
    read_words,
    system_config_path,
)

WHOLE = """\
refresh = 120
prove = "background"
theme = "nord"
fps = 8
columns = ["state", "host", "state"]
bell = false
title = false
notify = "osc777"
on-finish = ["tell", "-x", "-x", "two words"]
[limits]
connections      = 12
through-one-jump = 2
look             = 90
evaluation       = 900
rebuild          = 28800
"""
VALUES = Config(
    refresh=120.0,
    prove="background",
    theme="nord",
    fps=8,
    columns=("state", "host"),
    bell=False,
    title=False,
    notify="osc777",
    on_finish=("tell", "-x", "-x", "two words"),
    limits=Limits(connections=12, through_one_jump=2, look=90, evaluation=900, rebuild=28800),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc/xdg"))
    return tmp_path


def themes() -> tuple[str, ...]:
    return ("auto", "dark", "light", "nord", "gruvbox")


def columns() -> tuple[str, ...]:
    return ("host", "running", "state", "job")


def load(
    text: str | bytes | None,
    refresh: str | None = None,
    theme: str | None = None,
    fps: str | None = None,
    on_finish: str | None = None,
    **environ: str,
) -> Loaded:
    if text is not None:
        path = default_config_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(
        environ,
        refresh=refresh,
        theme=theme,
        themes=themes,
        fps=fps,
        columns=columns,
        on_finish=on_finish,
    )


def sources(loaded: Loaded) -> dict[str, tuple[str, str]]:
    return {held.name: (held.value, held.source) for held in loaded.held}


def test_the_file_lies_beside_the_inventory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_config_path() == home / ".config/nixfleet/config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert default_config_path() == Path("/elsewhere/nixfleet/config.toml")


def test_without_a_file_the_defaults_hold() -> None:
    loaded = load(None)
    assert loaded.config == Config()
    assert loaded.problems == ()
    assert sources(loaded) == {
        "refresh": ("60", "default"),
        "prove": ("off", "default"),
        "theme": ("auto", "default"),
        "fps": ("60", "default"),
        "columns": ("", "default"),
        "bell": ("true", "default"),
        "title": ("true", "default"),
        "notify": ("auto", "default"),
        "on-finish": ("", "default"),
        "limits.connections": ("24", "default"),
        "limits.through-one-jump": ("4", "default"),
        "limits.look": ("40", "default"),
        "limits.evaluation": ("300", "default"),
        "limits.rebuild": ("14400", "default"),
        "NIXFLEET_SSH_CONFIG": ("", "default"),
    }


def test_every_key_is_read_and_its_line_is_told() -> None:
    loaded = load(WHOLE)
    assert loaded.config == VALUES
    assert loaded.problems == ()
    file = "~/.config/nixfleet/config.toml"
    assert sources(loaded) == {
        "refresh": ("120", f"{file}:1"),
        "prove": ("background", f"{file}:2"),
        "theme": ("nord", f"{file}:3"),
        "fps": ("8", f"{file}:4"),
        "columns": ("state host", f"{file}:5"),
        "bell": ("false", f"{file}:6"),
        "title": ("false", f"{file}:7"),
        "notify": ("osc777", f"{file}:8"),
        "on-finish": ("tell -x -x 'two words'", f"{file}:9"),
        "limits.connections": ("12", f"{file}:11"),
        "limits.through-one-jump": ("2", f"{file}:12"),
        "limits.look": ("90", f"{file}:13"),
        "limits.evaluation": ("900", f"{file}:14"),
        "limits.rebuild": ("28800", f"{file}:15"),
        "NIXFLEET_SSH_CONFIG": ("", "default"),
    }


FILE, VARIABLE, FLAG = "refresh = 20", {REFRESH_VARIABLE: "30"}, "40"


@pytest.mark.parametrize(
    ("file", "environ", "flag", "value", "source"),
    [
        (None, {}, None, 60.0, "default"),
        (FILE, {}, None, 20.0, "~/.config/nixfleet/config.toml:1"),
        (FILE, VARIABLE, None, 30.0, "NIXFLEET_REFRESH"),
        (FILE, VARIABLE, FLAG, 40.0, "--refresh"),
        (FILE, {}, FLAG, 40.0, "--refresh"),
        (None, VARIABLE, None, 30.0, "NIXFLEET_REFRESH"),
        (FILE, VARIABLE, "off", None, "--refresh"),
        (FILE, {REFRESH_VARIABLE: "off"}, None, None, "NIXFLEET_REFRESH"),
        ('refresh = "off"', {}, None, None, "~/.config/nixfleet/config.toml:1"),
        ("refresh = 12.5", {}, None, 12.5, "~/.config/nixfleet/config.toml:1"),
        (FILE, {REFRESH_VARIABLE: ""}, None, 20.0, "~/.config/nixfleet/config.toml:1"),
    ],
)
def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    file: str | None, environ: dict[str, str], flag: str | None, value: float | None, source: str
) -> None:
    loaded = load(file, flag, **environ)
    assert (loaded.config.refresh, sources(loaded)["refresh"][1]) == (value, source)
    assert loaded.problems == ()


IN_FILE, IN_VARIABLE = 'theme = "dark"', {THEME_VARIABLE: "light"}


@pytest.mark.parametrize(
    ("file", "environ", "flag", "value", "source"),
    [
        (None, {}, None, "auto", "default"),
        (IN_FILE, {}, None, "dark", "~/.config/nixfleet/config.toml:1"),
        (IN_FILE, IN_VARIABLE, None, "light", "NIXFLEET_THEME"),
        (IN_FILE, IN_VARIABLE, "nord", "nord", "--theme"),
        (IN_FILE, {}, "auto", "auto", "--theme"),
        (IN_FILE, {THEME_VARIABLE: ""}, None, "dark", "~/.config/nixfleet/config.toml:1"),
    ],
)
def test_the_theme_is_given_as_the_refresh_is(
    file: str | None, environ: dict[str, str], flag: str | None, value: str, source: str
) -> None:
    loaded = load(file, theme=flag, **environ)
    assert (loaded.config.theme, *sources(loaded)["theme"]) == (value, value, source)
    assert loaded.problems == ()


def test_a_wrong_theme_in_the_environment_leaves_the_file_in_force() -> None:
    loaded = load(IN_FILE, **{THEME_VARIABLE: "gruvbux"})
    assert loaded.config.theme == "dark"
    assert loaded.problems == ("NIXFLEET_THEME: 'gruvbux' is no theme; did you mean 'gruvbox'?",)


@pytest.mark.parametrize(
    ("file", "environ", "flag", "value", "source"),
    [
        (None, {}, None, 60, "default"),
        ("fps = 20", {}, None, 20, "~/.config/nixfleet/config.toml:1"),
        ("fps = 20", {FPS_VARIABLE: "1"}, None, 1, "NIXFLEET_FPS"),
        ("fps = 20", {FPS_VARIABLE: "1"}, "60", 60, "--fps"),
        ("fps = 20", {FPS_VARIABLE: ""}, None, 20, "~/.config/nixfleet/config.toml:1"),
    ],
)
def test_the_paints_a_second_are_given_as_the_refresh_is(
    file: str | None, environ: dict[str, str], flag: str | None, value: int, source: str
) -> None:
    loaded = load(file, fps=flag, **environ)
    assert (loaded.config.fps, *sources(loaded)["fps"]) == (value, str(value), source)
    assert loaded.problems == ()


@pytest.mark.parametrize("text", ["0", "61", "-1", "1.5", "1e1", "off", "x", "9 ", "9" * 5000, "٣"])
def test_wrong_paints_a_second_in_the_environment_leave_the_file_in_force(text: str) -> None:
    loaded = load("fps = 20", **{FPS_VARIABLE: text})
    assert loaded.config.fps == 20
    assert loaded.problems == (
        f"NIXFLEET_FPS: {text!r} is no number of paints a second; give 1 to 60",
    )
    with pytest.raises(ValueError):
        check_fps(text)


COMMAND, COMMAND_VARIABLE = 'on-finish = ["a", "b c"]', {ON_FINISH_VARIABLE: "d 'e f' $HOME;g"}


@pytest.mark.parametrize(
    ("file", "environ", "flag", "words", "source"),
    [
        (None, {}, None, (), "default"),
        (COMMAND, {}, None, ("a", "b c"), "~/.config/nixfleet/config.toml:1"),
        (COMMAND, COMMAND_VARIABLE, None, ("d", "e f", "$HOME;g"), "NIXFLEET_ON_FINISH"),
        (COMMAND, COMMAND_VARIABLE, "h", ("h",), "--on-finish"),
        (COMMAND, {ON_FINISH_VARIABLE: ""}, None, ("a", "b c"), "~/.config/nixfleet/config.toml:1"),
        (COMMAND, COMMAND_VARIABLE, "", (), "--on-finish"),
        ("on-finish = []", {}, None, (), "~/.config/nixfleet/config.toml:1"),
    ],
)
def test_the_command_for_verdicts_is_words_and_no_shell_reads_them(
    file: str | None, environ: dict[str, str], flag: str | None, words: tuple[str, ...], source: str
) -> None:
    loaded = load(file, on_finish=flag, **environ)
    assert (loaded.config.on_finish, sources(loaded)["on-finish"][1]) == (words, source)
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [("tell 'me", "no closing quotation"), ("'' me", "its first word is empty")],
)
def test_a_wrong_command_in_the_environment_leaves_the_file_in_force(text: str, says: str) -> None:
    loaded = load(COMMAND, **{ON_FINISH_VARIABLE: text})
    assert loaded.config.on_finish == ("a", "b c")
    assert loaded.problems == (f"NIXFLEET_ON_FINISH: {text!r} is no command: {says}",)
    with pytest.raises(ValueError):
        read_words(text)


def test_without_an_app_nobody_knows_the_names_of_themes() -> None:
    assert load_config({THEME_VARIABLE: "norrd"}).problems == ()
    check_theme("norrd", None)
    with pytest.raises(ValueError):
        check_theme("norrd", themes)


def test_without_an_app_nobody_knows_the_names_of_columns() -> None:
    assert load('columns = ["runing"]').problems != ()
    assert load_config({}).config.columns == ("runing",)
    assert load_config({}).problems == ()


def test_the_users_columns_go_before_the_systems_and_none_are_all(home: Path) -> None:
    write_system(home, 'columns = ["state"]\n')
    assert load(None).config.columns == ("state",)
    assert load('columns = ["job", "host"]').config.columns == ("job", "host")
    assert load("columns = []").config.columns == ()


def test_ssh_reads_the_file_that_the_environment_names() -> None:
    loaded = load(None, **{SSH_CONFIG_VARIABLE: "/my/config"})
    assert loaded.config.ssh_config == "/my/config"
    assert sources(loaded)[SSH_CONFIG_VARIABLE] == ("/my/config", "environment")
    assert load(None, **{SSH_CONFIG_VARIABLE: ""}).config.ssh_config is None


# What is wrong with the file: source, line and key, and what the message must say after them.
MISTAKES = {
    "refresh is another word": (
        'refresh = "of"',
        "1: refresh: 'of' is no time; write refresh = 60, or refresh = \"off\"",
    ),
    "refresh is a number as text": ('refresh = "60"', "1: refresh: '60' is no time; write"),
    "refresh is true": ("refresh = true", "1: refresh: must be a number of seconds, not true or"),
    "refresh is a list": ("refresh = []", "1: refresh: must be a number of seconds, not a list"),
    "refresh is too often": (
        "\nrefresh = 9",
        '2: refresh: 9 is out of range; give 10 to 86400 seconds, or "off"',
    ),
    "refresh is too rare": ("refresh = 86401", "1: refresh: 86401 is out of range"),
    "refresh is no number": ("refresh = nan", "1: refresh: nan is out of range"),
    "a limit is text": (
        '[limits]\nlook = "40"',
        "2: limits.look: must be a whole number, not text; write look = 40",
    ),
    "a limit is a fraction": ("[limits]\nlook = 40.5", "2: limits.look: must be a whole number"),
    "a limit is true": ("limits.rebuild = true", "1: limits.rebuild: must be a whole number"),
    **{
        f"{key} is {value}": (
            f"[limits]\n{key} = {value}",
            f"2: limits.{key}: {value} is out of range; give {least} to {most}",
        )
        for key, least, most in (
            ("connections", 1, 500),
            ("through-one-jump", 1, 500),
            ("look", 10, 600),
            ("evaluation", 30, 7200),
            ("rebuild", 60, 604800),
        )
        for value in (least - 1, most + 1)
    },
    "an unknown key": ("refrsh = 60", "1: refrsh: unknown key; did you mean 'refresh'?"),
    "an unheard-of key": (
        "zzz = 1",
        "1: zzz: unknown key; known keys: refresh, prove, theme, fps, columns, bell, title, notify",
    ),
    "a strange way to prove": (
        'prove = "always"',
        '1: prove: \'always\' is no way to prove; write prove = "off" or prove = "background"',
    ),
    "no word": ("prove = true", "1: prove: True is no way to prove"),
    "a misspelt theme": ('theme = "norrd"', "1: theme: 'norrd' is no theme; did you mean 'nord'?"),
    "an unheard-of theme": (
        'theme = "zzz"',
        "1: theme: 'zzz' is no theme; themes: auto, dark, light, nord, gruvbox",
    ),
    "a theme's name in capitals": ('theme = "DARK"', "1: theme: 'DARK' is no theme; "),
    "no theme": ("theme = 3", '1: theme: must be text, not a number; write theme = "auto"'),
    **{
        f"{fps} paints a second": (f"fps = {fps}", f"1: fps: {fps} is out of range; give 1 to 60")
        for fps in (0, 61)
    },
    "paints as text": (
        'fps = "60"',
        "1: fps: must be a whole number, not text; write fps = 60",
    ),
    "half a paint": ("fps = 0.5", "1: fps: must be a whole number, not a number"),
    "paints are true": ("fps = true", "1: fps: must be a whole number, not true or false"),
    "a misspelt column": (
        'columns = ["host", "runing"]',
        "1: columns: 'runing' is no column; did you mean 'running'?",
    ),
    "an unheard-of column": (
        'columns = ["zzz"]',
        "1: columns: 'zzz' is no column; columns: host, running, state, job",
    ),
    "a column as text": (
        'columns = "host"',
        '1: columns: must be a list, not text; write columns = ["host", "state"]',
    ),
    "a column that is a number": ("columns = [3]", "1: columns: must be a list of texts, not a n"),
    "a strange notice": (
        'notify = "osc8"',
        "1: notify: 'osc8' is no kind of notice; kinds: auto, off, osc9, osc777, osc99",
    ),
    "no notice": ("notify = false", "1: notify: False is no kind of notice"),
    "a bell that is a word": (
        'bell = "off"',
        "1: bell: must be true or false, not text; write bell = false",
    ),
    "a title that is a number": ("title = 0", "1: title: must be true or false, not a number"),
    "a command as text": (
        'on-finish = "tell me"',
        "1: on-finish: must be a list of words, not text; write on-finish = [",
    ),
    "a command with a number": (
        'on-finish = ["tell", 3]',
        "1: on-finish: must be a list of words, not a number",
    ),
    "a command without a name": ('on-finish = [""]', "1: on-finish: its first word is empty"),
    "a command with a NUL": (
        'on-finish = ["a", "\\u0000"]',
        "1: on-finish: a word has a NUL byte; write",
    ),
    "a misspelt limit": (
        "[limits]\nrebiuld = 60",
        "2: limits.rebiuld: unknown key; did you mean 'rebuild'?",
    ),
    "a limit with the field's name": (
        "[limits]\nthrough_one_jump = 4",
        "2: limits.through_one_jump: unknown key; did you mean 'through-one-jump'?",
    ),
    "a table with strange keys": ("[a]\nb = 1\nc = 2", "1: a: unknown key; known keys"),
    "limits is a number": (
        "limits = 3",
        "1: limits: must be a table, not a number; write",
    ),
    "twice": ("refresh = 60\nrefresh = 60", "2: refresh: is defined twice; remove one of them"),
    "no TOML": ("refresh", "1: is not TOML: "),
    "no UTF-8": (b"\xff", "1: is not UTF-8; save the file as UTF-8"),
}


@pytest.mark.parametrize(("text", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_and_the_default_holds(text: str | bytes, says: str) -> None:
    loaded = load(text)
    assert loaded.config == Config()
    (problem,) = loaded.problems
    assert problem.startswith(f"~/.config/nixfleet/config.toml:{says}")


@pytest.mark.parametrize("text", ["9", "-1", "0", "86401", "1e3", "inf", "nan", "OFF", "x", "10 "])
def test_a_mistake_in_the_environment_leaves_the_file_in_force(text: str) -> None:
    loaded = load("refresh = 20", **{REFRESH_VARIABLE: text})
    assert loaded.config.refresh == 20.0
    (problem,) = loaded.problems
    assert problem.startswith(f"NIXFLEET_REFRESH: {text!r} is no time between looks; give 10 to")
    with pytest.raises(ValueError):
        check_refresh(text)


def test_all_mistakes_are_named_and_all_else_holds() -> None:
    loaded = load('prove = 1\nrefresh = 3\n[limits]\nlook = "x"\nconnections = 7\nmore = 1\n')
    assert loaded.config == Config(limits=Limits(connections=7))
    assert sorted(problem.split(": ")[1] for problem in loaded.problems) == [
        "limits.look",
        "limits.more",
        "prove",
        "refresh",
    ]


def test_a_file_that_cannot_be_read_is_named(home: Path) -> None:
    default_config_path().mkdir(parents=True)
    loaded = load(None)
    assert loaded.config == Config()
    assert loaded.problems == ("~/.config/nixfleet/config.toml: is a directory; name a file",)


@given(st.binary(max_size=200) | st.text("[]\"'=.abrefshlimtok-_ \n0123456789#", max_size=80))
def test_no_file_stops_the_program(data: bytes | str) -> None:
    loaded = load(data)
    limits = loaded.config.limits
    assert loaded.config.refresh is None or 10 <= loaded.config.refresh <= 86400
    assert 1 <= limits.connections <= 500
    assert 60 <= limits.rebuild <= 604800


# --- the system's file


def write_system(home: Path, text: str, folder: str = "etc/xdg") -> None:
    path = home / folder / "nixfleet/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_the_systems_file_holds_where_the_users_is_silent(home: Path) -> None:
    write_system(home, "refresh = 120\nbell = false\nlimits = { look = 90, rebuild = 7200 }\n")
    loaded = load("bell = true\n[limits]\nlook = 50\n", refresh="30")
    assert loaded.config == Config(refresh=30.0, limits=Limits(look=50, rebuild=7200))
    assert loaded.problems == ()
    told = sources(loaded)
    assert told["refresh"] == ("30", "--refresh")
    assert told["bell"] == ("true", "~/.config/nixfleet/config.toml:1")
    assert told["limits.look"] == ("50", "~/.config/nixfleet/config.toml:3")
    assert told["limits.rebuild"] == ("7200", "~/etc/xdg/nixfleet/config.toml:3")
    assert told["theme"] == ("auto", "default")


def test_mistakes_name_the_file_that_they_are_in(home: Path) -> None:
    write_system(home, "refresh = 120\nbell = 1\n")
    loaded = load("refresh = 1\n")
    assert loaded.config == Config(refresh=120.0)
    assert [problem.partition(": ")[0] for problem in loaded.problems] == [
        "~/etc/xdg/nixfleet/config.toml:2",
        "~/.config/nixfleet/config.toml:1",
    ]


def test_the_first_folder_that_has_a_file_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_system(home, "refresh = 120\n", "one")
    write_system(home, "refresh = 240\nbell = false\n", "two")
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"relative:{home}/none:{home}/one:{home}/two")
    assert load(None).config == Config(refresh=120.0)


def test_without_the_variable_it_is_in_etc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_DIRS")
    looked: list[str] = []
    monkeypatch.setattr("os.path.lexists", lambda path: looked.append(str(path)))
    assert system_config_path() is None
    assert looked == ["/etc/xdg/nixfleet/config.toml"]
