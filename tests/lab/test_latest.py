"""The latest commit is the one that this host's Nix locks, whatever the input's ref is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .inputs import take_from

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost


def test_a_git_input_at_an_annotated_tag_is_updated(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    """Nix before 2.34 locks the tag's own object, later ones its commit."""
    repos = fresh.repos

    def tag() -> str:
        repos.git("nixfleet", "tag", "--force", "--annotate", "--message=moved", "stable")
        return repos.git("nixfleet", "rev-parse", "stable")

    tag()
    url = f"git+{repos.url('nixfleet')}?ref=refs/tags/stable"
    take_from(fresh, host, url)
    commit = repos.release("2.2.0")
    named = tag()
    if host.name == "gpc0":
        named = commit
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], host.agent_version()) == ("updated", "2.2.0")
    assert answer["after"]["commit"] == named
    assert client.update(host.name)["verdict"] == "current"


def test_a_git_input_without_a_ref_is_at_the_branch_that_this_nix_takes(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    """That is master before 2.9, and later what the repository's HEAD names, here main."""
    repos = fresh.repos
    try:
        repos.git("nixfleet", "branch", "--force", "master")
        take_from(fresh, host, f"git+{repos.url('nixfleet')}")
        master = repos.release("2.2.0")
        repos.git("nixfleet", "branch", "--force", "master")
        main = repos.release("2.3.0")
        answer = client.update(host.name, "--force")
        wanted = ("2.2.0", master) if host.name == "csb1" else ("2.3.0", main)
        assert answer["verdict"] == "updated"
        assert (host.agent_version(), answer["after"]["commit"]) == wanted
        assert client.update(host.name)["verdict"] == "current"
    finally:
        repos.git("nixfleet", "branch", "--delete", "--force", "master")
