"""A host to which anything can happen, its checkout, and everybody's proofs: for properties."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from seen_hosts import CHECKOUT, HEALTHY, MADE, NEW, OLD, lock

from nixfleet_core.facts.model import Binary, Facts, Running, System, Unit
from nixfleet_core.facts.proofs import Proven, newest_first

ACTIONS: Final = (
    *("edit", "dirty", "filter", "clean", "lock", "update", "cancelled", "verify", "restart"),
    *("exec", "reboot", "elsewhere", "rename", "move", "look"),
)


@dataclass
class World:
    """One host, its checkout, and everybody's proofs. `looks` are answers that are on their way."""

    tree: int = 0
    rev: str = OLD
    hides: Literal["changes", "filter", "hidden"] | None = None
    attribute: str = "csb0"
    checkout: str = "/c"
    installed: str = ""
    running: str = ""
    pid: int = 7
    began: int = 1
    boot: str = "a"
    now: int = MADE
    proofs: list[Proven] = field(default_factory=list)
    looks: list[tuple[Facts, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.installed = self.running = self.builds()

    def builds(self) -> str:
        """What the checkout builds now. Hidden changes are part of that."""
        name = f"{self.tree % 2}{self.rev[0]}{self.attribute}{self.hides}".ljust(32, "0")
        return f"/nix/store/{''.join(c if c.isalnum() else 'x' for c in name)}-nixfleet-agent-1/a"

    def source(self) -> str:
        return "" if self.hides else f"{self.tree % 4:040}-{self.rev}"

    def prove(self, installed: str) -> None:
        self.proofs.append(
            Proven(
                at=self.now,
                system=f"/nix/store/{installed}",
                installed=installed,
                boot=self.boot,
                pid=self.pid,
                began=str(self.began),
                running=self.running,
                builds=self.builds(),
                source=self.source(),
                checkout=self.checkout,
                attribute=self.attribute,
                input="nixfleet",
                commit=self.rev,
            )
        )

    def restart(self) -> None:
        self.began += 1
        self.pid = 7 + self.began % 2
        self.running = self.installed

    def do(self, action: str) -> None:
        self.now += 1
        match action:
            case "edit":
                self.tree += 1
            case "dirty":
                self.hides = "changes"
            case "filter":
                self.hides = "filter"
            case "clean":
                self.hides = None
            case "lock" | "cancelled":
                self.rev = OLD if self.rev == NEW and action == "lock" else NEW
            case "update":
                self.rev, self.installed = NEW, ""
                self.installed = self.builds()
                self.restart()
                self.prove(self.installed)
            case "verify":
                self.prove(self.installed)
            case "restart":
                self.restart()
            case "exec":
                self.running = f"/nix/store/{'e' * 32}-nixfleet-agent-0/a"
            case "reboot":
                self.boot += "a"
                self.began = 0
                self.restart()
            case "elsewhere":
                self.installed = f"/nix/store/{'f' * 32}-nixfleet-agent-3/a"
            case "rename":
                self.attribute = "csb1" if self.attribute == "csb0" else "csb0"
            case "move":
                self.checkout = "/d" if self.checkout == "/c" else "/c"
            case "look":
                self.looks.append((self.look(), self.truth()))

    def look(self) -> Facts:
        """What a look without root sees. The process says what it runs; after an exec, nothing
        else shows that: its number and its beginning stay.
        """
        checkout = replace(
            CHECKOUT,
            path=self.checkout,
            lock=lock(self.rev),
            source=self.source() or None,
            unnamed=self.hides,
        )
        unit = Unit("loaded", "active", "running", pid=self.pid, began=str(self.began))
        system = f"/nix/store/{self.installed}"
        return replace(
            HEALTHY,
            hostname=self.attribute,
            now=self.now,
            boot=self.boot,
            unit=unit,
            running=Running(Binary(self.running), "claimed", self.pid),
            installed=Binary(self.installed),
            expected=None,
            system=System(system, system, 2),
            checkout=checkout,
            installed_at=None,
            proofs=newest_first(self.proofs),
        )

    def truth(self) -> str:
        """Why the row must not be green; empty if it may be."""
        state = (self.source(), self.attribute)
        if not self.source():
            return "the state has no name"
        if not any((p.source, p.attribute) == state for p in self.proofs):
            return "nobody has proven this state"
        if not self.builds() == self.installed == self.running:
            return "it is not so"
        return "" if self.rev == NEW else "not at the latest"
