"""The words of a process are claims: on hosts with systemd and several users they are not run,
prove nothing and block nobody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from .host import CHECKOUT

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

UNIT: Final = "nixfleet-agent.service"
DROP_IN: Final = f"/etc/systemd/system/{UNIT}.d/lab.conf"
LOOP: Final = "while :; do sleep 1; done"
WRAPPER: Final = f"/nix/store/{'0' * 32}-nixfleet-agent-start"
SCRIPT: Final = f"/nix/store/{'1' * 32}-nixfleet-agent-9.9.9/bin/nixfleet-agent"
one_host = pytest.mark.parametrize("name", ["csb0"])


def set_unit(host: LabHost, lines: str) -> None:
    """Add these lines to the agent's service, and restart it."""
    path = host.root / DROP_IN[1:]
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[Service]\n{lines}\n")
    host.enter(f"systemctl daemon-reload; systemctl restart {UNIT}")


def become(host: LabHost, script: str) -> None:
    """The agent becomes `sh -c SCRIPT`, with its own path and a rebuild's name as arguments. Its
    user is not the operator."""
    set_unit(host, f'User=nobody\nEnvironment="LAB_BECOMES={script}"')
    host.enter(f"until readlink /proc/{host.agent_pid()}/exe | grep -q /dash; do sleep 0.05; done")


def why(client: Client, host: LabHost) -> tuple[str, dict[str, str | None]]:
    done = client.run("why", host.name, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["cause"], answer["evidence"]


def install(host: LabHost, program: str, text: str) -> None:
    """Make that script the installed agent: the unit starts it, and the flake builds it."""
    file = host.root / program[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o555)
    flake = host.root / CHECKOUT[1:] / "flake.nix"
    before = flake.read_text()
    flake.write_text(before.replace('"${agent}/bin/nixfleet-agent"', f'"{program}"'))
    assert flake.read_text() != before
    set_unit(host, f"ExecStart=\nExecStart={program}")


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
def test_no_look_runs_a_path_that_a_process_names(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    evil = "/srv/nix/store/x-nixfleet-agent-9/run"
    host.enter(f"mkdir -p {evil.rpartition('/')[0]} /srv/got; chmod 1777 /srv/got")
    text = f"#!/bin/sh\ncase ${{1:-}} in -*) : >/srv/got/$(id -u); exit;; esac\n{LOOP}\n"
    (host.root / evil[1:]).write_text(text)
    host.enter(f"chmod 755 {evil}; chown -R nobody /srv/nix; sudo -u nobody {evil} --version")
    assert host.enter("ls /srv/got; rm /srv/got/*") == "65534", "it would be seen"
    become(host, f"exec sh {evil}")
    cause, evidence = why(client, host)
    assert (cause, evidence["running_path"]) == ("proof-missing", "/usr/bin/dash")
    assert client.run("verify", host.name).returncode == 3
    client.run("hosts", "--json")
    if host.name == "csb0":
        client.update(host.name, "--force", code=3)
    assert host.enter("ls /srv/got") == ""


@one_host
def test_a_shell_that_names_the_agent_is_not_proven(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    agent = host.agent_exe()
    become(host, LOOP)
    words = host.enter(f"tr '\\0' ' ' </proc/{host.agent_pid()}/cmdline")
    assert words == f"sh -c {LOOP} {agent} nixos-rebuild", "it claims to be the agent"
    cause, evidence = why(client, host)
    assert (cause, evidence["installed_path"]) == ("proof-missing", agent)
    assert evidence["running_proof"] == "none: nothing shows that this is the agent"
    assert client.run("verify", host.name).returncode == 3


@one_host
def test_a_word_does_not_make_the_host_busy(fresh: Fleet, host: LabHost, client: Client) -> None:
    become(host, LOOP)
    fresh.repos.release("2.2.0")
    answer = client.update(host.name, "--force", "--now", code=3)
    steps = {step["id"]: step["status"] for step in answer["steps"]}
    assert set(steps.values()) == {"ok"}, answer
    assert answer["cause"] == "proof-missing"


@one_host
def test_a_rebuild_inside_the_agents_unit_makes_the_host_busy(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    fresh.repos.commit_nixcfg("something to build", lines=4)
    host.enter(f"git -C {CHECKOUT} pull -q --ff-only", "ops")
    path = "/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/bin:/bin"
    rebuild = f"nixos-rebuild switch --flake {CHECKOUT}#csb0"
    with host.gate("build") as gate:
        set_unit(host, f'Environment="LAB_BECOMES={rebuild}" PATH={path}')
        gate.wait_reached()
        answer = client.update(host.name, "--force", "--now", code=1)
    assert answer["cause"] == "preflight-idle"


@one_host
def test_a_file_in_a_namespace_of_its_own_is_not_the_agent(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    agent = host.agent_exe()
    host.enter(f"cp {agent} /srv/evil")
    set_unit(host, f"BindReadOnlyPaths=/srv/evil:{agent}")
    assert host.agent_exe() == agent, "the link alone names the agent"
    cause, evidence = why(client, host)
    assert (cause, evidence["running_path"]) == ("proof-missing", agent)
    assert evidence["running_sha256"] == evidence["installed_sha256"], "the bytes are the same here"


@pytest.mark.parametrize("name", ["csb0", "csb1", "gpc0"])
def test_a_wrapper_in_another_package_is_proven(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    agent = host.agent_exe()
    assert agent is not None
    install(host, WRAPPER, f'#!/bin/sh -e\nexport A=b\nexec "{agent}"  "$@"\n')
    assert host.agent_exe() == agent
    cause, evidence = why(client, host)
    assert cause != "not-restarted", evidence
    assert (evidence["running_path"], evidence["installed_path"]) == (agent, WRAPPER)
    assert evidence["running_proof"] == "the kernel's exe link"
    assert evidence["installed_starts"] == agent.removesuffix("/bin/nixfleet-agent")
    done = client.run("verify", host.name, "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["notes"] == []


@one_host
def test_a_script_is_proven_with_a_note_on_its_weaker_proof(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    install(host, SCRIPT, f"#!/bin/sh\n{LOOP}\n")
    done = client.run("verify", host.name, "--json")
    assert done.returncode == 0, done.stdout
    (note,) = json.loads(done.stdout)["notes"]
    assert note.startswith("The agent is a script, so its proof is weaker.")
    _, evidence = why(client, host)
    assert (evidence["running_path"], evidence["running_version"]) == (SCRIPT, "9.9.9")
    assert "weaker" in (evidence["running_proof"] or "")
