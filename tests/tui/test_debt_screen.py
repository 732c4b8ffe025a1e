"""The page of a host's restart debt, and what the app knows of the debt elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from fakes import CURRENT, JOB, NOT_RESTARTED, NOW, OFFLINE, OLD_SYSTEM, UPDATED, FakeSession
from owing import DEBT, OWING, WORDS, stored
from screen_text import screen_text, settle
from test_host_menu import row_of
from test_path import press
from test_screens import assert_ascii
from textual.widgets import Input

from nixfleet_core.errors import ClientFailed, HostError, NotAllowed
from nixfleet_core.facts.old_units import OldProcess, OldUnit, OldUnits, UnitName
from nixfleet_core.judge.debt import Debt, Owing, debt_notes
from tui.known_debt import SeenDebt, debt_in
from tui.screens.debt import DebtScreen
from tui.screens.fleet import FleetScreen
from tui.screens.host import HostScreen
from tui.screens.password import PasswordDialog
from tui.screens.plan import RestartDialog
from tui.screens.update import UpdateScreen
from tui.widgets.fact_list import FactList

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from conftest import MakeApp
    from tui.app import NixFleetApp

LARGE = (120, 40)
OLD_NGINX, NEW_NGINX = stored("nginx-1.26.1"), stored("nginx-1.26.2", "b")
SEEN = OldUnits(
    looked=9,
    units=tuple(
        OldUnit(
            unit=UnitName(f"{name}.service"),
            main=f"{OLD_NGINX}/bin/nginx",
            program=f"{NEW_NGINX}/bin/nginx",
            processes=(OldProcess(pid, NOW - 60, f"{OLD_NGINX}/bin/nginx"),),
        )
        for pid, name in enumerate(("nginx", "other"), 7)
    ),
    old=frozenset({OLD_NGINX}),
    older=frozenset({OLD_NGINX}),
)
"""What a look saw of two units that run an old nginx."""
OWES = replace(CURRENT, old_units=SEEN)


def words_of(text: str) -> str:
    """The words on the screen, without boxes and line ends."""
    return " ".join(text.replace("│", " ").split())


async def test_the_page_lists_each_unit_with_what_it_runs_why_and_how_it_is_paid(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = DEBT
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        probes = fleet[0].calls.count("probe")
        text = await press(pilot, "D")
        assert isinstance(app.screen, DebtScreen)
        assert fleet[0].calls.count("probe") == probes  # it answered just now
        assert text.splitlines()[0].startswith(" csb0 · restart debt · seen now")
        for shown in (
            "3 units run old programs; kernel, initrd wait for a reboot; only root may look at 4",
            "nginx-1.26.1 → nginx-1.26.2",
            OWING[0].old,
            "2026-11-14 02:13, 9 days ago",
            OWING[0].reason,
            OWING[0].pay,
            "syncthing.service (user 1000)",
            "maps openssl-3.0.13 and 2 more → openssl-3.0.14",
            "a file that it runs or maps is gone from the store",
            "linux-6.12.3 → linux-6.12.9",
            "sudo reboot",
            "212 processes of units",
            "2 of builds, 5 in containers",
        ):
            assert shown in text, shown
        assert fleet[0].calls.count("debt") == 1
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
    assert fleet[0].launched == []


async def test_details_and_host_page_say_it_afterwards_and_name_the_key(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = DEBT
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        assert "old programs" not in screen_text(app)
        text = words_of(await press(pilot, "D", "escape"))
        assert f"old {WORDS} kernel, initrd wait for a reboot → D list all" in text
        await press(pilot, "d")
        app.screen.query_one(FactList).scroll_end(animate=False)
        await settle(pilot)
        text = words_of(screen_text(app))
        assert f"restart debt {WORDS} → D list all" in text
        await press(pilot, "D")
        assert isinstance(app.screen, DebtScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, HostScreen)


async def test_nothing_old_is_said_in_one_sentence_and_leaves_the_details_alone(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = await press(pilot, "D")
        assert "nothing old runs" in text
        assert "12 processes of units" in text
        assert "D list all" not in await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)


async def test_the_agents_own_debt_is_listed_but_not_counted_as_more(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = Debt(units=OWING[1:2], looked=3)
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        text = await press(pilot, "D")
        assert "sudo systemctl restart nixfleet-agent.service → r restart" in text
        await press(pilot, "r")
        assert isinstance(app.screen, RestartDialog)
        await press(pilot, "escape")
        assert "old programs" not in await press(pilot, "escape")


class Slow:
    """A look that takes until it is told to end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session: FakeSession) -> None:
        self.may_end, self.began, self.cancelled = asyncio.Event(), 0, 0
        monkeypatch.setattr(session, "debt", self.look)

    async def look(self, *, as_root: bool = True) -> Debt:  # noqa: ARG002
        self.began += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return DEBT


async def test_it_says_that_it_looks_and_escape_ends_the_look(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, fleet[0])
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        text = await press(pilot, "D")
        assert "looking for old programs on csb0 ..." in text
        assert "csb0 · restart debt · asking" in text
        await press(pilot, "escape")
        assert isinstance(app.screen, FleetScreen)
        assert (slow.began, slow.cancelled) == (1, 1)
        assert not app.fleet.entries["csb0"].doing


