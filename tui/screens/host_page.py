"""The keys that act on one host: the same on every screen that shows one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.binding import Binding, BindingType

from nixfleet_core.vocabulary import KEYS
from tui.messages import (
    Choose,
    CommitLock,
    Connect,
    HostMessage,
    LookAtHost,
    RestartAgent,
    RollBack,
    ShowHistory,
    ShowHost,
    ShowJournal,
    ShowLog,
    UpdateAsLocked,
    UpdateHosts,
    VerifyHosts,
)
from tui.remedies import LABELS
from tui.screens.base import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.fleet import HostEntry


AFTER_A_JOB: Final = (
    *("restart", "as_locked", "update", "verify", "roll_back", "commit", "connect", "look"),
)
"""The actions that a screen of a job has only once the job has ended."""


@dataclass(frozen=True, slots=True)
class _HostKey:
    key: str
    action: str
    label: str
    tooltip: str


_HOST_KEYS: Final = {
    "choose": _HostKey(
        "enter",
        "choose",
        "choose",
        "This host's running job, or its plan, or why it is offline",
    ),
    "update": _HostKey(KEYS["update"], "update", LABELS["update"], "Force-update this host"),
    "restart": _HostKey(
        KEYS["restart"],
        "restart",
        LABELS["restart"],
        "Restart the agent on this host, and prove it",
    ),
    "as-locked": _HostKey(
        KEYS["as-locked"],
        "as_locked",
        LABELS["as-locked"],
        "Force-update this host, and leave its flake.lock as it is",
    ),
    "details": _HostKey("d", "details", "details", "Everything that is known of this host"),
    "log": _HostKey(KEYS["log"], "log", LABELS["log"], "Show this host's last log"),
    "journal": _HostKey("a", "journal", "agent's log", "What the agent itself says, live"),
    "verify": _HostKey(
        KEYS["verify"], "verify", LABELS["verify"], "Prove what runs; changes nothing"
    ),
    "rollback": _HostKey(
        KEYS["rollback"],
        "roll_back",
        LABELS["rollback"],
        "Take this host back to a generation that you choose",
    ),
    "commit": _HostKey(
        KEYS["commit"],
        "commit",
        LABELS["commit"],
        "Commit the flake.lock that an update has left, after a new proof",
    ),
    "history": _HostKey("H", "history", "history", "List the jobs of this host"),
    "connect": _HostKey(
        KEYS["connect"],
        "connect",
        LABELS["connect"],
        "Open the connection at the terminal, where ssh can ask",
    ),
    "refresh": _HostKey(KEYS["refresh"], "look", LABELS["refresh"], "Look at this host again"),
}
"""By the last part of the bindings' ids."""


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
    )


_EVERYWHERE: Final = (
    *("update", "log", "journal", "verify", "rollback", "history", "connect", "refresh"),
)


def host_keys(where: str, *, show: bool = False, without: Sequence[str] = ()) -> list[BindingType]:
    """The keys that act on a host, on a screen that shows it; `without` those that it is itself."""
    names = [name for name in _EVERYWHERE if name not in without]
    keys: list[BindingType] = [host_key(where, name, show=show) for name in names]
    # it is there only while there is something to commit
    hidden = [host_key(where, name, show=False) for name in ("restart", "as-locked")]
    return [host_key(where, "commit"), *keys, *hidden]


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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """The key that commits flake.lock is there only if there is something to commit."""
        if action == "commit":
            return self._may_commit
        return True

    def ask_for(self, what: type[HostMessage]) -> None:
        """Ask the app for something about that host."""
        if (entry := self.host_entry) is not None:
            self.post_message(what(entry))

    def action_choose(self) -> None:
        self.ask_for(Choose)

    def action_update(self) -> None:
        if (entry := self.host_entry) is not None:
            self.post_message(UpdateHosts([entry]))

    def action_as_locked(self) -> None:
        self.ask_for(UpdateAsLocked)

    def action_verify(self) -> None:
        if (entry := self.host_entry) is not None:
            self.post_message(VerifyHosts([entry]))

    def action_roll_back(self) -> None:
        self.ask_for(RollBack)

    def action_restart(self) -> None:
        self.ask_for(RestartAgent)

    def action_commit(self) -> None:
        self.ask_for(CommitLock)

    def action_log(self) -> None:
        self.ask_for(ShowLog)

    def action_journal(self) -> None:
        self.ask_for(ShowJournal)

    def action_history(self) -> None:
        self.ask_for(ShowHistory)

    def action_connect(self) -> None:
        self.ask_for(Connect)

    def action_details(self) -> None:
        self.ask_for(ShowHost)

    def action_look(self) -> None:
        self.ask_for(LookAtHost)
