"""All that an update of a host rests on: what was seen, whether it is right, and what helps.

Pure. Where a rule or a cause decides already (plan/rules.py, judge/causes.py), it decides here too.

It is longer than 400 lines because each point stands here, in the order in which it is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from nixfleet_core.facts.checkouts import disagreement
from nixfleet_core.judge.causes import find_job, service_fault
from nixfleet_core.limits import MOST, SAID_LIMIT
from nixfleet_core.log.addresses import hide_addresses
from nixfleet_core.log.amounts import counted
from nixfleet_core.log.failures import find_failure
from nixfleet_core.nix.version import OLDEST
from nixfleet_core.plan.mac import battery_warning, is_kept_by_macos
from nixfleet_core.plan.model import Refusal
from nixfleet_core.plan.platforms import platform_of
from nixfleet_core.plan.refusals import refusal_words
from nixfleet_core.plan.rules import (
    all_refusals,
    needed_tools,
    restricted,
)
from nixfleet_core.vocabulary import APPLE_GIT, CAUSES, PointName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.facts.health import Health, Launchd
    from nixfleet_core.facts.model import Checkout, Facts
    from nixfleet_core.host import Host
    from nixfleet_core.vocabulary import Cause, CheckId

PointState = Literal["right", "wrong", "unknown", "note"]
"""note: an update works all the same, and it is good to know."""

CLOCK_SKEW: Final = 120
"""Seconds by which the host's clock may differ from ours; certificates need a good one."""

FILES_NEEDED: Final = 256
"""Open files without which Nix fails."""
FILES_WANTED: Final = 1024
"""Nix has been seen to open so many at once."""

LOW_CHARGE: Final = 20
"""Percent; a battery that is emptier may not last for an update."""

_LOCAL_NETWORK_RIGHT: Final = 15
"""The macOS from which on a job needs a right to reach the local network."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that an update rests on. `help` is empty where there is nothing to do."""

    name: PointName
    state: PointState
    seen: str
    help: str = ""


def check_up(host: Host, health: Health) -> tuple[Point, ...]:
    """Every point that such a host has. No text has an address that the user did not give."""
    given = given_names(host)
    return tuple(
        _for_report(point, health.home, given) for point in _Checkup(host, health).points()
    )


def given_names(host: Host) -> frozenset[str]:
    """What the user called the host, and its address: a report may name these."""
    address = (host.address.host, str(host.address)) if host.address else ()
    return frozenset((host.name, *address))


def _for_report(point: Point, home: str, given: frozenset[str]) -> Point:
    def words(text: str) -> str:
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?=[/\s:,;)]|$)", "~", text)
        return hide_addresses(text[: 2 * SAID_LIMIT], given)

    return Point(point.name, point.state, words(point.seen), words(point.help))


