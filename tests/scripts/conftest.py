from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_host import SHELLS, FakeHost, Upstream, find_shell, make_upstream

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return make_upstream(tmp_path_factory.mktemp("upstream"))


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Each shell that a host may have."""
    return find_shell(request.param)


@pytest.fixture
def plain_host(tmp_path: Path, shell: tuple[str, ...], upstream: Upstream) -> FakeHost:
    """The same in a folder with a plain name, for what names its paths unquoted, as units do."""
    made = FakeHost(tmp_path / "host", shell, upstream)
    made.root.mkdir()
    made.make()
    return made


@pytest.fixture
def host(tmp_path: Path, shell: tuple[str, ...], upstream: Upstream) -> FakeHost:
    """A host in a folder whose name has everything in it that a path may have but a colon."""
    made = FakeHost(tmp_path / "it's a $(root) é", shell, upstream)
    made.root.mkdir()
    made.make()
    return made
