"""What keeps a key from doing its work on a host now, as far as is known. Pure.

The keys ask here, and so does the host's menu: both say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nixfleet_core.plan.model import Options, Refusal
from nixfleet_core.plan.platforms import platform_of
from nixfleet_core.plan.rules import needs_closer_look

if TYPE_CHECKING:
    from nixfleet_core.host import Platform
    from nixfleet_core.plan.model import Plan
    from tui.fleet import HostEntry

FORCE: Final = Options(force=True)
"""The options of `force update`: every step runs, at level 1."""

AS_LOCKED: Final = Options(force=True, as_locked=True)
"""The same, without the step that moves flake.lock."""

RESTART: Final = Options(pull=False)
"""The options of a restart of the agent."""


def why_not(action: str, entry: HostEntry) -> str:
    """Why the key of that action can do nothing on the host; empty if it can, as far as is known:
    the key may look closer, and then say more."""
    match action:
        case "update":
            return entry.not_free or _update_refused(entry, FORCE)
        case "as_locked":
            return entry.not_free or _update_refused(entry, AS_LOCKED)
        case "restart":
            return entry.not_free or _restart_refused(entry)
        case "commit":
            return entry.not_free or entry.nothing_to_commit
        case "roll_back":
            return entry.not_free or _rollback_refused(entry)
        case "debt":
            return entry.not_free
        case "connect":
            return _no_connection(entry)
        case "shell":
            return _no_shell(entry)
    return ""


def _update_refused(entry: HostEntry, options: Options) -> str:
    facts = entry.facts
    if facts is None or needs_closer_look(entry.host, facts):
        return ""
    return _refused(entry.session.plan(facts, options))


def _restart_refused(entry: HostEntry) -> str:
    facts = entry.facts
    return "" if facts is None else _refused(entry.session.plan_restart(facts, RESTART))


def _rollback_refused(entry: HostEntry) -> str:
    """Which generations there are is asked of the host only when it goes back."""
    return "" if entry.facts is None else _refused(platform_of(entry.facts))


def _refused(made: Plan | Platform | Refusal) -> str:
    return made.why if isinstance(made, Refusal) else ""


def _no_connection(entry: HostEntry) -> str:
    return "" if entry.session.connect_argv else "without ssh there is nothing to connect"


def _no_shell(entry: HostEntry) -> str:
    if not entry.session.terminal_argv(entry.facts):
        return "a host of the demo has no shell to open"
    found = entry.assessment
    return found.why if found is not None and found.state == "no-shell" else ""
