"""Facts: what one probe of a host saw. Parsing only; nothing here talks to a host.

The probe (scripts/probe.sh) answers in records of the form ``KEY LENGTH\\nVALUE\\n``, so that a
value may hold any byte. A key that is absent means "could not be seen", never "is empty".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec

from nixfleet_core.job import is_job_id
from nixfleet_core.limits import LAST_SECOND, MOST, SAID_LIMIT, TEXT_LIMIT, ExitCode
from nixfleet_core.nix.lock import LOCK_LIMIT, FlakeLock, LockError, locked_rev, parse_lock
from nixfleet_core.nix.version import NixVersion, parse_version
from nixfleet_core.service import Manager, Service

PROBE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes; a probe that answers more is not believed."""

_RECORDS: Final = 500
"""Records of one probe; there are some 80 kinds."""

_LIMITS: Final = {"status": 20_000, "lock": LOCK_LIMIT + 1, "head-lock": LOCK_LIMIT + 1}
"""Bytes of a record, by the end of its key, where it may be longer than TEXT_LIMIT: as the probe
cuts it off."""

_STORE: Final = re.compile(r"/nix/store/[0-9a-z]{32}-(?P<name>[^/\s]+)")
_LABEL: Final = re.compile(r"nixfleet-agent-(?:v)?(?P<version>[0-9][0-9A-Za-z.+_~-]{0,63})$")

Proof = Literal["exe", "script", "other", "claimed"]
"""How the running path is known. The kernel runs this file (exe). The kernel runs the interpreter
that this script's first line names, and the command line says that it runs the script: weaker, a
process can rewrite that (script). The kernel runs this file, and nothing shows that it is an agent
(other). Or only the process itself says so, in its command line (claimed)."""


class ProbeError(ValueError):
    """The probe's answer cannot be read. The message says what was wrong."""


@dataclass(frozen=True, slots=True)
class Binary:
    """An agent's program: a path, and what is known of the file there."""

    path: str
    version: str | None = None
    sha256: str | None = None
    starts: tuple[str, ...] = ()
    """Store paths of the programs that its file names as what it starts: it is a wrapper."""

    @property
    def store_path(self) -> str | None:
        """`/nix/store/HASH-NAME`, or None when the path is not in the store."""
        match = _STORE.match(self.path)
        return match[0] if match else None

    @property
    def identity(self) -> str:
        """What two programs are compared by: the store path where there is one."""
        return self.store_path or self.path

    def is_run_by(self, other: Binary) -> bool:
        """Whether `other`, which runs, is this program or what it starts. The host asks the same
        (`nf_is_one` in scripts/process.sh)."""
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
    """A process of the agent's service that rebuilds, by its program: `nixos-rebuild`."""

    pid: int
    program: str


@dataclass(frozen=True, slots=True)
class System:
    """NixOS: the active system and the system profile. Home Manager: the profile alone."""

    current: str | None = None
    profile: str | None = None
    generation: int | None = None
    booted: str | None = None
    """The system that the host was booted into."""
    needs_reboot: bool = False
    """The profile's system cannot be switched to: it has another interface to its init."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The nixcfg working tree on the host."""

    path: str
    state: Literal["ok", "missing", "unreadable", "not-git"]
    owner: str | None = None
    branch: str | None = None
    upstream: str | None = None
    head: str | None = None
    dirty: tuple[str, ...] = ()
    """Paths with uncommitted changes, and untracked ones."""
    lock: FlakeLock | None = None
    lock_error: str | None = None
    head_lock: FlakeLock | None = None
    """flake.lock as HEAD has it; only present when the one in the working tree differs."""
    lock_cksum: str | None = None
    """`cksum` of flake.lock: what a decision about that file was based on."""
    ahead: int = 0
    """Commits that the upstream lacked when it was last fetched."""
    behind: int = 0
    """Commits of the upstream, as it was last fetched, that HEAD lacks."""
    default_branch: str | None = None
    """The branch that the remote's own HEAD names."""
    incoming: str | None = None
    """The upstream's newest commit, asked now, where HEAD does not have it."""


