"""The agent's service: its manager, and the commands that the manager understands. Pure."""

from __future__ import annotations

import shlex
from typing import Final, Literal

import msgspec

Manager = Literal["systemd", "user", "launchd"]
"""systemd; a user's systemd (Home Manager on Linux); launchd (Home Manager on macOS)."""

AGENT_UNIT: Final = "nixfleet-agent.service"
AGENT_LABEL: Final = "com.nixfleet.agent"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Where the agent's service is. The rest is launchd's: `gui/501`, the plist, the log that the
    plist names."""

    manager: Manager = "systemd"
    domain: str = ""
    file: str = ""
    log: str = ""

    @property
    def name(self) -> str:
        return AGENT_LABEL if self.manager == "launchd" else AGENT_UNIT

    def stop(self) -> tuple[str, ...]:
        if self.manager == "launchd":
            return ("launchctl", "bootout", f"{self.domain}/{AGENT_LABEL}")
        return (*self._systemctl(), "stop", AGENT_UNIT)

    def start(self) -> tuple[str, ...]:
        """The command that starts it. launchd can only kickstart the job that it has loaded; if the
        plist has changed, the host unloads and loads the job."""
        if self.manager == "launchd":
            return ("launchctl", "bootstrap", self.domain, self.file)
        return (*self._systemctl(), "start", AGENT_UNIT)

    def restart(self) -> tuple[str, ...]:
        """The command that restarts it. If the plist has changed since launchd loaded the job, the
        host unloads and loads the job instead: kickstart would start the old one again."""
        if self.manager == "launchd":
            return ("launchctl", "kickstart", "-k", f"{self.domain}/{AGENT_LABEL}")
        return (*self._systemctl(), "restart", AGENT_UNIT)

    @property
    def restart_words(self) -> str:
        """The command with which an operator restarts it."""
        if self.manager == "launchd":
            return f"launchctl kickstart -k {self._target}"
        return f"{' '.join(self._systemctl())} restart nixfleet-agent"

    @property
    def reload_words(self) -> str:
        """The same if the plist has changed since launchd loaded the job: kickstart would start the
        old one again."""
        return f"launchctl bootout {self.domain}/{AGENT_LABEL}; {' '.join(self.start())}"

    @property
    def log_words(self) -> str:
        """The command with which an operator reads its log."""
        if self.manager == "launchd":
            return (
                f"tail -n 50 {shlex.quote(self.log)}"
                if self.log
                else f"launchctl print {self._target} names its files"
            )
        user = "--user " if self.manager == "user" else ""
        return f"journalctl {user}-u nixfleet-agent -n 50"

    @property
    def forgive_words(self) -> str:
        """The commands with which an operator starts it after it has crashed too often."""
        if self.manager == "launchd":
            return self.restart_words
        systemctl = " ".join(self._systemctl())
        return f"{systemctl} reset-failed nixfleet-agent, then {systemctl} start nixfleet-agent"

    @property
    def unmask_words(self) -> str:
        if self.manager == "launchd":
            return f"launchctl enable {self._target}"
        return f"{' '.join(self._systemctl())} unmask nixfleet-agent"

    @property
    def _target(self) -> str:
        return f"{self.domain or 'gui/$UID'}/{AGENT_LABEL}"

    def _systemctl(self) -> tuple[str, ...]:
        return ("systemctl", "--user") if self.manager == "user" else ("systemctl",)
