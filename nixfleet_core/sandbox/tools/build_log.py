"""What Nix says while it builds a system: a timeline of internal-json and plain lines.

Pure: the same system gives the same log. Times are scaled to the length that is asked for.
"""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.sandbox.store import store_name
from nixfleet_core.sandbox.tools import build_names as names
from nixfleet_core.sandbox.tools.nix_log import (
    BUILD,
    BUILDS,
    COPY_PATH,
    COPY_PATHS,
    FILE_TRANSFER,
    LOG_LINE,
    PROGRESS,
    REALISE,
    SET_EXPECTED,
    SET_PHASE,
    SUBSTITUTE,
    Session,
    message,
    result,
    stop,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.sandbox.store import System

_JOBS: Final = 4
_CACHE: Final = "https://cache.nixos.org"
_CHUNK: Final = 4 * 1024 * 1024


class Build(NamedTuple):
    """A derivation: its name in the store, and what its builder prints, phase by phase."""

    name: str
    phases: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def drv(self) -> str:
        return f"/nix/store/{store_name(f'{self.name[33:]}.drv', self.name)}"

    @property
    def label(self) -> str:
        """The name as Nix puts it before log lines."""
        name = self.name[33:]
        stem = name.rsplit("-", 1)[0] if name[-1].isdigit() else name
        return stem or name


class Timed(NamedTuple):
    """One line, seconds after the start; `plain` is empty where only internal-json tells.

    Without `json` it is a pause until then.
    """

    at: float
    json: str
    plain: str = ""


def builds_of(system: System, *, with_agent: bool) -> list[Build]:
    """All that is built for a system, dependencies first."""

    def build(label: str, *phases: tuple[str, tuple[str, ...]]) -> Build:
        return Build(store_name(label, system.name), phases)

    label = f"nixfleet-agent-{system.agent.version}"
    modules = build(f"{label}-go-modules", *_modules())
    agent = Build(system.agent.name, tuple(_go(label, names.GO_AGENT)))
    large = [
        *([modules] if with_agent else []),
        build("git-2.51.0", *_git("git-2.51.0")),
        build("rclone-1.71.0", *_go("rclone-1.71.0", names.GO_RCLONE)),
        *([agent] if with_agent else []),
        build("vaultwarden-1.34.3", *_rust("vaultwarden-1.34.3")),
        build("restic-0.18.1", *_go("restic-0.18.1", names.GO_RESTIC)),
        build("nginx-1.28.0", *_c("nginx-1.28.0", _nginx())),
        build("tmux-3.5a", *_c("tmux-3.5a", _compiled(names.C_TMUX))),
    ]
    small = [build(label, *_glue(label)) for label in names.GLUE.split()]
    if with_agent:
        small.append(build("unit-nixfleet-agent.service"))
    return [*_spread(small, large), Build(system.name)]


def _spread(small: list[Build], large: list[Build]) -> Iterator[Build]:
    """The small ones between the large ones, so that something is done all the time."""
    share = -(-len(small) // len(large))
    for i, build in enumerate(large):
        yield build
        yield from small[i * share : (i + 1) * share]


def build_log(builds: list[Build], seconds: float) -> Iterator[Timed]:
    """The whole log, in the order of time."""
    lines = list(_timeline(builds))
    scale = seconds / lines[-1].at
    return (Timed(line.at * scale, line.json, line.plain) for line in lines)


def _timeline(builds: list[Build]) -> Iterator[Timed]:
    session = Session()
    run = _Run(session, builds)
    yield from run.announce()
    queue = list(reversed(builds[:-1]))
    # What is to be said next, and by whom: (time, order, line, the lines after it).
    slots: list[tuple[float, int, Timed, Iterator[Timed]]] = []
    order = 0
    clock = 0.0

    def go_on(lines: Iterator[Timed], number: int) -> None:
        line = next(lines, None)
        if line is not None:
            heapq.heappush(slots, (line.at, number, line, lines))

    go_on(run.fetches(), order)
    while slots or queue:
        while len(slots) < _JOBS and queue:
            order += 1
            go_on(run.build(queue.pop(), clock), order)
        clock, number, line, lines = heapq.heappop(slots)
        if line.json:
            yield line
        go_on(lines, number)
    yield from (line for line in run.build(builds[-1], clock) if line.json)
    yield from run.end(clock + 0.5)


class _Run:
    """One Nix process that builds: its activities and its counts."""

    def __init__(self, session: Session, builds: list[Build]) -> None:
        self._session = session
        self._builds = builds
        self._done = self._running = self._fetched = self._fetching = 0
        self._realise, self._realise_line = session.start(REALISE)
        self._count, self._count_line = session.start(BUILDS)
        self._copies, self._copies_line = session.start(COPY_PATHS)

    def announce(self) -> Iterator[Timed]:
        size = sum(size for _, size in names.FETCHED) / 1024 / 1024
        sizes = f"({size:.1f} MiB download, {size * 3.4:.1f} MiB unpacked)"
        lines = [
            f"these {len(self._builds)} derivations will be built:",
            *(f"  {build.drv}" for build in self._builds),
            f"these {len(names.FETCHED)} paths will be fetched {sizes}:",
            *(f"  /nix/store/{store_name(label)}" for label, _ in names.FETCHED),
        ]
        for line in lines:
            yield Timed(0.0, message(3, line), f"{line}\n")
        for line in (self._realise_line, self._count_line, self._copies_line):
            yield Timed(0.0, line)
        yield from self._counts(0.0)

    def _counts(self, at: float) -> Iterator[Timed]:
        expected, total = len(self._builds), sum(size for _, size in names.FETCHED)
        count = (self._done, expected, self._running, 0)
        yield Timed(at, result(self._count, PROGRESS, *count))
        copies = (self._fetched, len(names.FETCHED), self._fetching, 0)
        yield Timed(at, result(self._copies, PROGRESS, *copies))
        yield Timed(at, result(self._realise, SET_EXPECTED, FILE_TRANSFER, total))
        yield Timed(at, result(self._realise, SET_EXPECTED, COPY_PATH, total))

    def fetches(self) -> Iterator[Timed]:
        at = 0.0
        for label, size in names.FETCHED:
            path = f"/nix/store/{store_name(label)}"
            text = f"copying path '{path}' from '{_CACHE}'"
            outer, line = self._session.start(SUBSTITUTE, "", fields=(path, _CACHE))
            inner, copying = self._session.start(
                COPY_PATH, text, level=3, fields=(path, _CACHE, "local")
            )
            self._fetching = 1
            yield Timed(at, line)
            yield Timed(at, copying, f"{text}...\n")
            yield from self._counts(at)
            for got in (*range(0, size, _CHUNK), size):
                at += 0.02
                yield Timed(at, result(inner, PROGRESS, got, size, 0, 0))
            self._fetched, self._fetching = self._fetched + 1, 0
            yield Timed(at, stop(inner))
            yield Timed(at, stop(outer))
            yield from self._counts(at)

    def build(self, build: Build, at: float) -> Iterator[Timed]:
        chance = random.Random(build.name)
        text = f"building '{build.drv}'"
        activity, line = self._session.start(BUILD, text, level=3, fields=(build.drv, "", 1, 1))
        self._running += 1
        yield Timed(at, line, f"{text}...\n")
        yield from self._counts(at)
        for phase, lines in build.phases:
            if phase:
                yield Timed(at, result(activity, SET_PHASE, phase))
                lines = (f"Running phase: {phase}", *lines)
            for said in lines:
                at += chance.expovariate(1 / 0.012)
                plain = f"{build.label}> {said}\n"
                yield Timed(at, result(activity, LOG_LINE, said), plain)
        at += chance.uniform(0.1, 0.5)
        yield Timed(at, "")  # what has been counted until then is counted
        self._running, self._done = self._running - 1, self._done + 1
        yield from self._counts(at)
        yield Timed(at, stop(activity))

    def end(self, at: float) -> Iterator[Timed]:
        for activity in (self._copies, self._count, self._realise):
            yield Timed(at + 0.3, stop(activity))


def _phases(
    label: str, build: list[str], check: list[str], install: list[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    source = f"/nix/store/{store_name('source', label)}"
    out = f"/nix/store/{store_name(label)}"
    yield (
        "unpackPhase",
        (f"unpacking source archive {source}", "source root is source"),
    )
    yield "patchPhase", ()
    yield "updateAutotoolsGnuConfigScriptsPhase", ()
    yield "buildPhase", tuple(build)
    yield "checkPhase", tuple(check)
    yield "installPhase", tuple(install)
    yield (
        "fixupPhase",
        (
            f"shrinking RPATHs of ELF executables and libraries in {out}",
            f"checking for references to /build/ in {out}...",
            f"patching script interpreter paths in {out}",
            f"stripping (with command strip and flags -S -p) in  {out}/bin",
        ),
    )


def _go(label: str, own: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    packages = own.split()
    tested = [package for package in packages if "/internal" in package or "/src" in package]
    check = [f"ok  \t{package}\t0.{len(package) * 37 % 990 + 10:03}s" for package in tested]
    build = ["Building subPackage .", *names.GO_STANDARD.split(), *packages]
    yield from _phases(label, build, check, [])


def _modules() -> Iterator[tuple[str, tuple[str, ...]]]:
    modules = sorted({"/".join(name.split("/")[:3]) for name in names.GO_AGENT.split()})
    lines = [
        f"go: downloading {module} v1.{len(module) % 9}.{len(module) % 5}" for module in modules
    ]
    yield from _phases("go-modules", lines, [], [])


def _rust(label: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    lines = [
        f"   Compiling {crate} v{len(crate) % 3}.{(i * 7) % 40}.{i % 9}"
        for i, crate in enumerate(names.CRATES.split())
    ]
    lines.append("    Finished `release` profile [optimized] target(s) in 6m 12s")
    tests = [
        f"test {crate.replace('-', '_')}::tests::{what} ... ok"
        for crate in ("api", "auth", "config", "crypto", "db", "mail", "sso", "util")
        for what in ("accepts_valid", "rejects_empty", "rejects_expired", "round_trip")
    ]
    yield from _phases(label, lines, tests, ["Executing cargoInstallHook"])


def _nginx() -> list[str]:
    flags = "-pipe -O -W -Wall -Wpointer-arith -Wno-unused-parameter -g"
    return [
        f"cc -c {flags} -I src/core -I objs -o objs/src/{file}.o src/{file}.c"
        for file in names.C_NGINX.split()
    ]


def _compiled(files: str) -> list[str]:
    return [f"gcc -DHAVE_CONFIG_H -I. -g -O2 -c -o {name}.o {name}.c" for name in files.split()]


def _checks() -> list[str]:
    return [
        "checking for gcc... gcc",
        "checking whether the C compiler works... yes",
        *(f"checking for {what}... yes" for what in names.CHECKED.split()),
        "configure: creating ./config.status",
    ]


def _c(label: str, lines: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "configurePhase", tuple(_checks())
    yield from _phases(label, lines, [], ["install: creating directory bin"])


def _git(label: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    builtins = names.C_GIT.split()
    tests = [
        f"[{i // 60:02}:{i % 60:02}] t{i * 27 % 9900:04}-{name}.sh .. ok {i * 71 % 4000 + 90:5} ms"
        for i, name in enumerate(builtins)
    ]
    lines = [f"    CC builtin/{name}.o" for name in builtins]
    lines += [f"    CC {name}.o" for name in names.C_GIT_LIBRARY.split()]
    yield "configurePhase", tuple(_checks())
    yield from _phases(label, [*lines, "    AR libgit.a", "    LINK git"], tests, [])


def _glue(label: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    said = {
        "nginx-validate-config": (
            "nginx: the configuration file nginx.conf syntax is ok",
            "nginx: configuration file nginx.conf test is successful",
        ),
        "system-path": ("created 2148 symlinks in user environment",),
    }
    if label in said:
        yield "", said[label]
