from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.redact import REDACTED, Redactor, redact

R = REDACTED

SECRETS = {
    "fatal: unable to access 'https://joe:s3cret@git.example.org/x.git/': 403": (
        f"fatal: unable to access 'https://{R}@git.example.org/x.git/': 403"
    ),
    "https://ghtoken@github.com/a/b and more": f"https://{R}@github.com/a/b and more",
    "git+https://u:p%40ss@h:8443/x?ref=main": f"git+https://{R}@h:8443/x?ref=main",
    "http://u:p@ss:w@rd@host/": f"http://{R}@host/",
    "ssh://joe:hunter2@host/x": f"ssh://joe:{R}@host/x",
    "postgres://db:hunter2@localhost": f"postgres://db:{R}@localhost",
    "\x1b[35;1mhttps://tok@h/x\x1b[0m": f"\x1b[35;1mhttps://{R}@h/x\x1b[0m",
    "\x1b[35;1mghp_abc123abc\x1b[0m": f"\x1b[35;1m{R}\x1b[0m",
    "> Authorization: Bearer abc.def": f"> Authorization: Bearer {R}",
    "authorization: basic am9lOnB3": f"authorization: basic {R}",
    "curl -H 'Authorization: token abc' https://h": f"curl -H 'Authorization: token {R}' https://h",
    '{"Authorization": "Bearer abc", "x": 1}': f'{{"Authorization": "Bearer {R}", "x": 1}}',
    "Authorization: 0123456789abcdef": f"Authorization: {R}",
    "Proxy-Authorization: Basic am9lOnB3": f"Proxy-Authorization: Basic {R}",
    "PRIVATE-TOKEN: abcdef": f"PRIVATE-TOKEN: {R}",
    "x-api-key: abcdef": f"x-api-key: {R}",
    "sent Bearer 0123456789abcdef0123": f"sent Bearer {R}",
    "access-tokens = github.com=abc gitlab.com=OAuth2:def": (
        f"access-tokens = github.com={R} gitlab.com={R}"
    ),
    "nix build --option access-tokens github.com=abc --option cores 2": (
        f"nix build --option access-tokens github.com={R} --option cores 2"
    ),
    "nix build --option access-tokens 'github.com=abc h.org/x=y' .#a": (
        f"nix build --option access-tokens 'github.com={R} h.org/x={R}' .#a"
    ),
    "extra-access-tokens = github.com=abc": f"extra-access-tokens = github.com={R}",
    "NIX_CONFIG=access-tokens = github.com=abc": f"NIX_CONFIG=access-tokens = github.com={R}",
    "using ghp_0123456789abcdefABCDEF0123456789abcd": f"using {R}",
    "gho_abc123abc, ghs_abc123abc": f"{R}, {R}",
    "github_pat_11ABC_def456": R,
    "glpat-abc_DEF-123": R,
    "tskey-auth-abc123": R,
    "AGE-SECRET-KEY-1QQQQQQ": R,
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl": R,
    "machine github.com login joe password hunter2": (f"machine github.com login joe password {R}"),
    "  password hunter2": f"  password {R}",
    "agent> password hunter2": f"agent> password {R}",
    "MQTT_PASSWORD=hunter22 HOME=/root": f"MQTT_PASSWORD={R} HOME=/root",
    "https://h/x?access_token=abcdefgh&b=1": f"https://h/x?access_token={R}&b=1",
}

HARMLESS = (
    "git@github.com:markus-barta/nixfleet.git",
    "ssh://git@github.com/markus-barta/nixfleet.git",
    "git+ssh://git@github.com:22/a/b?ref=main",
    "ops@cs0.example.org:2222",
    "https://cache.nixos.org/nix-cache-info",
    "https://example.org:8443/path@1.2/x",
    "https://github.com/a/b?mail=joe@example.org",
    "mail joe@example.org about https://example.org",
    "rev=61b7c44c4073f0b827768aff0049561b5110ea5a",
    "narHash sha256-12KrbMiWLcf8m7pCvAtZh1ZrgF85ZXDXvfR/fWTKy84=",
    "/nix/store/zcb27f43s6b90makww9628wil2g9dpir-nixfleet-agent-2.1.0",
    "77aa03d0d2c1e1b5ab0c51dcd3d1a4f1c1b7f0a77aa03d0d2c1e1b5ab0c51dcd",
    "sudo: a password is required",
    "Password for the key is wrong",
    "tokenfile = config.age.secrets.agent.path;",
    "PASSWORD_FILE=/run/agenix/x token=$TOKEN secret=/run/secret",
    "error: authorization: denied for user",
    "warning: the setting access-tokens is unknown",
    "-----BEGIN CERTIFICATE-----",
    "ghp_ is what GitHub's tokens begin with",
    "a bearer of news",
    "a single line of high spirits",
    "",
)

KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACD0123456789abcdefghijklmnopqrstuvwxyzAAAAAAA
c2hvcnQ=
-----END OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"""


@pytest.mark.parametrize(("text", "shown"), SECRETS.items(), ids=range(len(SECRETS)))
def test_hides_the_secret_and_nothing_else(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown
    assert redact(f"before\n{text}\nafter") == f"before\n{shown}\nafter"


@pytest.mark.parametrize("text", HARMLESS)
def test_leaves_alone(text: str) -> None:
    assert redact(text) == text


def test_hides_a_private_key_line_by_line() -> None:
    assert redact(KEY).split("\n") == [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        R,
        R,
        R,
        "-----END OPENSSH PRIVATE KEY-----",
        KEY.split("\n")[-1],
    ]


def test_hides_a_private_key_between_a_builders_prefixes() -> None:
    lines = redact("\n".join(f"agent> {line}" for line in KEY.split("\n")[:3])).split("\n")
    assert lines == ["agent> -----BEGIN OPENSSH PRIVATE KEY-----", f"agent> {R}", f"agent> {R}"]


def test_hides_a_private_key_in_one_line() -> None:
    text = 'key = "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n";'
    assert redact(text) == (f'key = "-----BEGIN PRIVATE KEY-----{R}-----END PRIVATE KEY-----\\n";')


def test_a_key_without_an_end_hides_neither_hashes_nor_text_nor_for_ever() -> None:
    redactor = Redactor()
    redactor.line("grep for -----BEGIN RSA PRIVATE KEY-----")
    for line in ("building agent", "61b7c44c4073f0b827768aff0049561b5110ea5a"):
        assert redactor.line(line) == line
    base64 = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
    assert redactor.line(base64) == R
    for _ in range(200):
        redactor.line("text")
    assert redactor.line(base64) == base64


@given(st.text())
def test_takes_any_text_and_keeps_its_lines(text: str) -> None:
    assert redact(text).count("\n") == text.count("\n")
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "unit",
    ["a.", "://", "a://", "https://a", "eyJ-", "login ", "password ", "authorization:", "ghp_-"],
)
def test_a_hostile_line_costs_no_more_than_its_length(unit: str) -> None:
    line = unit * (64 * 1024 // len(unit)) + "://password authorization"
    assert redact(line).startswith(unit[:2])
