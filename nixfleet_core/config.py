"""config.toml: how this program behaves, on this machine. It is never written.

One place decides what holds: a flag of the command line, else a variable of the environment, else
the user's file, else the system's, else the default. A mistake stops nothing: it is named with its
place, and the next of these holds.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar, cast, get_args

from nixfleet_core.toml_file import TomlError, TomlFile, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixfleet_core.toml_file import At

REFRESH_VARIABLE: Final = "NIXFLEET_REFRESH"

THEME_VARIABLE: Final = "NIXFLEET_THEME"

FPS_VARIABLE: Final = "NIXFLEET_FPS"

ON_FINISH_VARIABLE: Final = "NIXFLEET_ON_FINISH"

SSH_CONFIG_VARIABLE: Final = "NIXFLEET_SSH_CONFIG"
"""Names a file that ssh reads instead of ~/.ssh/config (`ssh -F`)."""

LEAST_REFRESH: Final = 10
MOST_REFRESH: Final = 24 * 3600
"""Seconds. A look is one connection and some processes on each host."""

LEAST_FPS: Final = 1
MOST_FPS: Final = 60
"""With less than one paint a second keys seem dead; Textual does not paint more often than 60
times, and no terminal shows more."""

Prove = Literal["off", "background"]

Notify = Literal["auto", "off", "osc9", "osc777", "osc99"]
"""The notice on the desktop at a job's end: what the terminal is known to show, none, or one kind
in any terminal."""

AUTO_THEME: Final = "auto"
OWN_THEMES: Final = (AUTO_THEME, "dark", "light")
"""The themes that need no app to be known. The app has more, by their names."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, and how long. Times are in seconds."""

    connections: int = 24
    """So many connections are set up at once."""
    through_one_jump: int = 4
    """So many of them through one jump."""
    look: int = 40
    """For a host's answer to a look, from the connection to the last byte."""
    evaluation: int = 300
    """For one evaluation of the flake on a host; small machines take minutes."""
    rebuild: int = 4 * 3600
    """For the rebuild step of a job, where the command line does not say (`--limit`)."""


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Config:
    """What holds. `refresh` is the time in seconds between the app's looks at each host; None if it
    looks only when it is told to."""

    refresh: float | None = 60.0
    prove: Prove = "off"
    """In the background, the app lets idle hosts prove themselves."""
    theme: str = AUTO_THEME
    fps: int = MOST_FPS
    """The app paints at most so many times a second."""
    columns: tuple[str, ...] = ()
    """Those of the fleet's table, in their order; empty: all. The app adds what no table can be
    without."""
    bell: bool = True
    title: bool = True
    """At a job's end the bell rings, and the window's title says the verdict."""
    notify: Notify = "auto"
    on_finish: tuple[str, ...] = ()
    """The command that runs at each verdict on a job, word by word; empty: none."""
    limits: Limits = DEFAULT_LIMITS
    ssh_config: str | None = None
    keys: Mapping[str, Keys] = field(default_factory=dict)
    """The keys of the app's actions that do not have their default ones, by the actions' ids."""


@dataclass(frozen=True, slots=True)
class Held:
    """One setting: its name, its value as one writes it, and where that comes from; and the value
    itself. `meaning` says what it is for; if it is empty, `MEANINGS` does."""

    name: str
    value: str
    source: str
    setting: object
    meaning: str = ""

    @property
    def is_default(self) -> bool:
        """Whether nobody has set it."""
        return self.source == DEFAULT


@dataclass(frozen=True, slots=True)
class Loaded:
    """`problems` has a line for each mistake: its place, what is wrong, and what would be right."""

    config: Config
    held: tuple[Held, ...]
    problems: tuple[str, ...] = ()


def default_config_path() -> Path:
    """`${XDG_CONFIG_HOME:-~/.config}/nixfleet/config.toml`, on macOS too."""
    from platformdirs.unix import Unix  # the start stays fast where no settings are read

    return Unix("nixfleet", appauthor=False).user_config_path / "config.toml"


