from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.nix.lock import LOCK_LIMIT, FlakeLock, LockError, Source, parse_lock
from nixfleet_core.nix.version import parse_version

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
        (
            {"type": "github", "owner": "a", "repo": "b"},
            Source(url="https://github.com/a/b", any_kind=True),
        ),
        (
            {"type": "gitlab", "owner": "a", "repo": "b", "host": "git.example.org", "ref": "r"},
            Source(url="https://git.example.org/a/b", ref="r", any_kind=True),
        ),
        (
            {"type": "sourcehut", "owner": "~a", "repo": "b"},
            Source(url="https://git.sr.ht/~a/b", any_kind=True),
        ),
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
    assert found.source.locked == OLD


@pytest.mark.parametrize(
    ("nix", "url", "ref", "read"),
    [
        ("nix (Nix) 2.8.1", "https://h/x", None, ("master", False)),
        ("nix (Nix) 2.8.1", "https://h/x", "main", ("main", False)),
        ("nix (Nix) 2.8.1", "file:///x", None, (None, False)),
        ("nix (Nix) 2.8.1", "/x", None, (None, False)),
        ("nix (Nix) 2.9.0", "https://h/x", None, (None, False)),
        ("nix (Lix, like Nix) 2.93.0", "https://h/x", "v1", ("v1", True)),
        ("nix (Determinate Nix 3.1.0) 2.29.0", "https://h/x", "v1", ("v1", False)),
    ],
)
def test_each_nix_reads_the_ref_of_a_git_input_in_its_own_way(
    nix: str, url: str, ref: str | None, read: tuple[str | None, bool]
) -> None:
    source = Source(url, ref).read_by(parse_version(nix))
    assert (source.ref, source.any_kind) == read
    forge = Source(url, ref, any_kind=True)
    assert forge.read_by(parse_version(nix)) == forge
    assert Source(url, ref).read_by(None) == Source(url, ref)


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


def renumbered() -> tuple[Tree, Tree]:
    """flake.lock before and after an update of nixfleet that gives it an input `systems`. Nix names
    nodes in the order in which it meets them: zeta's own, untouched `systems` gets a new name."""
    before: Tree = {
        "nodes": {
            "root": {"inputs": {"nixfleet": "nixfleet", "nixpkgs": "nixpkgs", "zeta": "zeta"}},
            "nixfleet": node("1" * 40, inputs={"nixpkgs": ["nixpkgs"]}),
            "nixpkgs": node("2" * 40),
            "zeta": node("3" * 40, inputs={"systems": "systems"}),
            "systems": node("4" * 40),
        },
        "root": "root",
        "version": 7,
    }
    after = copy.deepcopy(before)
    moved = node("9" * 40, inputs={"nixpkgs": ["nixpkgs"], "systems": "systems"})
    after["nodes"] |= {"nixfleet": moved, "systems_2": node("4" * 40)}
    after["nodes"]["zeta"]["inputs"]["systems"] = "systems_2"
    return before, after


def test_an_update_that_renames_the_nodes_of_others_changes_only_its_own_input() -> None:
    before, after = map(parse, renumbered())
    assert after.differing_inputs(before) == before.differing_inputs(after) == ("nixfleet",)
    assert after.differs_only_in("nixfleet", before)


def test_another_tree_under_an_old_name_is_a_difference() -> None:
    """The names are those of before, but zeta gets what nixfleet brought."""
    before, after = renumbered()
    after["nodes"]["systems"] = node("5" * 40)
    assert parse(after).differing_inputs(parse(before)) == ("nixfleet",)
    after["nodes"]["zeta"]["inputs"]["systems"] = "systems"
    assert parse(after).differing_inputs(parse(before)) == ("nixfleet", "zeta")


def test_a_follows_that_leads_elsewhere_is_a_difference() -> None:
    other = tree()
    other["nodes"]["nixfleet_2"]["inputs"]["nixpkgs"] = ["other", "nixpkgs"]
    assert parse(tree()).differing_inputs(parse(other)) == ("nixfleet",)


def test_the_order_and_the_spelling_of_fields_are_no_difference() -> None:
    other = tree()
    for one in other["nodes"].values():
        for name in ("locked", "original"):
            one[name] = dict(reversed(one.get(name, {}).items()))
    text = json.dumps(other, indent=1).replace('"git"', '"g\\u0069t"')
    lock = tree()
    lock["nodes"]["root"] |= {"locked": {}, "original": {}}
    assert parse(lock).differing_inputs(parse_lock(text)) == ()


