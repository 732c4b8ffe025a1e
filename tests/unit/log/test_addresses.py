"""Addresses in text for a bug report: hidden, unless the user gave them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.log.addresses import hide_addresses


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ssh: connect to host 10.1.2.3 port 22: No route to host",
         "ssh: connect to host ‹address› port 22: No route to host"),
        ("ssh: Could not resolve hostname nas: Name or service not known",
         "ssh: Could not resolve hostname ‹address›: Name or service not known"),
        ("fatal: Could not resolve host: git.example.org",
         "fatal: Could not resolve host: ‹address›"),
        ("ops@cs0.example.org: Permission denied (publickey).",
         "‹address›: Permission denied (publickey)."),
        ("unable to access 'https://me:pw@h/r': x", "unable to access 'https://‹address›': x"),
        ("Connection closed by 2001:db8::7 port 22", "Connection closed by ‹address› port 22"),
        ("from fe80::1%eth0, by 192.0.2.7.", "from ‹address›, by ‹address›."),
    ],
)  # fmt: skip
def test_addresses_are_hidden(text: str, shown: str) -> None:
    assert hide_addresses(text, ()) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Nix 2.34.8, git version 2.47.3, macOS 15.6.1",
        "std::bad_alloc, a::b::c",
        "nixfleet-agent.service is masked at 12:30:05",
        "No route to host; the host did not answer",
        "set `attribute` in the inventory to one of: markus@imac0",
        "/nix/store/0000-nixfleet-agent-2.1.0 in gui/501",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert hide_addresses(text, ()) == text


def test_what_the_user_gave_is_shown() -> None:
    text = "ssh: connect to host cs0 port 22: ops@cs0.example.org, 10.1.2.3"
    assert hide_addresses(text, {"cs0", "ops@cs0.example.org", "10.1.2.3"}) == text


@given(st.ip_addresses(v=4), st.ip_addresses(v=6))
def test_every_ip_address_is_hidden(four: object, six: object) -> None:
    shown = hide_addresses(f"from {four}:22 to [{six}]:22, then {six}", ())
    assert str(four) not in shown
    assert f"{six}" not in shown
