"""The keys that act on one host: the same on every screen that shows one. A binding with a group is
about the host, and stands in the host's menu."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.binding import Binding, BindingType

from nixfleet_core.vocabulary import KEYS
from tui.messages import (
    Choose,
    CommitLock,
    Connect,
    LookAtHost,
    OpenShell,
    RestartAgent,
    RollBack,
    ShowDebt,
    ShowHistory,
    ShowHost,
    ShowJournal,
    ShowLog,
    UpdateAsLocked,
    UpdateHosts,
    VerifyHosts,
)
from tui.remedies import DEBT_KEY, LABELS
from tui.screens.base import Page
from tui.screens.host_menu import HostMenu, MenuRow
from tui.stage import stage
from tui.text import plain
from tui.why_not import why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.message import Message

    from tui.fleet import HostEntry

LOOK: Final = Binding.Group("Look")
CURE: Final = Binding.Group("Cure")
LOG: Final = Binding.Group("Log")
TERMINAL: Final = Binding.Group("Terminal")
GROUPS: Final = (LOOK, CURE, LOG, TERMINAL)
"""The groups of the host's menu, in its order."""


AFTER_A_JOB: Final = (
    *("restart", "as_locked", "update", "verify", "roll_back", "commit", "connect", "look"),
    "debt",
)
"""The actions that a screen of a job has only once the job has ended."""


@dataclass(frozen=True, slots=True)
class _HostKey:
    key: str
    action: str
    label: str
    tooltip: str
    group: Binding.Group
    """Its place in the host's menu."""
    asks: Callable[[HostEntry], Message]
    """What it asks the app to do to a host."""


_HOST_KEYS: Final = {
    "choose": _HostKey(
        *("enter", "choose", "choose"),
        "This host's running job, or its plan, or why it is offline",
        *(LOOK, Choose),
    ),
    "update": _HostKey(
        *(KEYS["update"], "update", LABELS["update"]),
        "Force-update this host",
        *(CURE, lambda entry: UpdateHosts([entry])),
    ),
    "restart": _HostKey(
        *(KEYS["restart"], "restart", LABELS["restart"]),
        "Restart the agent on this host, and prove it",
        *(CURE, RestartAgent),
    ),
    "details": _HostKey(
        *("d", "details", "details"), "Everything that is known of this host", *(LOOK, ShowHost)
    ),
    "debt": _HostKey(
        *(DEBT_KEY, "debt", "restart debt"),
        "Which units run programs of an older system, and how each is paid",
        *(LOOK, ShowDebt),
    ),
    "log": _HostKey(
        *(KEYS["log"], "log", LABELS["log"]), "Show this host's last log", *(LOG, ShowLog)
    ),
    "journal": _HostKey(
        *("a", "journal", "agent's log"), "What the agent itself says, live", *(LOG, ShowJournal)
    ),
    "as-locked": _HostKey(
        *(KEYS["as-locked"], "as_locked", LABELS["as-locked"]),
        "Force-update this host, and leave its flake.lock as it is",
        *(CURE, UpdateAsLocked),
    ),
    "verify": _HostKey(
        *(KEYS["verify"], "verify", LABELS["verify"]),
        "Prove what runs; changes nothing",
        *(LOOK, lambda entry: VerifyHosts([entry])),
    ),
    "rollback": _HostKey(
        *(KEYS["rollback"], "roll_back", LABELS["rollback"]),
        "Take this host back to a generation that you choose",
        *(CURE, RollBack),
    ),
    "commit": _HostKey(
        *(KEYS["commit"], "commit", LABELS["commit"]),
        "Commit the flake.lock that an update has left, after a new proof",
        *(CURE, CommitLock),
    ),
    "history": _HostKey(
        *("H", "history", "history"), "List the jobs of this host", *(LOG, ShowHistory)
    ),
    "connect": _HostKey(
        *(KEYS["connect"], "connect", LABELS["connect"]),
        "Open the connection at the terminal, where ssh can ask",
        *(TERMINAL, Connect),
    ),
    "shell": _HostKey(
        *("x", "shell", "shell"),
        "Open your own shell there, in the checkout if it is there",
        *(TERMINAL, OpenShell),
    ),
    "refresh": _HostKey(
        *(KEYS["refresh"], "look", LABELS["refresh"]),
        "Look at this host again",
        *(LOOK, LookAtHost),
    ),
}
"""By the last part of the bindings' ids."""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def host_key(where: str, name: str, *, show: bool = True) -> Binding:
    """One binding of a screen whose ids begin with `where`; `show`: it is in the footer."""
    known = _HOST_KEYS[name]
    return Binding(
        known.key,
        known.action,
        known.label,
        show=show,
        id=f"{where}.{name}",
        tooltip=known.tooltip,
        group=known.group,
    )


