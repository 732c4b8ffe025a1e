"""What is counted in a log, and the colours of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tui.log_colours import DARK, LIGHT, derivation_style
from tui.log_survey import BUDGET, Survey

if TYPE_CHECKING:
    from pathlib import Path

LINES = (
    b"$ nix build\n",
    b"\x1b[35;1mwarning:\x1b[0m ignoring a setting\n",
    b"quiet\n",
    b"\x1b[31;1merror:\x1b[0m it broke\n",
    b"jq> cc -Werror\n",
    b"warning: HTTP 502; retrying in 300 ms\n",
    b"$ systemctl start x\n",
)


def survey(path: Path) -> Survey:
    found = Survey(path)
    while found.scan(path.stat().st_size):
        pass
    return found


def starts(found: Survey, kind: str) -> list[int]:
    return list(found.of(kind))  # type: ignore[arg-type]


def offset(number: int) -> int:
    return sum(map(len, LINES[:number]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(LINES))
    return path


def test_a_survey_finds_each_kind_also_behind_colours(path: Path) -> None:
    found = survey(path)
    assert starts(found, "command") == [0, offset(6)]
    assert starts(found, "warning") == [offset(1)]
    assert starts(found, "error") == [offset(3)]
    assert starts(found, "retry") == [offset(5)]


def test_a_survey_goes_on_where_it_was_and_waits_for_the_end_of_a_line(path: Path) -> None:
    found = survey(path)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"err")
    assert not found.scan(path.stat().st_size)
    with path.open("ab") as file:
        file.write(b"or: late\n")
    found.scan(path.stat().st_size)
    assert starts(found, "error") == [offset(3), size]


def test_a_survey_looks_at_a_bounded_part_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    line = b"x" * 99 + b"\n"
    count = 3 * BUDGET // len(line)
    path.write_bytes(line * count + b"error: last\n")
    found = Survey(path)
    parts = 1
    while found.scan(path.stat().st_size):
        parts += 1
    assert parts == 4
    assert starts(found, "error") == [len(line) * count]


def test_a_survey_of_a_missing_file_finds_nothing(tmp_path: Path) -> None:
    found = Survey(tmp_path / "none")
    assert not found.scan(100)
    assert not found.of("error")


def hue_and_light(colour: str) -> tuple[float, float]:
    """The hue in degrees, and the relative luminance by WCAG."""
    import colorsys

    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (red, green, blue)
    ]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360, light


@pytest.mark.parametrize(("palette", "ground"), [(DARK, "#1e1e1e"), (LIGHT, "#e0e0e0")])
def test_names_are_readable_and_never_look_like_a_verdict(
    palette: tuple[str, ...], ground: str
) -> None:
    back = hue_and_light(ground)[1]
    for colour in palette:
        hue, light = hue_and_light(colour)
        assert 175 <= hue <= 300, colour
        brighter, darker = max(light, back), min(light, back)
        assert (brighter + 0.05) / (darker + 0.05) >= 4.5, colour


def test_a_name_keeps_its_colour() -> None:
    assert derivation_style("nixfleet-agent", dark=True).color.name == "#5fc8d8"  # type: ignore[union-attr]
    names = [f"package-{number}" for number in range(100)]
    for dark, palette in ((True, DARK), (False, LIGHT)):
        used = {derivation_style(name, dark=dark).color.name for name in names}  # type: ignore[union-attr]
        assert used == set(palette)