@dataclass(frozen=True, slots=True)
class LastJob:
    """What the newest job on the host came to; `latest` is the commit that its update wanted."""

    outcome: str = ""
    failed: str = ""
    reason: str = ""
    rc: ExitCode = 0
    latest: str | None = None
    said: str | None = None
    """The last two lines of its log that name errors, as one."""


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
    """Whether the nix daemon lets this user set what is restricted; None where it was not asked."""
    unit: Unit | None = None
    running: Running | None = None
    installed: Binary | None = None
    loaded: str | None = None
    """launchd: the program of the job as it was loaded; its plist on disk may be newer."""
    attributes: tuple[str, ...] | None = None
    """The names under homeConfigurations; None where nobody asked, which evaluates the flake."""
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
    """The checkout that the agent, or the operator, has beside the configured one."""
    other_expected: Binary | None = None
    """What that one would install; only evaluated where the configured one explains nothing."""
    installed_at: int | None = None
    """When the installed program came to this host, in seconds since the epoch."""
    journal: str | None = None
    """The last line that the agent wrote."""
    lingers: bool = True
    """False: this user's services, the agent among them, end with the last login."""

    def lock_rev(self, flake_input: str) -> str | None:
        """The commit that flake.lock names for the input; None where unknown."""
        return locked_rev(self.checkout.lock if self.checkout else None, flake_input)


def version_label(path: str) -> str | None:
    """The version in a store path's name. A label, not proof: packages have hard-coded it."""
    match = _STORE.match(path)
    label = _LABEL.search(match["name"]) if match else None
    return label["version"] if label else None


def read_records(data: bytes) -> dict[str, str]:
    """Split a probe's answer into its records.

    Text before the first record (a login shell's greeting) is skipped, a cut-off record is an
    error: a half answer must not look like a host that lacks things. Raises ProbeError.
    """
    if len(data) > PROBE_LIMIT:
        raise ProbeError(f"the probe answered more than {PROBE_LIMIT} bytes")
    begin = data.find(b"nixfleet-probe 1\n")
    if begin < 0 or (begin > 0 and data[begin - 1 : begin] != b"\n"):
        raise ProbeError("the probe did not answer (no 'nixfleet-probe' line)")
    records: dict[str, str] = {}
    at = data.index(b"\n", begin) + 1
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            raise ProbeError("the probe's answer is cut off")
        key, _, length = data[at:end].decode("utf-8", "replace").partition(" ")
        if key == "end":
            return records
        if not length.isdecimal() or len(length) > 8:
            raise ProbeError(f"the probe's record {key[:40]!r} has no length")
        start, stop = end + 1, end + 1 + int(length)
        if data[stop : stop + 1] != b"\n":
            raise ProbeError(f"the probe's record {key[:40]!r} has the wrong length")
        records[key] = _value(key, data[start:stop])
        if len(records) > _RECORDS:
            raise ProbeError(f"the probe has more than {_RECORDS} records")
        at = stop + 1
    raise ProbeError("the probe's answer is cut off")


def _value(key: str, value: bytes) -> str:
    """A record's value, as long as it may be. sh can hold no NUL, so none wrote one."""
    if b"\0" in value:
        raise ProbeError(f"the probe's record {key[:40]!r} holds a NUL byte")
    limit = _LIMITS.get(key.rpartition(".")[2], TEXT_LIMIT)
    return value[:limit].decode("utf-8", "replace")


