"""Hosts take their turns."""

from __future__ import annotations

import asyncio

import pytest

from nixfleet_core.session.queue import NotBegun, Queue

HOSTS = ("a", "b", "c", "d")


class Work:
    """Each host's work goes on until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates = {host: asyncio.Event() for host in HOSTS}

    async def __call__(self, host: str) -> str:
        self.begun.append(host)
        await self.gates[host].wait()
        return host.upper()

    async def let_go(self, *hosts: str) -> None:
        for host in hosts:
            self.gates[host].set()
        for _ in range(3):
            await asyncio.sleep(0)


async def begin(queue: Queue, work: Work, bad: str = "") -> asyncio.Task[list[object]]:
    task = asyncio.ensure_future(queue.run(HOSTS, work, lambda result: result in bad))
    for _ in range(2):
        await asyncio.sleep(0)
    return task  # type: ignore[return-value]


@pytest.mark.parametrize(("at_once", "begun"), [(0, "abcd"), (1, "a"), (3, "abc"), (9, "abcd")])
async def test_so_many_begin_at_once_in_their_order(at_once: int, begun: str) -> None:
    work = Work()
    task = await begin(Queue(at_once), work)
    assert "".join(work.begun) == begun
    await work.let_go(*HOSTS)
    assert await task == ["A", "B", "C", "D"]


async def test_the_next_begins_when_one_has_ended() -> None:
    work = Work()
    task = await begin(Queue(2), work)
    await work.let_go("b")
    assert work.begun == ["a", "b", "c"]
    await work.let_go("c", "d")
    assert work.begun == ["a", "b", "c", "d"]
    assert not task.done()
    await work.let_go("a")
    assert await task == ["A", "B", "C", "D"]


async def test_after_a_failure_none_begins_and_those_that_have_begun_go_on() -> None:
    work = Work()
    task = await begin(Queue(2, stop=True), work, bad="AB")
    await work.let_go("b")
    assert not task.done()
    await work.let_go("a")
    assert work.begun == ["a", "b"]
    assert await task == ["A", "B", NotBegun("b"), NotBegun("b")]


async def test_a_failure_stops_nothing_unless_that_is_wanted() -> None:
    work = Work()
    task = await begin(Queue(1), work, bad="ABCD")
    await work.let_go(*HOSTS)
    assert await task == ["A", "B", "C", "D"]


async def test_no_hosts_need_no_turn() -> None:
    assert await Queue(3, stop=True).run((), Work(), bool) == []


async def test_an_error_ends_the_queue() -> None:
    async def fail(host: str) -> str:
        raise ValueError(host)

    with pytest.raises(ValueError, match="a"):
        await Queue(1).run(HOSTS, fail, bool)
