"""Flakes that refuse a dirty tree, and flakes whose tree is not what git has of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from .host import CHECKOUT
from .test_after import statuses
from .test_proofs import UPDATE_LOCK

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

STATE: Final = (
    "git rev-parse HEAD; git ls-files --stage; git for-each-ref; cksum flake.* .git/index"
)


def in_checkout(host: LabHost, command: str) -> str:
    return host.enter(f"cd {CHECKOUT}; {command}", user="ops")


def revision(host: LabHost) -> str:
    """The commit that the running system names."""
    told = host.enter("/run/current-system/sw/bin/nixos-version --json")
    return str(json.loads(told)["configurationRevision"])


def generations(host: LabHost) -> int:
    return len(host.enter("ls -d /nix/var/nix/profiles/system-*-link").splitlines())


def refs(host: LabHost) -> dict[str, str]:
    """The commits that we keep in the checkout."""
    lines = in_checkout(host, "git for-each-ref --format='%(refname) %(objectname)' refs/nixfleet")
    return dict(line.split() for line in lines.splitlines())


def test_a_flake_that_refuses_a_dirty_tree_is_updated_with_every_nix(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    # without a system's attributes, no look sees whom it refuses: refuse all of the host, too
    flake = (fresh.repos.path("nixcfg") / "flake.nix").read_text()
    strict = 'nixos = host: builtins.seq (self.rev or (throw "refusing")) {'
    flake = flake.replace("nixos = host: {", strict, 1)
    fresh.repos.commit_nixcfg("Refuse dirty trees", strict=True, files={"flake.nix": flake})
    fresh.repos.release("2.2.0")
    in_checkout(host, "git pull -q --ff-only")
    head = in_checkout(host, "git rev-parse HEAD")
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], answer["cause"]) == ("updated", ""), answer
    ref = f"refs/nixfleet/{answer['job']}"
    commit = revision(host)
    assert refs(host) == {ref: commit}
    assert in_checkout(host, f"git rev-parse {commit}^ HEAD") == f"{head}\n{head}"
    assert in_checkout(host, f"git diff --name-only HEAD {commit}") == "flake.lock"
    assert in_checkout(host, f"git diff {commit} -- .") == ""
    assert in_checkout(host, "git status --porcelain") == "M flake.lock"

    # the state has one commit: the same system, for which an older ref is not needed
    count = generations(host)
    again = client.update(host.name, "--force")
    assert again["verdict"] == "current", again
    assert (generations(host), revision(host)) == (count, commit)
    assert refs(host) == {f"refs/nixfleet/{again['job']}": commit}

    before = in_checkout(host, STATE)
    verified = client.run("verify", host.name)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert in_checkout(host, STATE) == before
    assert host.enter("ls -d /tmp/nixfleet.* 2>/dev/null || true") == ""

    shown = client.run("update", host.name, "--dry-run")
    assert "?ref=refs/nixfleet/JOB&rev=<commit of the new lock>" in shown.stdout
    assert "that only this host has" in shown.stdout

    # the branch goes to the commit that was built
    in_checkout(host, "echo mine >mine")
    fresh.repos.release("2.3.0")
    kept = client.update(host.name, "--force", "--commit-lock")
    assert (kept["verdict"], statuses(kept)["commit"]) == ("updated", "ok"), kept
    assert in_checkout(host, "git rev-parse HEAD") == revision(host)
    assert in_checkout(host, "git status --porcelain") == "?? mine"
    count = generations(host)
    again = client.update(host.name, "--force", "--commit-lock")
    assert (again["verdict"], generations(host)) == ("current", count), again
    assert in_checkout(host, "git rev-parse HEAD") == revision(host)
    assert host.enter(f"find {CHECKOUT} -user root") == ""


FILTER: Final = (
    "echo 'step.sh filter=lab' > .git/info/attributes; "
    "git config filter.lab.clean 'grep -v -x \"# in the tree\"'; "
    "git config filter.lab.smudge 'cat; echo \"# in the tree\"'; "
    "rm step.sh; git checkout -q step.sh"
)
ASSUME: Final = (
    "git update-index --assume-unchanged toplevel.sh; echo '# in the tree' >> toplevel.sh"
)


@pytest.mark.parametrize(
    ("makes", "file"), [(FILTER, "step.sh"), (ASSUME, "toplevel.sh")], ids=["filter", "assumed"]
)
def test_what_only_the_tree_has_is_built_as_by_hand_with_every_nix(
    fresh: Fleet, host: LabHost, client: Client, makes: str, file: str
) -> None:
    """A filter, or a file that git does not look at. No commit can stand for such a tree; but Nix
    2.8 takes a commit's files as git archive writes them, through the filters."""
    seen = f"git status --porcelain; tail -n 1 {file}"
    fresh.repos.release("2.2.0")
    in_checkout(host, makes)
    assert in_checkout(host, seen) == "# in the tree"
    in_checkout(host, f"{UPDATE_LOCK}; sudo nixos-rebuild switch --flake .#{host.name}")
    by_hand = (host.enter("readlink -f /run/current-system"), generations(host))
    in_checkout(host, "git checkout -q flake.lock")
    for options in ((), ("--commit-lock",)):
        answer = client.update(host.name, "--force", *options)
        assert answer["verdict"] in ("updated", "current"), answer
        assert (host.enter("readlink -f /run/current-system"), generations(host)) == by_hand
        if (host.name, makes) != ("csb1", FILTER):
            assert refs(host) == {}
    assert in_checkout(host, seen) == "# in the tree"
    assert in_checkout(host, "git log -1 --format=%s").startswith("flake.lock: nixfleet ")
