"""What keeps the real ssh from a host has advice of its own, which holds."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from .operator import operator, states

if TYPE_CHECKING:
    from pathlib import Path

    from .fleet import Fleet

CASES: Final = {
    "closed port": ("Port 9", "nothing listens on that port"),
    "no name": ("HostName nosuch.invalid", "no name server knows it"),
    "no unknown keys": ("UserKnownHostsFile /dev/null", "takes no unknown key"),
    "no key": ("PubkeyAuthentication no", "nixfleet connect csb0 asks for"),
}
UNKNOWN: Final = "StrictHostKeyChecking ask\nBatchMode no"


@pytest.mark.parametrize(("config", "advice"), CASES.values(), ids=CASES)
def test_what_keeps_ssh_from_a_host_has_its_own_advice(
    fleet: Fleet, config: str, advice: str
) -> None:
    with operator(fleet, f"Host *\n{config}", host := fleet["csb0"]) as client:
        done = client.run("verify", host.name, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["cause"]) == (5, "unreachable")
    assert advice in answer["advice"]
    assert ("nixfleet connect" in answer["advice"]) == ("connect" in advice)


def test_connect_shows_an_unknown_key_and_takes_it(fleet: Fleet, tmp_path: Path) -> None:
    known, host = tmp_path / "known", fleet["csb0"]
    config = f"Host *\nUserKnownHostsFile {known}\n{UNKNOWN}"
    with operator(fleet, config, host) as client:
        said = client.run("hosts", host.name).stdout
        assert "does not know its key: nixfleet connect csb0 shows it" in said
        with client.at_terminal("connect", host.name) as running:
            running.wait_for("Are you sure you want to continue connecting")
            running.type("yes\n")
            assert running.wait() == 0, running.output
        assert states(client) != {host.name: "offline"}
    assert known.read_text().startswith(host.ip)


def test_a_changed_key_is_taken_out_by_the_command_that_is_told(
    fleet: Fleet, tmp_path: Path
) -> None:
    known, host = tmp_path / "known hosts", fleet["csb0"]
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    known.write_text(f"{host.ip} {key.with_suffix('.pub').read_text()}")
    with operator(fleet, f'Host *\nUserKnownHostsFile "{known}"\n{UNKNOWN}', host) as client:
        answer = json.loads(client.run("verify", host.name, "--json").stdout)
        command = f"ssh-keygen -f '{known}' -R {host.ip}"
        assert command in answer["advice"]
        assert "nixfleet connect" not in answer["advice"]
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        answer = json.loads(client.run("verify", host.name, "--json").stdout)
        assert "does not know its key: nixfleet connect csb0" in answer["advice"]
