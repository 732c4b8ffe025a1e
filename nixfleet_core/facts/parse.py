"""Facts: what one probe of a host saw. Parsing only; nothing here talks to a host.

The probe (scripts/ask/probe.sh) answers in records of the form ``KEY LENGTH\\nVALUE\\n``, so that a
value may hold any byte. A key that is absent means "could not be seen", never "is empty".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import msgspec

from nixfleet_core.facts.inhibitors import changed_inhibitors
from nixfleet_core.facts.model import (
    ActiveGeneration,
    Binary,
    Checkout,
    CheckoutState,
    DirtyTrees,
    Facts,
    FlakePath,
    LastJob,
    Rebuild,
    Running,
    System,
    Unit,
    Unnamed,
    version_label,
)
from nixfleet_core.facts.old_units import OLD_UNITS_LIMIT, read_old_units
from nixfleet_core.facts.proofs import Proven, parse_proofs
from nixfleet_core.facts.service import Manager, Service
from nixfleet_core.ids import is_commit, is_job_id
from nixfleet_core.limits import LAST_SECOND, MOST, SAID_LIMIT, TEXT_LIMIT
from nixfleet_core.nix.lock import LOCK_LIMIT, FlakeLock, LockError, parse_lock
from nixfleet_core.nix.version import parse_version

PROBE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes; a probe that answers more is not believed."""

_RECORDS: Final = 500
"""Records of one probe; some 60 kinds exist."""

_LIMITS: Final = {
    "status": 20_000,
    "proofs": 16_000,
    "lock": LOCK_LIMIT + 1,
    "head-lock": LOCK_LIMIT + 1,
    "debt": OLD_UNITS_LIMIT,
}
"""Bytes of records that may be longer than TEXT_LIMIT, by the end of their key. The probe cuts them
off at the same length."""


class ProbeError(ValueError):
    """The probe's answer cannot be read. The message says what was wrong."""


def read_records(data: bytes) -> dict[str, str]:
    """Split a probe's answer into its records.

    Text before the first record (a login shell's greeting) is skipped. A cut-off record is an
    error: half an answer must not look like a host that lacks things. Raises ProbeError.
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
    """A record's value, cut to its limit. A NUL is an error: sh cannot have written it."""
    if b"\0" in value:
        raise ProbeError(f"the probe's record {key[:40]!r} holds a NUL byte")
    limit = _LIMITS.get(key.rpartition(".")[2], TEXT_LIMIT)
    return value[:limit].decode("utf-8", "replace")


def parse_probe(data: bytes) -> Facts:
    """Read a whole probe answer into Facts. Raises ProbeError."""
    return read_facts(read_records(data))


def nix_answers(records: dict[str, str]) -> dict[str, str]:
    """What nix answered, and the stamp that stays while the answers do; {} if it left one open."""
    is_home = _platform(records.get("platform", "")) == "home-manager"
    wanted = ("nix.stamp", "nix", *(("nix.trusted",) if is_home else ()))
    return {key: records[key] for key in wanted} if all(map(records.get, wanted)) else {}


def read_facts(records: dict[str, str]) -> Facts:
    """The facts that the records of a probe tell."""
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
        disk_free_kib=maybe_number(records.get("disk.free")),
        memory_free_kib=maybe_number(records.get("memory.free")),
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
        on_battery=records.get("power") == "battery",
        charge=_percent(records.get("power.charge")),
        lid_closed=records.get("power.lid") == "closed",
        back=records.get("back.profile") or None,
        proof=_proof(records.get("proof")),
        proofs=parse_proofs(records.get("proofs", "")),
        old_units=read_old_units(records["debt"]) if "debt" in records else None,
    )


def _proof(text: str | None) -> Proven | None:
    found = parse_proofs(text or "")
    return found[0] if found else None


def _platform(text: str) -> Literal["nixos", "home-manager", "nix-darwin", "unknown"]:
    match text:
        case "nixos" | "home-manager" | "nix-darwin":
            return text
        case _:
            return "unknown"


def _number(text: str | None, default: int) -> int:
    found = maybe_number(text)
    return default if found is None else found


def maybe_number(text: str | None) -> int | None:
    """A number that the host wrote; None if it is none."""
    if text is None or not re.fullmatch(r"-?[0-9]{1,15}", text.strip()):
        return None
    return int(text)


def _count(text: str | None) -> int:
    """A number of restarts or commits, or a process's number; 0 if it was not seen."""
    found = _number(text, 0)
    return found if 0 <= found <= MOST else 0


def _job(text: str | None) -> str | None:
    return text if text and is_job_id(text) else None


def _time(text: str | None) -> int | None:
    found = maybe_number(text)
    return found if found is not None and 0 <= found <= LAST_SECOND else None


def _percent(text: str | None) -> int | None:
    found = maybe_number(text)
    return found if found is not None and 0 <= found <= 100 else None


