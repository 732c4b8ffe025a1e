"""A row of the app is green only for what was proven, in whatever order answers arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a_host_and_its_proofs import ACTIONS, World
from fakes import JOB, FakeSession
from hypothesis import given, settings
from hypothesis import strategies as st
from seen_hosts import HOST, NEW

from tui.fleet import HostEntry, Seen

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts

actions = st.lists(
    st.one_of(
        st.sampled_from(ACTIONS),
        st.sampled_from(("look", "look", "verify", "update", "job ends")),
    ),
    max_size=16,
)


@settings(max_examples=400, deadline=None)
@given(actions, st.randoms(use_true_random=False))
def test_no_row_is_green_without_a_proof_for_its_state(done: list[str], order: Any) -> None:
    """A look is asked, sees the host a little later, and its answer arrives some time, or never.
    What the app knows of a job's end makes all that was seen before old.
    """
    world, entry = World(), HostEntry(FakeSession(HOST))
    entry.learn_latest(entry.ask(), NEW)
    waiting: list[tuple[int, Facts, str]] = []
    newest, wrong = 0, "nothing was seen"

    def arrive() -> None:
        nonlocal newest, wrong
        asked, facts, why = waiting.pop(order.randrange(len(waiting)))
        entry.learn(asked, Seen(1.0, facts))
        if asked >= newest:
            newest, wrong = asked, why

    for action in (*done, "look"):
        if action == "look":
            waiting.append((entry.ask(), world.look(), world.truth()))
        elif action == "job ends":
            world.do("cancelled")
            entry.learn_end(JOB, None)
            newest, wrong = entry.ask(), "a job has ended since the last look"
        else:
            world.do(action)
        if waiting and order.random() < 0.5:
            arrive()
        found = entry.assessment
        assert found is None or found.state != "current" or not wrong, (wrong, found)
    while waiting:
        arrive()
        found = entry.assessment
        assert found is None or found.state != "current" or not wrong, (wrong, found)
