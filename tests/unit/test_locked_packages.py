"""requirements/: only packages that stand there are installed, each with its hash."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
DATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())
EXTRAS = DATA["project"]["optional-dependencies"]
RUN = [*DATA["project"]["dependencies"], *DATA["build-system"]["requires"]]
FILES = ["run", "dev", "lock"]
WHEEL = "x-1.0-py3-none-any.whl"


def text(name: str) -> str:
    return (PROJECT / f"requirements/{name}.txt").read_text()


def pinned(name: str) -> dict[str, str]:
    """The packages of a file, with their versions."""
    found: dict[str, str] = {}
    for line in text(name).splitlines():
        if "==" in line:
            requirement = Requirement(line.removesuffix("\\"))
            [version] = requirement.specifier
            found[canonicalize_name(requirement.name)] = version.version
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_package_has_one_version_and_hashes(name: str) -> None:
    comment, wheels, blank, *rest = text(name).splitlines()
    assert (comment[0], wheels, blank) == ("#", "--only-binary :all:", "")
    entry = r"[a-z0-9-]+==[\w.]+( ; [^\\\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+"
    assert re.fullmatch(f"({entry})+", "\n".join(rest) + "\n")


@pytest.mark.parametrize(
    ("name", "wanted"), [("run", RUN), ("dev", [*RUN, *EXTRAS["dev"]]), ("lock", EXTRAS["lock"])]
)
def test_pinned_versions_match_the_projects_requirements(name: str, wanted: list[str]) -> None:
    versions = pinned(name)
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])
        if requirement.name == "setuptools":
            assert "<" in str(requirement.specifier), "what builds the program has a bound"


def test_nix_brings_the_textual_that_pip_installs() -> None:
    package = (PROJECT / "nix/package.nix").read_text()
    version = re.search(r'version = "(8[0-9.]+)"', package)
    sri = re.search(r'hash = "sha256-(\S+)"', package)
    assert version
    assert sri
    assert version[1] == pinned("run")["textual"]
    assert f"--hash=sha256:{base64.b64decode(sri[1]).hex()}" in text("run")


def test_the_program_is_tested_with_its_own_packages() -> None:
    assert pinned("run").items() <= pinned("dev").items()


def test_no_registry_is_named() -> None:
    for file in [*(PROJECT / "requirements").iterdir(), PROJECT / "Makefile"]:
        if file.is_file():
            assert not re.search(r"https?:|--(extra-)?index-url |--find-links", file.read_text())


def test_pip_refuses_a_package_with_another_hash(tmp_path: Path) -> None:
    """With pip's arguments from the Makefile: --require-hashes stands in its command."""
    makefile = (PROJECT / "Makefile").read_text()
    assert makefile.count("pip --") == 1
    calls = re.findall(r"\$\(PIP\) (.*)", makefile)
    for call in calls:
        assert "--require-hashes" in call or "--no-deps --no-build-isolation --editable ." in call
    (tmp_path / WHEEL).write_bytes(b"PK")
    (tmp_path / "r.txt").write_text(f"x==1.0 --hash=sha256:{'0' * 64}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--require-hashes",
         "--find-links", str(tmp_path), "--requirement", str(tmp_path / "r.txt")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
