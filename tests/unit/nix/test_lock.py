from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.nix.lock import LOCK_LIMIT, FlakeLock, LockError, Source, parse_lock

OLD, NEW = "1" * 40, "2" * 40

Tree = dict[str, Any]


def node(rev: str = OLD, /, *, inputs: Tree | None = None, **original: str) -> Tree:
    original = original or {"type": "git", "url": "https://h/x"}
    return {
        "inputs": inputs or {},
        "locked": {"rev": rev, "lastModified": 1784356753, "narHash": f"sha256-{rev[:4]}="},
        "original": original,
    }


def tree() -> Tree:
    return {
        "nodes": {
            "root": {
                "inputs": {
                    "nixfleet": "nixfleet_2",
                    "nixpkgs": "nixpkgs",
                    "other": "other",
                    "pkgs": ["nixfleet", "nixpkgs"],
                }
            },
            "nixfleet_2": node(inputs={"nixpkgs": ["nixpkgs"], "utils": "utils"}),
            "nixpkgs": node(type="github", owner="nixos", repo="nixpkgs", ref="nixos-unstable"),
            "other": node(inputs={"nixfleet": "nixfleet"}),
            "nixfleet": node(NEW),
            "utils": node(),
        },
        "root": "root",
        "version": 7,
    }


def parse(value: Tree) -> FlakeLock:
    return parse_lock(json.dumps(value))


def test_finds_an_input_under_any_node_name() -> None:
    found = parse(tree()).find("nixfleet")
    assert found is not None
    assert (found.rev, found.follows) == (OLD, ())
    assert found.last_modified == 1784356753
    assert (found.kind, found.source) == ("git", Source(url="https://h/x"))


def test_resolves_follows_of_follows() -> None:
    found = parse(tree()).find("pkgs")
    assert found is not None
    assert (found.kind, found.follows) == ("github", ("nixfleet", "nixpkgs"))


def test_names_are_the_flakes_own_inputs() -> None:
    assert parse(tree()).names() == ("nixfleet", "nixpkgs", "other", "pkgs")


@pytest.mark.parametrize(
    "target",
    [["a"], ["a", "a"], ["b"], ["nixfleet", "nowhere"], ["nowhere"], "nowhere"],
    ids=str,
)
def test_an_input_that_leads_nowhere_is_not_found(target: object) -> None:
    lock = tree()
    lock["nodes"]["root"]["inputs"] |= {"a": target, "b": ["a"]}
    assert parse(lock).find("a") is None
    assert parse(lock).find("no-such") is None


def test_a_maze_of_follows_is_resolved_in_bounded_time() -> None:
    maze: Tree = {f"a{i}": [f"a{i + 1}", f"a{i + 1}"] for i in range(60)} | {"a60": "root"}
    found = parse({"nodes": {"root": {"inputs": maze}}, "root": "root", "version": 7}).find("a0")
    assert found is not None
    assert (found.rev, found.kind) == (None, "unknown")


def test_a_deep_chain_of_nodes_can_be_compared() -> None:
    nodes: Tree = {f"n{i}": {"inputs": {"x": f"n{i + 1}"}} for i in range(5000)}
    lock = parse(
        {"nodes": {"root": {"inputs": {"x": "n0"}}, **nodes}, "root": "root", "version": 7}
    )
    assert lock.differing_inputs(lock) == ()


@pytest.mark.parametrize(
    ("original", "source"),
    [
        (
            {"type": "git", "url": "ssh://git@h/x", "ref": "main"},
            Source(url="ssh://git@h/x", ref="main"),
        ),
        ({"type": "git", "url": "https://h/x", "rev": NEW}, Source(url="https://h/x", pinned=NEW)),
        ({"type": "github", "owner": "a", "repo": "b"}, Source(url="https://github.com/a/b")),
        (
            {"type": "gitlab", "owner": "a", "repo": "b", "host": "git.example.org", "ref": "r"},
            Source(url="https://git.example.org/a/b", ref="r"),
        ),
        ({"type": "sourcehut", "owner": "~a", "repo": "b"}, Source(url="https://git.sr.ht/~a/b")),
        ({"type": "github", "owner": "a"}, Source(url=None)),
        ({"type": "path", "path": "/x"}, Source(url=None)),
        ({"type": "tarball", "url": "https://h/x.tar.gz"}, Source(url=None)),
    ],
)
def test_finds_the_source_that_git_can_ask(original: dict[str, str], source: Source) -> None:
    lock = tree()
    lock["nodes"]["nixfleet_2"]["original"] = original
    found = parse(lock).find("nixfleet")
    assert found is not None
    assert (found.source, found.kind) == (source, original["type"])


