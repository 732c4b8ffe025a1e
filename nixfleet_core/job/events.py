"""What happens during a job: the host's own events, and what the follower adds to them.

The host writes one JSON object a line, with fixed tokens and integers only. We ignore unknown
fields and unknown events, which a newer runner may write, and a torn last line.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from nixfleet_core.job.work import BuildTimes, Work
from nixfleet_core.limits import Count, ExitCode, Second, Seconds, Size
from nixfleet_core.nix.log_state import Progress
from nixfleet_core.vocabulary import WAITS, StepId

EVENT_LINE_LIMIT: Final = 4096
"""Bytes; the runner's longest event is under 200."""

_Token = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,40}\Z")]

StepStatus = Literal["pending", "running", "ok", "failed", "skipped", "cancelled"]


class JobStart(msgspec.Struct, frozen=True, tag="job-start", tag_field="event"):
    """The runner has the lock and begins."""

    at: Second


class StepStart(msgspec.Struct, frozen=True, tag="step-start", tag_field="event"):
    """`log` is the log's size at that moment, in bytes: the step's output begins there."""

    step: StepId
    at: Second
    log: Size


class Retry(msgspec.Struct, frozen=True, tag="retry", tag_field="event"):
    """Try number `attempt` (the next one, counted from 1) of `tries` begins in `wait` seconds."""

    step: StepId
    at: Second
    attempt: Count
    tries: Count
    wait: Seconds


class StepEnd(msgspec.Struct, frozen=True, tag="step-end", tag_field="event"):
    """`rc` is the exit code of the last try, `reason` a fixed token where the runner has one."""

    step: StepId
    at: Second
    status: Literal["ok", "failed", "skipped", "cancelled"]
    log: Size
    rc: ExitCode = 0
    attempts: Count = 1
    reason: _Token = ""


IDLE_CHECK: Final = "idle"
"""Whether no other rebuild runs; ok with a reason where --force ignored one that still ran."""

INPUT_CHECK: Final = "input"
"""Whether the input can be updated; ok with the reason `refused` where git may not ask for it."""

ATTRIBUTE_CHECK: Final = "attribute"
"""Whether the flake has this host's configuration."""

AGENT_CHECK: Final = "agent"
"""The agent's own `--check`, after the proof; it decides nothing."""


class Check(msgspec.Struct, frozen=True, tag="check", tag_field="event"):
    """One preflight check on the host, or the agent's own check. `reason` is a fixed token: what is
    wrong, or what an ok check ignored. What the agent printed, or the failed check found, stands in
    the log from `said` to `log`, in bytes."""

    check: _Token
    at: Second
    ok: bool
    reason: _Token = ""
    said: Size = 0
    log: Size = 0


class Waiting(msgspec.Struct, frozen=True, tag="waiting", tag_field="event"):
    """The job waits for something outside itself, at most `limit` seconds. `pid` and `program` name
    the process, if it waits for one; `program` alone names a unit."""

    reason: _Token
    at: Second
    limit: Seconds
    pid: Count = 0
    program: _Token = ""

    @property
    def words(self) -> str:
        """What it waits for; a later version's token stays a token."""
        process = f", process {self.pid}" if self.pid else ""
        what = f" ({self.program}{process})" if self.program else ""
        return f"{WAITS.get(self.reason, self.reason)}{what}"


class Tick(msgspec.Struct, frozen=True, tag="tick", tag_field="event"):
    """The log had this size at this time; this gives lines their times."""

    at: Second
    log: Size


class Slept(msgspec.Struct, frozen=True, tag="slept", tag_field="event"):
    """The host slept for about that long, or its clock was set forward; no limit counts it."""

    at: Second
    seconds: Seconds


class CancelSeen(msgspec.Struct, frozen=True, tag="cancel", tag_field="event"):
    """The runner has seen the cancellation; `deferred` if an activation has to end first."""

    at: Second
    deferred: bool = False


class JobEnd(msgspec.Struct, frozen=True, tag="job-end", tag_field="event"):
    """`outcome` says how the job ended; it is no verdict: done, failed, cancelled, interrupted."""

    at: Second
    outcome: _Token


HostEvent = (
    JobStart | StepStart | Retry | StepEnd | Check | Waiting | Tick | Slept | CancelSeen | JobEnd
)


class LogGrew(msgspec.Struct, frozen=True):
    """The client's raw copy now holds `size` bytes and log.txt `text_size`."""

    size: int
    text_size: int


class Link(msgspec.Struct, frozen=True):
    """The connection to the host: `up`, or down for `seconds` with what ssh said."""

    up: bool
    seconds: int = 0
    why: str = ""


class CopyHalt(msgspec.Struct, frozen=True):
    """The client's copy cannot grow; `why` names the file and the reason. The job goes on, and so
    does the copy once it can."""

    why: str


class Heartbeat(msgspec.Struct, frozen=True):
    """The host answers: its clock says `at`, and its log holds `log` bytes."""

    at: int
    log: int


class LineTime(msgspec.Struct, frozen=True):
    """log.txt had `text_offset` bytes at this time, by the host's clock. It gives times to the part
    of the log that was here before we followed the job."""

    at: int
    text_offset: int


class StepPlace(msgspec.Struct, frozen=True):
    """The step's output begins at that byte of log.txt (see `LogText.text_offset`)."""

    step: StepId
    text_offset: int


ClientEvent = (
    LogGrew | Progress | Work | BuildTimes | Link | CopyHalt | Heartbeat | LineTime | StepPlace
)
JobEvent = HostEvent | ClientEvent

_decoder: Final[msgspec.json.Decoder[HostEvent]] = msgspec.json.Decoder(HostEvent)


def read_event(line: bytes) -> HostEvent | None:
    """Decode one line of `events`; None if it is unknown, too long or torn."""
    if len(line) > EVENT_LINE_LIMIT:
        return None
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
