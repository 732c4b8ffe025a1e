"""The keys that act on one host: the same on every screen that shows one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.binding import Binding, BindingType

from nixfleet_core.vocabulary import KEYS
from tui.messages import (
    Choose,
    Connect,
    HostMessage,
    LookAtHost,
    RollBack,
    ShowHistory,
    ShowHost,
    ShowLog,
    UpdateHosts,
    VerifyHosts,
)
from tui.screens.base import Page

if TYPE_CHECKING:
    from tui.fleet import HostEntry


AFTER_A_JOB: Final = ("update", "verify", "roll_back", "connect", "look")
"""The actions that a screen of a job has only once the job has ended."""


def host_keys(where: str, *, show: bool = False) -> list[BindingType]:
    """Bindings of a screen whose ids begin with `where`; `show`: they are in the footer."""
    return [
        Binding(
            KEYS["update"],
            "update",
            "update",
            show=show,
            id=f"{where}.update",
            tooltip="Force-update this host",
        ),
        Binding(
            KEYS["log"],
            "log",
            "log",
            show=show,
            id=f"{where}.log",
            tooltip="Show this host's last log",
        ),
        Binding(
            KEYS["verify"],
            "verify",
            "verify",
            show=show,
            id=f"{where}.verify",
            tooltip="Prove what runs; changes nothing",
        ),
        Binding(
            KEYS["rollback"],
            "roll_back",
            "roll back",
            show=show,
            id=f"{where}.rollback",
            tooltip="Take this host back to a generation that you choose",
        ),
        Binding(
            "H",
            "history",
            "history",
            show=show,
            id=f"{where}.history",
            tooltip="List the jobs of this host",
        ),
        Binding(
            KEYS["connect"],
            "connect",
            "connect",
            show=show,
            id=f"{where}.connect",
            tooltip="Open the connection at the terminal, where ssh can ask",
        ),
        Binding(
            KEYS["refresh"],
            "look",
            "look again",
            show=show,
            id=f"{where}.refresh",
            tooltip="Look at this host again",
        ),
    ]


def details_key(where: str) -> Binding:
    """The binding that opens the screen of the host."""
    return Binding(
        "d",
        "details",
        "details",
        show=where == "fleet",
        id=f"{where}.details",
        tooltip="Everything that is known of this host",
    )


class HostPage(Page):
    """A page that shows one host, or has the cursor on one."""

    @property
    def host_entry(self) -> HostEntry | None:
        """The host that the keys act on."""
        raise NotImplementedError

    def ask_for(self, what: type[HostMessage]) -> None:
        """Ask the app for something about that host."""
        if (entry := self.host_entry) is not None:
            self.post_message(what(entry))

    def action_choose(self) -> None:
        self.ask_for(Choose)

    def action_update(self) -> None:
        if (entry := self.host_entry) is not None:
            self.post_message(UpdateHosts([entry]))

    def action_verify(self) -> None:
        if (entry := self.host_entry) is not None:
            self.post_message(VerifyHosts([entry]))

    def action_roll_back(self) -> None:
        self.ask_for(RollBack)

    def action_log(self) -> None:
        self.ask_for(ShowLog)

    def action_history(self) -> None:
        self.ask_for(ShowHistory)

    def action_connect(self) -> None:
        self.ask_for(Connect)

    def action_details(self) -> None:
        self.ask_for(ShowHost)

    def action_look(self) -> None:
        self.ask_for(LookAtHost)