def test_fields_of_a_wrong_type_are_missing() -> None:
    lock = tree()
    lock["nodes"]["nixfleet_2"]["locked"] = {"rev": 5, "lastModified": "x", "narHash": None}
    found = parse(lock).find("nixfleet")
    assert found is not None
    assert (found.rev, found.last_modified) == (None, None)


def changed(*path: str, rev: str = NEW) -> FlakeLock:
    lock = copy.deepcopy(tree())
    lock["nodes"][path[0]]["locked"]["rev"] = rev
    return parse(lock)


@pytest.mark.parametrize(
    ("moved", "differing"),
    [
        ("nixfleet_2", ("nixfleet",)),
        ("utils", ("nixfleet",)),
        ("nixpkgs", ("nixpkgs",)),
        ("other", ("other",)),
    ],
)
def test_tells_which_inputs_differ(moved: str, differing: tuple[str, ...]) -> None:
    lock = parse(tree())
    other = changed(moved, rev="3" * 40)
    assert lock.differing_inputs(other) == other.differing_inputs(lock) == differing
    assert lock.differs_only_in("nixfleet", other) is (differing == ("nixfleet",))


def test_a_shared_node_that_moved_changes_both_inputs() -> None:
    lock = tree()
    lock["nodes"]["other"]["inputs"] = {"utils": "utils"}
    moved = copy.deepcopy(lock)
    moved["nodes"]["utils"]["locked"]["rev"] = NEW
    assert parse(lock).differing_inputs(parse(moved)) == ("nixfleet", "other")
    assert not parse(lock).differs_only_in("nixfleet", parse(moved))


def test_an_input_that_came_or_went_differs() -> None:
    fewer = tree()
    del fewer["nodes"]["root"]["inputs"]["other"]
    assert parse(tree()).differing_inputs(parse(fewer)) == ("other",)
    assert parse(tree()).differs_only_in("nixfleet", parse(tree()))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        (json.dumps(tree())[:-40], "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"nodes":{},"root":"root","version":7}', "has no root node 'root'"),
        ('{"nodes":{"root":{"inputs":{"a":5}}},"root":"root","version":7}', "cannot be read"),
        (b'{"nodes":{"\xff":{}},"root":"root","version":7}', "cannot be read"),
        ("\ud800", "cannot be read"),
        ('{"nodes":{"root":{"x":' + "[" * 5000, "cannot be read"),
        (" " * (LOCK_LIMIT + 1), "larger than 1024 KiB"),
    ],
    ids=range(10),
)
def test_a_broken_lock_file_is_an_error(text: str | bytes, says: str) -> None:
    with pytest.raises(LockError, match=says):
        parse_lock(text)


@given(st.integers(0, len(json.dumps(tree())) - 1))
def test_a_lock_file_cut_off_anywhere_is_an_error(size: int) -> None:
    with pytest.raises(LockError):
        parse_lock(json.dumps(tree())[:size])


targets = st.one_of(st.sampled_from("abc"), st.lists(st.sampled_from("abc"), max_size=4))


@given(
    st.dictionaries(
        st.sampled_from(("root", *"abc")), st.dictionaries(st.sampled_from("abc"), targets)
    )
)
def test_any_graph_is_walked_to_an_end(graph: dict[str, dict[str, object]]) -> None:
    nodes = {name: {"inputs": inputs} for name, inputs in graph.items()} | {}
    nodes.setdefault("root", {"inputs": {}})
    lock = parse({"nodes": nodes, "root": "root", "version": 7})
    for name in "abc":
        lock.find(name)
    assert lock.differing_inputs(lock) == ()
