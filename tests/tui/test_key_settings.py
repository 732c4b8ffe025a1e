"""[keys] in config.toml: what may stand there, what is said of mistakes, and what then holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from nixfleet_core.cli.key_settings import WrongKeysError, key_reader, with_all_keys
from nixfleet_core.cli.settings import config_lines
from nixfleet_core.config import (
    Loaded,
    default_config_path,
    load_config,
    system_config_path,
)
from tui.bindings import PLACES, app_keys
from tui.key_rules import VIEWS, AppKeyRules, spelled
from tui.main import TerminalScreen

FILE: Final = "~/.config/nixfleet/config.toml"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc/xdg"))
    return tmp_path


def load(text: str, system: str = "") -> Loaded:
    """What holds with these lines of [keys] in the user's file, and in the system's."""
    own = default_config_path()
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(f"[keys]\n{text}\n")
    if system:
        below = own.parents[2] / "etc/xdg/nixfleet/config.toml"
        below.parent.mkdir(parents=True)
        below.write_text(f"[keys]\n{system}\n")
        assert system_config_path() == below
    return load_config({}, keys=key_reader(TerminalScreen().keys))


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ('"fleet.update" = "f2"', ("f2",)),
        ('fleet.update = "f2"', ("f2",)),
        ('fleet.update = ["u", "f2"]', ("u", "f2")),
        ('fleet.update = ["ctrl+shift+f2", "f2", "f2"]', ("ctrl+shift+f2", "f2")),
        ('fleet.update = ["-", ",", "+", "ö"]', ("minus", "comma", "plus", "ö")),
        ('fleet.update = "shift+ctrl+f2"', ("ctrl+shift+f2",)),
        ('[keys.fleet]\nupdate = "f2"', ("f2",)),
        ("fleet.update = []", ()),
        ('fleet.update = ""', ()),
    ],
)
def test_an_action_has_one_key_some_or_none(line: str, keys: tuple[str, ...]) -> None:
    loaded = load(line)
    assert loaded.problems == ()
    assert loaded.config.keys == {"fleet.update": keys}


CLASH: Final = "'{}' would be the key of {}, too, {}; give one of them another key"
TYPED: Final = "{!r} is for what one types there; give it one such as 'f2'"
LIST: Final = 'must be a key or a list of keys, not {}; write fleet.update = "f2", or a list'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('fleet.updat = "f2"', "unknown action; did you mean 'fleet.update'?"),
        ('zzz = "f2"', "unknown action; nixfleet config lists all of them"),
        ('"fleet.update" = "F2"', "'F2' is no key; write 'f2'"),
        ('fleet.update = "esc"', "'esc' is no key's name here; write 'escape'"),
        ('fleet.update = "u,f2"', '\'u,f2\' is not one key; write ["u", "f2"]'),
        ("fleet.update = 2", LIST.format("a number")),
        ("fleet.update = [true]", LIST.format("true or false")),
        ('fleet.update = "b"', CLASH.format("b", "fleet.rollback", "among the hosts")),
        ('fleet.update = "j"', CLASH.format("j", "table.down", "among the hosts")),
        ('log.mark = "c"', CLASH.format("c", "update.cancel", "in an update")),
        ('plan.push = "x"', CLASH.format("x", "plan.stop", "in plans of several hosts")),
        ("dialog.leave = []", "must have a key; its default is 'escape'"),
        ("dialog.accept = []", "must have a key; its default is 'enter'"),
        ("app.quit = []", "must have a key; its default is 'ctrl+q'"),
        ('dialog.accept = "y"', TYPED.format("y")),
        ('filter.clear = ["escape", "ctrl+u"]', TYPED.format("ctrl+u")),
        ('search.leave = "space"', TYPED.format("space")),
        (
            'dialog.leave = ["q", "escape"]',
            TYPED.format("q").replace("give it", "as its first key, give it"),
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_default_holds(text: str, said: str) -> None:
    loaded = load(text)
    assert loaded.problems == (f"{FILE}:2: keys.{text.partition(' =')[0]}: {said}",)
    assert loaded.config.keys == {}


def test_what_is_set_twice_is_a_mistake_of_the_second_line() -> None:
    loaded = load('fleet.update = "f2"\n"fleet.update" = "f3"')
    assert loaded.problems == (f'{FILE}:3: keys."fleet.update": is set twice; remove one of them',)
    assert loaded.config.keys == {"fleet.update": ("f2",)}


def test_a_second_key_of_leaving_a_dialog_may_be_a_letter() -> None:
    loaded = load('dialog.leave = ["escape", "q"]')
    assert (loaded.problems, loaded.config.keys) == ((), {"dialog.leave": ("escape", "q")})


@pytest.mark.parametrize("name", ["README.md", "docs/app.md"])
def test_the_examples_of_the_documents_are_right(name: str) -> None:
    text = (Path(__file__).parents[2] / name).read_text()
    (example,) = re.findall(r"```toml\n\[keys\]\n(.*?)```", text, re.DOTALL)
    loaded = load(example)
    assert loaded.problems == ()
    assert len(loaded.config.keys) == example.count(" = ")


def test_keys_must_be_a_table() -> None:
    default_config_path().parent.mkdir(parents=True)
    default_config_path().write_text("keys = 3\n")
    (problem,) = load_config({}, keys=key_reader(TerminalScreen().keys)).problems
    assert problem == f"{FILE}:1: keys: must be a table, not a number; write [keys]"


def test_two_actions_can_exchange_their_keys() -> None:
    loaded = load('fleet.update = "b"\nfleet.rollback = "u"')
    assert loaded.problems == ()
    assert loaded.config.keys == {"fleet.update": ("b",), "fleet.rollback": ("u",)}


def test_of_two_that_clash_the_later_one_keeps_its_default() -> None:
    loaded = load('fleet.update = "f2"\nfleet.log = "f2"\nfleet.verify = "l"')
    assert [problem.split(": ")[:2] for problem in loaded.problems] == [
        [f"{FILE}:3", "keys.fleet.log"],
        [f"{FILE}:4", "keys.fleet.verify"],
    ], "the log has its key again, so nothing else can"
    assert loaded.config.keys == {"fleet.update": ("f2",)}


def test_keys_that_are_shared_by_default_can_be_shared_again() -> None:
    loaded = load('update.again = "f5"\nupdate.refresh = "f5"')
    assert loaded.problems == ()


def test_the_users_file_goes_before_the_systems() -> None:
    loaded = load(
        'fleet.update = "f3"\nfleet.verify = "f4"', 'fleet.update = "f2"\nfleet.log = "f4"'
    )
    (problem,) = loaded.problems
    assert problem.startswith(f"{FILE}:3: keys.fleet.verify: 'f4' would be the key of fleet.log")
    assert loaded.config.keys == {"fleet.update": ("f3",), "fleet.log": ("f4",)}
    sources = {held.name: held.source for held in loaded.held if held.name.startswith("keys.")}
    assert sources == {
        "keys.fleet.update": f"{FILE}:2",
        "keys.fleet.log": "~/etc/xdg/nixfleet/config.toml:3",
    }


def test_only_the_app_reads_them() -> None:
    load('fleet.update = "norrd"')
    loaded = load_config({})
    assert (loaded.config.keys, loaded.problems) == ({}, ())


def test_the_app_is_not_asked_if_nobody_chooses_keys() -> None:
    def ask() -> AppKeyRules:
        raise AssertionError

    default_config_path().parent.mkdir(parents=True)
    default_config_path().write_text("refresh = 60\n")
    assert load_config({}, keys=key_reader(ask)).config.keys == {}


def test_config_prints_every_action_and_can_be_read_back() -> None:
    loaded = load('fleet.update = ["f2", "\\""]\nfleet.log = ""')
    text = "\n".join(config_lines(with_all_keys(loaded.held, AppKeyRules())))
    assert (
        "# Force-update the marked hosts that are shown, else this one; default: u\n"
        f'fleet.update = ["f2", "quotation_mark"]  # {FILE}:2\n'
    ) in text
    assert f"; default: l\nfleet.log = []  # {FILE}:3\n" in text
    assert '# Mark this spot\n# log.mark = "m"  # default\n' in text
    for key in app_keys():
        assert len(re.findall(rf"^(?:# )?{re.escape(key.id)} = ", text, re.MULTILINE)) == 1
    default_config_path().write_text(text)
    back = load_config({}, keys=key_reader(TerminalScreen().keys))
    assert (back.config, back.problems) == (loaded.config, ())
    whole = re.sub(r"^# (?=[a-z0-9.-]+ = )", "", text, flags=re.MULTILINE)
    assert len(tomllib.loads(whole)["keys"]["log"]) == sum(
        key.id.startswith("log.") for key in app_keys()
    )
    default_config_path().write_text(whole)
    back = load_config({}, keys=key_reader(TerminalScreen().keys))
    assert back.problems == ()
    rules = AppKeyRules()
    changed = {
        one: keys for one, keys in back.config.keys.items() if keys != rules.actions[one].keys
    }
    assert changed == loaded.config.keys


def test_every_default_key_is_spelled_as_the_app_does_it_and_none_clashes() -> None:
    rules = AppKeyRules()
    for action in rules.actions.values():
        assert rules.spelled(action.id, action.keys) == action.keys
    assert not list(rules.clashes({}))
    assert not list(rules.clashes({one.id: one.keys for one in rules.actions.values()}))


def test_every_class_with_keys_is_in_a_view() -> None:
    seen = {base for nodes in VIEWS.values() for node in nodes for base in node.__mro__}
    assert {node for _, node in PLACES} <= seen


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("ctrl+G", "write 'ctrl+g'"),
        ("shift+a", "write 'A'"),
        ("ctrl+i", "write 'tab'"),
        ("ctrl+[", "write 'escape'"),
        ("escap", "did you mean 'escape'?"),
        ("ctrl+ctrl+a", "keys are such as f2, u, ?, ctrl+g"),
        ("hold+a", "keys are such as"),
        ("", "keys are such as"),
        ("\x1b", "keys are such as"),
        ("ctrl+", "keys are such as"),
        ("solidus", "keys are such as"),
    ],
)
def test_what_is_no_key_is_refused_with_what_would_be_right(key: str, hint: str) -> None:
    with pytest.raises(WrongKeysError) as wrong:
        spelled(key)
    assert wrong.value.hint.startswith(hint)
