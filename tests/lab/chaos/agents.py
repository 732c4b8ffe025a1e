"""Agents that misbehave: an update needs nothing from them, and never calls a stopped one up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ..repos import BASE_VERSION
from .case import Case

if TYPE_CHECKING:
    from ..client import Answer
    from ..repos import Behaviour
    from .scene import Scene

_UNIT: Final = "nixfleet-agent.service"
_DROP_IN: Final = f"/etc/systemd/system/{_UNIT}.d"
_NEWER: Final = "2.3.0"


def _ignores_sigterm(scene: Scene) -> Answer:
    """The agent to be stopped ignores SIGTERM, and systemd would wait for ever."""
    scene.repos.release("2.1.5", "stubborn")
    with scene.update() as first:
        assert scene.answer(first)["after"]["version"] == "2.1.5"
    scene.repos.release(_NEWER)
    _drop_in(scene, "TimeoutStopSec=infinity")
    with scene.update("--limit", "stop=5") as running:
        answer = scene.answer(running)
    scene.prove_journal(_UNIT, "code=killed, status=9/KILL")
    assert "did not stop in time: it is killed" in running.output
    return answer


def _bad_release(scene: Scene, *words: str, behaviour: Behaviour) -> Answer:
    scene.repos.release(_NEWER, behaviour)
    with scene.update(*words) as running:
        answer = scene.answer(running)
    if behaviour == "crash":
        said = scene.host.enter(f"journalctl -q -o cat -u {_UNIT}")
        scene.prove("{} panics in the journal", said.count("panic: no such table"))
        assert "panic: no such table" in running.output
    return answer


def _mute(scene: Scene) -> Answer:
    """The new agent never answers `--version`: its path still proves it."""
    answer = _bad_release(scene, behaviour="mute")
    exe = scene.host.agent_exe()
    said = scene.host.enter(f"timeout 1 {exe} --version || echo $?")
    scene.prove("--version had not answered after 1 s", said == "124")
    return answer


def _unwell(scene: Scene) -> Answer:
    """The agent's own check fails: the verdict tells it, and the proof stands."""
    answer = _bad_release(scene, behaviour="unwell")
    output = scene.runs[-1].output
    scene.prove("{} failure of its own check", output.count("own --check ended with 1; it said:"))
    assert "uid 1000, NIXFLEET_URL=wss://fleet.example.org/ws: no answer" in output
    assert "; but its own --check fails" in output
    assert "note: The agent's own --check said: uid 1000, NIXFLEET_URL=wss://fleet" in output
    return answer


def _wordless(scene: Scene) -> Answer:
    """It knows no `--check` and no `--help`, and starts as a second agent: for a moment only."""
    answer = _bad_release(scene, behaviour="wordless")
    assert "--check" not in scene.runs[-1].output
    exe = scene.host.agent_exe()
    said = scene.host.enter(f"timeout 1 {exe} --check || echo $?")
    scene.prove("asked for --check, it starts", said.endswith("started\n124"))
    return answer


def _taken_back(scene: Scene) -> Answer:
    return _bad_release(scene, "--rollback-on-failure", behaviour="crash")


def _start_limit(scene: Scene) -> Answer:
    """The agent has crashed so often that systemd refuses to start it."""
    _drop_in(scene, "ExecStartPre=/bin/false\nRestartSec=0")
    scene.host.enter(f"systemctl restart {_UNIT} || true")
    scene.host.enter(f"until systemctl is-failed -q {_UNIT}; do sleep 0.1; done")
    scene.prove_journal(_UNIT, "Start request repeated too quickly.")
    scene.host.enter(f"rm -r {_DROP_IN}; systemctl daemon-reload")
    with scene.update() as running:
        return scene.answer(running)


def _drop_in(scene: Scene, lines: str) -> None:
    scene.host.enter(
        f"mkdir {_DROP_IN}; printf '[Service]\\n%s\\n' '{lines}' > {_DROP_IN}/lab.conf; "
        "systemctl daemon-reload"
    )


CASES: Final = (
    Case(name="agent ignores SIGTERM", play=_ignores_sigterm, agent=_NEWER),
    Case(name="new agent's --version hangs", play=_mute, agent=_NEWER),
    Case(name="new agent's --check fails", play=_unwell, agent=_NEWER),
    Case(name="new agent knows no --check", play=_wordless, agent=_NEWER),
    Case(name="agent was in start-limit-hit", play=_start_limit),
    Case(
        name="new agent crash-loops",
        play=partial(_bad_release, behaviour="crash"),
        verdict="agent-down",
        cause="agent-unstable",
        agent=None,
        seconds=90,
    ),
    Case(
        name="new agent crash-loops, with --rollback-on-failure",
        play=_taken_back,
        verdict="rolled-back",
        cause="agent-unstable",
        agent=BASE_VERSION,
        lock="old",
        seconds=120,
    ),
)
