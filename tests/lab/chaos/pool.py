"""Plays cases, several at a time: each bench is a lab of its own, with one host."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..fleet import SUITES
from .case import MAC, Row
from .checks import check
from .scene import Bench

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .case import Case


class Pool:
    """Plays the cases; `outcomes` has each one's row, or its failure.

    Each kind of host has two benches, which begin at both ends: the longest cases only wait. The
    Mac has one.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._pending = sorted(cases, key=lambda case: -case.seconds)
        self._lock = threading.Lock()
        self.outcomes: Final[dict[str, Future[Row]]] = {
            case.name: Future() for case in self._pending
        }
        benches = [(name, step) for step in (1, -1) for name in SUITES]
        self._threads = [
            threading.Thread(target=self._work, args=bench) for bench in (*benches, (MAC, 1))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let the running cases end, and start no more."""
        with self._lock:
            self._pending.clear()
        for thread in self._threads:
            thread.join()

    def _work(self, name: str, step: int) -> None:
        with ExitStack() as stack:
            bench: Bench | None = None
            for case in self._cases_for(name, step):
                outcome = self.outcomes[case.name]
                try:
                    if bench is None:
                        bench = Bench(name)
                        stack.callback(bench.close)
                    outcome.set_result(play(case, bench))
                except BaseException as error:
                    outcome.set_exception(error)

    def _cases_for(self, name: str, step: int) -> Iterator[Case]:
        """The next case from the front of the rest, or from its back."""
        while True:
            with self._lock:
                left = self._pending[::step]
                found = next((case for case in left if case.fits(name)), None)
                if found is None:
                    return
                self._pending.remove(found)
            yield found


def play(case: Case, bench: Bench) -> Row:
    """Play one case and make all checks. A failure has the output of everyone."""
    scene = bench.scene()
    begun = monotonic()
    try:
        answer = case.play(scene)
        seconds = monotonic() - begun
        check(scene, case, answer, seconds)
    except BaseException as error:
        error.add_note(f"on {bench.name}\n{scene.describe()}")
        raise
    finally:
        scene.close()
    return Row(
        case=case.name,
        proof="; ".join(scene.proof),
        verdict=answer["verdict"] or "",
        cause=answer["cause"],
        agent=case.agent or "down",
        host=bench.name,
        seconds=seconds,
    )
