"""A Mac: launchd's sessions, labels and pending starts, and an agent that waits for the network.

/etc/lab-... are the Mac-like host's switches (darwin/launchd): what launchd of that host does.
"""

from __future__ import annotations

import json
import plistlib
import shlex
from functools import partial
from typing import TYPE_CHECKING, Final

from ..places import held
from ..repos import BASE_VERSION
from .case import MAC, Case
from .faults import strike_at
from .scene import JOB_LABEL, Pidfds, command

if TYPE_CHECKING:
    from typing import Literal

    from ..client import Answer, Running
    from .case import Play
    from .faults import Strike
    from .scene import Scene

AGENT: Final = "com.nixfleet.agent"
_NEWER: Final = "2.3.0"


def _set(scene: Scene, *files: str, reboot: bool = False) -> None:
    """Turn on switches of the Mac-like host: a name, or a name and its content."""
    for file in files:
        name, _, content = file.partition("=")
        scene.host.enter(f"echo '{content}' > /etc/lab-{name}")
    if reboot:
        scene.host.reboot()


def _while(file: str) -> Play:
    """An update while launchd behaves like that."""

    def play(scene: Scene) -> Answer:
        _set(scene, file)
        with scene.update() as running:
            answer = scene.answer(running)
        scene.prove(f"/etc/lab-{file} was set")
        return answer

    return play


def _late_label(scene: Scene) -> Answer:
    """The job loads the agent again a moment after it has unloaded it."""

    def strike(scene: Scene, running: Running) -> None:
        _set(scene, "taken-label=4")
        cancel(scene, running)

    answer = strike_at("pull", strike)(scene)
    tries = scene.runs[-1].output.count("Bootstrap failed: 5: Input/output error")
    scene.prove("{} times the label was still taken", tries)
    return answer


def _low_power(scene: Scene) -> Answer:
    """The job is killed, and launchd does not start it again: whoever follows it does."""
    _set(scene, "low-power")
    with scene.update() as running:
        with held(scene.host, scene.repos, running, "update"):
            kill_job(scene)
            shown = scene.launchctl(f"print gui/501/{JOB_LABEL}")
            scene.prove("its start pends", "pended nondemand spawn = inefficient" in shown)
        return scene.answer(running)


def kill_job(scene: Scene, running: Running | None = None) -> None:
    """The guard and the runner, at once."""
    with Pidfds(scene.job_processes()) as job:
        job.kill()
        scene.prove("{} processes killed", job.wait(10))


def _kill_guard(scene: Scene, running: Running) -> None:
    """The guard alone: launchd ends its process group and starts it again."""
    with Pidfds(scene.job_processes(main=True)) as guard:
        guard.kill()
        scene.prove("{} guard killed", guard.wait(10))


def cancel(scene: Scene, running: Running) -> None:
    running.wait_for("▶")  # it follows the job
    scene.client.run("cancel", scene.host.name)
    running.wait_for("cancelling")
    scene.prove("a cancellation was asked for", any(scene.jobs.glob("*/ctl/cancel")))


def _settle(scene: Scene, session: Literal["gui", "user"], *missing: str) -> None:
    """An agent for that domain, loaded there; then domains go missing."""
    scene.repos.commit_nixcfg("Another domain", session=session)
    with scene.update() as first:
        assert scene.answer(first)["verdict"] == "updated"
    scene.repos.release(_NEWER)
    _set(scene, *missing, reboot=True)
    if missing:
        domains = [f"{name.removeprefix('no-')}/501" for name in missing]
        scene.prove(f"without {' and '.join(domains)}")


def _session(scene: Scene, session: Literal["gui", "user"], *missing: str) -> Answer:
    """An update of an agent for that domain, where some domain may be missing."""
    _settle(scene, session, *missing)
    with scene.update() as running:
        answer = scene.answer(running)
    for domain in ("gui", "user"):
        shown = scene.launchctl(f"print {domain}/501/{AGENT}")
        if shown.startswith(f"{domain}/501/"):
            scene.prove(f"the agent is in {domain}/501")
    return answer


def _kill_held_job(scene: Scene, running: Running) -> None:
    """The build is held until the job's end: else it could reach its activation, which is never cut
    off, before launchd has started the job again."""
    kill_job(scene, running)
    scene.await_job()