class _Checkup:
    def __init__(self, host: Host, health: Health) -> None:
        self._host, self._health, self._facts = host, health, health.facts
        self._refusals: dict[CheckId, Refusal] = {}
        for refusal in all_refusals(host, health.facts):
            self._refusals.setdefault(refusal.check, refusal)

    def points(self) -> Iterator[Point]:
        yield self._unless_refused("host", "platform", self._platform())
        yield self._clock()
        yield self._login_shell()
        yield self._path()
        yield self._time_limits()
        yield self._open_files()
        yield self._git()
        yield from self._nix()
        yield self._disk()
        yield self._memory()
        yield self._power()
        yield self._root()
        yield self._jobs_place()
        yield from self._agent()
        yield from self._session()
        yield from self._checkout()
        yield self._configuration()
        yield from self._beside()
        if self._health.launchd is not None:
            yield from _shown(self._health.launchd)

    @property
    def _is_home(self) -> bool:
        return self._facts.platform == "home-manager"

    def _unless_refused(self, name: PointName, check: CheckId, seen: str) -> Point:
        """What was seen is right, unless it refuses the update."""
        refusal = self._refusals.get(check)
        if refusal is None:
            return Point(name, "right", seen)
        return Point(name, "wrong", refusal.why, refusal.advice)

    # The login.

    def _platform(self) -> str:
        parts = (self._facts.os, self._facts.machine, self._facts.platform)
        return ", ".join(part for part in parts if part)

    def _clock(self) -> Point:
        ahead = self._health.clock
        if not self._facts.now:
            return Point("clock", "unknown", "the host did not say its time")
        if abs(ahead) <= CLOCK_SKEW:
            return Point("clock", "right", "as this machine's")
        way = "ahead of" if ahead > 0 else "behind"
        return Point(
            "clock",
            "wrong",
            f"{abs(ahead)} s {way} this machine's: servers' certificates can seem invalid",
            "let the wrong one follow a time server (timedatectl set-ntp true; on a Mac: sntp -sS)",
        )

    def _login_shell(self) -> Point:
        shell = self._health.shell
        if not shell:
            return Point("login-shell", "unknown", "the login does not name it")
        if self._health.greets:
            return Point(
                "login-shell",
                "note",
                f"{shell}; its start-up prints text without a terminal, which is ignored",
                "let its start-up files print only at a terminal",
            )
        return Point("login-shell", "right", shell)

    def _path(self) -> Point:
        facts, platform = self._facts, platform_of(self._facts)
        needed: tuple[str, ...] = ("git", "nix")
        if not isinstance(platform, Refusal) and facts.unit is not None:
            needed = needed_tools(platform, facts.unit.service.manager)
        added = "" if self._health.has_nix_at_login else "; nix only in the folders that we add"
        return self._unless_refused("path", "tools", f"has {', '.join(needed)}{added}")

    def _time_limits(self) -> Point:
        if self._health.bounds is None:
            why = "no timeout, perl or bash is found, so no command can be ended in time"
            return Point("time-limits", "wrong", why, CAUSES["preflight-tools"].cure)
        return Point("time-limits", "right", f"kept by {self._health.bounds}")

    def _open_files(self) -> Point:
        launchd = self._health.launchd
        seen_limits = (self._health.files, launchd.files if launchd else None)
        known = [limit for limit in seen_limits if limit is not None]
        if not known:
            return Point("open-files", "unknown", "the limit of open files could not be seen")
        least = min(known)
        seen = "no limit" if least == MOST else f"up to {least} at once"
        if least >= FILES_WANTED:
            return Point("open-files", "right", seen)
        state: PointState = "note" if least >= FILES_NEEDED else "wrong"
        words = CAUSES["open-files"]
        cure = f"raise it where ulimit -n is set, as in the shell's start-up; {words.cure}"
        return Point("open-files", state, f"{seen}: {words.meaning}", cure)

    # Tools.

    def _git(self) -> Point:
        if self._health.git_is_stub:
            return Point("git", "wrong", APPLE_GIT.meaning, APPLE_GIT.cure)
        if self._health.git:
            return Point("git", "right", self._health.git)
        if "git" in self._facts.tools:
            return Point("git", "unknown", "it did not say its version")
        return Point("git", "wrong", "not found", CAUSES["preflight-tools"].cure)

    def _nix(self) -> Iterator[Point]:
        nix, health = self._facts.nix, self._health
        if nix is None:
            yield Point("nix", "wrong", "not found", CAUSES["preflight-tools"].cure)
            return
        if nix.flavour == "nix" and nix.number < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            yield Point("nix", "wrong", str(nix), f"update Nix: {oldest} or later is needed")
        else:
            yield Point("nix", "right", str(nix))
        if health.store_answers is None:
            yield Point("nix-store", "unknown", "it could not be asked")
        elif health.store_answers:
            yield Point("nix-store", "right", "it answers")
        else:
            words = CAUSES["daemon"]
            yield Point("nix-store", "wrong", f"no answer: {words.meaning}", words.cure)
        yield self._features()
        if self._is_home and self._facts.uid != 0:
            yield self._trusted_user()

    def _features(self) -> Point:
        features = self._health.features
        if features is None:
            return Point("nix-features", "unknown", "Nix's configuration could not be read")
        missing = sorted({"nix-command", "flakes"} - features)
        if missing:
            return Point(
                "nix-features",
                "note",
                f"{' and '.join(missing)} off; an update turns them on for its own commands",
                "experimental-features = nix-command flakes in nix.conf",
            )
        return Point("nix-features", "right", "nix-command, flakes")

    def _trusted_user(self) -> Point:
        if self._facts.trusted:
            return Point("trusted-user", "right", "the nix daemon trusts this user")
        state: PointState = "unknown" if self._facts.trusted is None else "note"
        cure = "trusted-users in the nix.conf of the machine"
        words = restricted(replace(self._facts, user="this user"), level=2)
        return Point("trusted-user", state, words, cure)

    # The machine.

    def _disk(self) -> Point:
        return self._room("disk", self._facts.disk_free_kib, "free in /nix/store")

    def _memory(self) -> Point:
        return self._room("memory", self._facts.memory_free_kib, "free")

    def _room(self, name: Literal["disk", "memory"], kib: int | None, where: str) -> Point:
        if kib is None:
            return Point(name, "unknown", "it could not be seen")
        return self._unless_refused(name, name, f"{kib // 1024} MiB {where}")

    def _power(self) -> Point:
        facts = self._facts
        if not facts.on_battery:
            return Point("power", "right", "not on battery")
        is_low = facts.charge is not None and facts.charge < LOW_CHARGE
        seen, _, cure = battery_warning(facts).rpartition("; ")
        return Point("power", "wrong" if is_low or facts.lid_closed else "note", seen, cure)

    def _root(self) -> Point:
        if self._is_home:
            return Point("root", "right", "not needed: jobs run as this user")
        match self._health.root:
            case "login":
                return Point("root", "right", "this login is root's")
            case "sudo" | "doas" | "run0" as way:
                return Point("root", "right", f"by {way}; nobody tried it")
            case None:
                cause = CAUSES["preflight-elevation"]
                seen = (
                    f"{cause.meaning}: no sudo or doas is a setuid program of root's, "
                    "and no run0 is root's"
                )
                return Point("root", "wrong", seen, cause.cure)

    def _jobs_place(self) -> Point:
        health = self._health
        if health.no_place:
            cure = "one of the two has to be root's, writable by root alone"
            return Point("jobs-place", "wrong", f"there is none: {health.no_place}", cure)
        if health.closed_place:
            seen = f"this user cannot write to {health.closed_place}"
            return Point("jobs-place", "wrong", seen, "give that folder to this user, with chown")
        return Point("jobs-place", "right", _CARRIERS.get(health.carrier, "there is one"))

    # The agent.

    def _agent(self) -> Iterator[Point]:
        unit, fault = self._facts.unit, service_fault(self._facts)
        if unit is None or not unit.exists:
            if unit is not None and fault is not None:
                yield Point("service", "wrong", fault.sentence, fault.advice)
            else:
                yield self._unless_refused("service", "unit", "")
            return
        where = f" in {unit.service.domain}" if unit.service.domain else ""
        yield self._unless_refused("service", "unit", f"{unit.service.name}{where}")
        if fault is not None:
            state: PointState = "wrong" if fault.down else "note"
            yield Point("agent", state, fault.sentence, fault.advice)
        else:
            yield Point("agent", "right", "it runs")
        launchd = self._health.launchd
        if launchd is not None and launchd.pended:
            yield Point(
                "agent-start",
                "wrong",
                f"launchd has put it off ({launchd.pended})",
                unit.service.restart_words,
            )
        elif launchd is not None:
            yield Point("agent-start", "right", "nothing pends")

    def _session(self) -> Iterator[Point]:
        launchd = self._health.launchd
        if launchd is not None:
            yield _mac_session(launchd)
            return
        if not self._is_home:
            return
        if self._health.carrier == "user":
            yield Point("session", "right", "this user's systemd answers")
        else:
            yield Point(
                "session",
                "note",
                "no systemd of this user outlives a login, so jobs run as guarded processes",
                "it needs lingering and a user bus (dbus-user-session)",
            )
        if self._facts.lingers:
            yield Point("linger", "right", "on")
        else:
            seen = "off: the agent ends with the last login"
            yield Point("linger", "wrong", seen, "loginctl enable-linger")

    # The checkout.

    def _checkout(self) -> Iterator[Point]:
        checkout = self._facts.checkout
        if checkout is not None and checkout.state == "unreadable" and not self._is_home:
            seen = f"{checkout.path} can be seen by its owner and root only"
            yield Point("checkout", "unknown", seen, "to look at it too, log in as one of them")
            return
        owner = checkout.owner if checkout else None
        whose = f", {owner}'s" if owner and owner != self._facts.user else ", this user's"
        path = checkout.path if checkout else ""
        if checkout is not None and checkout.state != "ok" and "checkout" not in self._refusals:
            yield Point("checkout", "unknown", f"{path}: git could not be asked")
            return
        yield self._unless_refused("checkout", "checkout", f"{path}{whose}")
        if checkout is None or checkout.state != "ok":
            return
        yield self._files(checkout)
        if self._health.launchd is not None:
            yield self._folder(checkout)
        yield self._branch(checkout)
        yield from self._remote()
        locked = (self._facts.lock_rev(self._host.input) or "")[:7]
        seen = f"{self._host.input}, locked to {locked or 'no commit'}"
        yield self._unless_refused("input", "input", seen)

    def _files(self, checkout: Checkout) -> Point:
        foreign = self._health.foreign
        if not foreign:
            return Point("checkout-files", "right", "none belongs to root alone")
        words = refusal_words("checkout", "root-owned")
        cure = f"sudo chown -R {checkout.owner}: {checkout.path}"
        seen = f"{words.meaning}: {', '.join(foreign[:3])}"
        return Point("checkout-files", "wrong", seen, cure)

    def _folder(self, checkout: Checkout) -> Point:
        if not is_kept_by_macos(self._facts, checkout):
            return Point("checkout-folder", "right", "none that macOS keeps from a job")
        words = CAUSES["folder-denied"]
        return Point("checkout-folder", "wrong", words.meaning, words.cure)

    def _branch(self, checkout: Checkout) -> Point:
        if "remote" in self._refusals:
            return self._unless_refused("branch", "remote", "")
        if self._health.unfinished:
            words = refusal_words("pull", "unfinished")
            return Point("branch", "wrong", words.meaning, words.cure)
        if checkout.ahead and checkout.behind:
            words = refusal_words("pull", "diverged")
            return Point("branch", "wrong", words.meaning, words.cure)
        count = len(checkout.dirty)
        dirty = f", {counted(count, 'uncommitted change')}" if count else ""
        return Point("branch", "right", f"{checkout.branch}, from {checkout.upstream}{dirty}")

    def _remote(self) -> Iterator[Point]:
        remote = self._health.remote
        if remote is None:
            yield Point("remote", "unknown", "without an upstream there is nothing to ask")
            return
        by = "a folder" if remote.kind == "file" else f"by {remote.kind}"
        if remote.answers:
            yield Point("remote", "right", f"{by}; it answers without an ssh agent")
        else:
            yield _failed("remote", f"{by}; no answer", remote.said, "preflight-remote")
        if self._health.launchd is None:
            return
        if remote.is_near and _macos(self._facts) >= _LOCAL_NETWORK_RIGHT:
            words = CAUSES["lan-denied"]
            yield Point(
                "local-network", "note", f"the remote is there: {words.meaning}", words.cure
            )
        else:
            yield Point("local-network", "right", "not needed")

    def _configuration(self) -> Point:
        if self._facts.attributes is not None:
            count = len(self._facts.attributes)
            seen = f"the flake has this host's, of {count}"
            return self._unless_refused("configuration", "attribute", seen)
        if self._health.eval_said:
            seen = "the flake does not evaluate"
            return _failed("configuration", seen, self._health.eval_said, "eval-failed")
        return Point("configuration", "unknown", "the flake was not evaluated")

    # Beside it.

    def _beside(self) -> Iterator[Point]:
        facts = self._facts
        differs = disagreement(facts, self._host.input)
        if differs is not None:
            yield Point("second-checkout", "note", differs, "decide which of the two is to be used")
        elif facts.other is not None:
            yield Point("second-checkout", "right", "it agrees, as far as it could be seen")
        job = find_job(facts)
        if job is not None:
            yield Point("other-work", "note", job.sentence, job.advice)
        elif facts.switch_running or facts.rebuild is not None:
            words = CAUSES["preflight-idle"]
            yield Point("other-work", "note", words.meaning, words.cure)
        else:
            yield Point("other-work", "right", "none")


