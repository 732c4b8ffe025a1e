"""Which hosts a command is for: names, `--tag` and `--state`, over fake sessions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from fakes import CURRENT, JOB, NEW, NOT_RESTARTED, STALE

from nixfleet_core.errors import NoShell, Unreachable
from nixfleet_core.host import HELD
from nixfleet_core.job.history import JobLine
from nixfleet_core.vocabulary import STATES

if TYPE_CHECKING:
    from fake_fleet import Fleet

JSON_COMMANDS: Final = (
    ("hosts", "--json"),
    ("verify", "--json"),
    ("why", "--json"),
    ("update", "--yes", "--json"),
    ("update", "--dry-run", "--json"),
)
COMMANDS: Final = (*JSON_COMMANDS, ("jobs",))


@pytest.fixture
def tagged(fleet: Fleet) -> Fleet:
    """csb0 and csb1 (stale) are in the cloud, gpc0 (unproven) is at home; imac0 is offline, mba0
    has no shell, and both have no tag."""
    fleet.add("gpc0").says["probe"] = replace(CURRENT, proofs=())
    fleet.add("imac0").says["probe"] = Unreachable("no route")
    fleet.add("mba0").says["probe"] = NoShell("nologin")
    for name, tags in (("csb0", ("cloud", "Prod")), ("csb1", ("cloud",)), ("gpc0", ("home",))):
        session = fleet.sessions[name]
        session.host = replace(session.host, tags=tags)
    for name in ("csb0", "csb1"):
        fleet.sessions[name].says["probe"] = NOT_RESTARTED
    return fleet


def told(fleet: Fleet, *argv: str) -> list[str]:
    """The hosts of the JSON answers."""
    done = fleet.run(*argv)
    assert done.exit_code != 2, done.stderr
    return sorted(json.loads(line)["host"] for line in done.stdout.splitlines())


CHOICES: Final = [
    ("--tag cloud", "csb0 csb1"),
    ("--tag CLOUD", "csb0 csb1"),
    ("--tag home --tag prod", "csb0 gpc0"),
    ("--tag cloud csb1 gpc0", "csb1"),
    ("--state stale", "csb0 csb1"),
    ("--state Stale csb1", "csb1"),
    ("--state offline --state no-shell", "imac0 mba0"),
    ("--state unproven --state stale --tag prod --tag home", "csb0 gpc0"),
    ("--state unproven --tag cloud --tag home", "gpc0"),
]


@pytest.mark.parametrize(("words", "names"), CHOICES)
@pytest.mark.parametrize("command", JSON_COMMANDS, ids=" ".join)
def test_commands_take_the_hosts_that_are_chosen(
    tagged: Fleet, command: tuple[str, ...], words: str, names: str
) -> None:
    assert told(tagged, *command, *words.split()) == names.split()


@pytest.mark.parametrize(("words", "names"), CHOICES)
def test_jobs_are_those_of_the_hosts_that_are_chosen(tagged: Fleet, words: str, names: str) -> None:
    for session in tagged.sessions.values():
        session.says["jobs"] = (JobLine(JOB, 1, "ops", "update", "done"),)
    assert told(tagged, "jobs", "--json", *words.split()) == names.split()


def calls(fleet: Fleet) -> list[str]:
    return [call for session in fleet.sessions.values() for call in session.calls]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "--tag clod",
            "'clod'; did you mean 'cloud'?; tags: Prod, cloud, home",
        ),
        ("--tag cloud --tag x", "no host has the tag 'x'"),
        ("csb0 --tag home", "none of the hosts that are named has the tag home"),
        ("--tag cloud csb9", "no host 'csb9'"),
        ("--state stal", ", ".join(map(repr, STATES))),
        ("--state stale --state stal", "'stal' is not one of"),
    ],
)
def test_what_no_host_can_be_ends_with_2_and_asks_nobody(
    tagged: Fleet, command: tuple[str, ...], words: str, says: str
) -> None:
    done = tagged.run(*command, *words.split())
    assert (done.exit_code, done.stdout, calls(tagged)) == (2, "", [])
    assert says in " ".join(done.stderr.split())


def test_a_fleet_without_tags_says_so(fleet: Fleet) -> None:
    done = fleet.run("hosts", "--tag", "cloud")
    assert (done.exit_code, "no host has a tag" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_state_that_no_host_has_is_no_error(tagged: Fleet, command: tuple[str, ...]) -> None:
    done = tagged.run(*command, "--state", "down", "--state", "error", "--tag", "cloud")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "no host has the state down or error\n"
    assert set(calls(tagged)) == {"probe"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_hosts_that_give_no_answer_are_not_left_out_without_a_word(
    tagged: Fleet, command: tuple[str, ...]
) -> None:
    said = "left out, as there is no answer: imac0 (offline), mba0 (no-shell)\n"
    assert said in tagged.run(*command, "--state", "stale").stderr
    assert "left out" not in tagged.run(*command, "--tag", "home", "--state", "unproven").stderr
    half = tagged.run(*command, "--state", "offline").stderr
    assert "left out, as there is no answer: mba0 (no-shell)\n" in half


def test_a_host_is_looked_at_before_it_is_chosen_by_its_state(tagged: Fleet) -> None:
    assert tagged.run("update", "--yes", "--force", "--state", "stale").exit_code == 0
    launched = [name for name, one in tagged.sessions.items() if one.launched]
    assert launched == ["csb0", "csb1"]
    assert tagged.sessions["gpc0"].calls == ["probe"]


@pytest.mark.parametrize("command", [("update", "--yes", "--force"), ("verify",)], ids=" ".join)
def test_a_held_host_is_acted_on_only_if_it_is_named(
    tagged: Fleet, command: tuple[str, ...]
) -> None:
    session = tagged.sessions["gpc0"]
    session.host = replace(session.host, hold=True)
    done = tagged.run(*command, "--tag", "home")
    assert (done.exit_code, session.calls) == (2, [])
    assert done.stderr == f"gpc0: left out; {HELD}, unless it is named\nError: no host is left\n"
    done = tagged.run(*command, "gpc0", "--tag", "home")
    assert "left out" not in done.stderr
    assert session.calls
    (line,) = (one for one in tagged.run("hosts").stdout.splitlines() if one.startswith("gpc0"))
    assert "(held)" in line


def test_a_choice_by_tag_alone_looks_at_no_other_host(tagged: Fleet) -> None:
    tagged.run("verify", "--tag", "home")
    assert {name for name, one in tagged.sessions.items() if one.calls} == {"gpc0"}
    assert tagged.sessions["gpc0"].calls.count("probe") == 1, "the verification's own look"


def test_an_update_of_chosen_hosts_shows_the_plans_and_asks(
    tagged: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixfleet_core.cli.run.at_terminal", lambda: True)
    words = ("update", "--force", "--state", "stale", "--tag", "prod")
    refused = tagged.run(*words, typed="n\n")
    assert (refused.exit_code, "Update csb0? [y/N]" in refused.stderr) == (1, True)
    assert tagged.sessions["csb0"].launched == []
    assert tagged.run(*words, typed="y\n").exit_code == 0
    assert tagged.sessions["csb0"].launched != []
    assert tagged.sessions["csb1"].launched == []


def test_an_update_that_nobody_can_confirm_asks_no_host_for_its_state(tagged: Fleet) -> None:
    done = tagged.run("update", "--state", "stale", "--tag", "cloud")
    assert (done.exit_code, calls(tagged)) == (2, [])
    assert "csb0, csb1: not updated; confirm at a terminal, or add --yes" in done.stderr


def test_verify_takes_the_unproven_hosts_of_a_tag_or_a_state(tagged: Fleet) -> None:
    assert told(tagged, "verify", "--json", "--unproven", "--tag", "home") == ["gpc0"]
    assert told(tagged, "verify", "--json", "--unproven", "--state", "offline") == ["imac0"]
    none = tagged.run("verify", "--unproven", "--state", "stale", "--tag", "cloud")
    assert (none.exit_code, none.stderr) == (0, "no host is unproven\n")


def test_the_table_names_the_latest_by_a_version_that_another_host_has_told(
    tagged: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(*_: object) -> str:
        return NEW

    monkeypatch.setattr("nixfleet_core.session.latest._ask", answer)
    tagged.sessions["csb0"].says["probe"] = STALE
    tagged.sessions["csb1"].says["probe"] = CURRENT
    _, *rows = tagged.run("hosts", "--state", "stale").stdout.splitlines()
    assert [row.split()[:6] for row in rows] == [
        ["csb0", "ops@csb0", "2.1.0", "2.1.0", "2.2.0", "stale"]
    ]


def test_json_of_chosen_hosts_has_the_shape_that_it_always_had(tagged: Fleet) -> None:
    everybody = tagged.run("hosts", "--json").stdout.splitlines()
    chosen = tagged.run("hosts", "--json", "--state", "stale").stdout.splitlines()
    assert chosen == everybody[:2]


@pytest.mark.parametrize("command", [("why",), ("verify",), ("update", "--yes", "--force")])
def test_an_answer_names_its_host_unless_the_command_line_does(
    tagged: Fleet, command: tuple[str, ...]
) -> None:
    """Nobody knows before how many hosts a tag or a state chooses."""
    for words in ("--tag home", "--state unproven", "csb0 gpc0 --state unproven"):
        first, *_ = tagged.run(*command, *words.split()).stdout.splitlines()
        assert first.startswith(("gpc0: ", "gpc0  "))
    first, *_ = tagged.run(*command, "gpc0").stdout.splitlines()
    assert not first.startswith("gpc0")
