"""The system that runs, against the one that the profile names. They differ for many reasons, and
only some of them mean that a switch did not get to its end. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.judge.finding import UPDATE, finding

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts, System
    from nixfleet_core.judge.finding import Finding


def waiting_system(facts: Facts) -> Finding | None:
    """The profile names a newer system than the one that runs."""
    system, job = facts.system, facts.last_job
    failed = job if job and job.failed == "rebuild" else None
    rc = failed.rc if failed else 0
    if not system.is_apart or not (system.is_newer or rc == _NEEDS_INIT):
        return None
    waits = waits_for_boot(system, rc)
    if waits is not None:
        return waits
    why, more = "its switch did not get that far", ""
    if failed is None and facts.platform == "nixos":
        why = f"nixos-rebuild boot has staged it, or {why}"
        more = "; if it was staged, a reboot is enough"
    return finding(
        "switch-incomplete",
        f"the profile names a new system, {_profile(system)}, but {running_generation(system)} "
        f"still runs: {why}",
        UPDATE,
        more=more,
    )


_NEEDS_INIT: Final = 100
"""The exit code of a switch-to-configuration that leaves the new system for the next boot."""


def waits_for_boot(system: System, rc: int) -> Finding | None:
    """What makes the profile's new system wait for a boot. `rc` is that of the switch, or 0."""
    if system.needs_reboot or rc == _NEEDS_INIT:
        why = "the new system needs a reboot: it is installed, but the old one still runs"
        return finding("reboot-pending", why, ("verify",))
    if system.inhibitors:
        parts = ", ".join(system.inhibitors[:5])
        why = f"NixOS does not switch to the new system while the old one runs: {parts} changed"
        return finding("switch-inhibited", why, ("verify",))
    return None


def other_system(facts: Facts) -> Finding | None:
    """The system that runs is not the profile's, and nothing shows that the profile's is newer."""
    system = facts.system
    if not system.is_apart:
        return None
    active = system.active
    if active is None:
        hidden = " that this user may read" if system.has_hidden else ""
        test = ", as after nixos-rebuild test" if facts.platform == "nixos" else ""
        why = f"no profile{hidden} holds what is active{test}"
    else:
        why = f"{running_generation(system)} runs, but the system profile names {_profile(system)}"
    return finding("other-system", why, holds=True)


def _profile(system: System) -> str:
    return (
        "a path that is no generation"
        if system.generation is None
        else f"generation {system.generation}"
    )


def running_generation(system: System) -> str:
    """The generation that holds the system that runs, where the profile names another path."""
    active = system.active
    if active is None:
        return "another"
    whose = f" of the profile {active.profile}" if active.profile else ""
    special = f" (specialisation {active.specialisation})" if active.specialisation else ""
    return f"generation {active.number}{whose}{special}"
