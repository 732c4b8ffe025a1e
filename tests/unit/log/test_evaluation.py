"""Nix's own error and its place, in the words of each version; names near to a wrong one."""

from __future__ import annotations

import pytest

from nixfleet_core.log.evaluation import evaluation_error, nearest_names

# recorded from Nix 2.26.3; 2.34.8 has the path of the checkout in the place of the store's
NEW = """\
error:
       … while calling the 'seq' builtin
         at /nix/store/m2vgpda423glw577rab7i351kys9qws6-source/flake.nix:42:21:
           41|
           42|       nixos = host: builtins.seq (self.rev or (throw "refusing")) {
             |                     ^

       … while calling the 'throw' builtin
         at /nix/store/m2vgpda423glw577rab7i351kys9qws6-source/flake.nix:42:48:
           42|       nixos = host: builtins.seq (self.rev or (throw "refusing")) {

       error: refusing to build from a dirty tree"""
OLD = "error: refusing to build from a dirty tree"
OLD_WITH_A_PLACE = """\
error: undefined variable 'pkgz'

       at /nix/store/m2vgpda423glw577rab7i351kys9qws6-source/hosts/a b.nix:7:3:

            6|   x =
            7|   pkgz
             |   ^"""
ASSERTIONS = """\
error:
       … while calling the 'head' builtin
         at /nix/store/m2vgpda423glw577rab7i351kys9qws6-source/lib/a.nix:1575:11:

       error:
       Failed assertions:
       - The root password is empty.
"""
LAZY = """\
       error: attribute 'nosuch' missing
       at «git+file:///home/ops/nixcfg»/flake.nix:3:5:
            2|"""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (NEW, "refusing to build from a dirty tree (at flake.nix:42:48)"),
        (OLD, "refusing to build from a dirty tree"),
        (OLD_WITH_A_PLACE, "undefined variable 'pkgz' (at hosts/a b.nix:7:3)"),
        (ASSERTIONS, "Failed assertions: - The root password is empty. (at lib/a.nix:1575:11)"),
        (LAZY, "attribute 'nosuch' missing (at flake.nix:3:5)"),
        ("warning: Git tree '/c' is dirty", ""),
        ("error:\n       … while evaluating", ""),
        ("error:", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_last_error_is_shown_with_its_place(said: str, shown: str) -> None:
    assert evaluation_error(said.splitlines()) == shown


def test_the_nearest_names_come_first() -> None:
    names = ("gpc0", "hsb1", "csb1", "csb0", "imac0", "hsb8", "mba-imac-work")
    assert nearest_names(names, "csb00") == "it has csb0, csb1, gpc0, hsb1, hsb8 and 2 more"
    assert nearest_names(("csb0", ""), "x") == "it has csb0"
    assert nearest_names((), "x") == "it has none"
