from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.nix.git_url import GitUrl, Hidden, NotKnown, read_url, split_url
from nixfleet_core.nix.lock import Source, parse_lock


@pytest.mark.parametrize(
    ("url", "place", "login", "query"),
    [
        ("https://h/r", "https://h/r", None, False),
        ("https://u:tok3n@h:8443/r", "https://h:8443/r", ("u", "tok3n"), False),
        ("https://tok3n@h/r", "https://h/r", ("tok3n", None), False),
        ("https://u:@h/r", "https://h/r", ("u", ""), False),
        ("https://u:to%40k3n@h/r", "https://h/r", ("u", "to@k3n"), False),
        ("https://a@b:tok3n@h/r", "https://h/r", ("a@b", "tok3n"), False),
        ("https://h/r?private_token=tok3n", "https://h/r", None, True),
        ("https://u:tok3n@h/r#x", "https://h/r", ("u", "tok3n"), True),
        ("http://u:tok3n@h/r", "http://h/r", ("u", "tok3n"), False),
        ("git+https://u:tok3n@h/r", "git+https://h/r", ("u", "tok3n"), False),
        ("ssh://git@h/r", "ssh://git@h/r", None, False),
        ("ssh://git:tok3n@h/r", "ssh://git@h/r", None, False),
        ("git+ssh://git:tok3n@h/r", "git+ssh://git@h/r", None, False),
        ("git@h:o/r", "git@h:o/r", None, False),
        ("ext::https://u:tok3n@h/r", "ext::https://h/r", ("u", "tok3n"), False),
        ("https://h/a@b", "https://h/a@b", None, False),
        ("/srv/r", "/srv/r", None, False),
    ],
)
def test_a_credential_is_taken_off_the_url_when_read(
    url: str, place: str, login: tuple[str, str | None] | None, query: bool
) -> None:
    found, hidden = split_url(url)
    assert found == place
    assert (hidden.login() if hidden else None) == login
    assert (hidden.query if hidden else False) == query


@pytest.mark.parametrize("kind", ["git", "github"])
def test_a_source_never_shows_its_credential(kind: str) -> None:
    original = {
        "git": '{"type":"git","url":"https://op:tok3n@h/o/r"}',
        "github": '{"type":"github","owner":"o","repo":"r","host":"op:tok3n@h"}',
    }[kind]
    lock = parse_lock(
        '{"version":7,"root":"r","nodes":{"r":{"inputs":{"x":"n"}},"n":{"original":'
        f"{original}}}}}}}"
    )
    found = lock.find("x")
    assert found is not None
    wanted = Source("https://h/o/r", hidden=Hidden("op:tok3n"), any_kind=kind == "github")
    assert found.source == wanted
    assert found.source.hidden is not None
    assert found.source.hidden.login() == ("op", "tok3n")
    for shown in (repr(found), str(found.source), f"{found.source.hidden}", repr([lock])):
        assert "tok3n" not in shown
    with pytest.raises(TypeError):
        msgspec.json.encode(found.source)


@pytest.mark.parametrize("user", ["a%0ab:c", "a:b%0d", "a:%00", ""])
def test_a_user_that_gits_protocol_cannot_carry_is_no_login(user: str) -> None:
    assert Hidden(user).login() is None


def test_two_logins_for_one_url_are_two_questions() -> None:
    one, two = (Source("https://h/r", hidden=Hidden(f"u:{word}")) for word in "ab")
    assert one != two
    assert len({one, two, Source("https://h/r", hidden=Hidden("u:a"))}) == 2


@pytest.mark.parametrize(
    ("url", "scheme", "server"),
    [
        ("https://github.com/o/r", "https", "github.com"),
        ("https://GitHub.com:443/o/r.git", "https", "github.com"),
        ("https://h:8443/~o/r%20s", "https", "h:8443"),
        ("https://[2001:db8::1]/r", "https", "[2001:db8::1]"),
        ("http://h/r", "http", "h"),
        ("git://h/r", "git", "h"),
        ("ssh://git@h/r", "ssh", "h"),
        ("ssh://git@h:29418/r", "ssh", "h:29418"),
        ("git+ssh://git@h/~/r", "ssh", "h"),
        ("git@github.com:o/r.git", "ssh", "github.com"),
        ("my_alias:r", "ssh", "my_alias"),
        ("git@ssh.dev.azure.com:v3/o/p/r", "ssh", "ssh.dev.azure.com"),
    ],
)
def test_urls_that_git_and_nix_take_are_read(url: str, scheme: str, server: str) -> None:
    found = read_url(url, local=False)
    assert isinstance(found, GitUrl)
    assert (found.text, found.scheme, found.server) == (url, scheme, server)


@given(st.text(max_size=60) | st.from_regex(r"[a-z+]{0,6}:{0,2}/{0,2}[^/]{0,20}(/.*)?"))
def test_any_accepted_url_is_plain_and_of_a_known_kind(url: str) -> None:
    found = read_url(split_url(url)[0], local=False)
    if isinstance(found, NotKnown):
        return
    assert found.scheme in ("https", "http", "git", "ssh")
    assert "::" not in found.text.partition("/")[0] or "[" in found.text
    assert not set(found.text) & set(" \t\n\r\0`$&|;<>()!*?#'\"\\{}^")
    host = found.text.partition("://")[2] or found.text
    assert not host.startswith("-")