def parse_probe(data: bytes) -> Facts:
    """Read a whole probe answer into Facts. Raises ProbeError."""
    records = read_records(data)
    return Facts(
        hostname=records.get("hostname", ""),
        os=records.get("os", "").split("\n")[0],
        platform=_platform(records.get("platform", "")),
        machine=records.get("machine", ""),
        user=records.get("user", ""),
        uid=_number(records.get("uid"), -1),
        elevated=records.get("elevated") == "1",
        now=_time(records.get("now")) or 0,
        boot=records.get("boot"),
        tools=frozenset(records.get("tools", "").split()),
        nix=parse_version(records["nix"]) if "nix" in records else None,
        trusted={"1": True, "0": False}.get(records.get("nix.trusted", "")),
        unit=_unit(records),
        running=_running(records),
        installed=_binary(records, "installed"),
        expected=_binary(records, "expected"),
        expected_error=records.get("expected.error"),
        system=_system(records),
        checkout=_checkout(records),
        disk_free_kib=_maybe_number(records.get("disk.free")),
        memory_free_kib=_maybe_number(records.get("memory.free")),
        job_running=_job(records.get("job.running")),
        job_last=_job(records.get("job.last")),
        switch_running=records.get("switch.running") == "1",
        rebuild=_rebuild(records),
        last_job=_last_job(records),
        other=_checkout(records, "other"),
        other_expected=_binary(records, "other.expected"),
        installed_at=_time(records.get("installed.at")),
        journal=_line(records.get("journal")),
        lingers="no-linger" not in records,
        loaded=records.get("loaded.path") or None,
    )


def _platform(text: str) -> Literal["nixos", "home-manager", "nix-darwin", "unknown"]:
    match text:
        case "nixos" | "home-manager" | "nix-darwin":
            return text
        case _:
            return "unknown"


def _number(text: str | None, default: int) -> int:
    found = _maybe_number(text)
    return default if found is None else found


def _maybe_number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"-?[0-9]{1,15}", text.strip()):
        return None
    return int(text)


def _count(text: str | None) -> int:
    """Of restarts, commits, a process's number; 0 where it was not seen."""
    found = _number(text, 0)
    return found if 0 <= found <= MOST else 0


def _job(text: str | None) -> str | None:
    return text if text and is_job_id(text) else None


def _time(text: str | None) -> int | None:
    found = _maybe_number(text)
    return found if found is not None and 0 <= found <= LAST_SECOND else None


def _unit(records: dict[str, str]) -> Unit | None:
    if "unit.load" not in records:
        return None
    return Unit(
        load=records["unit.load"],
        active=records.get("unit.active", ""),
        sub=records.get("unit.sub", ""),
        result=records.get("unit.result", ""),
        pid=_count(records.get("unit.pid")),
        restarts=_count(records.get("unit.restarts")),
        service=Service(
            manager=_manager(records.get("manager", "")),
            domain=records.get("unit.domain", ""),
            file=records.get("unit.file", ""),
        ),
    )


def _manager(text: str) -> Manager:
    match text:
        case "user" | "launchd":
            return text
        case _:
            return "systemd"


def _binary(records: dict[str, str], which: str) -> Binary | None:
    path = records.get(f"{which}.path")
    if not path:
        return None
    return Binary(
        path=path,
        version=version_label(path),
        sha256=_sha256(records.get(f"{which}.sha256")),
        starts=tuple(records.get(f"{which}.starts", "").split()[:_MOST_STARTS]),
    )


_MOST_STARTS: Final = 100
"""How many programs a wrapper can be believed to start."""


def _rebuild(records: dict[str, str]) -> Rebuild | None:
    pid, program = _maybe_number(records.get("busy.pid")), records.get("busy.program", "")
    if not pid or pid < 0 or not re.fullmatch(r"[a-z-]{1,40}", program):
        return None
    return Rebuild(pid, program)


def _sha256(text: str | None) -> str | None:
    return text if text and re.fullmatch(r"[0-9a-f]{64}", text) else None


def _running(records: dict[str, str]) -> Running | None:
    binary = _binary(records, "running")
    if binary is None:
        return None
    proof = records.get("running.proof", "")
    return Running(
        binary=binary,
        proof=proof if proof in ("exe", "script", "other") else "claimed",  # type: ignore[arg-type]
        pid=_count(records.get("unit.pid")),
        started=_time(records.get("running.started")),
    )