def system_config_path() -> Path | None:
    """The first nixfleet/config.toml in the folders of `${XDG_CONFIG_DIRS:-/etc/xdg}`, if any. Who
    sets up a machine for others writes it; NixOS's module does."""
    from platformdirs.unix import Unix

    folders = Unix("nixfleet", appauthor=False, multipath=True).site_config_dir.split(os.pathsep)
    paths = (Path(folder, "config.toml") for folder in folders if Path(folder).is_absolute())
    return next((path for path in paths if os.path.lexists(path)), None)


def load_config(
    environ: Mapping[str, str],
    *,
    refresh: str | None = None,
    theme: str | None = None,
    themes: Names | None = None,
    fps: str | None = None,
    columns: Names | None = None,
    on_finish: str | None = None,
    keys: KeyReader | None = None,
) -> Loaded:
    """Read all settings. `refresh`, `theme`, `fps` and `on_finish` are the flags' texts, which
    `check_refresh`, `check_theme`, `check_fps` and `read_words` have let pass. Without `themes`
    every name of a theme is right, and without `columns` every name of a column. Without `keys` the
    keys of the app are not read: only the app needs them."""
    known = _Known(themes, columns, keys)
    path = system_config_path()
    system = _load(path, None, {}, _Flags(), known) if path else None
    flags = _Flags(refresh, theme, fps, on_finish)
    return _load(default_config_path(), system, environ, flags, known)


@dataclass(frozen=True, slots=True)
class _Flags:
    """What the command line says; None: nothing."""

    refresh: str | None = None
    theme: str | None = None
    fps: str | None = None
    on_finish: str | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What only the app knows; None: it is not asked."""

    themes: Names | None
    columns: Names | None
    keys: KeyReader | None


def _load(
    path: Path, below: Loaded | None, environ: Mapping[str, str], flags: _Flags, known: _Known
) -> Loaded:
    """One file's settings, and what stands above it; what it does not set is as in `below`."""
    found = _Found(below)
    file = found.file(path)
    time: Refresh = found.hold(
        *("refresh", Config().refresh or "off"),
        (file.place("refresh"), found.attempt(file.refresh)),
        found.given(REFRESH_VARIABLE, environ.get(REFRESH_VARIABLE) or None, check_refresh),
        found.given("--refresh", flags.refresh, check_refresh),
    )
    prove: Prove = found.hold(
        *("prove", Config().prove), (file.place("prove"), found.attempt(file.prove))
    )
    is_theme = partial(check_theme, themes=known.themes)
    theme = found.hold(
        *("theme", Config().theme),
        (file.place("theme"), found.attempt(partial(file.theme, known.themes))),
        found.given(THEME_VARIABLE, environ.get(THEME_VARIABLE) or None, is_theme),
        found.given("--theme", flags.theme, is_theme),
    )
    rate = found.hold(
        *("fps", Config().fps),
        (file.place("fps"), found.attempt(file.fps)),
        found.given(FPS_VARIABLE, environ.get(FPS_VARIABLE) or None, check_fps),
        found.given("--fps", flags.fps, check_fps),
    )
    shown = found.hold(
        *("columns", Config().columns),
        (file.place("columns"), found.attempt(partial(file.columns, known.columns))),
    )
    bell, title = (
        found.hold(
            *(key, default), (file.place(key), found.attempt(partial(file.switch, key, default)))
        )
        for key, default in (("bell", Config().bell), ("title", Config().title))
    )
    notify: Notify = found.hold(
        *("notify", Config().notify), (file.place("notify"), found.attempt(file.notify))
    )
    words: tuple[str, ...] = found.hold(
        *("on-finish", Config().on_finish),
        (file.place("on-finish"), found.attempt(file.on_finish)),
        found.given(ON_FINISH_VARIABLE, environ.get(ON_FINISH_VARIABLE) or None, read_words),
        found.given("--on-finish", flags.on_finish, read_words),
    )
    limits = {
        field: found.hold(
            *(f"limits.{key}", getattr(DEFAULT_LIMITS, field)),
            (file.place("limits", key), found.attempt(partial(file.limit, key))),
        )
        for key, field in _LIMITS.items()
    }
    ssh_config = found.hold(
        *(SSH_CONFIG_VARIABLE, ""),
        ("environment", environ.get(SSH_CONFIG_VARIABLE) or None),
    )
    chosen = found.keys(file, known.keys)
    config = Config(
        refresh=None if isinstance(time, str) else time,
        prove=prove,
        theme=theme,
        fps=rate,
        columns=shown,
        bell=bell,
        title=title,
        notify=notify,
        on_finish=words,
        limits=Limits(**limits),
        ssh_config=ssh_config or None,
        keys=chosen,
    )
    return Loaded(config, tuple(found.held), tuple(found.problems))


