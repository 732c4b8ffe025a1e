"""The name of a checkout's state: two states of one name are one source to Nix."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import AGENTS, FakeHost, git
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_probe_script import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixfleet_core.facts.model import Checkout


def seen(host: FakeHost, **values: str) -> Checkout:
    found = probe(host, **values).checkout
    assert found is not None
    return found


def commit(host: FakeHost, name: str, text: str, message: str = "m") -> None:
    path = host.checkout / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    git(host.checkout, "add", "--", name)
    git(host.checkout, "commit", "-qm", message)


def test_a_clean_checkout_is_named_by_its_tree_and_its_lock(host: FakeHost) -> None:
    found = seen(host)
    assert (found.unnamed, found.folder) == (None, "")
    tree = git(host.checkout, "rev-parse", "HEAD^{tree}")
    assert found.source == f"{tree}-{git(host.checkout, 'rev-parse', 'HEAD:flake.lock')}"


def test_the_name_follows_the_lock_and_the_tree_and_nothing_else(host: FakeHost) -> None:
    first = seen(host).source
    (host.checkout / "untracked").write_text("x")
    git(host.checkout, "commit", "-q", "--allow-empty", "-m", "another message")
    assert seen(host).source == first
    host.lock.write_text(host.lock.read_text() + "\n")
    moved = seen(host)
    assert (moved.unnamed, moved.dirty) == (None, ("flake.lock", "untracked"))
    assert moved.source not in (None, first)
    git(host.checkout, "add", "flake.lock")
    assert seen(host).source == moved.source, "staged or not: Nix reads the same file"
    git(host.checkout, "reset", "-q", "--hard")
    assert seen(host).source == first
    commit(host, "module.nix", "{ }")
    assert seen(host).source not in (None, first, moved.source)


def edit(host: FakeHost) -> None:
    (host.checkout / "flake.nix").write_text("changed")


def edit_with_the_lock(host: FakeHost) -> None:
    host.lock.write_text(host.lock.read_text() + "\n")
    edit(host)


def intend_to_add(host: FakeHost) -> None:
    (host.checkout / "new.nix").write_text("{ }")
    git(host.checkout, "add", "--intent-to-add", "new.nix")


def edit_unseen(host: FakeHost) -> None:
    git(host.checkout, "update-index", "--assume-unchanged", "flake.nix")
    edit(host)


def skip(host: FakeHost) -> None:
    git(host.checkout, "update-index", "--skip-worktree", "flake.nix")


def filtered(host: FakeHost) -> None:
    commit(host, ".gitattributes", "*.secret filter=git-crypt\n")
    commit(host, "a.secret", "x")


def filtered_outside_of_the_repository(host: FakeHost) -> None:
    (host.checkout / ".git/info/attributes").write_text("flake.nix filter=lfs\n")


def filter_of_an_odd_name(host: FakeHost) -> None:
    commit(host, ".gitattributes", "flake.nix filter=unset\n")
    git(host.checkout, "config", "filter.unset.smudge", "tr a b")


def expanded(host: FakeHost) -> None:
    commit(host, ".gitattributes", "flake.nix export-subst\n")


def other_line_ends(host: FakeHost) -> None:
    git(host.checkout, "config", "core.autocrlf", "true")


def rights_unseen(host: FakeHost) -> None:
    git(host.checkout, "config", "core.fileMode", "false")
    (host.checkout / "flake.nix").chmod(0o755)


def with_submodule(host: FakeHost) -> None:
    head = git(host.checkout, "rev-parse", "HEAD")
    git(host.checkout, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(host.checkout, "commit", "-qm", "a submodule")
    (host.checkout / "sub").mkdir()


def without_lock(host: FakeHost) -> None:
    git(host.checkout, "rm", "-q", "flake.lock")
    git(host.checkout, "commit", "-qm", "no lock")


def renamed(host: FakeHost) -> None:
    git(host.checkout, "mv", "flake.nix", "other.nix")


def run_the_lock(host: FakeHost) -> None:
    host.lock.chmod(0o755)


def turn_around(path: Path) -> None:
    """Put another file of the same size and time there."""
    before, new = path.stat(), path.with_name(".new")
    new.write_bytes(path.read_bytes()[::-1])
    new.chmod(before.st_mode)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)


def edit_behind_gits_back(host: FakeHost) -> None:
    """The same size and time: with these settings git does not look at more."""
    git(host.checkout, "config", "core.checkStat", "minimal")
    git(host.checkout, "config", "core.trustctime", "false")
    git(host.checkout, "update-index", "--refresh")
    turn_around(host.checkout / "flake.nix")


def replace_an_object(host: FakeHost) -> None:
    old = git(host.checkout, "rev-parse", "HEAD:flake.nix")
    edit(host)
    new = git(host.checkout, "hash-object", "-w", "flake.nix")
    git(host.checkout, "replace", old, new)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (edit, "changes"),
        (edit_with_the_lock, "changes"),
        (intend_to_add, "changes"),
        (renamed, "changes"),
        (run_the_lock, "changes"),
        (edit_behind_gits_back, "changes"),
        (replace_an_object, "changes"),
        (edit_unseen, "hidden"),
        (skip, "hidden"),
        (filtered, "filter"),
        (filtered_outside_of_the_repository, "filter"),
        (filter_of_an_odd_name, "filter"),
        (expanded, "filter"),
        (other_line_ends, "filter"),
        (rights_unseen, "filter"),
        (with_submodule, "submodule"),
        (without_lock, "lock"),
    ],
)
def test_a_state_that_hides_something_has_no_name(
    host: FakeHost, change: Callable[[FakeHost], None], why: str
) -> None:
    assert seen(host).source is not None
    change(host)
    found = seen(host)
    assert (found.state, found.source, found.unnamed) == ("ok", None, why)


def test_attributes_that_change_no_file_leave_the_name(host: FakeHost) -> None:
    commit(host, ".gitattributes", "* text=auto\n*.png binary\n*.nix diff -filter eol=lf\n")
    assert seen(host).source is not None


def test_the_flake_lies_in_a_folder_of_the_repository(host: FakeHost) -> None:
    git(host.checkout, "mv", "flake.nix", "flake.lock", "-k", ".")
    for name in ("flake.nix", "flake.lock"):
        commit(host, f"nix/{name}", (host.checkout / name).read_text())
    inner = seen(host, NF_CHECKOUT="/home/ops/nixcfg/nix")
    assert (inner.state, inner.unnamed, inner.folder) == ("ok", None, "nix/")
    edit(host)
    assert seen(host, NF_CHECKOUT="/home/ops/nixcfg/nix").unnamed == "changes"


NAMES: Final = ("flake.nix", "flake.lock", "a.nix", "d/b.nix")
EDITS: Final = (
    *("edit", "same size", "run", "delete", "add", "intend", "assume", "skip", "commit", "reset"),
    *("attribute", "touch", "stash", "amend"),
)


def change(folder: Path, name: str, what: str, text: str) -> None:
    """One edit as people make them; what git refuses changes nothing."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    words: dict[str, tuple[str, ...]] = {
        "add": ("add", "--", name),
        "intend": ("add", "--intent-to-add", "--", name),
        "assume": ("update-index", "--assume-unchanged", "--", name),
        "skip": ("update-index", "--skip-worktree", "--", name),
        "commit": ("commit", "-qam", "m"),
        "amend": ("commit", "-q", "--amend", "--allow-empty", "-m", text),
        "reset": ("reset", "-q", "--hard", "HEAD~1"),
        "stash": ("stash", "-q"),
    }
    match what:
        case "edit":
            path.write_text(text)
        case "same size" if path.is_file():
            turn_around(path)
        case "run" if path.is_file():
            path.chmod(path.stat().st_mode ^ 0o111)
        case "touch" if path.is_file():
            path.touch()
        case "delete":
            path.unlink(missing_ok=True)
        case "attribute":
            (folder / ".gitattributes").write_text(f"*.nix {text}\n")
    if what in words:
        subprocess.run(["git", *words[what]], cwd=folder, capture_output=True, check=False)


