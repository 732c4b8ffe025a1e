"""The checks after every case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .locks import lock_after
from .scene import Pidfds, client_processes, command

if TYPE_CHECKING:
    from ..client import Answer
    from ..host import LabHost
    from .case import Case
    from .scene import Scene

_LEAVE_SECONDS: Final = 10.0
"""Within 5 s, at its next heartbeat, a follower notices that nobody listens any more."""

_AGENT: Final = re.compile(r"/nix/store/[a-z0-9]{32}-nixfleet-agent-([^/]+)/bin/nixfleet-agent")


def check(scene: Scene, case: Case, answer: Answer, seconds: float) -> None:
    """Raises AssertionError for the first thing that does not hold."""
    assert scene.proof, "nothing shows that the fault happened"
    told = (answer["verdict"], answer["cause"])
    assert told == (case.verdict, case.cause), f"the verdict is {told}"
    assert seconds <= case.seconds, f"it took {seconds:.0f} s, {case.seconds} are allowed"
    _check_log(scene, answer)
    _check_leftovers(scene)
    _check_agent(scene.host, case)
    _check_checkout(scene, case)


def _check_agent(host: LabHost, case: Case) -> None:
    if case.agent is None:
        return
    assert host.agent_state() in ("active success", "running")
    match = _AGENT.fullmatch(host.agent_exe() or "")
    assert match is not None, host.agent_exe()
    assert match[1] == case.agent, f"the agent is {match[1]}"


def _check_log(scene: Scene, answer: Answer) -> None:
    """Each copy is the beginning of the host's log; the copy of the final answer is complete."""
    if answer["log"] is None:
        return
    job = answer["job"]
    log = (scene.jobs / f"{job}/log").read_bytes()
    assert Path(answer["log"]).read_bytes() == log, "the client's log is not the host's"
    for client in scene.clients:
        copy = client.folder / f"state/nixfleet/hosts/{scene.host.name}/jobs/{job}/log"
        assert not copy.exists() or log.startswith(copy.read_bytes())


def _check_leftovers(scene: Scene) -> None:
    host = scene.host
    scene.await_job()
    with Pidfds(_strays(scene)) as left:
        left.wait(_LEAVE_SECONDS)
    named = [f"{_name(pid)} in {_unit(pid)}" for pid in _strays(scene)]
    assert not named, f"left behind: {named}"
    if scene.is_mac:
        assert host.enter(f"find {host.platform.home}/.local/state/nixfleet -name '.*'") == ""
        return
    units = host.enter("systemctl list-units --plain --no-legend 'nixfleet-*' 'nixos-rebuild-*'")
    assert {line.split()[0] for line in units.splitlines()} <= {"nixfleet-agent.service"}, units
    lock = "/run/nixos/switch-to-configuration.lock"
    host.enter(f"[ ! -e {lock} ] || flock --nonblock {lock} true")
    assert host.enter("find /var/lib /run -path '*/nixfleet/*' -name '.*'") == ""


def _strays(scene: Scene) -> list[int]:
    """Processes that an idle host does not have, and processes of the operators' commands, except
    shared connections and their way through a jump, which ssh keeps for a minute."""
    ours = [pid for client in scene.clients for pid in client_processes(client)]
    return [
        *(pid for pid in scene.host.processes() if not _belongs(pid)),
        *(pid for pid in ours if (line := command(pid)) and not _is_shared(line)),
    ]


def _is_shared(line: bytes) -> bool:
    return b"[mux]" in line or (line.startswith(b"ssh\0") and b"\0-W\0" in line)


def _belongs(pid: int) -> bool:
    unit = _unit(pid)
    if unit.startswith(("session-", "ssh")):
        return _name(pid).startswith("sshd")
    if unit == "nix-daemon.service":
        return _name(pid) == "nix-daemon" and _parent(pid) != _name(pid)
    if unit == "launchd@501.service":
        return _name(pid) in ("python3", "nixfleet-agent")
    return unit.startswith(
        ("init.scope", "systemd-", "dbus", "polkit", "user@", "nixfleet-agent", "lab-")
    )


def _unit(pid: int) -> str:
    """The unit that a process is in; a user's own units count as that user's manager."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return "init.scope"  # it has ended
    path = next(line.partition("::")[2] for line in lines if line.startswith("0::"))
    parts = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
    return next((part for part in parts if part.startswith("user@")), parts[-1])


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return _name(int(stat.rpartition(")")[2].split()[1]))


def _check_checkout(scene: Scene, case: Case) -> None:
    assert scene.as_owner("cat notes.md; tail -n 1 home-path.sh") == "draft\n# mine"
    head = (scene.as_owner("git show HEAD:flake.lock") + "\n").encode()
    wanted = scene.lock if case.lock == "old" else lock_after(head, scene.repos)
    assert scene.read_lock() == wanted, "flake.lock is not as it should be"
    changed = {" M home-path.sh", "?? notes.md"} | ({" M flake.lock"} if wanted != head else set())
    status = scene.as_owner("git status --porcelain | sed 's/^/=/'")
    assert {line[1:] for line in status.splitlines()} == changed
    left = f"find .git -name '*.lock' -o -path .git/nixfleet; find . ! -user {scene.host.user}"
    assert scene.as_owner(left) == ""
