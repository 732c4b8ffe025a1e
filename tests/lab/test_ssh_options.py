"""What people set in ~/.ssh/config for their own sessions breaks nothing of ours or theirs."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from .operator import (
    assert_all_works,
    configured,
    free_port,
    logged_in,
    operator,
    own_ssh,
    reached,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .fleet import Fleet

TMUX = "RequestTTY force\nRemoteCommand tmux new -A -s main"

OPTIONS = {
    "RemoteCommand": TMUX,
    "SessionType none": "SessionType none",
    "SessionType subsystem": "SessionType subsystem",
    "StdinNull": "StdinNull yes",
    "ForkAfterAuthentication": "ForkAfterAuthentication yes",
    "RequestTTY": "RequestTTY force",
    "LocalCommand": "PermitLocalCommand yes\nLocalCommand echo connected; echo connected >&2",
    "SendEnv": "SendEnv LANG LC_*\nSetEnv LC_ALL=xx_XX.UTF-8 LANGUAGE=de",
    "VisualHostKey": "VisualHostKey yes",
    "LogLevel DEBUG": "LogLevel DEBUG3",
    "LogLevel QUIET": "LogLevel QUIET",
    "ForwardX11": "ForwardX11 yes\nForwardAgent yes\nExitOnForwardFailure yes",
    "CanonicalizeHostname": "CanonicalizeHostname always\nMatch final all\n" + TMUX,
    "IgnoreUnknown": "IgnoreUnknown UseKeychain\nUseKeychain yes",
}
"""Each is set for all hosts."""


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_for_the_operators_own_sessions(fresh: Fleet, name: str) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with operator(fresh, f"Host *\n{OPTIONS[name]}", host) as client:
        assert_all_works(client, host)


FORWARDS = {
    "LocalForward": "LocalForward {port} 127.0.0.1:80",
    "DynamicForward": "DynamicForward {port}",
    "RemoteForward": "RemoteForward 22080 127.0.0.1:{port}",
}


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize("name", FORWARDS)
def test_a_forward_belongs_to_the_operators_own_session(
    fresh: Fleet, name: str, first: str
) -> None:
    """With ExitOnForwardFailure, whoever comes second would be refused."""
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    forward = FORWARDS[name].format(port=free_port())
    with operator(fresh, f"Host *\n{forward}\nExitOnForwardFailure yes", host) as client:
        with logged_in(client, host) if first == "theirs" else nullcontext():
            assert_all_works(client, host)
        with logged_in(client, host):
            assert reached(client) == {host.name}


def test_the_operators_own_shared_connection_is_left_alone(fresh: Fleet) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    with operator(fresh, "", host) as plain:
        path = plain.folder / "theirs-%C"
        theirs = f"Host *\nControlMaster auto\nControlPath {path}\nControlPersist yes"
        client = configured(plain, theirs)
        assert subprocess.run([*own_ssh(client, host), "true"], check=False).returncode == 0
        (socket,) = client.folder.glob("theirs-*")
        assert_all_works(client, host)
        assert list(client.folder.glob("theirs-*")) == [socket]
        check = subprocess.run(own_ssh(client, host, "-O", "check"), check=False)
        assert check.returncode == 0
        # ours goes on without theirs
        subprocess.run(own_ssh(client, host, "-O", "exit"), check=True)
        assert reached(client) == {host.name}
        assert list(client.folder.glob("theirs-*")) == []


def test_banners_are_no_answers(fresh: Fleet) -> None:
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    banner = (
        "@nf failed\nnixfleet-probe 1\nNo space left on device\nPermission denied (publickey)\n"
    )
    (host.root / "etc/banner").write_text(banner)
    config = "/etc/ssh/sshd_config.d/banner.conf"
    host.enter(f"echo 'Banner /etc/banner' >{config}; systemctl restart ssh")
    with operator(fresh, "Host *\nLogLevel INFO", host) as client:
        assert_all_works(client, host)


def test_match_exec_runs_once_more_for_each_host_than_connections(fresh: Fleet) -> None:
    """ssh -G is asked once in each run of the program."""
    host = fresh["csb0"]
    with operator(fresh, "", host) as plain:
        runs = plain.folder / "runs"
        ask = f'Match exec "echo told; echo told >&2; echo run >>{runs}"\n{TMUX}\nMatch all'
        client = configured(plain, ask)
        assert reached(client) == {host.name}
        assert runs.read_text().split() == ["run"] * 2


def test_a_jump_with_a_user_and_options_of_its_own(fresh: Fleet) -> None:
    """A jump's ssh gets none of our options. Some of these only harm sessions, and it has none."""
    host, jump = fresh["csb0"], fresh["csb1"]
    fresh.repos.release("2.2.0")
    interactive = (
        f"{TMUX}\nStdinNull yes\nVisualHostKey yes\nLogLevel DEBUG\n"
        f"LocalForward {free_port()} 127.0.0.1:80\nExitOnForwardFailure yes"
    )
    config = f"Host {host.ip}\nProxyJump pw@{jump.ip}\nHost *\n{interactive}"
    with operator(fresh, config, host) as client:
        assert_all_works(client, host)
    said = jump.enter("journalctl -q --no-pager -o cat -t sshd -t sshd-session")
    assert "Accepted publickey for pw" in said


