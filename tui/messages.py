"""What screens ask of the app. It answers each of these; screens know no more of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixfleet_core.cli.screen import Opened
    from tui.fleet import HostEntry
    from tui.jobs import JobWatcher


class HostMessage(Message):
    """Concerns one host."""

    def __init__(self, entry: HostEntry) -> None:
        super().__init__()
        self.entry = entry


class HostsMessage(Message):
    """Concerns one or more hosts. So many other hosts are marked, but not shown."""

    def __init__(self, entries: Sequence[HostEntry], hidden: int = 0) -> None:
        super().__init__()
        self.entries = tuple(entries)
        self.hidden = hidden


class JobMessage(Message):
    """Concerns a job that is, or was, followed."""

    def __init__(self, watcher: JobWatcher) -> None:
        super().__init__()
        self.watcher = watcher


class Choose(HostMessage):
    """Show the host's running job, or what an update would do, or why it is not possible."""


class RollBack(HostMessage):
    """Take the host back to the state before its last update."""


class CommitLock(HostMessage):
    """Commit the flake.lock that an update has left on the host."""


class RestartAgent(HostMessage):
    """Restart the agent on the host."""


class UpdateAsLocked(HostMessage):
    """Force-update the host, and leave its flake.lock as it is."""


class ShowLog(HostMessage):
    """Show the host's running or last log."""


class ShowJournal(HostMessage):
    """Show what the host's agent itself says."""


class ShowHistory(HostMessage):
    """List the host's jobs."""


class ShowDebt(HostMessage):
    """Show what on the host is older than its active system."""


class ShowHost(HostMessage):
    """Show everything that is known of the host."""


class LookAtHost(HostMessage):
    """Look at the host again."""


class Connect(HostMessage):
    """Open the host's connection at the terminal."""


class OpenShell(HostMessage):
    """Open the operator's own shell on the host, at the terminal."""


class UpdateHosts(HostsMessage):
    """Force-update the hosts."""


class RollBackHosts(HostsMessage):
    """Take the hosts back, each to the state before its last change."""


class UpdateStale(HostsMessage):
    """Force-update those of the hosts that are stale."""


class VerifyHosts(HostsMessage):
    """Prove what runs on the hosts."""


class AskForFix(HostsMessage):
    """Ask the operator for a fix, and say which of the hosts run it."""


class HostsFound(Message):
    """Go on with these hosts: there were none before."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self.opened = opened


class LookAtAll(Message):
    """Look at all hosts again."""


class ShowJob(JobMessage):
    """Open the job's screen."""


class CancelJob(JobMessage):
    """Ask the host to stop the job."""


class FollowAgain(JobMessage):
    """Take up a job that could not be followed to its end."""


class SaveReport(Message):
    """Save one report on these jobs, each of its host."""

    def __init__(self, jobs: Sequence[tuple[HostEntry, str]]) -> None:
        super().__init__()
        self.jobs = tuple(jobs)


class OpenJob(HostMessage):
    """Open a job of the host's history; a `running` one is followed."""

    def __init__(self, entry: HostEntry, job: str, *, running: bool) -> None:
        super().__init__(entry)
        self.job = job
        self.running = running
