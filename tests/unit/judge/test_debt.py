"""What of a look is debt, what is not, and how each unit is paid."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from nixfleet_core.facts.old_units import Booted, OldProcess, OldUnit, OldUnits, UnitName
from nixfleet_core.judge.debt import (
    Apart,
    Boot,
    Debt,
    Owing,
    apart_words,
    debt_notes,
    debt_sentence,
    more_units,
    old_and_new,
    restart_debt,
)


def path(name: str, letter: str) -> str:
    return f"/nix/store/{letter * 32}-{name}"


OLD, NEW = path("web-1.0", "a"), path("web-2.0", "b")
LIBC, LIB, NEW_LIB = path("glibc-2", "c"), path("openssl-3.0.13", "d"), path("openssl-3.0.14", "f")
CI = path("hello-2.12", "g")
WEB = f"{OLD}/bin/web"
DB = f"{LIBC}/bin/db"
OLDER = OldUnits(old=frozenset({OLD, LIB, CI}), older=frozenset({OLD, LIB}))
"""Older generations have OLD and LIB."""
BARE = replace(OLDER, older=frozenset())
"""Old generations are deleted."""


def unit(*processes: OldProcess, name: str = "web.service", **changes: object) -> OldUnit:
    made = OldUnit(UnitName(name), main=WEB, program=f"{NEW}/bin/web", processes=processes)
    return replace(made, **changes)  # type: ignore[arg-type]


def process(pid: int = 100, exe: str | None = WEB, **changes: object) -> OldProcess:
    return replace(OldProcess(pid, 1000 + pid, exe, mapped=1), **changes)  # type: ignore[arg-type]


def judged(seen: OldUnits, *units: OldUnit) -> Debt:
    return restart_debt(replace(seen, units=units))


def one(seen: OldUnits, owed: OldUnit) -> Owing:
    (owing,) = judged(seen, owed).units
    return owing


def test_a_restart_of_a_unit_that_names_the_old_program_pays_nothing() -> None:
    owed = one(OLDER, unit(process(), program=WEB, flags=frozenset({"loaded"})))
    assert owed.pay == "sudo systemctl stop web.service"
    assert "a restart starts that again" in owed.reason
    mine = one(OLDER, replace(unit(process(), program=WEB), unit=UnitName("web.service", 1000)))
    assert mine.pay == "systemctl --user stop web.service"


# What is debt.


def test_a_program_that_an_older_generation_has_is_debt() -> None:
    assert one(OLDER, unit(process(101), process(100))) == Owing(
        unit="web.service",
        since=1100,
        kind="program",
        old=WEB,
        new=NEW,
        pay="sudo systemctl restart web.service",
    )


def test_a_script_is_debt_though_its_interpreter_is_of_the_system() -> None:
    shell = process(exe=DB, script=f"{OLD}/bin/tick")
    owing = one(OLDER, unit(shell, main=DB))
    assert (owing.kind, owing.old, owing.new) == ("script", f"{OLD}/bin/tick", NEW)


def test_the_script_counts_before_its_interpreter() -> None:
    owing = one(OLDER, unit(process(script=f"{LIB}/bin/tick")))
    assert (owing.kind, owing.old) == ("script", f"{LIB}/bin/tick")


def test_a_library_alone_is_debt_and_the_aged_one_is_named() -> None:
    seen = replace(OLDER, newer={LIB: NEW_LIB})
    owing = one(seen, unit(process(exe=DB, mapped=5, maps=(CI, LIB)), main=DB))
    assert (owing.kind, owing.old, owing.new, owing.libraries) == ("library", LIB, NEW_LIB, 5)


def test_the_main_process_tells_the_debt_before_others() -> None:
    child = process(90, f"{LIB}/bin/child", is_deleted=True)
    owing = one(OLDER, unit(child, process(), process(80, DB, maps=(LIB,))))
    assert (owing.old, owing.since, owing.is_deleted) == (WEB, 1080, True)


@pytest.mark.parametrize(
    "seen", [replace(BARE, newer={OLD: NEW}), replace(BARE)], ids=["a newer one", "deleted"]
)
def test_without_old_generations_a_units_own_program_is_debt_if_something_shows_its_age(
    seen: OldUnits,
) -> None:
    is_deleted = not seen.newer
    assert judged(seen, unit(process(is_deleted=is_deleted))).is_some
    assert not judged(BARE, unit(process())).is_some
    child = process(exe=f"{OLD}/bin/child", is_deleted=is_deleted)
    assert judged(seen, unit(child)).is_some, "of the same package"
    elsewhere = process(exe=f"{CI}/bin/hello", is_deleted=is_deleted)
    assert judged(seen, unit(elsewhere)).apart.foreign == 1


def test_a_unit_that_would_start_the_same_again_is_not_in_debt() -> None:
    """Such as one that somebody wrote by hand, with a store path in it."""
    seen = replace(BARE, newer={OLD: NEW})
    assert judged(seen, unit(process(), program=WEB)).apart == Apart(foreign=1)


# What is not.


@pytest.mark.parametrize(
    ("found", "apart"),
    [
        (unit(process(is_apart=True)), Apart(containers=1)),
        (unit(process(exe=f"{CI}/bin/cc")), Apart(foreign=1)),
        (unit(process(exe=DB, maps=(CI,))), Apart(foreign=1)),
        (unit(process(exe=DB, maps=())), Apart()),
        (unit(process(), flags=frozenset({"loaded", "task"})), Apart(tasks=1)),
        (unit(process(), name="nixfleet-job.service"), Apart(tasks=1)),
        (unit(process(), name="nixfleet-finish.service"), Apart(tasks=1)),
        (unit(process(), name="nixos-rebuild-switch-to-configuration-1.service"), Apart(tasks=1)),
        (unit(process(exe=WEB), name="nix-daemon.service", main=DB), Apart(builders=1)),
        (
            unit(process(is_apart=True), name="nix-daemon.service", main=DB),
            Apart(builders=1),
        ),
    ],
)
def test_what_is_outside_the_closure_for_another_reason_is_only_counted(
    found: OldUnit, apart: Apart
) -> None:
    debt = judged(OLDER, found)
    assert (debt.units, debt.apart) == ((), apart)


def test_the_nix_daemon_itself_can_be_in_debt() -> None:
    """Its children for connections run its own program."""
    builder = process(102, f"{CI}/bin/cc", is_apart=True)
    debt = judged(OLDER, unit(process(), process(101), builder, name="nix-daemon.service"))
    assert [owing.unit for owing in debt.units] == ["nix-daemon.service"]
    assert debt.apart == Apart(builders=1)


def test_processes_of_sessions_are_counted() -> None:
    assert restart_debt(OldUnits(loose=3)).apart == Apart(sessions=3)


# How it is paid.


@pytest.mark.parametrize(
    ("name", "uid", "flags", "pay"),
    [
        ("web.service", None, "loaded", "sudo systemctl restart web.service"),
        ("web@1.service", None, "loaded", "sudo systemctl restart web@1.service"),
        ("web.service", None, "not-found", "sudo systemctl stop web.service"),
        ("run-1.service", None, "loaded transient", "sudo systemctl stop run-1.service"),
        ("web.service", None, "refuses-stop", "sudo reboot"),
        ("dbus.service", None, "loaded", "sudo reboot"),
        ("dbus-broker.service", None, "loaded", "sudo reboot"),
        ("systemd", None, "", "sudo systemctl daemon-reexec"),
        ("user@1000.service", None, "loaded", "systemctl --user daemon-reexec"),
        ("play.service", 1000, "", "systemctl --user restart play.service"),
        ("dbus.service", 1000, "", "systemctl --user restart dbus.service"),
        ("play.service", 1000, "not-found", "systemctl --user stop play.service"),
        (r"a\x2db.mount", None, "loaded", r"sudo systemctl restart 'a\x2db.mount'"),
        (r"a\x2db.service", 1000, "", r"systemctl --user restart 'a\x2db.service'"),
    ],
)
def test_each_unit_has_one_command(name: str, uid: int | None, flags: str, pay: str) -> None:
    found = unit(process(), unit=UnitName(name, uid), flags=frozenset(flags.split()))
    assert one(OLDER, found).pay == pay


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("loaded", ""),
        ("loaded no-restart", "a switch leaves it alone on purpose (restartIfChanged = false)"),
        ("loaded reload-only", "a switch only reloads it (reloadIfChanged)"),
        ("transient", "it was started by hand, and no switch restarts such a unit"),
        ("not-found no-restart", "the active system no longer has this unit"),
    ],
)
def test_why_a_switch_has_left_it_alone(flags: str, reason: str) -> None:
    assert one(OLDER, unit(process(), flags=frozenset(flags.split()))).reason == reason


# Words.

OWING = Owing(unit="a.service", since=1, kind="program", old=WEB, new=NEW, pay="p")
KERNEL = Boot("kernel", f"{path('linux-6.1', 'a')}/bzImage", f"{path('linux-6.2', 'b')}/bzImage")


def owing(*names: str) -> tuple[Owing, ...]:
    return tuple(msgspec.structs.replace(OWING, unit=name) for name in names)


@pytest.mark.parametrize(
    ("debt", "sentence"),
    [
        (Debt(), "nothing old runs"),
        (Debt(unseen=1), "nothing old was seen; only root may look at 1 more process"),
        (Debt(unseen=2), "nothing old was seen; only root may look at 2 more processes"),
        (Debt(units=owing("a")), "1 unit runs old programs"),
        (Debt(units=owing("a", "b")), "2 units run old programs"),
        (Debt(boot=(KERNEL,)), "kernel waits for a reboot"),
        (
            Debt(units=owing("a"), boot=(KERNEL, Boot("initrd", OLD, NEW)), unseen=2),
            (
                "1 unit runs old programs; kernel, initrd wait for a reboot; "
                "only root may look at 2 more processes"
            ),
        ),
        (
            Debt(not_seen=("homes",)),
            (
                "nothing old was seen; users' units could not be judged: "
                "Nix did not say what their homes need"
            ),
        ),
        (
            Debt(not_seen=("older",)),
            "nothing old was seen; Nix did not say what older generations had",
        ),
        (Debt(not_seen=("cut",)), "nothing old was seen; there is more than the host could tell"),
        (
            Debt(not_seen=("cut", "homes", "units")),
            "what is old could not be seen: systemd, or launchd, did not answer",
        ),
        (
            Debt(not_seen=("job",)),
            "what is old could not be seen: a job runs there; ask again when it is over",
        ),
    ],
)
def test_one_sentence_says_what_was_found(debt: Debt, sentence: str) -> None:
    assert debt_sentence(debt) == sentence


@pytest.mark.parametrize("word", ["closure", "units", "processes", "job", "platform"])
def test_a_look_that_saw_nothing_is_not_known(word: str) -> None:
    debt = Debt(not_seen=(word,))
    assert (debt.is_known, debt.is_whole) == (False, False)
    assert debt_sentence(debt).startswith("what is old could not be seen: ")


@pytest.mark.parametrize("word", ["homes", "older", "cut"])
def test_a_look_that_saw_a_part_is_known_and_not_whole(word: str) -> None:
    debt = restart_debt(OldUnits(failed=frozenset({word})))  # type: ignore[arg-type]
    assert (debt.is_known, debt.is_whole, debt.not_seen) == (True, False, (word,))


def test_the_agent_is_not_one_of_the_others() -> None:
    agent = "nixfleet-agent.service"
    assert more_units(Debt(units=owing(agent))) == ""
    assert debt_notes(Debt(units=owing(agent))) == ()
    assert more_units(Debt(units=owing(agent, "a"))) == "1 more unit runs old programs"
    assert more_units(Debt(units=owing("a", "b"))) == "2 more units run old programs"


def test_a_verdict_names_three_of_them() -> None:
    assert debt_notes(Debt(units=owing(*"abcde"))) == (
        "5 more units run old programs: a, b, c and 2 more. `nixfleet debt` says how each is paid",
    )
    assert debt_notes(Debt(units=owing("a"))) == (
        "1 more unit runs old programs: a. `nixfleet debt` says how each is paid",
    )


def test_old_and_new_are_names_without_hashes() -> None:
    assert old_and_new(OWING) == "web-1.0 → web-2.0"
    assert old_and_new(msgspec.structs.replace(OWING, new="")) == "web-1.0"
    assert old_and_new(KERNEL) == "linux-6.1 → linux-6.2"
    library = Owing(unit="a", since=1, kind="library", old=LIB, new=NEW_LIB, libraries=1, pay="p")
    assert old_and_new(library) == "maps openssl-3.0.13 → openssl-3.0.14"
    more = msgspec.structs.replace(library, libraries=4, new="")
    assert old_and_new(more) == "maps openssl-3.0.13 and 3 more"


def test_what_is_no_debt_is_said_in_words() -> None:
    assert apart_words(Apart()) == ""
    assert apart_words(Apart(1, 2, 3, 4, 5)) == (
        "no debt, but not of this system either: 1 of builds, 2 in containers, "
        "3 in sessions and scopes, 4 started by a unit, but of no generation, "
        "5 of tasks that end by themselves"
    )


def test_what_waits_for_a_boot_is_debt() -> None:
    debt = restart_debt(OldUnits(boot=(Booted("kernel", KERNEL.old, KERNEL.new),)))
    assert (debt.boot, debt.is_some) == ((KERNEL,), True)
