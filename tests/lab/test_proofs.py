"""The list is green only for what was proven: on hosts whose agent has a user of its own, for an
operator who is another one and asks for no root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from .host import CHECKOUT
from .test_claims import UNIT, set_unit

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

PROOFS: Final = "/var/lib/nixfleet/proofs"
UPDATE_LOCK: Final = (
    "nix --extra-experimental-features 'nix-command flakes' flake lock --update-input nixfleet"
)


def row(client: Client, host: LabHost) -> tuple[str, str, bool]:
    """What the list says: the state, why, and whether it was proven once."""
    done = client.run("hosts", host.name, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["state"], told["why"], told["proven_age"] is not None


def forget(client: Client) -> None:
    """The client's own proofs, which leaves those on the host."""
    for kept in client.folder.rglob("proofs.json"):
        kept.unlink()


def update_with_own_user(fresh: Fleet, host: LabHost, client: Client) -> None:
    """The agent has a user of its own, and only the job knows what it runs."""
    set_unit(host, "User=nobody")
    fresh.repos.release("2.2.0")
    client.update(host.name, "--force")
    forget(client)


def in_checkout(host: LabHost, command: str) -> str:
    return host.enter(f"cd {CHECKOUT}; {command}", user=host.user)


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
def test_the_list_is_green_only_for_what_was_proven(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    update_with_own_user(fresh, host, client)
    state, why, _ = row(client, host)
    assert (state, "proven: 2.2.0" in why) == ("current", True), why
    # every other user of the host may know it, too
    told = host.enter(f"cat {PROOFS}/*", user="pw")
    assert "\nbuilds /nix/store/" in told
    assert "://" not in told
    assert host.enter(f"stat -c '%a %U' {PROOFS} {PROOFS}/*") == "755 root\n644 root"

    host.enter(f"systemctl restart {UNIT}")
    assert row(client, host) == ("unproven", "the agent has restarted since the proof", True)
    assert client.run("verify", host.name).returncode == 0
    assert row(client, host)[0] == "current"

    in_checkout(host, "echo '# a second change' >>flake.nix")
    state, why, once = row(client, host)
    assert (state, "uncommitted changes beside flake.lock" in why, once) == ("unproven", True, True)
    assert client.run("verify", host.name).returncode == 0, "it is so, but only at this moment"
    assert row(client, host)[0] == "unproven"
    in_checkout(host, "git checkout -q flake.nix")
    assert row(client, host)[0] == "current"

    fresh.repos.release("2.3.0")
    in_checkout(host, UPDATE_LOCK)
    state, why, _ = row(client, host)
    assert (state, "but the active system was built with" in why) == ("stale", True), why


@pytest.mark.parametrize("name", ["csb0"])
def test_what_others_could_have_written_proves_nothing(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    update_with_own_user(fresh, host, client)
    assert row(client, host)[0] == "current"
    host.enter(f"chmod 777 {PROOFS}")
    assert row(client, host)[0] == "unproven"
    host.enter(f"chmod 755 {PROOFS}; chown nobody {PROOFS}")
    assert row(client, host)[0] == "unproven"


@pytest.mark.parametrize("name", ["csb0"])
def test_a_checkout_of_another_user_is_unproven_without_root(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fresh.repos.release("2.2.0")
    client.update(host.name, "--force")
    client.write_inventory({host: "pw"})
    state, why, _ = row(client, host)
    assert (state, why) == ("unproven", f"the checkout {CHECKOUT} is unreadable")