names = st.sampled_from(("a", "b", "c", "d", "e"))
leaves = st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from(("", "x", "1", "true")))


@st.composite
def lock_files(draw: st.DrawFn) -> Tree:
    """A lock file without circles: each node leads only to later ones."""
    count = draw(st.integers(1, 6))
    nodes = {}
    for at in range(count):
        later = [f"n{other}" for other in range(at + 1, count)]
        target = st.lists(names, max_size=2)
        inputs = st.dictionaries(names, st.sampled_from(later) | target if later else target)
        fields = st.dictionaries(st.sampled_from(("rev", "narHash", "ref")), leaves)
        nodes[f"n{at}"] = {
            "inputs": draw(inputs),
            "locked": draw(fields),
            "original": draw(fields),
            **draw(st.dictionaries(st.sampled_from(("flake", "parent", "later")), leaves)),
        }
    return {"nodes": nodes, "root": "n0", "version": 7}


def unfolded(lock: Tree, target: object) -> str:
    """The tree that an input reaches, written out in full."""
    if not isinstance(target, str):
        return json.dumps(["follows", target])
    one = lock["nodes"][target]
    below = {name: unfolded(lock, other) for name, other in one["inputs"].items()}
    return json.dumps({**one, "inputs": below}, sort_keys=True)


def differing(ours: Tree, theirs: Tree) -> tuple[str, ...]:
    trees = [
        {name: unfolded(lock, target) for name, target in lock["nodes"]["n0"]["inputs"].items()}
        for lock in (ours, theirs)
    ]
    return tuple(
        name for name in sorted({*trees[0], *trees[1]}) if trees[0].get(name) != trees[1].get(name)
    )


@given(lock_files(), lock_files())
def test_inputs_differ_if_what_they_reach_differs_as_a_tree(ours: Tree, theirs: Tree) -> None:
    found = parse(ours).differing_inputs(parse(theirs))
    assert found == parse(theirs).differing_inputs(parse(ours)) == differing(ours, theirs)


@given(lock_files(), st.randoms())
def test_the_names_and_the_sharing_of_nodes_are_no_difference(lock: Tree, chance: Any) -> None:
    """Each use of a node gets a copy of its own, or the shared one, under a new name."""
    nodes: Tree = {}

    def renamed(key: str) -> str:
        known = [name for name, (of, _) in nodes.items() if of == key]
        if known and chance.random() < 0.5:
            return str(chance.choice(known))
        new = f"{chance.choice('xyz')}{len(nodes)}"
        nodes[new] = (key, {})
        nodes[new][1].update(lock["nodes"][key])
        nodes[new][1]["inputs"] = {
            name: renamed(target) if isinstance(target, str) else target
            for name, target in lock["nodes"][key]["inputs"].items()
        }
        return new

    root = renamed("n0")
    other = {"nodes": {name: one for name, (_, one) in nodes.items()}, "root": root, "version": 7}
    assert parse(lock).differing_inputs(parse(other)) == ()


@given(lock_files(), st.data())
def test_each_field_that_is_changed_is_a_difference(lock: Tree, data: st.DataObject) -> None:
    changed = copy.deepcopy(lock)
    node = changed["nodes"][data.draw(st.sampled_from(sorted(lock["nodes"])))]
    place = data.draw(st.sampled_from((node, node["locked"], node["original"])))
    place[data.draw(st.sampled_from(("rev", "narHash", "flake", "new")))] = "changed"
    assert parse(lock).differing_inputs(parse(changed)) == differing(lock, changed)


def test_what_leads_into_a_circle_is_the_same_only_under_the_same_names() -> None:
    def circle(first: str, second: str) -> FlakeLock:
        nodes = {
            "root": {"inputs": {"in": "in", "out": "out"}},
            "in": {"inputs": {"x": first}},
            first: {"inputs": {"x": second}},
            second: {"inputs": {"x": first}},
            "out": node(),
        }
        return parse({"nodes": nodes, "root": "root", "version": 7})

    assert circle("a", "b").differing_inputs(circle("a", "b")) == ()
    assert circle("a", "b").differing_inputs(circle("a", "c")) == ("in",)


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
