"""What an update leaves behind that did not come to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from test_verdict import AFTER, BEFORE, NEW_AGENT, OLD_AGENT, UP, failed, lock, running

from nixfleet_core.facts.model import Checkout, Facts, System, Unit
from nixfleet_core.host import Host
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import Expectation
from nixfleet_core.judge.left_behind import Left, left_behind
from nixfleet_core.vocabulary import KEYS

OLD, NEW = "1" * 40, "2" * 40
HOST: Final = Host(name="csb0")
EXPECT: Final = Expectation(input="nixfleet")
"""What the latest commit is, is not known."""
LATEST: Final = Expectation(input="nixfleet", latest=NEW)
UPDATE: Final = "nixfleet update csb0 --force"
AS_LOCKED: Final = "nixfleet update csb0 --as-locked"
WAS: Final = Checkout(
    "/c d", "ok", owner="ops", head="a" * 40, lock=lock(OLD), lock_cksum="1 2", branch="main"
)
BEGUN: Final = replace(BEFORE, checkout=WAS)
CANCELLED: Final = Outcome(kind="cancelled")
AS_BEFORE: Final = Left("nixcfg, flake.lock and the system are as they were before")
OLD_RUNS: Final = Left("the agent runs as before: 2.1.0 (aaaaaaaa…)")
NEW_RUNS: Final = Left("the agent runs: 2.2.0 (bbbbbbbb…), it was 2.1.0 (aaaaaaaa…)")


def now(facts: Facts = BEGUN, /, **checkout: Any) -> Facts:
    assert facts.checkout is not None
    return replace(facts, checkout=replace(facts.checkout, **checkout))


def system(current: str, profile: str, facts: Facts = BEGUN) -> Facts:
    names = {name: f"/nix/store/{name}" for name in (current, profile)}
    return replace(facts, system=System(names[current], names[profile], 2))


PULLED: Final[dict[str, Any]] = {"head": "b" * 40}
MOVED: Final[dict[str, Any]] = {"lock": lock(NEW), "lock_cksum": "3 4", "head_lock": lock(OLD)}
COMMITS: Final = Left(
    "nixcfg is at bbbbbbb, it was at aaaaaaa",
    f"{UPDATE} goes on from there; to go back: as ops on the host, git -C '/c d' reset --keep "
    f"{'a' * 40}",
    "u",
)
LOCK: Final = Left(
    "flake.lock has nixfleet at 2222222, it was at 1111111",
    f"{UPDATE} goes on from there; to go back: as ops on the host, git -C '/c d' checkout -- "
    "flake.lock",
    "u",
)
ACTIVE: Final = Left(
    "generation 2 is new, and active already",
    "nixfleet rollback csb0 goes back to what was active",
    "b",
)
PROFILE: Final = Left(
    "generation 2 is new, and only in the profile: another one is active",
    f"nixfleet rollback csb0 goes back to what was active; {UPDATE} goes on from there",
    "b",
)
LOCK_TOO: Final = Left(LOCK.what, "nixfleet rollback csb0 takes it back with the generation", "b")
NEW_SYSTEM: Final = system("new", "new", replace(AFTER, checkout=WAS))
CASES: Final[dict[str, tuple[Facts, tuple[Left, ...]]]] = {
    "nothing": (BEGUN, (AS_BEFORE, OLD_RUNS)),
    "commits": (now(**PULLED), (COMMITS, OLD_RUNS)),
    "flake.lock": (now(**MOVED), (LOCK, OLD_RUNS)),
    "commits and flake.lock": (now(**PULLED, **MOVED), (COMMITS, LOCK, OLD_RUNS)),
    "flake.lock by a commit": (
        now(**PULLED, lock=lock(NEW), lock_cksum="3 4"),
        (
            COMMITS,
            Left(f"{LOCK.what}, as nixcfg's commit has it", "it goes back with nixcfg"),
            OLD_RUNS,
        ),
    ),
    "another part of flake.lock": (
        now(lock_cksum="3 4", head_lock=lock(OLD)),
        (Left("flake.lock is not what it was before", LOCK.help, "u"), OLD_RUNS),
    ),
    "an active generation": (NEW_SYSTEM, (ACTIVE, NEW_RUNS)),
    "all": (now(NEW_SYSTEM, **PULLED, **MOVED), (COMMITS, LOCK_TOO, ACTIVE, NEW_RUNS)),
    "a generation in the profile": (system("old", "new"), (PROFILE, OLD_RUNS)),
    "another active system": (
        system("new", "old"),
        (
            Left(
                "another system is active than before; the profile is the same",
                f"{UPDATE} goes on from there",
                "u",
            ),
            OLD_RUNS,
        ),
    ),
    "an agent that is not restarted": (
        replace(NEW_SYSTEM, running=running(OLD_AGENT)),
        (
            ACTIVE,
            Left(
                f"{OLD_RUNS.what}; 2.2.0 (bbbbbbbb…) is installed",
                "nixfleet restart csb0 restarts it",
                "r",
            ),
        ),
    ),
    "an agent that is down": (
        replace(BEGUN, unit=Unit("loaded", "failed"), running=None),
        (
            AS_BEFORE,
            Left("the agent is not running: its unit is failed", f"{UPDATE} starts it", "u"),
        ),
    ),
    "an agent that was not seen": (
        replace(BEGUN, unit=None),
        (
            AS_BEFORE,
            Left("whether the agent runs was not seen", "nixfleet verify csb0 looks", "v"),
        ),
    ),
    "a program that was not seen": (
        replace(BEGUN, unit=UP, running=None),
        (
            AS_BEFORE,
            Left(
                "the agent's unit is active; the program that it runs was not seen",
                "nixfleet verify csb0 looks",
                "v",
            ),
        ),
    ),
    "a checkout that was not seen": (replace(BEGUN, checkout=None), (OLD_RUNS,)),
    "a checkout that cannot be read": (now(state="broken", head=None), (OLD_RUNS,)),
    "another checkout": (now(path="/e", **PULLED), (OLD_RUNS,)),
    "no look": (replace(BEGUN, system=System()), (OLD_RUNS,)),
}


@pytest.mark.parametrize(("after", "left"), CASES.values(), ids=CASES)
def test_what_is_left_has_what_goes_on_or_takes_it_back(
    after: Facts, left: tuple[Left, ...]
) -> None:
    for outcome in (CANCELLED, failed("rebuild", 4), Outcome(kind="interrupted")):
        assert left_behind(BEGUN, after, outcome, HOST, EXPECT) == left


def test_what_flake_lock_has_already_goes_on_without_moving_it() -> None:
    """The lock is at the latest commit, and the job was broken off before its switch."""
    for after in (now(**PULLED, **MOVED), system("old", "new", now(**MOVED)), now(**MOVED)):
        for left in left_behind(BEGUN, after, CANCELLED, HOST, LATEST):
            assert UPDATE not in left.help
            assert (f"{AS_LOCKED} goes on from there" in left.help) or left.key in ("", "b")
    (commits, moved, _) = left_behind(BEGUN, now(**PULLED, **MOVED), CANCELLED, HOST, LATEST)
    assert (commits.key, moved.key) == (KEYS["as-locked"], KEYS["as-locked"])
    behind = left_behind(BEGUN, now(**PULLED, **MOVED, behind=1), CANCELLED, HOST, LATEST)
    assert [left.key for left in behind] == ["u", "u", ""]


def test_changes_of_the_operator_in_flake_lock_are_not_thrown_away() -> None:
    """`git checkout` would also take what was there before the job."""
    dirty = now(head_lock=lock("3" * 40))
    (left, _) = left_behind(dirty, now(**MOVED), CANCELLED, HOST, EXPECT)
    assert "git" not in left.help
    assert left.help.endswith("flake.lock.before in the job's directory on the host is what it was")
    thrown_away = replace(MOVED_FACTS, checkout=replace(WAS, lock=lock(NEW), lock_cksum="3 4"))
    (left, _) = left_behind(dirty, thrown_away, CANCELLED, HOST, EXPECT)
    assert left.help.endswith("flake.lock.before in the job's directory on the host is what it was")


MOVED_FACTS: Final = now(**MOVED)


def test_a_job_that_ended_or_was_refused_leaves_nothing() -> None:
    for outcome in (
        Outcome(kind="done"),
        failed("preflight", reason="unit"),
        Outcome(kind="interrupted", failed_step="preflight"),
    ):
        assert left_behind(BEGUN, MOVED_FACTS, outcome, HOST, EXPECT) == ()


def test_what_was_not_looked_at_is_not_said() -> None:
    (unseen,) = left_behind(BEGUN, None, Outcome(kind="interrupted"), HOST, EXPECT)
    assert (unseen.key, "could not be seen" in unseen.what) == ("v", True)
    (agent,) = left_behind(None, NEW_SYSTEM, CANCELLED, HOST, EXPECT)
    assert agent == Left(f"the agent runs: {NEW_RUNS.what.split(': ')[1].split(',')[0]}")
    assert NEW_AGENT.version in agent.what  # type: ignore[operator]
