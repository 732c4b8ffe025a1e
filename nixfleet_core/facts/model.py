"""What we know about a host: values, and what follows from them alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NewType

import msgspec

from nixfleet_core.facts.service import Service
from nixfleet_core.limits import ExitCode  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from nixfleet_core.facts.old_units import OldUnits
    from nixfleet_core.facts.origins import Origin
    from nixfleet_core.facts.proofs import Proven
    from nixfleet_core.nix.lock import FlakeLock, Input
    from nixfleet_core.nix.version import NixVersion


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the before/after comparison; None where it could not be seen."""

    version: str | None = None
    commit: str | None = None
    store_path: str | None = None
    sha256: str | None = None
    system: str | None = None
    generation: int | None = None


_STORE: Final = re.compile(r"/nix/store/[0-9a-z]{32}-(?P<name>[^/\s]+)")

_LABEL: Final = re.compile(r"nixfleet-agent-(?:v)?(?P<version>[0-9][0-9A-Za-z.+_~-]{0,63})$")

FlakePath = NewType("FlakePath", str)
"""A path from the flake's folder, which is the checkout. The repository may begin above it: paths
from its top stay on the host."""

LOCK_FILE: Final = FlakePath("flake.lock")

CheckoutState = Literal[
    "ok",
    "missing",
    "unreadable",
    "ownerless",
    "closed",
    "not-git",
    "no-commit",
    "broken",
    "untracked",
]
"""unreadable: the user who looks may not see it. The states after it are refusals of the preflight,
with the same names (plan/refusals.py)."""

Unnamed = Literal["changes", "lock", "hidden", "submodule", "filter", "broken"]
"""Why the state of a checkout has no name (scripts/lib/source.sh)."""

DirtyTrees = Literal["refuses", "takes"]

Proof = Literal["exe", "script", "other", "claimed"]
"""How the running path is known. exe: the kernel runs this file. script: the kernel runs the
interpreter in this script's first line, and the command line names the script; that is weaker,
because a process can rewrite its command line. other: the kernel runs this file, and nothing shows
that it is an agent. claimed: only the process itself says so, in its command line."""


@dataclass(frozen=True, slots=True)
class Binary:
    """An agent's program: a path, and what is known of the file there."""

    path: str
    version: str | None = None
    sha256: str | None = None
    starts: tuple[str, ...] = ()
    """Of a wrapper: the store paths of the programs that it starts, as its file names them."""

    @property
    def store_path(self) -> str | None:
        """`/nix/store/HASH-NAME`, or None when the path is not in the store."""
        match = _STORE.match(self.path)
        return match[0] if match else None

    @property
    def identity(self) -> str:
        """The value by which we compare two programs: the store path where there is one."""
        return self.store_path or self.path

    def is_run_by(self, other: Binary) -> bool:
        """Whether the running program `other` is this program, or one that it starts. The host has
        the same rule (`nf_is_one` in scripts/lib/process.sh)."""
        return other.identity == self.identity or other.identity in self.starts


@dataclass(frozen=True, slots=True)
class Unit:
    """The agent's service as its manager sees it."""

    load: str
    active: str
    sub: str = ""
    result: str = ""
    pid: int = 0
    restarts: int = 0
    service: Service = field(default_factory=Service)
    """Who runs it, and where."""
    waits: bool = False
    """Its process is not yet the agent: it waits, as for the network, before it becomes that."""
    has_session: bool = True
    """False if launchd has no domain that takes its plist: nobody is logged in at the screen."""
    began: str = ""
    """When its process began, as its kernel counts."""

    @property
    def exists(self) -> bool:
        return self.load not in ("", "not-found", "masked", "error", "bad-setting")

    @property
    def is_up(self) -> bool:
        return self.active == "active" and self.pid > 0


