"""The gate that new connections pass, and the tries after a refusal."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.config import Limits
from nixfleet_core.host import parse_address
from nixfleet_core.transport import gate as module
from nixfleet_core.transport import ssh as ssh_module
from nixfleet_core.transport.answer import CARRIER_FAILED
from nixfleet_core.transport.gate import Gate
from nixfleet_core.transport.shell import Shell
from nixfleet_core.transport.ssh import PAUSES, Road, Ssh, SshDoor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixfleet_core.transport.gate import Leave

REFUSED = "kex_exchange_identification: Connection closed by remote host"


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class Crowd:
    """Connections that want to pass a gate."""

    gate: Gate
    inside: list[tuple[str, Leave]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def come(self, *jumps: str) -> None:
        self.tasks += [asyncio.create_task(self._enter(jump)) for jump in jumps]

    async def _enter(self, jump: str) -> None:
        self.inside.append((jump, await self.gate.enter(jump)))

    @property
    def jumps(self) -> list[str]:
        return [jump for jump, _ in self.inside]

    async def leave(self, place: int = 0) -> None:
        self.inside.pop(place)[1]()
        await settle()


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(Gate(Limits(connections=5, through_one_jump=2)))


async def test_24_connections_are_set_up_at_once_and_4_through_one_jump() -> None:
    crowd = Crowd(Gate())
    crowd.come(*["jump"] * 5, *[""] * 30)
    await settle()
    assert (len(crowd.inside), crowd.jumps.count("jump")) == (24, 4)


async def test_the_gate_lets_in_so_many_in_their_order(crowd: Crowd) -> None:
    crowd.come(*[""] * 7)
    await settle()
    assert len(crowd.inside) == 5
    await crowd.leave()
    assert len(crowd.inside) == 5
    for _ in range(6):
        await crowd.leave()
    assert all(task.done() for task in crowd.tasks)


async def test_those_who_wait_for_a_jump_keep_nobody_else_waiting(crowd: Crowd) -> None:
    crowd.come("a", "a", "a", "a", "b", "")
    await settle()
    assert crowd.jumps == ["a", "a", "b", ""]
    await crowd.leave(2)
    assert crowd.jumps == ["a", "a", ""]
    await crowd.leave(0)
    assert crowd.jumps == ["a", "", "a"]


async def test_a_place_is_given_back_once(crowd: Crowd) -> None:
    crowd.come(*"aaaa")
    await settle()
    _, leave = crowd.inside[0]
    leave()
    leave()
    await settle()
    assert len(crowd.inside) == 3


async def test_a_host_that_does_not_answer_gives_its_place_to_the_next(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD", 0.01)
    crowd.come(*"aaaaaa")
    async with asyncio.timeout(10):
        await asyncio.gather(*crowd.tasks)
    assert len(crowd.inside) == 6


@pytest.mark.parametrize("when", ["waiting", "just let in"])
async def test_who_gives_up_keeps_no_place(crowd: Crowd, when: str) -> None:
    crowd.come(*"aaa")
    await settle()
    waiting = crowd.tasks[2]
    if when == "just let in":
        crowd.inside.pop()[1]()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    crowd.come(*"aa")
    await settle()
    assert len(crowd.inside) == 2


def test_a_gate_outlives_an_event_loop() -> None:
    gate = Gate(Limits(through_one_jump=1))

    async def use() -> None:
        (await gate.enter("a"))()

    asyncio.run(use())
    asyncio.run(use())


# The door to one host.


@dataclass
class FakeRoad(Road):
    """A road of which a test says what ssh says."""

    ssh: Ssh = field(default_factory=lambda: Ssh(parse_address("h"), Path("/nowhere")))
    says: Mapping[str, str] = field(default_factory=dict)

    async def settings(self) -> Mapping[str, str]:
        return self.says


class WatchedGate(Gate):
    """A gate that remembers who has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    async def enter(self, jump: str = "") -> Leave:
        self.seen.append(jump)
        return await super().enter(jump)