Refresh = float | Literal["off"]


def check_refresh(text: str) -> Refresh:
    """The value of a flag or a variable. Raises ValueError with what would be right."""
    if text == "off":
        return "off"
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not _is_refresh(float(text)):
        raise ValueError(f"{text!r} is no time between looks; {_REFRESH_HINT} off")
    return float(text)


KEYS_TABLE: Final = "keys"

Keys = tuple[str, ...]
"""The keys of one action of the app, in Textual's spelling. The first one is shown; without one,
the action is only in the command palette."""


class KeyReader(Protocol):
    """Reads the table of keys. Only the app knows which actions and keys there are."""

    def __call__(
        self, file: TomlFile, below: Mapping[str, Keys], note: Callable[[str], None]
    ) -> Mapping[str, tuple[At, Keys]]:
        """The keys that hold of those in the file, by action, each with its place. `below`: what a
        file of lower rank has chosen. `note` is told each mistake."""
        ...


Names = Callable[[], Sequence[str]]
"""Gives all names of a kind, such as those of themes. Only the app knows them, and they are asked
for if need be."""


def check_theme(name: str, themes: Names | None) -> str:
    """The same name. Raises ValueError with what would be right, unless a theme has it."""
    if hint := _wrong_theme(name, themes):
        raise ValueError(f"{name!r} is no theme; {hint}")
    return name


def _wrong_theme(name: str, themes: Names | None) -> str:
    """What would be right; empty if the name is."""
    if name in OWN_THEMES or themes is None:
        return ""
    known = themes()
    if name in known:
        return ""
    return did_you_mean(name, known) or f"themes: {', '.join(known)}"


def check_fps(text: str) -> int:
    """The value of a flag or a variable. Raises ValueError with what would be right."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not LEAST_FPS <= int(text) <= MOST_FPS:
        raise ValueError(f"{text!r} is no number of paints a second; {_FPS_HINT}")
    return int(text)


def read_words(text: str) -> tuple[str, ...]:
    """The words of a command as one types it; no shell reads them. Raises ValueError with what is
    wrong."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no command: {str(error).lower()}") from error
    if hint := _wrong_words(words):
        raise ValueError(f"{text!r} is no command: {hint}")
    return words


def _wrong_words(words: Sequence[str]) -> str:
    """Why no program can be started with them; empty if one may."""
    if words and not words[0]:
        return "its first word is empty"
    return "a word has a NUL byte" if any("\0" in word for word in words) else ""


_REFRESH_HINT: Final = f"give {LEAST_REFRESH} to {MOST_REFRESH} seconds, or"
_FPS_HINT: Final = f"give {LEAST_FPS} to {MOST_FPS}"


def _is_refresh(seconds: float) -> bool:
    return LEAST_REFRESH <= seconds <= MOST_REFRESH


_PROVE: Final = tuple(f'prove = "{value}"' for value in get_args(Prove))
_NOTIFY: Final[tuple[Notify, ...]] = get_args(Notify)

_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "connections": (1, 500),
    "through_one_jump": (1, 500),
    "look": (10, 600),
    "evaluation": (30, 2 * 3600),
    "rebuild": (60, 7 * 24 * 3600),
}
"""The least and the most that a limit may be."""

_LIMITS: Final = {name.replace("_", "-"): name for name in _RANGES}
"""The fields of Limits, by their keys in the file."""

_TABLES: Final = ("limits", KEYS_TABLE)
_KEYS: Final = (
    *("refresh", "prove", "theme", "fps", "columns"),
    *("bell", "title", "notify", "on-finish", *_TABLES),
)