def _unit(records: dict[str, str]) -> Unit | None:
    if "unit.load" not in records:
        return None
    return Unit(
        load=records["unit.load"],
        active=records.get("unit.active", ""),
        sub=records.get("unit.sub", ""),
        result=records.get("unit.result", ""),
        pid=_count(records.get("unit.pid")),
        began=records.get("unit.began", ""),
        restarts=_count(records.get("unit.restarts")),
        service=Service(
            manager=_manager(records.get("manager", "")),
            domain=records.get("unit.domain", ""),
            file=records.get("unit.file", ""),
            log=records.get("unit.log", ""),
        ),
        waits=records.get("running.waits") == "1",
        has_session=records.get("unit.session") != "missing",
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
"""We believe a wrapper that it starts so many programs at most."""


def _rebuild(records: dict[str, str]) -> Rebuild | None:
    program, of = records.get("busy.program", ""), records.get("busy.of", "agent")
    pid = _count(records.get("busy.pid")) or None
    if not re.fullmatch(r"[a-z-]{1,40}", program) or (pid is None and "busy.pid" in records):
        return None
    return Rebuild(pid, program, is_agents=of == "agent", is_claimed=of == "user")


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
        active=_active(records.get("system.active", "")),
        has_hidden="system.hidden" in records,
        needs_reboot=records.get("system.init") == "differs",
        inhibitors=changed_inhibitors(
            records.get("system.inhibitors"), records.get("system.inhibitors-new")
        ),
    )


_HOLDING: Final = re.compile(
    r"(?:system-profiles/(?P<profile>[^/\n]{1,100})|[^/\n]{1,100})-(?P<number>\d{1,9})-link"
    r"(?:/specialisation/(?P<special>[^/\n]{1,100}))?"
)


def _active(text: str) -> ActiveGeneration | None:
    """The newest of the generations that hold the active system. The host's own profile goes before
    others, and a system before a specialisation that is the same."""
    held = (_HOLDING.fullmatch(line) for line in text.split("\n"))
    found = [
        ActiveGeneration(int(one["number"]), one["profile"] or "", one["special"] or "")
        for one in held
        if one
    ]
    return max(found, key=lambda g: (not g.profile, g.number, not g.specialisation), default=None)


def _last_job(records: dict[str, str]) -> LastJob | None:
    result = records.get("job.result")
    if result is None:
        return None
    try:
        job = msgspec.json.decode(result, type=LastJob)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    latest, said = records.get("job.latest", "").strip(), _line(records.get("job.said"), " / ")
    return replace(
        job,
        latest=latest if is_commit(latest) else None,
        checkout=records.get("job.checkout"),
        said=said,
    )


def _line(text: str | None, joint: str = " ") -> str | None:
    """Text from the host on one line, cut to the length that may be shown."""
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
        state = "no-commit"
    lock, lock_error = _lock(records.get("lock"))
    head_lock, _ = _lock(records.get("head-lock"))
    incoming = records.get("incoming", "")
    return Checkout(
        path=path,
        state=state if state in get_args(CheckoutState) else "unreadable",  # type: ignore[arg-type]
        owner=records.get("owner"),
        branch=status.branch,
        upstream=status.upstream,
        head=status.head,
        said=_line(records.get("said")),
        dirty=status.dirty,
        lock=lock,
        lock_error=lock_error,
        head_lock=head_lock,
        source=_source(records.get("source")),
        unnamed=_unnamed(records.get("unnamed")),
        folder=records.get("folder", ""),
        dirty_trees=_dirty_trees(records.get("dirty-trees")),
        lock_cksum=records.get("lock-cksum"),
        ahead=status.ahead,
        behind=status.behind,
        default_branch=_default_branch(records.get("default")),
        incoming=incoming if is_commit(incoming) else None,
    )


def _source(text: str | None) -> str | None:
    return text if text and re.fullmatch(r"[0-9a-f]{40,64}-[0-9a-f]{40,64}", text) else None


def _unnamed(text: str | None) -> Unnamed | None:
    return text if text in get_args(Unnamed) else None  # type: ignore[return-value]


def _dirty_trees(text: str | None) -> DirtyTrees | None:
    return text if text in get_args(DirtyTrees) else None  # type: ignore[return-value]


def _default_branch(text: str | None) -> str | None:
    """The branch in `refs/remotes/REMOTE/HEAD`, which reads `ref: refs/remotes/origin/main`."""
    match = re.match(r"ref: refs/remotes/[^/\s]+/(\S{1,200})", text or "")
    return match[1] if match else None


@dataclass(frozen=True, slots=True)
class _Status:
    head: str | None = None
    branch: str | None = None
    upstream: str | None = None
    dirty: tuple[FlakePath, ...] = ()
    ahead: int = 0
    behind: int = 0


def _status(text: str) -> _Status:
    """Read `git status --porcelain=v2 --branch`; paths stay quoted as git quotes them."""
    headers: dict[str, str] = {}
    dirty: list[FlakePath] = []
    for line in text.split("\n"):
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            headers[name] = value
        elif line[:2] in _STATUS_FIELDS:
            path = line.split(" ", _STATUS_FIELDS[line[:2]])[-1].partition("\t")[0]
            dirty.append(FlakePath(path))
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
"""The number of fields before the path, by the kind of line."""


def _lock(text: str | None) -> tuple[FlakeLock | None, str | None]:
    if text is None:
        return None, None
    try:
        return parse_lock(text), None
    except LockError as error:
        return None, str(error)
