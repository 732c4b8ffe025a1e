"""The lines of a look for old programs become facts; what cannot be read is left out."""

from __future__ import annotations

import pytest

from nixfleet_core.facts.old_units import (
    Booted,
    OldProcess,
    OldUnit,
    OldUnits,
    UnitName,
    package_of,
    read_old_units,
)

OLD = f"/nix/store/{'a' * 32}-web-1.0"
NEW = f"/nix/store/{'b' * 32}-web-2.0"
LIB = f"/nix/store/{'c' * 32}-openssl-3.0.13"


def lines(*rows: tuple[object, ...]) -> str:
    return "\n".join("\t".join(map(str, row)) for row in rows)


UNIT = ("unit", "web.service", f"{OLD}/bin/web", "loaded no-restart", f"{NEW}/bin/web")


def process(pid: object = 100, key: str = "web.service", **changes: object) -> tuple[object, ...]:
    values = {"since": 7, "state": "here", "exe": f"{OLD}/bin/web", "script": "-", "mapped": 2}
    return ("process", pid, key, *{**values, **changes}.values())


def test_a_whole_answer_is_read() -> None:
    text = lines(
        UNIT,
        process(101, state="apart"),
        process(100, state="gone", script=f"{LIB}/x"),
        ("maps", 100, LIB),
        ("maps", 7, LIB),
        ("unit", "1000/play.service", "-", "-", "-"),
        process(102, "1000/play.service", exe="-"),
        ("old", OLD),
        ("old", LIB),
        ("older", LIB),
        ("newer", OLD, NEW),
        ("boot", "kernel", f"{OLD}/bzImage", f"{NEW}/bzImage"),
        ("looked", 12, 3),
        ("loose", 4),
        ("failed", "homes"),
    )
    exe = f"{OLD}/bin/web"
    assert read_old_units(text) == OldUnits(
        looked=12,
        unseen=3,
        loose=4,
        failed=frozenset({"homes"}),
        units=(
            OldUnit(
                UnitName("play.service", 1000), processes=(OldProcess(pid=102, since=7, mapped=2),)
            ),
            OldUnit(
                UnitName("web.service"),
                main=exe,
                program=f"{NEW}/bin/web",
                flags=frozenset({"loaded", "no-restart"}),
                processes=(
                    OldProcess(100, 7, exe, f"{LIB}/x", False, True, 2, (LIB,)),
                    OldProcess(101, 7, exe, is_apart=True, mapped=2),
                ),
            ),
        ),
        old=frozenset({OLD, LIB}),
        older=frozenset({LIB}),
        newer={OLD: NEW},
        boot=(Booted("kernel", f"{OLD}/bzImage", f"{NEW}/bzImage"),),
    )


@pytest.mark.parametrize(
    "row",
    [
        ("unit", "a b.service", "-", "-", "-"),
        ("unit", "x;reboot.service", "-", "-", "-"),
        ("unit", "$(reboot).service", "-", "-", "-"),
        ("unit", "\x1b[2J.service", "-", "-", "-"),
        ("unit", "1000/a/b.service", "-", "-", "-"),
        ("unit", "99999999999/a.service", "-", "-", "-"),
        ("unit", "a" * 256, "-", "-", "-"),
        ("unit", "a.service", "-", "-"),
        ("unit", "a.service", "-", "-", "-", "-"),
        ("failed", "everything"),
        ("old", f"{OLD}/bin"),
        ("old", "/nix/store/x-web"),
        ("older", "/etc/passwd"),
        ("newer", OLD, "/etc/passwd"),
        ("boot", "bootloader", OLD, NEW),
        ("boot", "kernel", OLD, "-"),
        ("looked", "x", "-1"),
        ("looked", 10**12, 10**12),
        ("process",),
        ("",),
        ("nonsense", 1, 2),
    ],
)
def test_a_line_that_is_none_says_nothing(row: tuple[object, ...]) -> None:
    assert read_old_units(lines(row)) == OldUnits()


def test_times_and_numbers_out_of_bounds_are_not_believed() -> None:
    odd = process("x", since="99999999999", mapped="9" * 12, exe="/bin/sh", script="../x")
    (unit,) = read_old_units(lines(UNIT, odd)).units
    assert unit.processes == (OldProcess(pid=0, since=0),)


def test_a_process_of_no_unit_is_left_out() -> None:
    assert read_old_units(lines(process())).units == ()


def test_of_the_paths_that_a_process_maps_ten_are_kept() -> None:
    (unit,) = read_old_units(lines(UNIT, process(), *[("maps", 100, LIB)] * 50)).units
    assert len(unit.processes[0].maps) == 10


def test_so_many_units_are_read_and_no_more() -> None:
    rows = [("unit", f"u{n}.service", "-", "-", "-") for n in range(3000)]
    assert len(read_old_units(lines(*rows)).units) == 2000


@pytest.mark.parametrize(
    "failed", ["closure", "units", "processes", "homes", "older", "names", "cut"]
)
def test_what_could_not_be_asked_is_told(failed: str) -> None:
    assert read_old_units(lines(("failed", failed))).failed == {failed}
    assert read_old_units(lines(("failed", f"{failed}s"))).failed == set()


@pytest.mark.parametrize(
    ("path", "package"),
    [
        (OLD, OLD),
        (f"{OLD}/bin/web", OLD),
        (f"{OLD}\n/bin", None),
        (f"/x{OLD}", None),
        ("/nix/store/.links/x", None),
        ("", None),
        (None, None),
    ],
)
def test_the_package_of_a_file(path: str | None, package: str | None) -> None:
    assert package_of(path) == package
