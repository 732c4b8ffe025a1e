"""What holds for all tests."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from nixfleet_core.session import boundary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# the same examples in each run, and none fails because the machine is busy; that all examples of a
# test share its fixtures is meant
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and not in what stays: it took a quarter of the processor's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


pytest_plugins = ["a_history", "left_out", "passed_before", "pytester"]


@pytest.fixture
def faults(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> list[Exception]:
    """What nobody foresaw and became a host's error. Who asks for it means to cause some."""
    found: list[Exception] = []
    keep = boundary._keep_fault

    def kept(host: str, error: Exception) -> Path:
        found.append(error)
        return keep(host, error)

    folder = tmp_path_factory.getbasetemp()
    monkeypatch.setattr(boundary, "faults_path", lambda: folder / "state" / "errors.log")
    monkeypatch.setattr(boundary, "_seen", set())
    monkeypatch.setattr(boundary, "_keep_fault", kept)
    return found


@pytest.fixture(autouse=True)
def _faults_are_foreseen(request: pytest.FixtureRequest) -> Iterator[None]:
    """The boundary around a host must not hide a fault of the program from its tests."""
    found: list[Exception] = request.getfixturevalue("faults")
    yield
    if found and "faults" not in request.node.fixturenames:
        raise found[0]
