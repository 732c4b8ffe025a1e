from __future__ import annotations

import pytest

from nixfleet_core.sandbox.units import (
    Command,
    UnitError,
    define,
    expand,
    read_command,
    read_seconds,
    read_unit,
    split_words,
)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/bin/sh -c 'a  b' c", ["/bin/sh", "-c", "a  b", "c"]),
        ('"a b"c d', ["a bc", "d"]),
        (r"a\x20b \n \101", ["a b", "\n", "A"]),
        (r'"say \"hi\" \\"', [r'say "hi" \\'.replace("\\\\", "\\")]),
        ("  ", []),
    ],
)
def test_words_are_split_as_systemd_splits_them(line: str, words: list[str]) -> None:
    assert split_words(line) == words


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(UnitError):
        split_words("/bin/sh -c 'never closed")


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("echo $$HOME", ("echo $HOME",)),
        ("a${NAME}b", ("axb",)),
        ("$NAME", ("x",)),
        ("$LIST", ("one", "two")),
        ("in$NAME", ("in$NAME",)),
        ("${ABSENT}", ("",)),
    ],
)
def test_variables_are_expanded_as_systemd_expands_them(word: str, result: tuple[str, ...]) -> None:
    assert expand([word], {"NAME": "x", "LIST": "one two"}) == result


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/bin/true", Command(("/bin/true",))),
        ("-/bin/false", Command(("/bin/false",), ignore=True)),
        ("/bin/echo %n 100%%", Command(("/bin/echo", "x.service", "100%"))),
    ],
)
def test_a_command_line_is_read(line: str, command: Command) -> None:
    assert read_command(line, "x.service") == command


@pytest.mark.parametrize("line", ["true", "", "/bin/echo %h"])
def test_a_command_line_that_systemd_refuses_is_refused(line: str) -> None:
    with pytest.raises(UnitError):
        read_command(line, "x.service")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("100ms", 0.1), ("1min 30s", 90.0), ("2h", 7200.0), ("infinity", None)],
)
def test_a_time_span_is_read(text: str, seconds: float | None) -> None:
    assert read_seconds(text) == pytest.approx(seconds)


def test_a_unit_file_is_read() -> None:
    unit = read_unit(
        "x.service",
        "# comment\n[Unit]\nOnFailure=a.service b.service\n[Service]\nType=oneshot\n"
        'Environment="A=one two" B=3\nExecStart=/bin/sh \\\n  -c exit\nRestart=on-failure\n'
        "RestartSec=2\nStartLimitIntervalSec=0\n",
        "/etc/systemd/system/x.service",
    )
    assert unit.commands == (Command(("/bin/sh", "-c", "exit")),)
    assert unit.on_failure == ("a.service", "b.service")
    assert unit.environment == {"A": "one two", "B": "3"}
    assert (unit.kind, unit.restart, unit.restart_after) == ("oneshot", "on-failure", 2.0)
    assert unit.start_interval == 0.0


def test_a_unit_without_a_command_is_refused() -> None:
    with pytest.raises(UnitError):
        define("x.service", (), [], fragment="")
