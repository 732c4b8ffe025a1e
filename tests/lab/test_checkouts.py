"""Checkouts as people have them: a flake in a folder, filters, files of root, odd owners."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost
    from .repos import Repos


def as_ops(host: LabHost, command: str) -> str:
    return host.enter(f"cd {CHECKOUT}; {command}", user="ops")


def move_flake(repos: Repos, host: LabHost, client: Client) -> None:
    """nixcfg is now the folder nix/ of a larger repository."""
    names = repos.git("nixcfg", "ls-files").split()
    (repos.path("nixcfg") / "nix").mkdir()
    repos.git("nixcfg", "mv", *names, "nix/")
    repos.commit("nixcfg", "Move", {"README": "the flake is in nix/\n"})
    as_ops(host, "git pull -q --ff-only")
    client.write_inventory({host: "ops"}, checkout=f"{CHECKOUT}/nix")


def test_a_flake_in_a_folder_is_updated_twice_and_rolled_back(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    move_flake(fresh.repos, host, client)
    fresh.repos.release("2.2.0")
    assert client.update(host.name, "--force")["verdict"] == "updated"
    assert as_ops(host, "git status --short") == "M nix/flake.lock"
    lock = as_ops(host, "cat nix/flake.lock")
    # upstream moves the file too, and the next update finds its own changes
    fresh.repos.commit("nixcfg", "Update all", {"nix/flake.lock": lock + "\n"})
    fresh.repos.release("2.3.0")
    shown = json.loads(client.run("update", host.name, "--dry-run", "--json").stdout)
    warnings = shown["plan"]["warnings"]
    assert any("flake.lock has uncommitted changes (nixfleet)" in text for text in warnings)
    assert not [text for text in warnings if "the rebuild includes" in text]
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], answer["after"]["version"]) == ("updated", "2.3.0")
    answer = json.loads(client.run("rollback", host.name, "--yes", "--json").stdout)
    assert answer["verdict"] == "rolled-back"
    assert host.agent_version() == "2.2.0"
    assert as_ops(host, "cat nix/flake.lock") == lock


def test_a_lock_in_a_folder_is_committed_and_pushed(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    move_flake(fresh.repos, host, client)
    fresh.repos.allow_push("nixcfg")
    fresh.repos.release("2.2.0")
    answer = client.update("csb0", "--force", "--commit-lock", "--push")
    assert answer["verdict"] == "updated"
    assert as_ops(host, "git status --short") == ""
    changed = fresh.repos.git("nixcfg", "show", "--format=%s", "--name-only", "HEAD").split("\n")
    assert (changed[0].partition(":")[0], changed[-1]) == ("flake.lock", "nix/flake.lock")


def spoil_untracked(host: LabHost) -> None:
    as_ops(host, "mkdir nix; cp flake.* nix/")


def spoil_owner(host: LabHost) -> None:
    host.enter(f"cp -a {CHECKOUT} /srv/nix; chown -R 4242:4242 /srv/nix")


def spoil_folder(host: LabHost) -> None:
    """As a service with DynamicUser= has it."""
    host.enter(
        f"mkdir -m 700 /var/lib/private || true; cp -a {CHECKOUT} /var/lib/private/nix; "
        "chmod 700 /var/lib/private; ln -s private/nix /var/lib/nix"
    )


def spoil_config(host: LabHost) -> None:
    as_ops(host, "echo '[' >> .git/config")


REFUSED = {
    "untracked": (spoil_untracked, f"{CHECKOUT}/nix", "does not track"),
    "ownerless": (spoil_owner, "/srv/nix", "whom the host does not know"),
    "closed": (spoil_folder, "/var/lib/nix", "cannot enter it"),
    "broken": (spoil_config, CHECKOUT, "bad config line"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_with_a_checkout_is_said(fresh: Fleet, client: Client, kind: str) -> None:
    host = fresh["csb0"]
    spoil, checkout, words = REFUSED[kind]
    spoil(host)
    client.write_inventory({host: "ops"}, checkout=checkout)
    pid = host.agent_pid()
    answer = client.update("csb0", "--force", code=1)
    assert (answer["verdict"], answer["cause"]) == ("failed", "preflight-checkout"), answer
    assert words in client.run("update", "csb0", "--force", "--dry-run").stdout
    assert host.agent_pid() == pid


def test_a_link_of_root_that_git_ignores_does_not_matter(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.commit("nixcfg", "Ignore results", {".gitignore": "result\n"})
    as_ops(host, "git pull -q --ff-only")
    host.enter(f"ln -s /nix/store {CHECKOUT}/result")
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg()
    assert client.update("csb0", "--force")["verdict"] == "updated"


def test_a_filter_of_the_owners_own_profile_is_used(fresh: Fleet, client: Client) -> None:
    host = fresh["csb0"]
    fresh.repos.commit("nixcfg", "Filter", {".gitattributes": "notes filter=own\n"})
    as_ops(host, "git pull -q --ff-only")
    as_ops(
        host,
        "mkdir -p ~/.nix-profile/bin; cd ~/.nix-profile/bin; "
        "printf '#!/bin/sh\\nsed s/^/plain:/\\n' > own; chmod +x own",
    )
    as_ops(
        host,
        "git config filter.own.required true; git config filter.own.smudge own; "
        "git config filter.own.clean 'sed s/^plain://'",
    )
    fresh.repos.release("2.2.0")
    fresh.repos.commit("nixcfg", "Notes", {"notes": "one\n"})
    assert client.update("csb0", "--force")["verdict"] == "updated"
    assert as_ops(host, "cat notes") == "plain:one"
