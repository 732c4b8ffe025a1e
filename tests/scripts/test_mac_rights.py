"""What macOS keeps from a job, though not from ssh: it is named, and not tried again."""

from __future__ import annotations

import pytest
from fake_host import CHECKOUT, DARWIN, FakeHost

from nixfleet_core.job.events import Check, Retry
from nixfleet_core.log.failure_table import LAN_DENIED
from nixfleet_core.log.failures import find_failure

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

NO_ROUTE = "ssh: connect to host %s port 22: No route to host"


def put_on_a_mac(host: FakeHost, macos: str = "15.6.1") -> None:
    host.on("uname", DARWIN)
    host.on("sw_vers", f"echo {macos}")


def failed_check(host: FakeHost) -> tuple[str, str]:
    (found,) = (e for e in host.events if isinstance(e, Check) and not e.ok)
    return found.check, found.reason


def pull(host: FakeHost, remote: str) -> int:
    """Run a job whose pull does not reach the remote; return how often it was tried again."""
    host.run_job(host.plan(lines={"pull": ("sh", "-c", f"echo '{NO_ROUTE % remote}'; exit 1")}))
    assert host.steps["pull"] == "failed"
    return sum(isinstance(event, Retry) for event in host.events)


def test_a_mac_does_not_try_a_host_of_its_network_again(host: FakeHost) -> None:
    put_on_a_mac(host)
    assert pull(host, "192.168.1.5") == 0
    assert host.log.count(LAN_DENIED) == 1
    failure = find_failure(host.log.splitlines())
    assert failure is not None
    assert (failure.cause, "Local Network" in failure.advice) == ("lan-denied", True)


@one_shell
@pytest.mark.parametrize(
    ("macos", "remote"), [("", "192.168.1.5"), ("14.7", "192.168.1.5"), ("15.6.1", "github.com")]
)
def test_any_other_host_is_tried_again(host: FakeHost, macos: str, remote: str) -> None:
    if macos:
        put_on_a_mac(host, macos)
    assert pull(host, remote) == 2
    assert LAN_DENIED not in host.log


@one_shell
def test_the_preflight_names_the_local_network(host: FakeHost) -> None:
    put_on_a_mac(host)
    said = f"echo '{NO_ROUTE % 'git.local'}' >&2; exit 128"
    host.on("git", f'case "$*" in *" fetch --quiet "*) {said} ;; *) exec /usr/bin/git "$@" ;; esac')
    host.run_job()
    assert (failed_check(host), LAN_DENIED in host.log) == (("remote", "lan"), True)


def test_the_preflight_names_a_folder_that_macos_keeps(host: FakeHost) -> None:
    """Its name can be seen, and it can be entered; but nothing in it can be read."""
    put_on_a_mac(host)
    host.on("ls", 'case "$1" in */nixcfg/) exit 1 ;; *) exec /bin/ls "$@" ;; esac')
    host.run_job()
    assert failed_check(host) == ("checkout", "denied")
    assert f"macOS does not let this job read {CHECKOUT}" in host.log
    assert host.agent_runs()
