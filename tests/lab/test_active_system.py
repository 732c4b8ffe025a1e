"""The profile names another system than the one that runs: for each reason, on real hosts."""

from __future__ import annotations

import json
import subprocess
from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from nixfleet_core.facts.inhibitors import changed_inhibitors
from nixfleet_core.scripts.compose import part

from .client import QUICK
from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

SWITCH: Final = "bin/switch-to-configuration"
PROFILE: Final = "/nix/var/nix/profiles/system"


def rebuild(host: LabHost, action: str, *words: str) -> None:
    """By hand, as root, from the checkout as upstream has it."""
    host.enter(f"cd {CHECKOUT}; git pull -q --ff-only", user="ops")
    host.enter(
        f"SUDO_UID=1000 /run/current-system/sw/bin/nixos-rebuild {action} --no-reexec "
        f"--flake {CHECKOUT}#{host.name} {' '.join(words)}"
    )


def why(client: Client, host: LabHost) -> tuple[str, str]:
    answer = json.loads(client.run("why", host.name, "--json").stdout)
    return answer["cause"], answer["sentence"]


def real(host: LabHost, path: str) -> str:
    return host.enter(f"readlink -f {path}")


def test_a_specialisation_is_kept_as_long_as_the_flake_has_it(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fresh.repos.commit_nixcfg(specialisation="work")
    rebuild(host, "switch", "--specialisation", "work")
    cause, sentence = why(client, host)
    assert (cause, "is what the flake builds" in sentence) == ("current", True), sentence
    fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], host.agent_version()) == ("updated", "2.2.0")
    assert real(host, "/run/current-system") == real(host, f"{PROFILE}/specialisation/work")
    fresh.repos.commit_nixcfg()
    answer = client.update(host.name, "--force")
    assert (answer["verdict"], real(host, "/run/current-system")) == (
        "updated",
        real(host, PROFILE),
    )
    assert "The host has left its specialisation work" in answer["notes"]


def test_parts_that_nixos_does_not_exchange_wait_for_a_boot(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fresh.repos.commit_nixcfg(inhibitors={"systemd": "258", "dbus": "a"})
    rebuild(host, "switch")
    fresh.repos.release("2.2.0")
    fresh.repos.commit_nixcfg(inhibitors={"systemd": "259", "dbus": "a", "new": "x"})
    answer = client.update(host.name, "--force", code=3)
    assert (answer["verdict"], answer["cause"]) == ("stale", "switch-inhibited")
    cause, sentence = why(client, host)
    assert (cause, sentence.endswith(": systemd changed")) == ("switch-inhibited", True), sentence
    # from now on the flake as it stands says so before the agent stops
    done = client.run("update", host.name, "--force", *QUICK)
    assert "check switch: inhibited; going on" in done.stdout + done.stderr
    # a reboot alone starts the old system again
    host.reboot()
    assert why(client, host)[0] == "switch-inhibited"
    host.enter(f"{PROFILE}/{SWITCH} boot")
    host.reboot()
    assert (why(client, host)[0], host.agent_version()) == ("lock-not-pushed", "2.2.0")


@pytest.mark.parametrize("name", ["gpc0"])
def test_other_tools_and_other_ways_to_switch(fresh: Fleet, host: LabHost, client: Client) -> None:
    system, others = real(host, PROFILE), "/nix/var/nix/profiles/system-profiles"
    # nixos-rebuild boot, with a new agent
    fresh.repos.release("2.2.0")
    fresh.repos.allow_push("nixcfg")
    host.enter(
        f"cd {CHECKOUT}; nix flake update nixfleet; "
        "git -c user.name=ops -c user.email=ops@lab commit -qam lock; git push -q",
        user="ops",
    )
    rebuild(host, "boot")
    cause, sentence = why(client, host)
    assert (cause, "nixos-rebuild boot has staged it" in sentence) == ("switch-incomplete", True)
    # nixos-rebuild --rollback boot: the profile goes back, and the next boot with it
    new = real(host, PROFILE)
    host.enter(f"{PROFILE}/{SWITCH} switch; systemctl restart nixfleet-agent")
    host.enter(f"nix-env -p {PROFILE} --rollback")
    assert real(host, PROFILE) == system
    cause, sentence = why(client, host)
    assert (cause, "generation 2 runs, but the system profile names generation 1" in sentence) == (
        *("other-system", True),
    ), sentence
    # comin: a profile of its own, in a folder that root alone can read
    host.enter(f"mkdir {others}; chmod 0 {others}; nix-env -p {others}/comin --set {new}")
    host.enter(f"rm {PROFILE}-2-link")
    cause, sentence = why(client, host)
    assert (cause, "generation 1 of the profile comin runs" in sentence) == ("other-system", True)
    # nixos-rebuild test
    host.enter(f"rm -r {others}")
    cause, sentence = why(client, host)
    assert (cause, "as after nixos-rebuild test" in sentence) == ("other-system", True), sentence
    # deploy-rs: its wrapper around the system
    host.enter(
        f"mkdir /root/wrapper; cd /root/wrapper; ln -s {new}/* .; touch deploy-rs-activate; "
        f"nix-env -p {PROFILE} --set $(nix-store --add /root/wrapper)"
    )
    assert real(host, PROFILE) != real(host, "/run/current-system")
    cause, sentence = why(client, host)
    assert cause == "current", sentence


TEXTS: Final = (
    '{"a\\"${b}": "258", "dbus": "x"}',
    '{"a\\"${b}": "259", "dbus": "x"}',
    '{"dbus": "y", "new": "z"}',
    "{}",
    f"/nix/store/{'a' * 32}-systemd-258\n/nix/store/{'b' * 32}-dbus",
    f"/nix/store/{'b' * 32}-dbus\n/nix/store/{'a' * 32}-systemd-258",
    f"/nix/store/{'b' * 32}-dbus\n/nix/store/{'c' * 32}-systemd-259",
)


def test_nix_and_the_client_compare_those_parts_alike(fleet: Fleet, host: LabHost) -> None:
    """The host's Nix does before the switch, the client after it."""
    assert fleet[host.name] is host
    pairs = list(product(TEXTS, TEXTS))
    told = [f"(({function_of(old)}) {{ inhibitors = {value_of(new)}; }})" for old, new in pairs]
    (host.root / "tmp/compare.nix").write_text(f"[ {' '.join(told)} ]")
    said = json.loads(host.enter("nix-instantiate --eval --strict --json /tmp/compare.nix"))
    for (old, new), names in zip(pairs, said, strict=True):
        assert set(names.split()) == set(changed_inhibitors(old, new)), (old, new)


def function_of(text: str) -> str:
    """The function that compares an option's value with that text of the running system."""
    script = part("switch") + 'nf_inhibited_words "$1"'
    return subprocess.run(
        ["sh", "-c", script, "sh", text], check=True, capture_output=True, text=True
    ).stdout


def value_of(text: str) -> str:
    """The option's value that NixOS writes so."""
    if text.startswith("{"):
        return f"builtins.fromJSON {json.dumps(text).replace('$', chr(92) + '$')}"
    return "[ " + " ".join(json.dumps(line) for line in text.split("\n")) + " ]"
