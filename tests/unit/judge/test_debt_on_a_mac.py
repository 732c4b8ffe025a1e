"""Restart debt of launchd's agents: how each is paid, and what is left to the agent's own cure."""

from __future__ import annotations

from typing import Final

import pytest

from nixfleet_core.facts.old_units import read_old_units
from nixfleet_core.facts.service import AGENT_LABEL
from nixfleet_core.judge.debt import Debt, debt_sentence, more_units, others, restart_debt

OLD: Final = f"/nix/store/{'a' * 32}-web-1.0"


def debt_of(flags: str, label: str = "org.web", *more: str) -> Debt:
    """Of one agent that runs a program of an older home."""
    lines = (
        f"unit\t501/{label}\t{OLD}/bin/web\t{flags}\t-",
        f"process\t100\t501/{label}\t1700000000\there\t{OLD}/bin/web\t-\t1",
        f"old\t{OLD}",
        f"older\t{OLD}",
        "looked\t1\t0",
        *more,
    )
    return restart_debt(read_old_units("\n".join(lines)))


@pytest.mark.parametrize(
    ("flags", "pay"),
    [
        ("launchd gui", "launchctl kickstart -k gui/501/org.web"),
        ("launchd user", "launchctl kickstart -k user/501/org.web"),
        (
            "launchd user needs-reload",
            (
                "launchctl bootout user/501/org.web; sleep 5; launchctl bootstrap user/501 "
                "~/Library/LaunchAgents/org.web.plist; launchctl kickstart user/501/org.web"
            ),
        ),
        ("launchd gui not-found", "launchctl bootout gui/501/org.web"),
        ("loaded", "systemctl --user restart org.web"),
    ],
)
def test_each_agent_has_its_command(flags: str, pay: str) -> None:
    (one,) = debt_of(flags).units
    assert one.pay == pay


def test_a_label_is_one_word_of_the_command() -> None:
    (one,) = debt_of("launchd gui needs-reload", r"a\b").units
    assert one.pay == (
        r"launchctl bootout 'gui/501/a\b'; sleep 5; launchctl bootstrap gui/501 "
        r"~/Library/LaunchAgents/'a\b.plist'; launchctl kickstart 'gui/501/a\b'"
    )


def test_the_agents_own_debt_is_left_to_its_restart() -> None:
    debt = debt_of("launchd gui", AGENT_LABEL)
    assert [one.unit for one in debt.units] == [AGENT_LABEL]
    assert (others(debt), more_units(debt)) == ((), "")


def test_what_hides_all_is_named_before_what_hides_some() -> None:
    said = debt_sentence(debt_of("launchd gui", "org.web", "failed\tnames", "failed\tprocesses"))
    assert said == "what is old could not be seen: the processes could not be listed"