def _struck_without_gui(strike: Strike) -> Play:
    """The fault strikes the rebuild, and nobody is logged in at the screen."""

    def play(scene: Scene) -> Answer:
        _settle(scene, "user", "no-gui")
        return strike_at("rebuild", strike)(scene)

    return play


def _killed_and_pends(scene: Scene) -> Answer:
    """No start of launchd's own happens without a kickstart."""
    _set(scene, "pends", "low-power")
    return strike_at("rebuild", _kill_held_job)(scene)


def _cancelled_waiting(scene: Scene) -> Answer:
    """A cancellation comes while the new agent waits for the network."""
    _set(scene, "no-network")
    with scene.update() as running:
        running.wait_for("waiting for what starts the agent", 150)
        cancel(scene, running)
        scene.host.enter("rm /etc/lab-no-network")
        return scene.answer(running)


def _another_session(scene: Scene) -> Answer:
    """The new plist is for the other domain."""
    scene.repos.commit_nixcfg("Another domain", session="user")
    with scene.update() as running:
        answer = scene.answer(running)
    shown = scene.launchctl(f"print user/501/{AGENT}")
    scene.prove("the agent is in user/501 now", f"user/501/{AGENT} = {{" in shown)
    return answer


def _waits(scene: Scene) -> Answer:
    """The network that the new agent waits for comes late."""
    _set(scene, "no-network")
    with scene.update() as running:
        running.wait_for("waiting for what starts the agent", 150)
        scene.prove("the job waited for it")
        scene.host.enter("rm /etc/lab-no-network")
        return scene.answer(running)


def _old_one_waits(scene: Scene) -> Answer:
    """The old agent waits for the network when it is stopped."""
    _set(scene, "no-network", reboot=True)
    listed = json.loads(scene.client.run("hosts", scene.host.name, "--json").stdout)
    scene.prove("the list says {}", listed["state"] == "starting" and listed["state"])
    with scene.update() as running:
        with held(scene.host, scene.repos, running, "rebuild"):
            scene.host.enter("rm /etc/lab-no-network")
        return scene.answer(running)


def _stubborn(scene: Scene) -> Answer:
    """The agent to be stopped ignores SIGTERM: launchd kills it, in its own time."""
    scene.repos.release("2.1.5", "stubborn")
    with scene.update() as first:
        assert scene.answer(first)["after"]["version"] == "2.1.5"
    scene.repos.release(_NEWER)
    stubborn = [pid for pid in scene.host.processes() if b"nixfleet-agent-2.1.5" in command(pid)]
    with Pidfds(stubborn) as old:
        with scene.update() as running:
            answer = scene.answer(running)
        scene.prove("{} agent that ignored SIGTERM ended", old.wait(1))
    return answer


def _crashes(scene: Scene) -> Answer:
    scene.repos.release(_NEWER, "crash")
    with scene.update() as running:
        answer = scene.answer(running)
    shown = scene.launchctl(f"print gui/501/{AGENT}")
    scene.prove("launchd's last exit code is 2", "last exit code = 2" in shown)
    return answer


def _another_user(scene: Scene) -> Answer:
    """Another user of the same Mac has an agent of that label, and owns the log files in /tmp."""
    agents = "Library/LaunchAgents"
    scene.host.enter(
        "useradd --uid 502 --gid staff --groups nix-users --base-dir /Users --create-home other; "
        f"mkdir -p ~other/{agents}; cp ~markus/{agents}/{AGENT}.plist ~other/{agents}; "
        "chown -R other /Users/other; cd /tmp; rm -f nixfleet-agent.*; "
        "touch nixfleet-agent.err nixfleet-agent.log; chown other nixfleet-agent.*; "
        "chmod 666 nixfleet-agent.*; systemctl start launchd@502"
    )
    pid = "ps -u other -o pid= -o args= | awk '/nixfleet-agent/ {print $1}'"
    before = scene.host.enter(pid)
    with scene.update() as running:
        answer = scene.answer(running)
    scene.prove("the log belongs to {}", scene.host.enter("stat -c %U /tmp/nixfleet-agent.err"))
    scene.prove(
        "the other user's agent is process {} still", before == scene.host.enter(pid) and before
    )
    scene.host.enter("systemctl stop launchd@502")
    return answer