def source(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """What Nix reads of a checkout: the files that git tracks, as they lie there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True
    ).stdout.decode()
    files = (folder / name for name in listed.split("\0") if name)
    return {
        str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK))
        for path in files
        if path.is_file()
    }


one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

edits = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(EDITS),
        st.sampled_from(("x", "yy", "filter=lfs", "-text", "export-subst")),
    ),
    max_size=6,
)


@one_shell
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories=st.lists(edits, min_size=2, max_size=4))
def test_one_name_is_one_source(
    host: FakeHost, histories: list[list[tuple[str, str, str]]]
) -> None:
    """Whatever people do to a checkout: if its state has a name again, Nix reads the same again."""
    sources: dict[str, dict[str, tuple[bytes, bool]]] = {}
    first = host.root / "first"
    if not first.exists():
        shutil.copytree(host.checkout, first)
    shutil.rmtree(host.checkout)
    shutil.copytree(first, host.checkout)
    for history in histories:
        for name, what, text in history:
            change(host.checkout, name, what, text)
        found = seen(host)
        if found.source is not None:
            assert sources.setdefault(found.source, source(host.checkout)) == source(host.checkout)


@pytest.mark.parametrize("name", ["flake.lock", "flake.nix"])
def test_a_state_that_changes_during_the_evaluation_is_not_proven(
    host: FakeHost, name: str
) -> None:
    """Nobody knows which of the two states builds that."""
    host.set("expected", f"@{AGENTS['1.0']} agent --serve")
    path = quote(str(host.checkout / name))
    host.on("nix", f'case "$*" in *eval*) echo >>{path} ;; esac; default "$@"')
    facts = probe(host, NF_DEEP="1", NF_ATTRIBUTE="h")
    assert facts.expected is not None
    assert facts.checkout is not None
    assert (facts.checkout.source, facts.checkout.unnamed) == (None, "changes")
    assert facts.proof is not None
    assert (facts.proof.builds, facts.proof.source) == (AGENTS["1.0"], "")


def test_a_proof_says_what_was_seen_and_by_whom(host: FakeHost) -> None:
    host.set("expected", f"@{AGENTS['1.0']} agent --serve")
    facts = probe(host, NF_DEEP="1", NF_ATTRIBUTE="h", NF_CHOSEN="1")
    assert facts.checkout is not None
    assert facts.proof is not None
    assert facts.unit is not None
    assert (facts.proof.source, facts.proof.builds) == (facts.checkout.source, AGENTS["1.0"])
    assert (facts.proof.running, facts.proof.kind) == (AGENTS["1.0"], "exe")
    assert (facts.proof.pid, facts.proof.began) == (4001, facts.unit.began)
    assert (facts.proof.attribute, facts.proof.chosen, facts.proof.fails) == ("h", True, False)
    assert facts.proof.system == facts.system.current
    assert facts.proof.by
