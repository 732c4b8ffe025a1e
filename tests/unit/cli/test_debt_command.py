"""`nixfleet debt`: what it prints, and how it ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from nixfleet_core.errors import BadAnswer, NotAllowed, Unreachable
from nixfleet_core.judge.debt import Apart, Boot, Debt, Owing

if TYPE_CHECKING:
    from fake_fleet import Fleet


def path(name: str, letter: str) -> str:
    return f"/nix/store/{letter * 32}-{name}"


AT = int(time.mktime((2026, 11, 30, 14, 30, 0, 0, 0, -1)))
WEB = Owing(
    unit="web.service",
    since=AT,
    kind="program",
    old=f"{path('web-1.0', 'a')}/bin/web",
    new=path("web-2.0", "b"),
    reason="a switch leaves it alone on purpose (restartIfChanged = false)",
    pay="sudo systemctl restart web.service",
)
PLAY = Owing(
    unit="play.service",
    uid=1000,
    since=AT,
    kind="library",
    old=path("openssl-3.0.13", "c"),
    libraries=3,
    pay="systemctl --user restart play.service",
)
KERNEL = Boot("kernel", path("linux-6.1", "d"), path("linux-6.2", "f"))
OWES = Debt(units=(WEB, PLAY), boot=(KERNEL,), apart=Apart(builders=2, sessions=1), looked=40)


def lines(output: str) -> dict[str, dict[str, Any]]:
    return {line["host"]: line for line in map(json.loads, output.splitlines())}


def test_each_unit_comes_with_its_versions_its_reason_and_its_command(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["debt"] = OWES
    result = fleet.run("debt", "csb0")
    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "csb0: 2 units run old programs; kernel waits for a reboot",
        "  web.service  web-1.0 → web-2.0",
        f"    since 2026-11-30 14:30; {WEB.reason}",
        "    → sudo systemctl restart web.service",
        "  play.service (user 1000)  maps openssl-3.0.13 and 2 more",
        "    since 2026-11-30 14:30",
        "    → systemctl --user restart play.service",
        "  kernel  linux-6.1 → linux-6.2",
        "    → sudo reboot",
        "  no debt, but not of this system either: 2 of builds, 1 in sessions and scopes",
    ]


def test_the_json_has_all_that_is_known(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["debt"] = OWES
    told = lines(fleet.run("debt", "csb0", "--json").stdout)["csb0"]
    assert told["units"][0] == {
        "unit": "web.service",
        "uid": None,
        "since": AT,
        "kind": "program",
        "old": WEB.old,
        "new": WEB.new,
        "libraries": 0,
        "is_deleted": False,
        "reason": WEB.reason,
        "pay": WEB.pay,
    }
    assert told["units"][1]["uid"] == 1000
    assert told["boot"] == [{"part": "kernel", "old": KERNEL.old, "new": KERNEL.new}]
    assert told["apart"] == {
        "builders": 2,
        "containers": 0,
        "sessions": 1,
        "foreign": 0,
        "tasks": 0,
    }
    del told["units"], told["boot"], told["apart"]
    assert told == {
        "host": "csb0",
        "cause": "",
        "sentence": "2 units run old programs; kernel waits for a reboot",
        "unseen": 0,
        "not_seen": [],
        "help": "",
    }


@pytest.mark.parametrize(
    ("debt", "code"),
    [
        (Debt(looked=9), 0),
        (Debt(apart=Apart(1, 1, 1, 1, 1)), 0),
        (Debt(units=(WEB,)), 3),
        (Debt(boot=(KERNEL,)), 3),
        (Debt(units=(WEB,), unseen=3, not_seen=("homes",)), 3),
        (Debt(unseen=3), 4),
        *((Debt(not_seen=(part,)), 4) for part in ("homes", "older", "cut")),
        *((Debt(not_seen=(what,)), 1) for what in ("closure", "units", "processes")),
        *((Debt(not_seen=(what,)), 1) for what in ("job", "platform")),
        (Debt(not_seen=("homes", "units")), 1),
        (Unreachable("no route", "ping it"), 5),
        (BadAnswer("no records"), 5),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_exit_code_says_what_was_found(
    fleet: Fleet, debt: Debt | Exception, code: int, form: tuple[str, ...]
) -> None:
    fleet.sessions["csb0"].says["debt"] = debt
    assert fleet.run("debt", "csb0", *form).exit_code == code


def test_a_host_that_gives_no_answer_costs_the_others_nothing(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["debt"] = Unreachable("no route", "ping it")
    fleet.sessions["csb1"].says["debt"] = Debt(units=(WEB,))
    result = fleet.run("debt")
    assert result.exit_code == 3  # what is known comes before what is not, as everywhere
    assert result.stdout.splitlines()[:3] == [
        "csb0: unreachable: no route",
        "  → ping it",
        "csb1: 1 unit runs old programs",
    ]
    told = lines(fleet.run("debt", "--json").stdout)
    assert (told["csb0"]["cause"], told["csb0"]["help"]) == ("unreachable", "ping it")
    assert (told["csb1"]["cause"], len(told["csb1"]["units"])) == ("", 1)


def test_several_hosts_that_owe_nothing_end_with_0(fleet: Fleet) -> None:
    result = fleet.run("debt")
    assert (result.exit_code, result.stdout) == (
        0,
        "csb0: nothing old runs\ncsb1: nothing old runs\n",
    )


def test_without_a_password_it_looks_without_root_and_says_what_is_missing(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.password = "hunter2"  # nobody is there to type it
    session.says["debt"] = Debt(unseen=41)
    result = fleet.run("debt", "csb0")
    assert session.calls[-2:] == ["debt", "debt without root"]
    assert (result.exit_code, result.stdout) == (
        4,
        "csb0: nothing old was seen; only root may look at 41 more processes\n",
    )


def test_a_user_who_may_not_become_root_looks_without(fleet: Fleet) -> None:
    session = fleet.sessions["csb0"]
    session.says["debt"] = [NotAllowed("not in the sudoers file"), Debt(units=(PLAY,), unseen=3)]
    result = fleet.run("debt", "csb0")
    assert session.calls[-2:] == ["debt", "debt without root"]
    assert result.exit_code == 3
    assert "1 unit runs old programs; only root may look at 3 more processes" in result.stdout


def test_no_text_of_a_host_drives_the_terminal(fleet: Fleet) -> None:
    evil = "\x1b]0;evil\x07\x9b2J\u202e"
    owing = Owing(
        unit=f"web{evil}",
        since=AT,
        kind="program",
        old=f"{path('web-1.0', 'a')}/bin/{evil}",
        new=f"{path('web-2.0', 'b')}/{evil}",
        reason=f"because{evil}",
        pay=f"sudo {evil}",
    )
    boot = Boot("kernel", f"{path('linux-1', 'a')}/{evil}", f"{path('linux-2', 'b')}/{evil}")
    fleet.sessions["csb0"].says["debt"] = Debt(units=(owing,), boot=(boot,))
    for form in ((), ("--json",)):
        output = fleet.run("debt", "csb0", *form).output
        assert "web" in output
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(output)
