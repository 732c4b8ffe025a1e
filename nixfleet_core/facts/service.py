"""The agent's service: its manager, and the commands that the manager understands. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Manager = Literal["systemd", "user", "launchd"]
"""systemd; a user's systemd (Home Manager on Linux); launchd (Home Manager on macOS)."""

AGENT_UNIT: Final = "nixfleet-agent.service"
AGENT_LABEL: Final = "com.nixfleet.agent"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Where the agent's service is. `domain` and `file` are launchd's: `gui/501`, the plist."""

    manager: Manager = "systemd"
    domain: str = ""
    file: str = ""

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

    @property
    def restart_words(self) -> str:
        """The command with which an operator restarts it."""
        if self.manager == "launchd":
            return f"launchctl kickstart -k {self.domain or 'gui/$UID'}/{AGENT_LABEL}"
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
            return "tail -n 50 /tmp/nixfleet-agent.err"
        user = "--user " if self.manager == "user" else ""
        return f"journalctl {user}-u nixfleet-agent -n 50"

    @property
    def forgive_words(self) -> str:
        """The commands with which an operator starts it after it has crashed too often."""
        systemctl = " ".join(self._systemctl())
        return f"{systemctl} reset-failed nixfleet-agent, then {systemctl} start nixfleet-agent"

    @property
    def unmask_words(self) -> str:
        return f"{' '.join(self._systemctl())} unmask nixfleet-agent"

    def _systemctl(self) -> tuple[str, ...]:
        return ("systemctl", "--user") if self.manager == "user" else ("systemctl",)