async def passed(road: Road, *, shared: bool = True) -> list[str]:
    """The jumps for which a connection takes a place, behind the place for asking ssh."""
    gate = WatchedGate()
    await SshDoor(road, gate, shared).enter()
    asked, *rest = gate.seen
    assert asked == ""
    return rest


@pytest.mark.parametrize(
    ("says", "jump"),
    [
        ({}, ""),
        ({"proxyjump": "bastion"}, "bastion"),
        ({"proxyjump": "ops@bastion:2222"}, "bastion:2222"),
        ({"proxyjump": "ops@first,second", "proxycommand": "x"}, "first"),
        ({"proxycommand": "ssh -W %h:%p bastion"}, "ssh -W %h:%p bastion"),
        ({"proxycommand": "none"}, ""),
    ],
)
async def test_ssh_says_what_a_connection_goes_through(says: Mapping[str, str], jump: str) -> None:
    assert await passed(FakeRoad(says=says)) == [jump]


async def test_a_shared_connection_that_is_there_needs_no_place(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    road = FakeRoad(says={"controlpath": str(path), "proxyjump": "b"})
    assert await passed(road) == ["b"]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        assert await passed(road) == []
        assert await passed(road, shared=False) == ["b"]


SSH = """#!/bin/sh
case " $* " in *' -G '*) echo asked >>{folder}/asked; echo 'proxyjump b'; exit 0 ;; esac
echo try >>{folder}/tries
if [ "$(wc -l <{folder}/tries)" -le {refusals} ]; then echo '{words}' >&2; exit 255; fi
exec /bin/sh -s
"""


@dataclass
class Way:
    """A shell over an ssh that refuses as often as a test says."""

    folder: Path

    def shell(self, refusals: int, words: str = REFUSED) -> Shell:
        text = SSH.format(folder=self.folder, refusals=refusals, words=words)
        (self.folder / "ssh").write_text(text)
        (self.folder / "ssh").chmod(0o755)
        ssh = Ssh(parse_address("h"), self.folder)
        return ssh_module.ssh_shell("h", Road(ssh), Gate())

    def count(self, what: str) -> int:
        path = self.folder / what
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(ssh_module, "PAUSES", (0.0,) * len(PAUSES))
    return Way(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        REFUSED,
        "kex_exchange_identification: read: Connection reset by peer",
        "ssh_exchange_identification: Connection closed by remote host",
        "Connection closed by UNKNOWN port 65535",
        "Connection reset by 192.0.2.7 port 22",
    ],
)
async def test_a_refused_connection_is_tried_again(way: Way, words: str) -> None:
    answer = await way.shell(len(PAUSES), words).run("echo ran\n", limit=10)
    assert (answer.end, answer.stdout) == ("whole", b"ran\n")
    assert (way.count("tries"), way.count("asked")) == (1 + len(PAUSES), 1)


async def test_it_is_not_tried_for_ever(way: Way) -> None:
    answer = await way.shell(99).run("echo ran\n", limit=10)
    assert (answer.end, answer.rc, answer.stderr) == ("away", CARRIER_FAILED, f"{REFUSED}\n")
    assert way.count("tries") == 1 + len(PAUSES)


@pytest.mark.parametrize(
    "words",
    [
        "ssh: connect to host h port 22: Connection refused",
        "ops@h: Permission denied (publickey).",
        "Host key verification failed.",
        "ssh: Could not resolve hostname h: Name or service not known",
    ],
)
async def test_what_another_try_cannot_cure_is_not_tried_again(way: Way, words: str) -> None:
    assert (await way.shell(99, words).run("echo ran\n", limit=10)).end == "away"
    assert way.count("tries") == 1


async def test_a_script_that_began_is_not_sent_again(way: Way) -> None:
    script = f"echo '{REFUSED}' >&2; kill -9 $$\n"
    answer = await way.shell(0).run(script, limit=10)
    assert answer.end != "whole"
    assert way.count("tries") == 1
