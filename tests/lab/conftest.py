"""One fleet for all tests of the lab; `fresh` for those that change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .client import Client
from .fleet import HOMES, SUITES, Fleet
from .run import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .host import LabHost


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """The hosts and repositories, for tests that only look."""
    if reason := why_not():
        pytest.exit(f"the lab cannot run: {reason}", returncode=1)
    with Fleet() as fleet:
        yield fleet


@pytest.fixture
def fresh(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """The fleet, to do anything to: reset after the test. If the test uses `host`, only that host
    and the repositories are reset."""
    used = [request.getfixturevalue("name")] if "host" in request.fixturenames else []
    yield fleet
    fleet.reset(*used)


@pytest.fixture(params=SUITES)
def name(request: pytest.FixtureRequest) -> str:
    """Each host's name in turn."""
    return str(request.param)


@pytest.fixture
def host(fleet: Fleet, name: str) -> LabHost:
    """Each host in turn; with `fresh` it may be changed."""
    return fleet[name]


@pytest.fixture(scope="session")
def homes() -> Iterator[Fleet]:
    """The hosts with Home Manager and their own repositories, for tests that only look."""
    if reason := why_not():
        pytest.exit(f"the lab cannot run: {reason}", returncode=1)
    with Fleet(*HOMES) as fleet:
        yield fleet


@pytest.fixture
def fresh_homes(homes: Fleet) -> Iterator[Fleet]:
    """The hosts with Home Manager, to do anything to: reset after the test."""
    yield homes
    homes.reset()


@pytest.fixture(params=HOMES)
def home(homes: Fleet, request: pytest.FixtureRequest) -> LabHost:
    """Each host with Home Manager in turn; with `fresh_homes` it may be changed."""
    return homes[str(request.param)]


@pytest.fixture
def client(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """An operator who knows all hosts and logs in as ops, who has sudo without a password."""
    client = fleet.client(tmp_path_factory.mktemp("op"))
    client.write_inventory(dict.fromkeys(fleet.hosts.values(), "ops"))
    return client
