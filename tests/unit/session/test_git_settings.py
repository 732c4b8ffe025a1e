from __future__ import annotations

import pytest

from nixfleet_core.session.git_settings import (
    Credentials,
    Netrc,
    Setting,
    choose,
    has_named,
    has_unnamed,
    read_netrc,
    read_settings,
)

HARMLESS = (
    Setting("core.sshcommand", "ssh -i key"),
    Setting("http.proxy", "http://p"),
    Setting("http.https://h.sslcainfo", "ca.pem"),
    Setting("url.git@h:.insteadof", "https://h/"),
    Setting("credential.usehttppath", "true"),
)
NAMED = (
    Setting("http.https://h.extraheader", "X: t"),
    Setting("http.https://*.corp.example.org/.sslcert", "c.pem"),
    Setting("credential.https://u@h:8443/path.helper", "store"),
    Setting("credential.h.example.org.username", "u"),
    Setting("http.https://[::1]:1.whatgitlearnslater", "t"),
)
UNNAMED = (
    Setting("http.extraheader", "X: t"),
    Setting("http.cookiefile", "c"),
    Setting("http.whatgitlearnslater", "t"),
    Setting("credential.helper", "store"),
    Setting("credential.https://.helper", "store"),
    Setting("credential.https://*.helper", "store"),
    Setting("http.*.*.extraheader", "X: t"),
)
INCLUDES = (Setting("include.path", "x"), Setting("includeif.gitdir:~/w.path", "x"))


@pytest.mark.parametrize(
    ("credentials", "kept"),
    [
        ("all", (*HARMLESS, *NAMED, *UNNAMED)),
        ("named", (*HARMLESS, *NAMED)),
        ("none", HARMLESS),
    ],
)
def test_only_the_chosen_credentials_are_kept(
    credentials: Credentials, kept: tuple[Setting, ...]
) -> None:
    assert choose((*INCLUDES, *HARMLESS, *NAMED, *UNNAMED), credentials) == kept


def test_lines_that_reset_earlier_ones_are_kept() -> None:
    """`helper =` empties the list, also of helpers for named servers."""
    lines = (NAMED[2], Setting("credential.helper", ""), Setting("http.extraheader", ""))
    assert choose(lines, "named") == lines


@pytest.mark.parametrize("line", [line for line in UNNAMED if "later" not in line.key])
def test_credentials_for_all_servers_are_noticed(line: Setting) -> None:
    assert has_unnamed((line,), {})
    assert not has_named((line,))
    assert not has_unnamed((line, Setting(f"{line.section}.{line.name}", "")), {})


def test_credentials_of_the_environment_count_as_for_all_servers() -> None:
    assert has_unnamed((), {"GIT_SSL_KEY": "k"})
    assert not has_unnamed((*HARMLESS, *NAMED), {"GIT_SSL_CAINFO": "ca"})
    assert all(has_named((line,)) for line in NAMED)
    assert not has_named(HARMLESS)


def test_gits_own_list_is_read() -> None:
    listed = b"core.bare\ncredential.https://h.example.org.helper\0a.b\nx\ny\0http.sslverify\0"
    assert read_settings(listed) == (
        Setting("core.bare", "credential.https://h.example.org.helper"),
        Setting("a.b", "x\ny"),
        Setting("http.sslverify", "true"),
    )
    line = Setting("credential.https://h.example.org.helper", "")
    assert (line.section, line.subsection, line.name) == (
        "credential",
        "https://h.example.org",
        "helper",
    )
    assert Setting("core.bare", "").subsection == ""


@pytest.mark.parametrize(
    ("text", "netrc"),
    [
        ("", Netrc()),
        ("machine h login a password b", Netrc(frozenset({"h"}))),
        ('machine "H"\n  login a\nmachine i', Netrc(frozenset({"h", "i"}))),
        ("machine h login a\ndefault login x password y", Netrc(frozenset({"h"}), default=True)),
        ("machine h login default", Netrc(frozenset({"h"}), default=True)),
    ],
)
def test_netrc_is_read_generously(text: str, netrc: Netrc) -> None:
    assert read_netrc(text) == netrc
