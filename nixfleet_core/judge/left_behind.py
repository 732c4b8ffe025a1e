"""What an update or a rollback left behind that was cancelled, was interrupted, or failed. Pure.

Only the looks before and after count: what a step wanted to do, and what the host has put back, is
not asked. What could not be seen on both sides is not said.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from nixfleet_core.judge.causes import named
from nixfleet_core.judge.cures import lock_has_it
from nixfleet_core.judge.finding import AS_LOCKED, UPDATE
from nixfleet_core.vocabulary import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.facts.model import Checkout, Facts, System
    from nixfleet_core.host import Host
    from nixfleet_core.job.outcome import Outcome
    from nixfleet_core.judge.causes import Expectation
    from nixfleet_core.vocabulary import Remedy


class Left(msgspec.Struct, frozen=True):
    """One thing that is not as it was before the job, or that could not be seen."""

    what: str
    help: str = ""
    """What goes on from there, and what takes it back; "" if there is nothing to do."""
    key: str = ""
    """The app's key for the first command in it."""


def left_behind(
    before: Facts | None,
    after: Facts | None,
    outcome: Outcome,
    host: Host,
    expect: Expectation,
) -> tuple[Left, ...]:
    """What is left: commits, flake.lock, the generation, the agent, in this order; of a rollback,
    which is to change flake.lock, the generation and the agent; of a commit, the commit and the
    agent. Nothing of a job that came to its end, or that the preflight refused."""
    if outcome.kind == "done" or outcome.failed_step == "preflight":
        return ()
    if after is None:
        words = "what the job left could not be seen"
        return (Left(words, f"{_command('verify', host)} looks again", KEYS["verify"]),)
    if before is None:
        return tuple(_agent(None, after, host))
    seen = _Sides(before, after, host, expect)
    if outcome.goal == "commit":
        return (*seen.commit(committed=outcome.committed), *_agent(before, after, host))
    if outcome.goal == "restart":
        return tuple(_agent(before, after, host))
    if outcome.goal == "rollback":
        return (*seen.way_back(), *_agent(before, after, host))
    changed = (*seen.commits(), *seen.lock(), *seen.generation())
    same = Left("nixcfg, flake.lock and the system are as they were before")
    return (
        *(changed or ((same,) if seen.all_known() else ())),
        *_agent(before, after, host),
    )


