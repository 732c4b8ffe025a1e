"""What launchctl prints."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from .job import BAD_CONFIG, PATH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .job import Job


def service(job: Job) -> str:
    """Of `launchctl print gui/501/LABEL`."""
    definition, plist = job.definition, job.definition.plist
    flags = {"keepalive": plist.get("KeepAlive"), "runatload": plist.get("RunAtLoad")}
    properties = [name for name, is_set in flags.items() if is_set]
    names = {
        "WorkingDirectory": "working directory",
        "StandardOutPath": "stdout path",
        "StandardErrorPath": "stderr path",
    }
    lines = [
        f"active count = {int(bool(job.pid))}",
        f"path = {definition.path}",
        "type = LaunchAgent",
        f"state = {job.state}",
        "",
        f"program = {definition.program}",
        "arguments = {",
        *(f"\t{word}" for word in definition.argv),
        "}",
        "",
        *(f"{name} = {plist[key]}" for key, name in names.items() if key in plist),
        "default environment = {",
        f"\tPATH => {PATH}",
        "}",
        "",
        "environment = {",
        *(f"\t{key} => {value}" for key, value in plist.get("EnvironmentVariables", {}).items()),
        f"\tXPC_SERVICE_NAME => {job.label}",
        "}",
        "",
        f"domain = {job.domain}{' [100005]' if job.domain.startswith('gui') else ''}",
        "asid = 100005",
        f"minimum runtime = {definition.throttle:g}",
        f"exit timeout = {definition.exit_timeout or 0:g}",
        f"runs = {job.runs}",
        *([f"pid = {job.pid}"] if job.pid else []),
        *(["immediate reason = speculative", *_COUNTERS] if job.pid else []),
        _last(job.last),
        *([f"pended nondemand spawn = {job.pended}"] if job.pended else []),
        "",
        "resource coalition = {",
        "\tID = 2711",
        "\ttype = resource",
        "\tstate = active",
        "\tactive count = 1",
        f"\tname = {job.label}",
        "}",
        "",
        "spawn type = daemon (3)",
        "jetsam priority = 40",
        *([f"job state = {'running' if job.pid else 'exited'}"] if job.runs else []),
        "",
        f"properties = {' | '.join([*properties, 'inferred program'])}",
    ]
    body = "".join(f"\t{line}\n" if line else "\n" for line in lines)
    return f"{job.domain}/{job.label} = {{\n{body}}}\n"


_COUNTERS: Final = ("forks = 0", "execs = 1", "initialized = 1")


def _last(code: int | None) -> str:
    if code is None:
        return "last exit code = (never exited)"
    if code < 0:
        return f"last terminating signal = {signal.strsignal(-code)}: {-code}"
    return f"last exit code = {code}{': EX_CONFIG' if code == BAD_CONFIG else ''}"


def domain(name: str, jobs: Iterable[Job], labels: Iterable[str]) -> str:
    """Of `launchctl print gui/501`."""
    rows = [
        f"\t\t{job.pid:8} {'-' if job.last is None else job.last:>6} \t{job.label}\n"
        for job in jobs
    ]
    kind = "login" if name.startswith("gui") else "user"
    head = f"{name} = {{\n\ttype = {kind}\n\tactive count = {len(rows)}\n\n\tservices = {{\n"
    return f"{head}{''.join(rows)}\t}}\n\n{disabled(labels)}}}\n"


def disabled(labels: Iterable[str]) -> str:
    """Of `launchctl print-disabled`."""
    rows = "".join(f'\t\t"{label}" => disabled\n' for label in labels)
    return f"\tdisabled services = {{\n{rows}\t}}\n"


def table(jobs: Iterable[Job]) -> str:
    """Of `launchctl list`."""
    rows = (f"{job.pid or '-'}\t{job.last or 0}\t{job.label}\n" for job in jobs)
    return "PID\tStatus\tLabel\n" + "".join(rows)


def listed(job: Job) -> str:
    """Of `launchctl list LABEL`."""
    plist, last = job.definition.plist, job.last or 0
    paths = (key for key in ("StandardOutPath", "StandardErrorPath") if key in plist)
    lines = [
        *(f'"{key}" = "{plist[key]}";' for key in paths),
        '"LimitLoadToSessionType" = "Aqua";',
        f'"Label" = "{job.label}";',
        f'"OnDemand" = {"false" if plist.get("KeepAlive") else "true"};',
        f'"LastExitStatus" = {-last if last < 0 else last << 8};',
        *([f'"PID" = {job.pid};'] if job.pid else []),
        f'"Program" = "{job.definition.program}";',
        '"ProgramArguments" = (',
        *(f'\t"{word}";' for word in job.definition.argv),
        ");",
    ]
    return "{\n" + "".join(f"\t{line}\n" for line in lines) + "};\n"