def _left_job(scene: Scene) -> Answer:
    """A job that was loaded, never started, and whose files are gone."""
    _set(scene, "pends")
    job = "/Users/markus/.local/state/nixfleet/jobs/20260101-000000-0000"
    words = ["/bin/sh", f"{job}/run.sh", "guard"]
    plist = {"Label": JOB_LABEL, "ProgramArguments": words, "RunAtLoad": True}
    text = shlex.quote(plistlib.dumps(plist).decode())
    scene.host.enter(
        f"mkdir -p {job}; printf %s {text} > {job}/job.plist; "
        f"/opt/mac/bin/launchctl bootstrap gui/501 {job}/job.plist; rm -r {job}",
        scene.host.user,
    )
    shown = scene.launchctl(f"print gui/501/{JOB_LABEL}")
    scene.prove("a job without files was loaded", f"path = {job}/job.plist" in shown)
    with scene.update() as running:
        return scene.answer(running)


_mac: Final = partial(Case, host=MAC, seconds=240)  # its stand-ins are slow on a busy machine
_killed: Final = partial(_mac, verdict="interrupted", cause="killed")
_cancelled: Final = partial(_mac, verdict="cancelled", cause="cancelled")
_refused: Final = partial(_mac, verdict="failed", cause="preflight-unit", agent=None, lock="old")

CASES: Final = (
    _mac(name="Mac: starts pend after a bootstrap", play=_while("pends")),
    _cancelled(
        name="Mac: the agent's label frees late",
        play=_late_label,
        agent=BASE_VERSION,
        lock="old",
    ),
    _mac(name="Mac: a loaded job without files", play=_left_job),
    _killed(
        name="Mac: job killed in Low Power Mode",
        play=_low_power,
        agent=BASE_VERSION,
        lock="old",
    ),
    _killed(
        name="Mac: job SIGKILL in rebuild",
        play=strike_at("rebuild", _kill_held_job),
        agent=BASE_VERSION,
    ),
    _killed(
        name="Mac: guard SIGKILL in update",
        play=strike_at("update", _kill_guard),
        agent=BASE_VERSION,
        lock="old",
    ),
    _cancelled(
        name="Mac: cancelled in rebuild",
        play=strike_at("rebuild", cancel),
        agent=BASE_VERSION,
    ),
    _mac(
        name="Mac: an agent for user/501, nobody at the screen",
        play=lambda scene: _session(scene, "user", "no-gui"),
        agent=_NEWER,
    ),
    _killed(
        name="Mac: job SIGKILL in rebuild, nobody at the screen",
        play=_struck_without_gui(_kill_held_job),
    ),
    _cancelled(
        name="Mac: cancelled in rebuild, nobody at the screen",
        play=_struck_without_gui(cancel),
    ),
    _killed(
        name="Mac: job SIGKILL in rebuild, and starts pend",
        play=_killed_and_pends,
        agent=BASE_VERSION,
    ),
    _cancelled(
        name="Mac: cancelled while the new agent waits",
        play=_cancelled_waiting,
    ),
    _mac(
        name="Mac: an agent for user/501, somebody at the screen",
        play=lambda scene: _session(scene, "user"),
        agent=_NEWER,
    ),
    _mac(
        name="Mac: an agent for gui/501, without user/501",
        play=lambda scene: _session(scene, "gui", "no-user"),
        agent=_NEWER,
    ),
    _refused(
        name="Mac: an agent for gui/501, nobody at the screen",
        play=lambda scene: _session(scene, "gui", "no-gui"),
    ),
    _refused(
        name="Mac: no domain at all",
        play=lambda scene: _session(scene, "user", "no-gui", "no-user"),
    ),
    _mac(name="Mac: the new plist is for another domain", play=_another_session),
    _mac(name="Mac: the new agent waits for the network", play=_waits),
    _mac(name="Mac: the network never comes", play=_while("no-network")),
    _mac(name="Mac: the old agent waits for the network", play=_old_one_waits),
    _mac(name="Mac: agent ignores SIGTERM", play=_stubborn, agent=_NEWER),
    _mac(
        name="Mac: new agent crash-loops",
        play=_crashes,
        verdict="agent-down",
        cause="agent-unstable",
        agent=None,
    ),
    _mac(name="Mac: another user's agent of that label, and its log", play=_another_user),
)