@dataclass(frozen=True, slots=True)
class _Sides:
    before: Facts
    after: Facts
    host: Host
    expect: Expectation

    @property
    def on(self) -> Remedy:
        """What goes on from there."""
        return "as-locked" if lock_has_it(self.after, self.expect) else "update"

    def commits(self) -> Iterator[Left]:
        was, now = self._checkouts()
        if was is None or now is None or None in (was.head, now.head) or was.head == now.head:
            return
        back = _by_hand(now, "reset", "--keep", was.head or "")
        yield Left(
            f"nixcfg is at {(now.head or '')[:7]}, it was at {(was.head or '')[:7]}",
            f"{_command(self.on, self.host)} goes on from there; to go back: {back}",
            KEYS[self.on],
        )

    def lock(self) -> Iterator[Left]:
        was, now = self._checkouts()
        if was is None or now is None:
            return
        old, new = (side.lock_rev(self.host.input) for side in (self.before, self.after))
        moved = None not in (old, new) and old != new
        if not moved and (
            None in (was.lock_cksum, now.lock_cksum) or was.lock_cksum == now.lock_cksum
        ):
            return
        what = "flake.lock is not what it was before"
        if moved:
            what = f"flake.lock has {self.host.input} at {(new or '')[:7]}, it was at "
            what += (old or "")[:7]
        if now.head_lock is None and was.head != now.head:
            yield Left(f"{what}, as nixcfg's commit has it", "it goes back with nixcfg")
            return
        kept = "flake.lock.before in the job's directory on the host is what it was"
        if now.head_lock is None or was.head_lock is not None:
            back = kept
        else:
            back = f"to go back: {_by_hand(now, 'checkout', '--', 'flake.lock')}"
        if _moved(self.before.system, self.after.system):
            back = f"{_command('rollback', self.host)} takes it back with the generation"
            yield Left(what, back, KEYS["rollback"])
            return
        yield Left(
            what, f"{_command(self.on, self.host)} goes on from there; {back}", KEYS[self.on]
        )

    def generation(self) -> Iterator[Left]:
        was, now = self.before.system, self.after.system
        if None in (was.profile, now.profile, was.current, now.current):
            return
        back = f"{_command('rollback', self.host)} goes back to what was active"
        on = f"{_command(self.on, self.host)} goes on from there"
        name = f"generation {now.generation}" if now.generation is not None else "a generation"
        if _moved(was, now) and now.current == now.profile == was.current:
            yield Left(
                f"the profile is at {name}, which is active as before; it was at {was.profile}, "
                "which was not active"
            )
        elif _moved(was, now) and not now.is_apart:
            yield Left(f"{name} is new, and active already", back, KEYS["rollback"])
        elif _moved(was, now):
            what = f"{name} is new, and only in the profile: another one is active"
            yield Left(what, f"{back}; {on}", KEYS["rollback"])
        elif was.current != now.current:
            yield Left(
                "another system is active than before; the profile is the same", on, KEYS[self.on]
            )

    def commit(self, *, committed: bool) -> Iterator[Left]:
        """What became of flake.lock in a job that was to commit it."""
        _, now = self._checkouts()
        if now is None:
            return
        if committed or now.head_lock is None:
            yield Left("flake.lock is committed", f"to push it: {_by_hand(now, 'push')}")
        else:
            again = f"{_command('commit', self.host)} tries again"
            yield Left("flake.lock is changed, and not committed, as before", again, KEYS["commit"])

    def way_back(self) -> Iterator[Left]:
        """How far a rollback got."""
        was, now = self.before.system, self.after.system
        if now.current is None or now.profile is None:
            return
        again = f"{_command('rollback', self.host)} tries again"
        if (was.profile, was.current) == (now.profile, now.current):
            yield Left(f"{now.current} is active, as before, and the profile is the same")
            return
        name = f"generation {now.generation}, " if now.generation is not None else ""
        active = f"{now.current} is active{', as before' if now.current == was.current else ''}"
        yield Left(f"{active}; the profile names {name}{now.profile}", again, KEYS["rollback"])

    def all_known(self) -> bool:
        """Whether all was seen on both sides, so that no news is good news."""
        was, now = self._checkouts()
        if was is None or now is None:
            return False
        seen = (
            *((side.head, side.lock_cksum) for side in (was, now)),
            *((side.system.profile, side.system.current) for side in (self.before, self.after)),
        )
        return not any(None in pair for pair in seen)

    def _checkouts(self) -> tuple[Checkout, Checkout] | tuple[None, None]:
        """The same checkout before and after, if both could be read."""
        was, now = self.before.checkout, self.after.checkout
        if was is None or now is None or was.path != now.path:
            return None, None
        return (was, now) if was.state == now.state == "ok" else (None, None)


def _moved(was: System, now: System) -> bool:
    return None not in (was.profile, now.profile) and was.profile != now.profile


def _agent(before: Facts | None, after: Facts, host: Host) -> Iterator[Left]:
    unit, running, installed = after.unit, after.running, after.installed
    if unit is None:
        yield Left(
            "whether the agent runs was not seen",
            f"{_command('verify', host)} looks",
            KEYS["verify"],
        )
        return
    if not unit.is_up:
        why = f"the agent is not running: its unit is {unit.active or unit.load}"
        yield Left(why, f"{_command('update', host)} starts it", KEYS["update"])
        return
    if running is None:
        words = "the agent's unit is active; the program that it runs was not seen"
        yield Left(words, f"{_command('verify', host)} looks", KEYS["verify"])
        return
    was = before.running.binary if before is not None and before.running else None
    same = was is not None and was.identity == running.binary.identity
    what = f"the agent runs{' as before' if same else ''}: {named(running.binary)}"
    if was is not None and not same:
        what += f", it was {named(was)}"
    if installed is None or installed.is_run_by(running.binary):
        yield Left(what)
        return
    words = f"{what}; {named(installed)} is installed"
    yield Left(words, f"{_command('restart', host)} restarts it", KEYS["restart"])


def _command(remedy: Remedy, host: Host) -> str:
    name, *options = {"update": UPDATE, "as-locked": AS_LOCKED}.get(remedy, (remedy,))
    return shlex.join(("nixfleet", name, host.name, *options))


def _by_hand(checkout: Checkout, *words: str) -> str:
    """git's command for a person on the host."""
    who = f"as {checkout.owner} " if checkout.owner else ""
    return f"{who}on the host, {shlex.join(('git', '-C', checkout.path, *words))}"