async def test_a_second_look_takes_the_place_of_the_first(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, fleet[0])
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        assert "looking" in await press(pilot, "D", "R")
        assert (slow.began, slow.cancelled) == (2, 1)
        slow.may_end.set()
        await settle(pilot)
        assert "3 units run old programs" in screen_text(app)


async def test_the_list_stays_while_it_looks_again_and_after_a_failure(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = [DEBT, ClientFailed("the disk is full"), Debt(looked=4)]
    async with make_app().run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "D")
        text = await press(pilot, "R")
        assert "the disk is full" in text
        assert "At the last look: 3 units run old programs" in text
        assert "nginx.service" in text
        text = await press(pilot, "R")
        assert "nothing old runs" in text
        assert "nginx.service" not in text


@pytest.mark.parametrize("error", [NotAllowed("no sudo"), HostError("[@click=app.quit]x[/]")])
async def test_what_is_wrong_is_said(
    make_app: MakeApp, fleet: list[FakeSession], error: HostError
) -> None:
    fleet[0].says["debt"] = error
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert str(error) in await press(pilot, "D")


async def test_a_host_that_does_not_answer_says_why_and_keeps_what_was_known(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = DEBT
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "D", "escape")
        fleet[0].says["probe"] = OFFLINE
        await press(pilot, "R", "full_stop")
        assert row_of(app, "fleet.debt").why_not == "No route to host"
        text = await press(pilot, "D")
        assert isinstance(app.screen, DebtScreen)
        assert "No route to host" in text
        assert "At the last look: 3 units" in text
        assert "nginx.service" in text
        assert fleet[0].calls.count("debt") == 1


async def test_a_password_is_asked_for_once(make_app: MakeApp, fleet: list[FakeSession]) -> None:
    fleet[0].says["debt"], fleet[0].password = DEBT, "right"
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "D")
        assert isinstance(app.screen, PasswordDialog)
        app.screen.query_one(Input).value = "right"
        assert "3 units run old programs" in await press(pilot, "enter")
        assert "3 units run old programs" in await press(pilot, "R")
    assert fleet[0].calls.count("debt") == 3  # the first one without the password