@dataclass(frozen=True, slots=True)
class Running:
    """The agent's process."""

    binary: Binary
    proof: Proof
    pid: int
    started: int | None = None
    """Seconds since the epoch, by the host's clock."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Another rebuild of this host; `program` is for example `nixos-rebuild`, or the name of a unit
    that has no such process now."""

    pid: int | None
    program: str
    is_agents: bool = False
    """It runs in the agent's service, and ends with it."""
    is_claimed: bool = False
    """It is a process of another user's, and anybody can run a program of that name."""

    @property
    def words(self) -> str:
        return self.program if self.pid is None else f"{self.program} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class ActiveGeneration:
    """A generation that holds the active system, also below a wrapper or as a specialisation."""

    number: int
    profile: str = ""
    """Of NixOS, the name of another system profile, such as comin's; "" is the host's own."""
    specialisation: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """The active system and the system profile; of Home Manager, the active generation and the
    user's profile."""

    current: str | None = None
    profile: str | None = None
    generation: int | None = None
    booted: str | None = None
    """The system that the host booted."""
    active: ActiveGeneration | None = None
    """The newest generation that holds the active system, where the profile names another path."""
    has_hidden: bool = False
    """There are other system profiles, which this user may not read."""
    needs_reboot: bool = False
    """The host cannot switch to the profile's system, which has another interface to its init."""
    inhibitors: tuple[str, ...] = ()
    """What differs between both systems and must not change while a system runs."""

    @property
    def is_apart(self) -> bool:
        """Whether the profile names another system than the one that runs. A wrapper around it, as
        deploy-rs makes it, and a specialisation of the profile's system are none."""
        if None in (self.current, self.profile) or self.current == self.profile:
            return False
        return not (self._is_own and self.active and self.active.number == self.generation)

    @property
    def is_newer(self) -> bool:
        """Whether the profile names a newer system than the one that runs."""
        if not self.is_apart or self.active is None or self.generation is None:
            return False
        return self._is_own and self.active.number < self.generation

    @property
    def _is_own(self) -> bool:
        return self.active is not None and not self.active.profile

    @property
    def specialisation(self) -> str:
        """The name of the specialisation that runs; "" if none does."""
        return self.active.specialisation if self.active else ""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The nixcfg working tree on the host."""

    path: str
    state: CheckoutState
    owner: str | None = None
    branch: str | None = None
    upstream: str | None = None
    head: str | None = None
    said: str | None = None
    """How git failed there."""
    dirty: tuple[FlakePath, ...] = ()
    """Paths with uncommitted changes, and untracked ones."""
    lock: FlakeLock | None = None
    lock_error: str | None = None
    head_lock: FlakeLock | None = None
    """HEAD's flake.lock; only present if the one in the working tree differs."""
    source: str | None = None
    """The name of its state (HEAD's tree, flake.lock's content); None if it has none, or if we may
    not look."""
    unnamed: Unnamed | None = None
    """Why its state has no name."""
    folder: str = ""
    """The flake's folder in its repository."""
    dirty_trees: DirtyTrees | None = None
    """What the flake does with a dirty tree, if a job has seen it."""
    lock_cksum: str | None = None
    """`cksum` of the flake.lock on which a decision was based."""
    ahead: int = 0
    """Commits that the upstream lacked when it was last fetched."""
    behind: int = 0
    """Commits that HEAD lacked when the upstream was last fetched."""
    default_branch: str | None = None
    """The branch that the remote's own HEAD names."""
    incoming: str | None = None
    """The upstream's newest commit, as it is now; only present if HEAD lacks it."""


@dataclass(frozen=True, slots=True)
class LastJob:
    """How the newest job on the host ended; `latest` is the commit that its update wanted."""

    outcome: str = ""
    failed: str = ""
    reason: str = ""
    rc: ExitCode = 0
    latest: str | None = None
    said: str | None = None
    """The last two lines of its log that name errors, as one."""
    checkout: str | None = None
    """The checkout that it worked in."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at one host."""

    hostname: str
    os: str
    platform: Literal["nixos", "home-manager", "nix-darwin", "unknown"]
    machine: str = ""
    user: str = ""
    uid: int = -1
    elevated: bool = False
    now: int = 0
    boot: str | None = None
    tools: frozenset[str] = frozenset()
    nix: NixVersion | None = None
    trusted: bool | None = None
    """Whether the nix daemon lets this user set restricted options; None if we did not ask."""
    unit: Unit | None = None
    running: Running | None = None
    installed: Binary | None = None
    loaded: str | None = None
    """launchd: the program of the loaded job; the plist on disk may be newer."""
    attributes: tuple[str, ...] | None = None
    """The names under homeConfigurations; None if we did not ask. To ask evaluates the flake."""
    expected: Binary | None = None
    expected_error: str | None = None
    system: System = System()
    checkout: Checkout | None = None
    disk_free_kib: int | None = None
    memory_free_kib: int | None = None
    job_running: str | None = None
    job_last: str | None = None
    switch_running: bool = False
    rebuild: Rebuild | None = None
    last_job: LastJob | None = None
    other: Checkout | None = None
    """The second checkout, beside the configured one: the agent's, or the operator's."""
    other_expected: Binary | None = None
    """What the second checkout would install; evaluated only if the first explains nothing."""
    installed_at: int | None = None
    """When the installed program came to this host, in seconds since the epoch."""
    journal: str | None = None
    """The last line that the agent wrote."""
    lingers: bool = True
    """False if this user's services, such as the agent, end with the last login."""
    on_battery: bool = False
    """It draws its power from its battery. Seen on a Mac; on Linux only by the doctor."""
    charge: int | None = None
    """How full that battery is, in percent."""
    lid_closed: bool = False
    """Only seen on battery."""

    back: str | None = None
    """In a job's own look: the generation that the job puts the profile back to."""
    proof: Proven | None = None
    """What this look itself has proven."""
    proofs: tuple[Proven, ...] = ()
    """What earlier looks have proven, newest first."""
    origins: tuple[Origin, ...] = ()
    """What this client remembers of which commits built which programs of this host."""
    old_units: OldUnits | None = None
    """What runs although it is not of the active system; None if the look did not ask."""

    def lock_rev(self, flake_input: str) -> str | None:
        """The commit that flake.lock names for the input; None where unknown."""
        found = self.find_input(flake_input)
        return found.rev if found else None

    def find_input(self, name: str) -> Input | None:
        """The input as flake.lock has it; None where unknown."""
        lock = self.checkout.lock if self.checkout else None
        return lock.find(name) if lock else None


def version_label(path: str) -> str | None:
    """The version in a store path's name. It is a label, no proof: some packages hard-code it."""
    match = _STORE.match(path)
    label = _LABEL.search(match["name"]) if match else None
    return label["version"] if label else None