class _ConfigFile(TomlFile):
    """One config.toml being read."""

    def refresh(self) -> Refresh | None:
        value, at = self.top.get("refresh"), ("refresh",)
        example = f'refresh = {Config().refresh:.0f}, or refresh = "off"'
        if value is None or value == "off":
            return None if value is None else "off"
        if isinstance(value, str):
            self.fail(at, f"{value!r} is no time", f"write {example}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong_type(at, "a number of seconds", value, example)
        if not _is_refresh(value):
            self.fail(at, f"{value} is out of range", f'{_REFRESH_HINT} "off"')
        return float(value)

    def prove(self) -> Prove | None:
        value, at = self.top.get("prove"), ("prove",)
        if value is None or value == "off" or value == "background":
            return value
        return self.fail(at, f"{value!r} is no way to prove", f"write {' or '.join(_PROVE)}")

    def theme(self, themes: Names | None) -> str | None:
        name = self.text((), self.top, "theme", f'theme = "{AUTO_THEME}"')
        if name is not None and (hint := _wrong_theme(name, themes)):
            self.fail(("theme",), f"{name!r} is no theme", hint)
        return name

    def fps(self) -> int | None:
        value = self.top.get("fps")
        return self._number(("fps",), value, Config().fps, (LEAST_FPS, MOST_FPS))

    def columns(self, known: Names | None) -> tuple[str, ...] | None:
        value, at = self.top.get("columns"), ("columns",)
        if value is None:
            return None
        names = self.texts(at, value, 'columns = ["host", "state"]')
        columns = names if known is None else known()
        for name in names:
            if name not in columns:
                hint = did_you_mean(name, columns) or f"columns: {', '.join(columns)}"
                self.fail(at, f"{name!r} is no column", hint)
        return names

    def switch(self, key: str, default: bool) -> bool | None:
        value = self.top.get(key)
        if value is not None and not isinstance(value, bool):
            self.wrong_type((key,), "true or false", value, f"{key} = {_written(not default)}")
        return value

    def notify(self) -> Notify | None:
        value, at = self.top.get("notify"), ("notify",)
        for kind in _NOTIFY:
            if value == kind:
                return kind
        if value is None:
            return None
        return self.fail(at, f"{value!r} is no kind of notice", f"kinds: {', '.join(_NOTIFY)}")

    def on_finish(self) -> tuple[str, ...] | None:
        value, at = self.top.get("on-finish"), ("on-finish",)
        if value is None:
            return None
        example = 'on-finish = ["notify-send", "NixFleet"]'
        if not isinstance(value, list):
            self.wrong_type(at, "a list of words", value, example)
        for word in value:
            if not isinstance(word, str):
                self.wrong_type(at, "a list of words", word, example)
        if hint := _wrong_words(value):
            self.fail(at, hint, f"write {example}")
        return tuple(value)

    def limit(self, key: str) -> int | None:
        table = self.top.get("limits")
        if not isinstance(table, dict) or key not in table:
            return None
        default: int = getattr(DEFAULT_LIMITS, _LIMITS[key])
        return self._number(("limits", key), table[key], default, _RANGES[_LIMITS[key]])

    def _number(
        self, at: At, value: object, default: int, least_and_most: tuple[int, int]
    ) -> int | None:
        """A whole number of that range, if there is a value."""
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong_type(at, "a whole number", value, f"{at[-1]} = {default}")
        least, most = least_and_most
        if not least <= value <= most:
            self.fail(at, f"{value} is out of range", f"give {least} to {most}")
        return value

    def strange_keys(self) -> Iterator[At]:
        """The keys that mean nothing; a table has one line, whatever it contains."""
        yield from ((key,) for key in self.top if key not in _KEYS)
        limits = self.top.get("limits")
        if isinstance(limits, dict):
            yield from (("limits", key) for key in limits if key not in _LIMITS)

    def refuse_key(self, at: At) -> None:
        self.known(at, _KEYS if len(at) == 1 else tuple(_LIMITS))

    def check_table(self, key: str) -> None:
        self.table((key,), self.top.get(key, {}), None)


def _limit(field: str, meaning: str, more: str = "") -> str:
    least, most = _RANGES[field]
    return f"{meaning}, {least} to {most}{more}"


MEANINGS: Final[Mapping[str, str]] = {
    "refresh": f"seconds between the app's looks at each host, {LEAST_REFRESH} to {MOST_REFRESH}; "
    'or "off"',
    "prove": '"background": idle hosts prove themselves, see docs/proofs.md',
    "theme": 'the app\'s colours: "dark", "light", or a theme of Textual, such as "nord"',
    "fps": f"the app paints at most so many times a second, {LEAST_FPS} to {MOST_FPS}; "
    "a slow link wants fewer",
    "columns": 'the fleet\'s columns in order, such as ["host", "state", "job"]; [] for all; '
    "see docs/app.md",
    "bell": "rings at a job's end",
    "title": "the window's title says the verdict then",
    "notify": 'a notice on the desktop at a job\'s end: "off", "osc9", "osc777", "osc99"',
    "on-finish": 'a command for each verdict on a job, such as ["notify-send", "NixFleet"]',
    "limits.connections": _limit("connections", "connections that are set up at once"),
    "limits.through-one-jump": _limit(
        "through_one_jump",
        "so many of them through one jump",
        ": sshd there refuses too many (MaxStartups)",
    ),
    "limits.look": _limit("look", "seconds for a host's answer to a look"),
    "limits.evaluation": _limit("evaluation", "seconds for one evaluation of the flake on a host"),
    "limits.rebuild": _limit("rebuild", 'seconds for the step "rebuild" of an update'),
    SSH_CONFIG_VARIABLE: "the file that ssh reads instead of ~/.ssh/config; only this variable "
    "names it",
}
"""What each setting is for; the README says the same of those in the file."""

DEFAULT: Final = "default"

_T = TypeVar("_T")


class _Found:
    """What holds, and all mistakes on the way."""

    def __init__(self, below: Loaded | None) -> None:
        self.held: list[Held] = []
        self.problems: list[str] = list(below.problems) if below else []
        self._below = {one.name: one for one in below.held if not one.is_default} if below else {}

    def attempt(self, read: Callable[[], _T | None]) -> _T | None:
        """What `read` finds; a mistake is noted, and gives None."""
        try:
            return read()
        except (TomlError, ValueError) as error:
            self.problems.append(str(error))
            return None

    def given(
        self, source: str, text: str | None, check: Callable[[str], _T]
    ) -> tuple[str, _T | None]:
        """What a variable or a flag says, and its name; a mistake is noted with it."""
        if text is None:
            return source, None
        try:
            return source, check(text)
        except ValueError as error:
            self.problems.append(f"{source}: {error}")
            return source, None

    def file(self, path: Path) -> _ConfigFile:
        """The file; an empty one if there is none, or if it cannot be read at all."""
        try:
            file = self.attempt(partial(_ConfigFile.read, path))
        except FileNotFoundError:
            file = None
        if file is None:
            return _ConfigFile(path, b"")
        for at in file.strange_keys():
            self.attempt(partial(file.refuse_key, at))
        for key in _TABLES:
            self.attempt(partial(file.check_table, key))
        return file

    def hold(self, name: str, default: _T, *given: tuple[str, _T | None]) -> _T:
        """The value that holds: the last one given. Each has its source."""
        value, source = default, DEFAULT
        if below := self._below.get(name):
            value, source = cast("_T", below.setting), below.source
        for place, one in given:
            if one is not None:
                value, source = one, place
        self.held.append(Held(name, _written(value), source, value))
        return value

    def keys(self, file: _ConfigFile, read: KeyReader | None) -> dict[str, Keys]:
        """The keys of the app's actions that somebody has chosen. They are read only if somebody
        has."""
        start = f"{KEYS_TABLE}."
        below = {
            name.removeprefix(start): one
            for name, one in self._below.items()
            if name.startswith(start)
        }
        chosen = {action: cast("Keys", one.setting) for action, one in below.items()}
        sources = {action: one.source for action, one in below.items()}
        if read is not None and file.top.get(KEYS_TABLE):
            for action, (at, keys) in read(file, chosen, self.problems.append).items():
                chosen[action], sources[action] = keys, file.place(*at)
        for action, keys in chosen.items():
            name = f"{start}{action}"
            self.held.append(Held(name, _written(keys), sources[action], keys))
        return chosen


def _written(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value == int(value):
            return f"{value:.0f}"
        case tuple():
            return shlex.join(value)
        case _:
            return str(value)