_CARRIERS: Final = {
    "systemd": "a job runs as a unit of the system",
    "user": "a job runs as a unit of this user",
    "launchd": "a job runs as one of launchd's",
    "guard": "a job runs as a process with a guard beside it",
}


def _failed(name: PointName, seen: str, said: tuple[str, ...], otherwise: Cause) -> Point:
    """Something failed with these words. They can name servers, so only their meaning is shown."""
    failure = find_failure(said)
    if failure is None:
        return Point(name, "wrong", seen, CAUSES[otherwise].cure)
    return Point(name, "wrong", f"{seen} ({failure.cause})", failure.advice)


def _mac_session(launchd: Launchd) -> Point:
    agents = " and ".join(launchd.types) or "Aqua"
    kind = f"this session is {launchd.session or 'unknown'}, the agent is for {agents}"
    match launchd.domains:
        case ():
            return Point(
                "session",
                "wrong",
                f"launchd has no domain for this user; {kind}",
                "log in at the screen, or reboot the Mac",
            )
        case ("user",):
            return Point(
                "session",
                "note",
                f"nobody is logged in at the screen, so there is no gui domain; {kind}",
                "agents of the gui domain run only after a login at the screen",
            )
        case domains:
            return Point("session", "right", f"domains {' and '.join(domains)}; {kind}")


def _macos(facts: Facts) -> int:
    """The major version; 0 if it is no Mac's."""
    match = re.match(r"macOS (\d{1,3})", facts.os)
    return int(match[1]) if match else 0


def _shown(launchd: Launchd) -> Iterator[Point]:
    """How a Mac prints an argument of several lines; scripts/lib reads it."""
    if launchd.newline in ("\\012", "raw"):
        yield Point("ps-newline", "right", f"ps shows it as {launchd.newline}")
    elif launchd.newline:
        seen = f"ps shows it as {launchd.newline}, which nobody has seen before"
        yield Point("ps-newline", "note", seen, "please report this, with macOS's version")
    else:
        yield Point("ps-newline", "unknown", "ps did not show it")
    if launchd.arguments == "raw":
        yield Point("launchctl-arguments", "right", "launchctl print shows several lines raw")
    elif launchd.arguments:
        seen = f"launchctl print shows several lines {launchd.arguments}"
        yield Point("launchctl-arguments", "note", seen, "please report this, with macOS's version")
    else:
        yield Point("launchctl-arguments", "unknown", "no argument has several lines")