def _system(records: dict[str, str]) -> System:
    link = re.search(r"-(\d{1,9})-link$", records.get("system.link", ""))
    return System(
        current=records.get("system.current") or None,
        profile=records.get("system.profile") or None,
        generation=int(link[1]) if link else None,
        booted=records.get("system.booted") or None,
        needs_reboot=records.get("system.init") == "differs",
    )


def _last_job(records: dict[str, str]) -> LastJob | None:
    result = records.get("job.result")
    if result is None:
        return None
    try:
        job = msgspec.json.decode(result, type=LastJob)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    latest, said = records.get("job.latest", "").strip(), _line(records.get("job.said"), " / ")
    return replace(job, latest=latest if _is_commit(latest) else None, said=said)


def _is_commit(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", text) is not None


def _line(text: str | None, joint: str = " ") -> str | None:
    """Text from the host on one line, as long as a line may be shown."""
    return joint.join(text.split("\n"))[:SAID_LIMIT] if text else None


def _checkout(records: dict[str, str], which: str = "checkout") -> Checkout | None:
    begin = f"{which}."
    records = {key[len(begin) :]: value for key, value in records.items() if key.startswith(begin)}
    path = records.get("path")
    if not path:
        return None
    state = records.get("state", "")
    status = _status(records.get("status", ""))
    if state == "ok" and status.head is None:
        state = "not-git"  # a repository without a commit
    lock, lock_error = _lock(records.get("lock"))
    head_lock, _ = _lock(records.get("head-lock"))
    incoming = records.get("incoming", "")
    return Checkout(
        path=path,
        state=state if state in ("ok", "missing", "not-git") else "unreadable",  # type: ignore[arg-type]
        owner=records.get("owner"),
        branch=status.branch,
        upstream=status.upstream,
        head=status.head,
        dirty=status.dirty,
        lock=lock,
        lock_error=lock_error,
        head_lock=head_lock,
        lock_cksum=records.get("lock-cksum"),
        ahead=status.ahead,
        behind=status.behind,
        default_branch=_default_branch(records.get("default")),
        incoming=incoming if _is_commit(incoming) else None,
    )


def _default_branch(text: str | None) -> str | None:
    """As `refs/remotes/REMOTE/HEAD` names it: `ref: refs/remotes/origin/main`."""
    match = re.match(r"ref: refs/remotes/[^/\s]+/(\S{1,200})", text or "")
    return match[1] if match else None


@dataclass(frozen=True, slots=True)
class _Status:
    head: str | None = None
    branch: str | None = None
    upstream: str | None = None
    dirty: tuple[str, ...] = ()
    ahead: int = 0
    behind: int = 0


def _status(text: str) -> _Status:
    """Read `git status --porcelain=v2 --branch`; paths stay quoted as git quotes them."""
    headers: dict[str, str] = {}
    dirty: list[str] = []
    for line in text.split("\n"):
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            headers[name] = value
        elif line[:2] in _STATUS_FIELDS:
            dirty.append(line.split(" ", _STATUS_FIELDS[line[:2]])[-1].partition("\t")[0])
    head, branch = headers.get("branch.oid"), headers.get("branch.head")
    ahead, _, behind = headers.get("branch.ab", "").partition(" ")
    return _Status(
        head=None if head == "(initial)" else head,
        branch=None if branch == "(detached)" else branch,
        upstream=headers.get("branch.upstream"),
        dirty=tuple(dirty),
        ahead=_count(ahead.removeprefix("+")),
        behind=_count(behind.removeprefix("-")),
    )


_STATUS_FIELDS: Final = {"1 ": 8, "2 ": 9, "u ": 10, "? ": 1}
"""How many fields stand before the path in a line of that kind."""


def _lock(text: str | None) -> tuple[FlakeLock | None, str | None]:
    if text is None:
        return None, None
    try:
        return parse_lock(text), None
    except LockError as error:
        return None, str(error)
