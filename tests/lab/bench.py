"""How long an update takes, against the line that an operator types: `make bench-lab [ROUNDS=N]`.

Both do the same work on the same hosts in turn: stop the agent, pull nixcfg, update the input,
rebuild, start the agent. Moments are taken by this machine's clock: of the typed line, when its
words arrive over ssh; of a job, when its events stand on the host's disk. The figures are medians,
and only those of one run compare.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from nixfleet_core.job.events import JobEnd, StepEnd, StepStart, read_event
from nixfleet_core.plan.model import Options

from .fleet import Fleet
from .host import CHECKOUT
from .run import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Client
    from .host import LabHost

_LOOK: Final = 0.01
"""Seconds between two looks at a file."""

_AGENT: Final = "system.slice/nixfleet-agent.service"

STABLE: Final = Options().stable
"""Seconds that every proof waits."""

BUILDS: Final = (0.0, 8.0)
"""Seconds that the build takes, beside what the lab itself needs for a rebuild."""


@dataclass(frozen=True)
class Times:
    """Of one update, in seconds."""

    chain: float
    """From the stop's beginning to the start's end."""
    down: float
    """The agent had no process."""
    preflight: float = 0
    proof: float = 0
    """Beyond the seconds that the agent has to be stable."""
    whole: float = 0
    """Of the client's command."""


def typed(host: LabHost) -> Times:
    """The hand-typed line, over one ssh session."""
    lock = "lock --update-input" if host.name == "csb1" else "update"  # csb1 has Nix 2.8
    line = (
        f"cd {CHECKOUT}; echo @stop; sudo systemctl stop nixfleet-agent; git pull -q --ff-only; "
        f"nix flake {lock} nixfleet; sudo /run/current-system/sw/bin/nixos-rebuild switch "
        f"--flake .#{host.name} --option narinfo-cache-negative-ttl 0; "
        "sudo systemctl start nixfleet-agent; echo; echo @started"
    )
    moments: dict[str, float] = {}
    with (
        _watched(host) as down,
        subprocess.Popen(
            ["ssh", "-F", str(host.ssh_config), host.ssh_address(), line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running,
    ):
        assert running.stdout is not None
        for said in running.stdout:
            moments[said.strip()] = time.monotonic()
    if "@started" not in moments:
        raise RuntimeError("\n".join(moments))
    return Times(moments["@started"] - moments["@stop"], down[0])


def ours(host: LabHost, client: Client, *words: str) -> Times:
    """`nixfleet update`, whole."""
    began = time.monotonic()
    moments: dict[tuple[type, str], float] = {}
    with _watched(host) as down, client.start("update", host.name, "--yes", *words) as running:
        reader = threading.Thread(target=_read_events, args=(host, moments))
        reader.start()
        code = running.wait()
        whole = time.monotonic() - began
        reader.join()
    if code != 0:
        raise RuntimeError(running.output)

    def took(first: str, last: str) -> float:
        return moments.get((StepEnd, last), 0) - moments.get((StepStart, first), 0)

    return Times(
        took("stop", "start"),
        down[0],
        took("preflight", "preflight"),
        took("verify", "verify") - STABLE,
        whole,
    )


def _read_events(host: LabHost, moments: dict[tuple[type, str], float]) -> None:
    """Note when each event of the host's new job is written, until the job ends."""
    jobs = host.root / host.platform.jobs
    known = set(jobs.iterdir()) if jobs.exists() else set()
    seen = 0
    until = time.monotonic() + 300
    while time.monotonic() < until:
        new = sorted(set(jobs.iterdir()) - known) if jobs.exists() else []
        events = new[0] / "events" if new else Path("/nowhere")
        lines = events.read_bytes().splitlines() if events.exists() else []
        for line in lines[seen:]:
            match event := read_event(line):
                case StepStart() | StepEnd():
                    moments[type(event), event.step] = time.monotonic()
                case JobEnd():
                    return
        seen = len(lines)
        time.sleep(_LOOK)


@contextmanager
def _watched(host: LabHost) -> Iterator[list[float]]:
    """The seconds that the agent had no process, when the context is left."""
    down = [0.0]
    ended = threading.Event()

    def watch() -> None:
        last = time.monotonic()
        while not ended.wait(_LOOK):
            now = time.monotonic()
            if not host.processes(_AGENT):
                down[0] += now - last
            last = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield down
    finally:
        ended.set()
        watcher.join()


def _fresh(fleet: Fleet, host: LabHost, build: float) -> None:
    """The host before each update: an old agent, and a new release upstream. If the build takes
    time, a new commit of nixcfg says so, and is to be pulled."""
    fleet.reset(host.name)
    fleet.repos.release("2.2.0")
    if build:
        fleet.repos.commit_nixcfg(slow=build)


def measure(
    fleet: Fleet, host: LabHost, client: Client, rounds: int, build: float
) -> dict[str, float]:
    """The medians of that many rounds."""
    hand, job, again = [], [], []
    for _ in range(rounds):
        _fresh(fleet, host, build)
        hand.append(typed(host))
        _fresh(fleet, host, build)
        job.append(ours(host, client, "--force"))
        again.append(ours_without_changes(host, client))
    chain, down = median(t.chain for t in hand), median(t.down for t in hand)
    return {
        "stop to start of the typed line, s": chain,
        "stop to start, job : typed": median(t.chain for t in job) / chain,
        "stop to start, job - typed, s": median(t.chain for t in job) - chain,
        "agent down, job : typed": median(t.down for t in job) / down,
        "preflight, s": median(t.preflight for t in job),
        "proof beyond the stable seconds, s": median(t.proof for t in job),
        "whole command, s": median(t.whole for t in job),
        "without changes, s": median(again),
    }


def ours_without_changes(host: LabHost, client: Client) -> float:
    """The seconds of `nixfleet update` where nothing has changed: it looks, and does nothing."""
    began = time.monotonic()
    done = client.run("update", host.name, "--yes")
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    return time.monotonic() - began


def main() -> None:
    if reason := why_not():
        raise SystemExit(f"the lab cannot run: {reason}")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with Fleet() as fleet, tempfile.TemporaryDirectory() as folder:
        client = fleet.client(Path(folder))
        client.write_inventory(dict.fromkeys(fleet.hosts.values(), "ops"), True)
        for build in BUILDS:
            _print(
                f"a build of {build:g} s",
                {
                    host.name: measure(fleet, host, client, rounds, build)
                    for host in fleet.hosts.values()
                },
            )


def _print(title: str, table: dict[str, dict[str, float]]) -> None:
    rows = list(next(iter(table.values())))
    width = max(map(len, rows))
    print(f"{title:{width}} {' '.join(f'{name:>6}' for name in table)}")  # noqa: T201
    for row in rows:
        print(f"{row:{width}} {' '.join(f'{table[name][row]:6.2f}' for name in table)}")  # noqa: T201
    print()  # noqa: T201


if __name__ == "__main__":
    main()