def test_a_jumps_option_that_we_cannot_replace_is_named(fresh: Fleet) -> None:
    """ProxyJump's own ssh gets nothing of our command line."""
    host, jump = fresh["csb0"], fresh["csb1"]
    forward = f"ClearAllForwardings no\nLocalForward {free_port()} 127.0.0.1:80"
    config = f"Host {host.ip}\nProxyJump {jump.ip}\nHost {jump.ip}\n{forward}\nHost *"
    with operator(fresh, config, host) as client, logged_in(client, jump):
        row = json.loads(client.run("hosts", "--json").stdout)
        assert row["state"] == "offline"
        assert f"sets LocalForward for the jump [{jump.ip}]: take it out" in row["why"]


@pytest.mark.parametrize("option", ["ForkAfterAuthentication yes", "LocalCommand echo connected"])
def test_other_options_of_a_jump_break_nothing(fresh: Fleet, option: str) -> None:
    host, jump = fresh["csb0"], fresh["csb1"]
    fresh.repos.release("2.2.0")
    options = f"PermitLocalCommand yes\n{option}"
    config = f"Host {host.ip}\nProxyJump {jump.ip}\nHost {jump.ip}\n{options}\nHost *"
    with operator(fresh, config, host) as client:
        assert_all_works(client, host)


def test_a_host_with_several_names(fresh: Fleet) -> None:
    host = fresh["csb0"]
    names = f"Host one two\nHostName {host.ip}\nHost two\n{TMUX}"
    with operator(fresh, names, host) as client:
        inventory = client.folder / "config/nixfleet/hosts.toml"
        keys = f'checkout = "{host.checkout}"\n'
        inventory.write_text(
            "".join(f'[hosts.{name}]\nssh = "ops@{name}"\n{keys}' for name in ("one", "two"))
        )
        assert reached(client) == {"one", "two"}
        assert client.update("two", "--force")["verdict"] == "current"
        assert client.update("one", "--force")["verdict"] == "current"


def test_a_name_that_ssh_completes(fresh: Fleet, tmp_path: Path) -> None:
    """CanonicalizeHostname with a domain: ssh reads its files again for the whole name."""
    host = fresh["csb0"]
    fresh.repos.release("2.2.0")
    names = tmp_path / "hosts"
    # ssh asks for a whole name with a dot at its end
    names.write_text(f"127.0.0.1 localhost\n{host.ip} csb0.example.invalid csb0.example.invalid.\n")
    config = (
        "CanonicalizeHostname yes\nCanonicalDomains example.invalid\n"
        f"Match canonical host *.example.invalid\nHostKeyAlias {host.ip}\n{TMUX}\nHost csb0\n"
        "HostName csb0\nHost *"
    )
    with operator(fresh, config, host) as client:
        inventory = client.folder / "config/nixfleet/hosts.toml"
        inventory.write_text(inventory.read_text().replace(f"@{host.ip}", "@csb0"))
        client.hosts_file = names
        assert_all_works(client, host)