async def test_without_a_password_it_looks_without_root(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    session = fleet[0]
    session.password = "right"
    partial = Debt(looked=1, unseen=9)

    async def look(*, as_root: bool = True) -> Debt:
        return await FakeSession.debt(session) if as_root else partial

    session.debt = look  # type: ignore[method-assign]
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        text = await press(pilot, "D", "escape")
        assert isinstance(app.screen, DebtScreen)
        assert "nothing old was seen; only root may look at 9 more processes" in text


async def test_it_asks_nothing_while_a_job_runs(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["probe"] = replace(CURRENT, job_running=JOB)
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "full_stop")
        assert row_of(app, "fleet.debt").why_not == f"the job {JOB} is running"
        assert f"the job {JOB} is running" in await press(pilot, "D")
    assert "debt" not in fleet[0].calls


async def test_a_job_that_has_just_begun_leaves_what_is_known_as_it_is(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = [DEBT, Debt(not_seen=("job",))]
    async with make_app().run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "D")
        text = await press(pilot, "R")
        assert "what is old could not be seen: a job runs there" in text
        assert "nginx.service" in text


async def test_the_page_of_a_job_has_the_key_once_the_job_has_ended(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter", "D")
        assert isinstance(app.screen, UpdateScreen)
        await fleet[0].run_job()
        await settle(pilot)
        await press(pilot, "D")
        assert isinstance(app.screen, DebtScreen)


async def test_the_command_is_copied_and_so_is_everything(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = DEBT
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "D", *("down",) * 4, "y")
        assert app.clipboard == OWING[0].pay
        await press(pilot, "Y")
        assert app.clipboard.startswith("csb0\n\nnginx.service\n")
        assert all(one.pay in app.clipboard for one in OWING)


# What stays known, and for how long.


async def look_at(pilot: Pilot[None], app: NixFleetApp) -> str:
    """A look in the background, as the app does by itself."""
    await app.fleet.look(app.fleet.entries["csb0"], app.tick, again=True)
    await settle(pilot)
    return words_of(screen_text(app))


async def test_a_verification_finds_it_and_it_stays_over_looks_with_its_age(
    make_app: MakeApp, fleet: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet[0].says["probe"] = OWES
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        assert "old programs" not in screen_text(app)  # only a verification asks for it
        text = words_of(await press(pilot, "v", "escape"))
        assert f"{WORDS} → D list all" in text
        fleet[0].says["probe"] = CURRENT
        assert WORDS in await look_at(pilot, app)
        monkeypatch.setattr(app, "clock", lambda: NOW + 7260)
        assert f"{WORDS}, seen 2 hours ago" in await look_at(pilot, app)
    assert "debt" not in fleet[0].calls


@pytest.mark.parametrize(
    "changed",
    [
        replace(CURRENT, system=replace(CURRENT.system, current=OLD_SYSTEM)),
        replace(CURRENT, boot="another"),
    ],
    ids=["another system", "another boot"],
)
async def test_of_another_system_or_boot_it_says_nothing(
    make_app: MakeApp, fleet: list[FakeSession], changed: object
) -> None:
    fleet[0].says["probe"] = OWES
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        assert WORDS in words_of(await press(pilot, "v", "escape"))
        fleet[0].says["probe"] = changed
        assert "old programs" not in await look_at(pilot, app)


@pytest.mark.parametrize("after", [OWES, None], ids=["seen", "not seen"])
async def test_the_end_of_a_job_replaces_it(
    make_app: MakeApp, fleet: list[FakeSession], after: object
) -> None:
    fleet[0].says |= {"probe": CURRENT, "debt": Debt(units=OWING[:1]), "facts_after": after}
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        assert "1 more unit runs old programs" in words_of(await press(pilot, "D", "escape"))
        await press(pilot, "enter", "enter")
        await fleet[0].run_job()
        await settle(pilot)
        text = words_of(await press(pilot, "escape"))
        assert isinstance(app.screen, FleetScreen)
        assert "1 more unit" not in text
        assert (WORDS in text) == (after is not None)


async def test_the_details_are_silent_while_a_job_runs(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = DEBT
    async with (app := make_app()).run_test(size=LARGE) as pilot:
        await settle(pilot)
        assert WORDS in words_of(await press(pilot, "D", "escape"))
        fleet[0].says["probe"] = replace(NOT_RESTARTED, job_running=JOB)
        assert "old programs" not in await look_at(pilot, app)
        assert app.fleet.entries["csb0"].debt is not None
        await press(pilot, "d")
        assert isinstance(app.screen, HostScreen)
        labels = [fact.label for part in app.screen.sections() for fact in part.facts]
        assert "restart debt" not in labels


def test_what_a_look_did_not_ask_for_is_not_known() -> None:
    assert debt_in(None, NOW) is None
    assert debt_in(CURRENT, NOW) is None
    found = debt_in(OWES, NOW)
    assert found is not None
    assert found.words(NOW) == (WORDS,)
    assert found.holds(CURRENT)


def test_both_parts_of_a_finding_have_its_age() -> None:
    seen = SeenDebt.of(DEBT, CURRENT, NOW)
    assert seen.words(NOW + 59) == (WORDS, "kernel, initrd wait for a reboot")
    assert seen.words(NOW + 61) == (
        f"{WORDS}, seen a minute ago",
        "kernel, initrd wait for a reboot, seen a minute ago",
    )


async def test_the_panel_says_it_once_and_as_it_is_known_by_now(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    notes = ("Another note", *debt_notes(DEBT))
    said = msgspec.structs.replace(UPDATED, notes=notes)
    fleet[0].says |= {"probe": CURRENT, "verify": said, "debt": Debt(looked=3)}
    async with make_app().run_test(size=LARGE) as pilot:
        await settle(pilot)
        text = words_of(await press(pilot, "v"))
        assert "2 more units run old programs: nginx.service, syncthing.service" in text
        assert "2 more units" in words_of(await press(pilot, "escape"))
        text = words_of(await press(pilot, "D", "escape"))
        assert "note Another note" in text
        assert "more units" not in text


# It fits.


def many(count: int, name: str = "unit-{}") -> Debt:
    units = tuple(
        msgspec.structs.replace(OWING[0], unit=f"{name.format(number)}.service")
        for number in range(count)
    )
    return Debt(units=units, looked=count)


async def test_300_units_scroll_to_the_last_one_and_back(
    make_app: MakeApp, fleet: list[FakeSession]
) -> None:
    fleet[0].says["debt"] = many(300)
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "300 units run old programs" in await press(pilot, "D")
        text = await press(pilot, "G")
        assert "300 processes of units" in text
        assert "unit-299.service" in text
        text = await press(pilot, "pageup", "pageup")
        assert "unit-299.service" not in text
        assert "unit-0.service" in await press(pilot, "g")
        assert app.is_running


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_a_long_name_is_whole_and_its_command_too(
    make_app: MakeApp, fleet: list[FakeSession], size: tuple[int, int]
) -> None:
    name = "a" * 200 + "z.service"
    old = f"{stored('x' * 150 + '-1')}/bin/q"
    pay = f"sudo systemctl stop {'b' * 200}"
    one = Owing(unit=name, since=0, kind="script", old=old, pay=pay)
    fleet[0].says["debt"] = Debt(units=(one,), looked=1)
    async with (app := make_app(plain=True)).run_test(size=size) as pilot:
        await settle(pilot)
        text = await press(pilot, "D")
        assert_ascii(text)
        seen = text
        for key in ("down", "down"):
            seen += await press(pilot, key)
        joined = "".join(seen.replace("|", "").split())
        assert name in joined
        assert "runs since" not in seen
        assert "".join(pay.split()) in joined
        assert isinstance(app.screen, DebtScreen)
