"""Links that break, clients that die, and operators who get in each other's way."""

from __future__ import annotations

import signal
from functools import partial
from itertools import cycle
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from ..places import PLACES
from .case import Case
from .faults import kill_client, quickly, silence, strike_at
from .scene import read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Answer, Running
    from .scene import Scene

_AFTER: Final = 15.0
"""Seconds that the client may need once the host has ended and the link is back."""

_TOLD: Final = 15.0
"""The operator is told again what the job waits for within this many seconds."""


def _each_step() -> Iterator[Case]:
    """The host needs no operator: the update goes on without one. SIGHUP and SIGTERM, which detach,
    take turns."""
    for place, detaches in zip(PLACES, cycle((signal.SIGHUP, signal.SIGTERM)), strict=False):
        yield Case(name=f"link silent in {place}", play=quickly(strike_at(place, silence)))
        for number in (signal.SIGKILL, detaches):
            yield Case(
                name=f"client {number.name} in {place}",
                play=strike_at(place, kill_client(number)),
            )


def _silence_30(scene: Scene, running: Running) -> None:
    """With all time limits as they are."""
    begun, before = monotonic(), scene.host.packets_sent()
    scene.host.cut_link()
    running.wait_for("no answer", 15)
    sleep(30 - (monotonic() - begun))
    scene.prove("{} packets vanished in 30 s", scene.host.packets_sent() - before)
    scene.host.restore_link()


def _silence_60(scene: Scene, *, held: bool) -> Answer:
    """Meanwhile the host goes on, or is held in the build until the link is back."""
    host = scene.host
    with scene.update() as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            running.wait_for("▶ Rebuild")
            before, said = host.packets_sent(), len(running.output)
            host.cut_link()
            if not held:
                gate.open()
            quiet = running.watch(60)
            scene.prove("{} packets vanished in 60 s", host.packets_sent() - before)
            host.restore_link()
            back = monotonic()
        scene.await_job()
        ended = monotonic()
        answer = scene.answer(running)
        late = monotonic() - max(back, ended)
    assert late <= _AFTER, f"the client was done {late:.0f} s after link and host"
    told = running.output[said:].split("the job goes on")
    assert quiet <= _TOLD, f"the operator was told nothing for {quiet:.0f} s: {told}"
    assert len(told) > 60 / _TOLD
    return answer


def _reset(scene: Scene, running: Running) -> None:
    """Every connection gets a reset."""
    running.wait_for("▶")
    scene.prove("{} connections reset", scene.host.drop_ssh_connections())
    running.wait_for("the job goes on")


def _two_operators(scene: Scene) -> Answer:
    """One job runs; the other operator can attach to it and see all of it."""
    other = scene.other_operator()
    with scene.update() as first, scene.host.gate("build") as gate:
        gate.wait_reached()
        with scene.update(client=other) as second:
            assert second.wait() == 6, second.output
        gate.open()
        answer = scene.answer(first)
    offered = read_answer(second.output)
    assert (offered["cause"], offered["job"]) == ("busy", answer["job"])
    scene.prove("the second client ended with 6")
    assert scene.attach(other)["after"] == answer["after"]
    return answer


CASES: Final = (
    *_each_step(),
    Case(name="link silent for 30 s in rebuild", play=strike_at("rebuild", _silence_30)),
    Case(
        name="link silent for 60 s, the host ends meanwhile",
        play=partial(_silence_60, held=False),
        seconds=100,
    ),
    Case(
        name="link silent for 60 s, the host ends later",
        play=partial(_silence_60, held=True),
        seconds=100,
    ),
    Case(name="connections reset in rebuild", play=strike_at("rebuild", _reset)),
    Case(name="two operators", play=_two_operators),
)