_EVERYWHERE: Final = (
    *("update", "log", "journal", "verify", "rollback", "history", "connect", "refresh"),
    "shell",
)


def menu_key(where: str) -> Binding:
    """The key of the host's menu."""
    return Binding(
        "full_stop",
        "menu",
        "menu",
        id=f"{where}.menu",
        tooltip="All that can be done to this host now, or why not",
    )


def host_keys(where: str, *, show: bool = False, without: Sequence[str] = ()) -> list[BindingType]:
    """The keys that act on a host, on a screen that shows it; `without` those that it is itself."""
    names = [name for name in _EVERYWHERE if name not in without]
    keys: list[BindingType] = [host_key(where, name, show=show) for name in names]
    # it is there only while there is something to commit
    others = ("restart", "as-locked", "debt")
    hidden = [host_key(where, name, show=False) for name in others if name not in without]
    return [menu_key(where), host_key(where, "commit"), *keys, *hidden]


class HostPage(Page):
    """A page that shows one host, or has the cursor on one."""

    _has_commit_key = False

    @property
    def host_entry(self) -> HostEntry | None:
        """The host that the keys act on."""
        raise NotImplementedError

    def update_commit_key(self) -> None:
        """Show or hide the key that commits flake.lock; called when hosts have changed."""
        if self._has_commit_key != self._may_commit:
            self._has_commit_key = not self._has_commit_key
            self.refresh_bindings()

    @property
    def _may_commit(self) -> bool:
        return (entry := self.host_entry) is not None and entry.may_commit

    def why_absent(self, action: str, entry: HostEntry | None) -> str:
        """Why the key of that action is not there now; empty if it is. The key that commits
        flake.lock is there only if there is something to commit."""
        if action != "commit" or (entry is not None and entry.may_commit):
            return ""
        return why_not(action, entry) if entry is not None else "there is no host"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return not self.why_absent(action, self.host_entry)

    def menu_rows(self, entry: HostEntry) -> list[MenuRow]:
        """All that the keys of this page can do to the host, with the keys that do it here."""
        app, page, rows = stage(self), type(self), []
        for binding in page.BINDINGS:
            if not isinstance(binding, Binding) or binding.group is None or binding.id is None:
                continue
            known = _HOST_KEYS.get(_last(binding.id))
            action = known.action if known is not None else binding.action
            absent = self.why_absent(action, entry)
            row = MenuRow(
                id=binding.id,
                group=binding.group.description,
                keys=app.keys.of(page, binding.id),
                text=known.tooltip if known is not None else binding.tooltip,
                why_not=plain(absent or why_not(action, entry)),
                absent=bool(absent),
            )
            rows.append(row)
        order = [group.description for group in GROUPS]
        return sorted(rows, key=lambda row: order.index(row.group))

    def action_menu(self) -> None:
        """Show all that can be done to the host, and do what is chosen."""
        entry = self.host_entry
        if entry is None:
            return

        async def do(name: str | None, to: HostEntry = entry) -> None:
            if name is not None:
                await self.do(name, to)

        self.app.push_screen(HostMenu(entry.name, partial(self.menu_rows, entry)), do)

    async def do(self, name: str, entry: HostEntry) -> None:  # noqa: ARG002
        """Do what the binding of that id does to the host, which is still the one of the keys."""
        (binding,) = [one for one in self.BINDINGS if isinstance(one, Binding) and one.id == name]
        await self.app.run_action(binding.action, self)

    def ask_for(self, name: str) -> None:
        """Ask the app for what that key does, for the host."""
        if (entry := self.host_entry) is not None:
            self.post_message(_HOST_KEYS[name].asks(entry))

    def ask_for_one(self, name: str, entry: HostEntry) -> None:
        """Ask for what the binding of that id does, for that host alone."""
        self.post_message(_HOST_KEYS[_last(name)].asks(entry))

    def action_choose(self) -> None:
        self.ask_for("choose")

    def action_update(self) -> None:
        self.ask_for("update")

    def action_as_locked(self) -> None:
        self.ask_for("as-locked")

    def action_verify(self) -> None:
        self.ask_for("verify")

    def action_roll_back(self) -> None:
        self.ask_for("rollback")

    def action_restart(self) -> None:
        self.ask_for("restart")

    def action_commit(self) -> None:
        self.ask_for("commit")

    def action_log(self) -> None:
        self.ask_for("log")

    def action_journal(self) -> None:
        self.ask_for("journal")

    def action_debt(self) -> None:
        self.ask_for("debt")

    def action_history(self) -> None:
        self.ask_for("history")

    def action_connect(self) -> None:
        self.ask_for("connect")

    def action_shell(self) -> None:
        self.ask_for("shell")

    def action_details(self) -> None:
        self.ask_for("details")

    def action_look(self) -> None:
        self.ask_for("refresh")
