"""Fake sessions for the commands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from fakes import FakeSession, finished, make_host

from nixfleet_core.cli import sessions
from nixfleet_core.cli.main import nixfleet
from nixfleet_core.cli.update_here import nixfleet_update
from nixfleet_core.host import Host
from nixfleet_core.inventory import Inventory
from nixfleet_core.transport import shell


@dataclass
class Fleet:
    """The sessions that the commands get, by host name."""

    sessions: dict[str, FakeSession] = field(default_factory=dict)
    inventory: Path = Path("hosts.toml")
    screen: object = None
    """The function that opens the app."""

    def add(self, name: str, **says: Any) -> FakeSession:
        session = finished(make_host(name, f"ops@{name}"), **says)
        self.sessions[name] = session
        return session

    def run(
        self, *argv: str, command: click.Command = nixfleet, typed: str | None = None
    ) -> Result:
        words = argv if command is nixfleet_update else ("--hosts", str(self.inventory), *argv)
        return CliRunner().invoke(command, words, obj=self.screen, input=typed)


def contacted(*_: object, **__: object) -> None:
    raise AssertionError("somebody was contacted")


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fleet:
    """Hosts csb0 and csb1, unless a test adds others; a test that starts a process fails."""
    found = Fleet(inventory=tmp_path / "hosts.toml")
    found.add("csb0").folder = tmp_path
    found.add("csb1")

    def inventory(path: Path) -> Inventory:
        hosts = tuple(session.host for session in found.sessions.values())
        return Inventory(hosts=hosts, path=path)

    def opened(hosts: tuple[Host, ...], *_: object, **__: object) -> tuple[FakeSession, ...]:
        for host in hosts:
            found.sessions[host.name].host = host
        return tuple(found.sessions[host.name] for host in hosts)

    def opened_here(host: Host, *_: object) -> FakeSession:
        session = found.sessions["csb0"]
        session.host = replace(session.host, checkout=host.checkout)
        return session

    own_settings(monkeypatch, tmp_path)
    monkeypatch.setattr(sessions, "load_inventory", inventory)
    monkeypatch.setattr(sessions, "open_sessions", opened)
    monkeypatch.setattr(sessions, "default_copies", lambda _: None)
    monkeypatch.setattr(sessions, "open_session", opened_here)
    monkeypatch.setattr(shell, "open_process", contacted)
    monkeypatch.setattr("nixfleet_core.session.latest._ask", nobody_answers)
    monkeypatch.setattr("nixfleet_core.session.repository.go_to_server", nobody_answers)
    return found


def own_settings(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The commands read the settings of this home alone."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(home / "etc/xdg"))
    for name in (
        *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "NIXFLEET_REFRESH", "NIXFLEET_SSH_CONFIG"),
        *("NIXFLEET_THEME", "NIXFLEET_FPS", "NIXFLEET_ON_FINISH"),
    ):
        monkeypatch.delenv(name, raising=False)


async def nobody_answers(*_: object) -> None:
    return None


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fleet:
    """The real inventory and sessions; they may contact no host."""
    own_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(shell, "open_process", contacted)
    monkeypatch.setattr("nixfleet_core.session.latest.run", contacted)
    return Fleet(inventory=tmp_path / "hosts.toml")
