"""What ssh's own words mean. They were recorded from OpenSSH 9.2 and 10.0 with our options, and end
with a carriage return there."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

from nixfleet_core.transport.obstacles import find_obstacle

BANNER: Final = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /home/ops/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/o ps/.ssh/known_hosts:1
"""
CHANGED: Final = f"""{BANNER}\
Host key for [127.0.0.1]:2201 has changed and you have requested strict checking.
Host key verification failed.
"""
FRAME: Final = "channel 0: open failed: connect failed: "
BEHIND: Final = (
    "stdio forwarding failed\nkex_exchange_identification: Connection closed by remote host"
)


class Case(NamedTuple):
    printed: str
    says: str
    """The words that are shown."""
    advice: str
    """A part of the advice."""
    at_terminal: bool = False


UNRESOLVED: Final = "no name server knows it"
CLOSED: Final = "nothing listens on that port"
SILENT: Final = "nothing answers"
NO_WAY: Final = "there is no way to it"
CASES: Final = {
    "an unknown key": Case(
        "Host key verification failed.",
        "Host key verification failed.",
        "does not know its key: nixfleet connect csb0 shows it",
        at_terminal=True,
    ),
    "an unknown key that nobody is asked about": Case(
        "No ED25519 host key is known for [127.0.0.1]:2201 and you have requested strict checking."
        "\nHost key verification failed.",
        "No ED25519 host key is known for [127.0.0.1]:2201 and you have requested strict checking.",
        "takes no unknown key (StrictHostKeyChecking)",
    ),
    "a changed key": Case(
        CHANGED,
        "Host key for [127.0.0.1]:2201 has changed and you have requested strict checking.",
        "ssh-keygen -f '/home/o ps/.ssh/known_hosts' -R '[127.0.0.1]:2201'. If not, somebody",
    ),
    "a changed key of the jump": Case(
        f"{CHANGED}kex_exchange_identification: Connection closed by remote host",
        "Host key for [127.0.0.1]:2201 has changed and you have requested strict checking.",
        "is not the one that this machine knows",
    ),
    "a changed key that ssh is told to ignore": Case(
        f"{BANNER}Password authentication is disabled to avoid man-in-the-middle attacks.\n"
        "root@127.0.0.1: Permission denied (publickey).",
        "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
        "ssh-keygen -f '/home/o ps/.ssh/known_hosts' -R NAME",
    ),
    "a revoked key": Case(
        "@       WARNING: REVOKED HOST KEY DETECTED!               @\n"
        "The ED25519 host key for [127.0.0.1]:2201 is marked as revoked.\n"
        "ED25519 host key for [127.0.0.1]:2201 was revoked and you have requested strict checking."
        "\nHost key verification failed.",
        "The ED25519 host key for [127.0.0.1]:2201 is marked as revoked.",
        "give the host a new key",
    ),
    "a refused key": Case(
        "root@127.0.0.1: Permission denied (publickey).",
        "root@127.0.0.1: Permission denied (publickey).",
        "nixfleet connect csb0 asks for a key's passphrase; if no key has one",
        at_terminal=True,
    ),
    "a password": Case(
        "root@127.0.0.1: Permission denied (publickey,password).",
        "root@127.0.0.1: Permission denied (publickey,password).",
        "a password, a one-time password or another key: nixfleet connect csb0",
        at_terminal=True,
    ),
    "a one-time password": Case(
        "ops@h: Permission denied (keyboard-interactive).",
        "ops@h: Permission denied (keyboard-interactive).",
        "a one-time password",
        at_terminal=True,
    ),
    "too many keys": Case(
        "Received disconnect from 127.0.0.1 port 2201:2: Too many authentication failures",
        "Received disconnect from 127.0.0.1 port 2201:2: Too many authentication failures",
        "IdentitiesOnly yes",
    ),
    **{
        text: Case(text, text, UNRESOLVED)
        for text in (
            "ssh: Could not resolve hostname nosuch.invalid: Name or service not known",
            "ssh: Could not resolve hostname h: Temporary failure in name resolution",
            "ssh: Could not resolve hostname h: nodename nor servname provided, or not known",
            f"{FRAME}Temporary failure in name resolution",
            f"{FRAME}Name or service not known",
        )
    },
    **{
        text: Case(text, text, CLOSED)
        for text in (
            "ssh: connect to host 127.0.0.1 port 9: Connection refused",
            f"{FRAME}Connection refused",
        )
    },
    **{
        text: Case(text, text, SILENT)
        for text in (
            "ssh: connect to host 192.0.2.1 port 22: Connection timed out",
            "ssh: connect to host 192.0.2.1 port 22: Operation timed out",
            "Connection timed out during banner exchange",
            "Connection to 192.0.2.1 port 22 timed out",
            f"{FRAME}Connection timed out",
        )
    },
    **{
        text: Case(text, text, NO_WAY)
        for text in (
            "ssh: connect to host 192.0.2.1 port 22: No route to host",
            "ssh: connect to host 192.0.2.1 port 22: Network is unreachable",
            "ssh: connect to host 192.0.2.1 port 22: Host is down",
            f"{FRAME}open failed",
        )
    },
    "a jump that forwards nothing": Case(
        "channel 0: open failed: administratively prohibited: open failed",
        "channel 0: open failed: administratively prohibited: open failed",
        "AllowTcpForwarding",
    ),
    "ssh's configuration": Case(
        "/root/.ssh/config: line 1: Bad configuration option: foo\n"
        "/root/.ssh/config: terminating, 1 bad configuration options",
        "/root/.ssh/config: line 1: Bad configuration option: foo",
        "correct ssh's configuration",
    ),
    "old algorithms": Case(
        "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: "
        "ssh-rsa",
        "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: "
        "ssh-rsa",
        "nothing in common",
    ),
    "too many at once": Case(
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by 192.0.2.1 port 22",
        "kex_exchange_identification: Connection closed by remote host",
        "MaxStartups",
    ),
}


@pytest.mark.parametrize("after", ["", f"\n{BEHIND}", "\nConnection closed by UNKNOWN port 65535"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_failure_of_ssh_has_its_own_advice(case: Case, after: str) -> None:
    printed = f"{case.printed}{after}\n".replace("\n", "\r\n")
    found = find_obstacle(printed, "csb0")
    assert found is not None
    assert (found.said, found.at_terminal) == (case.says, case.at_terminal)
    assert case.advice in found.advice
    assert ("nixfleet connect csb0" in found.advice) == case.at_terminal


def test_words_that_are_not_known_have_no_advice() -> None:
    assert find_obstacle("", "csb0") is None
    assert find_obstacle("Killed\n", "csb0") is None


def test_a_server_that_quotes_ssh_is_not_believed() -> None:
    quoted = "Received disconnect from 192.0.2.1 port 22:2: Host key verification failed"
    found = find_obstacle(quoted, "csb0")
    assert found is not None
    assert (found.at_terminal, "MaxStartups" in found.advice) == (False, True)


def test_names_in_the_advice_are_quoted() -> None:
    evil = "Host key for $(x) 'y has changed and you have requested strict checking."
    found = find_obstacle(evil, "csb0")
    assert found is not None
    assert "ssh-keygen -R '$(x) '\"'\"'y'." in found.advice
