from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.host import (
    BadNameError,
    Host,
    SshAddress,
    check_host_name,
    check_input_name,
    parse_address,
)


@pytest.mark.parametrize("name", ["csb0", "imac0.lan", "_x", "a-b_c.d", "0", "x" * 63])
def test_good_host_names(name: str) -> None:
    assert check_host_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "..", "a/b", "../a", "a b", "a\n", "a\x00", "[@click=app.quit]x[/]", "é",
     "$(x)", "x" * 64],
)  # fmt: skip
def test_bad_host_names(name: str) -> None:
    with pytest.raises(BadNameError, match="is no host name"):
        check_host_name(name)


@pytest.mark.parametrize("name", ["nixfleet", "nixfleet_2", "a-b", "x'"])
def test_good_input_names(name: str) -> None:
    assert check_input_name(name) == name


@pytest.mark.parametrize("name", ["", "-x", "--update-input", "2x", "a.b", "a/b", "a b", "a\n"])
def test_bad_input_names(name: str) -> None:
    with pytest.raises(BadNameError, match="is no flake input"):
        check_input_name(name)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("csb0", SshAddress("csb0")),
        ("ops@csb0", SshAddress("csb0", "ops")),
        ("ops@cs0.example.org:2222", SshAddress("cs0.example.org", "ops", 2222)),
        ("csb0:1", SshAddress("csb0", port=1)),
        ("192.0.2.1:65535", SshAddress("192.0.2.1", port=65535)),
        ("[::1]", SshAddress("::1")),
        ("ops@[fe80::1%eth0]:22", SshAddress("fe80::1%eth0", "ops", 22)),
    ],
)
def test_good_addresses(text: str, address: SshAddress) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "-oProxyCommand=x", "ops@-x", "-l@h", "@h", "ops@", "h:", "h:x", "::1", "a b", "h\n",
     "a@b@c", "h:22:22", "$(x)", "ssh://h", "[::1"],
)  # fmt: skip
def test_bad_addresses(text: str) -> None:
    with pytest.raises(BadNameError, match="is no ssh address"):
        parse_address(text)


@pytest.mark.parametrize("text", ["h:0", "h:65536", "h:99999"])
def test_ports_have_a_range(text: str) -> None:
    with pytest.raises(BadNameError, match="out of range: 1 to 65535"):
        parse_address(text)


@given(st.text("-ab@:[].0%\n ", max_size=12))
def test_an_accepted_address_is_no_option_and_reads_back_the_same(text: str) -> None:
    try:
        address = parse_address(text)
    except BadNameError:
        return
    assert not address.host.startswith("-")
    assert not (address.user or "").startswith("-")
    assert parse_address(str(address)) == address


def test_where_says_how_a_host_is_reached() -> None:
    assert Host("a").where == "local"
    assert Host("a", SshAddress("h", "ops", 22)).where == "ops@h:22"
