from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import SHELLS, FakeHost, Upstream, make_upstream
from left_out import need, only_first

from nixfleet_core.sandbox.layout import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _ps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every host has ps; if this machine has none, the sandbox's stands in for it."""
    if shutil.which("ps"):
        yield
        return
    stand_in = tmp_path_factory.mktemp("bin") / "ps"
    stand_in.write_text(f"#!/bin/sh\n{(TOOLS / 'ps.sh').read_text()}")
    stand_in.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(stand_in.parent), prepend=":")
        yield


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return make_upstream(tmp_path_factory.mktemp("upstream"))


_RARE: Final = frozenset({"mksh", "zsh"})
"""Shells that few hosts have as /bin/sh. They run the tests of whole jobs and of the language."""
_WITH_RARE: Final = frozenset({"test_runner", "test_records", "test_quoting", "test_cut_off"})


def _names(given: str | Sequence[str]) -> Sequence[str]:
    """The names that a mark gives its parameters."""
    return given.split(",") if isinstance(given, str) else given


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with each shell that a host may have, unless it names its shells."""
    marks = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    own = {name.strip() for names in marks for name in _names(names)}
    own |= set(vars(metafunc.module)) & {"shell"}  # a fixture of the module's own
    if "shell" not in metafunc.fixturenames or "shell" in own:
        return
    rare = metafunc.module.__name__ in _WITH_RARE
    shells = [name for name in SHELLS if rare or name not in _RARE]
    metafunc.parametrize("shell", shells, indirect=True)


@pytest.fixture
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Each shell that a host may have."""
    name: str = request.param
    only_first(request, name, SHELLS)
    need(request, name)
    return SHELLS[name]


@pytest.fixture
def plain_host(tmp_path: Path, shell: tuple[str, ...], upstream: Upstream) -> FakeHost:
    """The same in a folder with a plain name, for files that name paths unquoted, as units do."""
    made = FakeHost(tmp_path / "host", shell, upstream)
    made.root.mkdir()
    made.make()
    return made


@pytest.fixture
def host(tmp_path: Path, shell: tuple[str, ...], upstream: Upstream) -> FakeHost:
    """A host in a folder whose name has every character that a path may have, except a colon."""
    made = FakeHost(tmp_path / "it's a $(root) é", shell, upstream)
    made.root.mkdir()
    made.make()
    return made
