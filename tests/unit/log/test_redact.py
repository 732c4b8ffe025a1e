from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixfleet_core.log import redact as redaction
from nixfleet_core.log.characters import log_line
from nixfleet_core.log.redact import _RULES, REDACTED, Redactor, redact, redact_words

R = REDACTED

AWS = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"
SIGNING = "q" * 43 + "Ab0" + "z" * 40 + "=="
"""As Nix writes the 64 bytes of a signing key."""
LONG = "Ab1" * 16
HEX = "0a1b2c3d" * 8

TOKENS = (
    f"ghr_{LONG}",
    f"ghs_{LONG}.{LONG}.{LONG}",
    *(
        f"gl{kind}-{LONG}"
        for kind in (
            *("agent", "cbt", "dt", "ffct", "ft", "imt", "oas", "pat", "ptt", "rt", "rtr", "soat"),
            "wt",
        )
    ),
    f"glpat-{LONG}.01.0a1b2c3d4",
    f"GR1348941{LONG}",
    f"glsa_{LONG}",
    f"xoxb-123456789012-123456789012-{LONG}",
    f"xoxe.xoxp-1-{LONG}",
    f"xapp-1-A0123-456-{HEX}",
    f"sk-{LONG}",
    f"sk-proj-{LONG}",
    f"sk-svcacct-{LONG}",
    f"sk-ant-api03-{LONG}",
    f"npm_{LONG[:36]}",
    f"pypi-AgEIcHlwaS5vcmc{LONG}",
    f"dckr_pat_{LONG}",
    f"dckr_oat_{LONG}",
    f"hvs.{LONG}",
    f"hvb.{LONG}",
    f"s.{LONG[:24]}",
    f"AIza{LONG[:35]}",
    f"ya29.{LONG}",
    f"GOCSPX-{LONG[:28]}",
    f"1//0{LONG}",
    f"sk_live_{LONG}",
    f"rk_test_{LONG}",
    f"whsec_{LONG}",
    f"bedrock-api-key-{LONG}",
    f"hf_{LONG[:34]}",
    f"SG.{LONG[:22]}.{LONG[:43]}",
    f"dop_v1_{HEX}",
    f"tskey-auth-{LONG}",
)

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
    '"access-tokens":{"value":{"github.com":"abc","gitlab.com/a":"PAT:x"}}': (
        f'"access-tokens":{{"value":{{"github.com":"{R}","gitlab.com/a":"{R}"}}}}'
    ),
    "NIX_CONFIG=access-tokens = github.com=abc": f"NIX_CONFIG=access-tokens = github.com={R}",
    "using ghp_0123456789abcdefABCDEF0123456789abcd": f"using {R}",
    "gho_abc123abc, ghs_abc123abc": f"{R}, {R}",
    "github_pat_11ABC_def456": R,
    "glpat-abc_DEF-123": R,
    "tskey-auth-abc123": R,
    "AGE-SECRET-KEY-1QQQQQQ": R,
    "age-secret-key-1qqqqqq": R,
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl": R,
    "machine github.com login joe password hunter2": (f"machine github.com login joe password {R}"),
    "machine github.com password hunter2 login joe": (f"machine github.com password {R} login joe"),
    "machine h login joe account a password hunter2": (
        f"machine h login joe account a password {R}"
    ),
    "  password hunter2": f"  password {R}",
    "       > password hunter2": f"       > password {R}",
    "agent> password hunter2": f"agent> password {R}",
    "MQTT_PASSWORD=hunter22 HOME=/root": f"MQTT_PASSWORD={R} HOME=/root",
    "https://h/x?access_token=abcdefgh&b=1": f"https://h/x?access_token={R}&b=1",
    # AWS: the secret key in a file, an environment, JSON and a table; the key's id is none.
    f"AWS_SECRET_ACCESS_KEY={AWS}": f"AWS_SECRET_ACCESS_KEY={R}",
    f'Environment="AWS_SECRET_ACCESS_KEY={AWS}"': f'Environment="AWS_SECRET_ACCESS_KEY={R}"',
    f"aws_secret_access_key = {AWS}": f"aws_secret_access_key = {R}",
    f'{{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "{AWS}"}}': (
        f'{{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "{R}"}}'
    ),
    f"|  SecretAccessKey  |  {AWS}  |": f"|  SecretAccessKey  |  {R}  |",
    f"aws_session_token = {AWS}{AWS}": f"aws_session_token = {R}",
    # Other clouds, and names that go on after the hint.
    f"AZURE_STORAGE_KEY={AWS}": f"AZURE_STORAGE_KEY={R}",
    f"AccountName=x;AccountKey={AWS}==;EndpointSuffix=core": f"AccountName=x;AccountKey={R}",
    f"SharedAccessKey={AWS}": f"SharedAccessKey={R}",
    f"B2_APPLICATION_KEY={AWS}": f"B2_APPLICATION_KEY={R}",
    f"AWS_SECRET_ACCESS_KEY_BACKUP={AWS}": f"AWS_SECRET_ACCESS_KEY_BACKUP={R}",
    f"awsSecretAccessKey2 = {AWS}": f"awsSecretAccessKey2 = {R}",
    f"aws-secret-access-key-old: {AWS}": f"aws-secret-access-key-old: {R}",
    "GITHUB_TOKEN_PROD=x DB_PASSWORD_1=y": f"GITHUB_TOKEN_PROD={R} DB_PASSWORD_1={R}",
    "export MY_SECRET_2='a b'": f"export MY_SECRET_2='{R}'",
    '{"private_key_data": "x"}': f'{{"private_key_data": "{R}"}}',
    f"GOOGLE_CREDENTIALS={AWS}": f"GOOGLE_CREDENTIALS={R}",
    f"PresharedKey = {AWS}=": f"PresharedKey = {R}",
    'psk="correct horse"': f'psk="{R}"',
    # Nix's signing keys, and Cachix's.
    f"CACHIX_SIGNING_KEY={AWS}{AWS}==": f"CACHIX_SIGNING_KEY={R}",
    f"CACHIX_SIGNING_KEY=acme.cachix.org-1:{SIGNING}": f"CACHIX_SIGNING_KEY={R}",
    f"cache.example.org-1:{SIGNING}": f"cache.example.org-1:{R}",
    f"'acme_2:{SIGNING}' and more": f"'acme_2:{R}' and more",
    f"\x1b[35;1mcache.example.org-1:{SIGNING}\x1b[0m": (
        f"\x1b[35;1mcache.example.org-1:{R}\x1b[0m"
    ),
    f"cachix authtoken {AWS}": f"cachix authtoken {R}",
    # Names and values.
    '{"password": "x", "user": "joe"}': f'{{"password": "{R}", "user": "joe"}}',
    '{"token":123,"n":1}': f'{{"token":{R},"n":1}}',
    "{'client_secret': 'a b', 'n': 1}": f"{{'client_secret': '{R}', 'n': 1}}",
    r'{"msg":"{\"password\":\"a b\",\"n\":1}"}': rf'{{"msg":"{{\"password\":\"{R}\",\"n\":1}}"}}',
    r'{"password": "a\"b"}': f'{{"password": "{R}"}}',
    "password: x": f"password: {R}",
    "Password: required": f"Password: {R}",
    "  - db_password: correct horse battery": f"  - db_password: {R}",
    "agent> smtp_password: a b c": f"agent> smtp_password: {R}",
    "agent (post)> smtp_password: a b c": f"agent (post)> smtp_password: {R}",
    "in the file token: abc and more": f"in the file token: {R} and more",
    "MQTT_PASSWORD=a,b;c d": f"MQTT_PASSWORD={R} d",
    "DB_PASS=x": f"DB_PASS={R}",
    "token=abc, next": f"token={R}, next",
    "X-Vault-Token: abc": f"X-Vault-Token: {R}",
    # Options.
    "tool --token abc --user joe": f"tool --token {R} --user joe",
    "tool --password 'a b' --x": f"tool --password '{R}' --x",
    "tool --db-password abc --x": f"tool --db-password {R} --x",
    "tool --api-key=abc --x": f"tool --api-key={R} --x",
    "tool --pass abc": f"tool --pass {R}",
    "['tool', '--token', 'abc', '--x']": f"['tool', '--token', '{R}', '--x']",
    "curl -u joe:hunter2 https://h": f"curl -u joe:{R} https://h",
    "curl -sSu joe:hunter2 https://h": f"curl -sSu joe:{R} https://h",
    "curl --user 'joe:hun ter2' https://h": f"curl --user 'joe:{R}' https://h",
    "['curl', '-u', 'joe:hunter2']": f"['curl', '-u', 'joe:{R}']",
    # Cookies.
    "Cookie: a=b; c=d": f"Cookie: {R}",
    "< Set-Cookie: session=abc; Path=/; HttpOnly": f"< Set-Cookie: {R}",
    "curl -H 'Cookie: a=b; c=d' https://h": f"curl -H 'Cookie: {R}' https://h",
    "curl -b 'a=b; c=d' https://h": f"curl -b '{R}' https://h",
    "curl --cookie a=b https://h": f"curl --cookie {R} https://h",
    '{"Cookie": "a=b", "n": 1}': f'{{"Cookie": "{R}", "n": 1}}',
    f"sent _gitlab_session={LONG}": f"sent _gitlab_session={R}",
    # Signed URLs and webhooks.
    "https://h/x?X-Amz-Signature=abc&b=1": f"https://h/x?X-Amz-Signature={R}&b=1",
    f"https://h/x?X-Amz-Security-Token={AWS}&X-Amz-Signature=abc": (
        f"https://h/x?X-Amz-Security-Token={R}&X-Amz-Signature={R}"
    ),
    "https://h/x?sp=r&sig=a%3D&jwt=b": f"https://h/x?sp=r&sig={R}&jwt={R}",
    "https://hooks.slack.com/services/T0/B0/abcdef": f"https://hooks.slack.com/services/{R}",
    # Colours and marks that split them; the text after a hidden one keeps its colours.
    "\x1b[31mghp_\x1b[1m0123456\x1b[0mabcdef\x1b[0m end": (f"\x1b[31m{R}\x1b[1m\x1b[0m\x1b[0m end"),
    "pass\x1b[1mword\x1b[0m=\x1b[32mhunter2\x1b[0m": f"pass\x1b[1mword\x1b[0m=\x1b[32m{R}\x1b[0m",
    "use\x1b[1mghp_0123456789": f"use\x1b[1m{R}",
    "gh\u200bp_0123\u202e456789 end": f"{R} end",
    "\x1b]0;ghp_0123456789\x07 end": f"\x1b]0;{R}\x07 end",
    "one\rpassword hunter2\rtwo": f"one\rpassword {R}\rtwo",
    # The beginnings of each service's tokens.
    **{f"see {token}, and": f"see {R}, and" for token in TOKENS},
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
    "trusted-public-keys = cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
    "extra-trusted-public-keys = a.cachix.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
    "secret-key-files = /etc/nix/key",
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA joe@h",
    "/nix/store/zcb27f43s6b90makww9628wil2g9dpir-hunspell-dict-sk-sk-20180310",
    "disk-encryption-0123456789abcdef0123456789",
    "specified: sha256-12KrbMiWLcf8m7pCvAtZh1ZrgF85ZXDXvfR/fWTKy84=",
    "sha256:0fcbc8a3b5d5d9c8a6b4c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2",
    "nixfleet_2 follows nixpkgs/nixos-unstable",
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
    "error: syntax error, unexpected token: ';'",
    'secret = "/run/secrets/x"; token = ./token.age; key = ~/x',
    "password: null, token: ${TOKEN}, secret: <hidden>, token: {{ token }}",
    "PASSWORD='' TOKEN= ",
    "if (token == other) token::parse()",
    "docker run --user 1000:1000 image",
    "a cookie and a tokenizer: x",
    "npm_config_registry=https://registry.example.org npm_lifecycle_event=install",
    "s.abcdefghijklmnopqrstuvwx and libs.Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1",
    "xoxo and ya29 and hvs. and sk-SK",
    f"Sig: cache.nixos.org-1:{SIGNING}",
    f"sha512:{SIGNING} sha512-{SIGNING}",
    "token_count=5 password_min=8 token-type: x secret_name = y private_key_path=z",
    "/nix/store/zcb27f43s6b90makww9628wil2g9dpir-ghp_0123456789abcdef",
    "cachix authtoken --stdin",
    "the machine waits for a password prompt",
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
def test_redactor_leaves_other_text_alone(text: str) -> None:
    assert redact(text) == text


LINES = (
    "git> cc -O2 -c src/file1.c",
    "building '/nix/store/abc-glibc-2.drv'...",
    "password=hunter22",
    "pass\x1b[1mword=hunter22\x1b[0m",
    "\x1b[31mhttps://user:hunter22@host/\x1b[0m",
    "TOKEN: İ",
    "\x9b1mtoken=hunter22",
    "pass\x9b1mword=hunter22",
    "to\u200bken=hunter22",
    "two\npassword=hunter22",
    "tab\tsecret=hunter22",
    "-----BEGIN RSA PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "-----END RSA PRIVATE KEY-----",
    "",
)


@given(st.lists(st.lists(st.sampled_from(LINES) | st.text(max_size=9), max_size=9), max_size=4))
def test_many_lines_at_once_are_redacted_as_one_by_one(batches: list[list[str]]) -> None:
    at_once, one_by_one = Redactor(), Redactor()
    for batch in batches:
        assert at_once.lines(batch) == [one_by_one.line(line) for line in batch]


@given(st.lists(st.lists(st.sampled_from(LINES) | st.text(max_size=9), max_size=9), max_size=4))
def test_log_lines_are_cleaned_and_redacted_as_one_by_one(batches: list[list[str]]) -> None:
    at_once, one_by_one = Redactor(), Redactor()
    for batch in batches:
        assert at_once.log_lines(batch) == [one_by_one.line(log_line(line)) for line in batch]


@pytest.mark.parametrize("text", SECRETS, ids=range(len(SECRETS)))
def test_a_secret_is_found_among_many_lines(text: str) -> None:
    lines = [*LINES[:2], *text.split("\n"), *LINES[:2]] * 2
    redactor = Redactor()
    assert Redactor().lines(lines) == [redactor.line(line) for line in lines] != lines
    redactor, cleaned = Redactor(), list(map(log_line, lines))
    assert Redactor().log_lines(lines) == [redactor.line(line) for line in cleaned]


@pytest.mark.parametrize("hint", [hint for hint, _ in redaction._BY_HINT])
def test_a_line_with_any_hint_is_looked_at(hint: str) -> None:
    assert redaction._lines_with_hints(f"a\n{hint}\nb\n0{hint}0\n") == {1, 3}


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


def test_redactor_leaves_hashes_and_text_after_an_endless_key_alone() -> None:
    redactor = Redactor()
    redactor.line("grep for -----BEGIN RSA PRIVATE KEY-----")
    for line in ("building agent", "61b7c44c4073f0b827768aff0049561b5110ea5a"):
        assert redactor.line(line) == line
    base64 = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
    assert redactor.line(base64) == R
    for _ in range(200):
        redactor.line("text")
    assert redactor.line(base64) == base64


def test_hides_several_keys_and_a_later_secret_in_one_line() -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\\nMIIE\\n-----END EC PRIVATE KEY-----"
    hidden = f"-----BEGIN EC PRIVATE KEY-----{R}-----END EC PRIVATE KEY-----"
    assert redact(f"{key} {key} TOKEN=abc") == f"{hidden} {hidden} TOKEN={R}"


def test_hides_the_short_last_line_of_a_key_also_of_pgp() -> None:
    lines = ["-----BEGIN PGP PRIVATE KEY BLOCK-----", "b3BlbnNzaC1rZXktdjEAAAAABG5v", "c2hv"]
    end = "-----END PGP PRIVATE KEY BLOCK-----"
    assert redact("\n".join([*lines, end])).split("\n") == [lines[0], R, R, end]


def test_hides_a_key_whose_lines_have_colours() -> None:
    lines = [f"\x1b[31m{line}\x1b[0m" for line in KEY.split("\n")[:5]]
    assert "b3Blb" not in redact("\n".join(lines))


def test_redactor_reads_the_words_of_a_command_together() -> None:
    words = ["nix", "--option", "access-tokens", "github.com=abc", "--token", "a b", "c"]
    assert redact_words(words) == [
        *("nix", "--option", "access-tokens", f"github.com={R}", "--token"),
        *(f"{R} b", "c"),
    ]


def test_hides_keys_in_the_forms_of_ssh2_and_putty() -> None:
    body = KEY.split("\n")[1]
    for first, last in (
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", "---- END SSH2 ENCRYPTED PRIVATE KEY ----"),
        ("Private-Lines: 2", "Private-MAC: 0a1b"),
    ):
        assert redact("\n".join([first, body, last])) == "\n".join([first, R, last])


def test_hides_a_key_in_the_end_of_a_log_that_nix_repeats() -> None:
    lines = redact("\n".join(f"       > {line}" for line in KEY.split("\n")[:3])).split("\n")
    assert lines[1:] == [f"       > {R}", f"       > {R}"]


NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PUBLIC = {
    "store path": st.builds(
        "/nix/store/{}-{}".format,
        st.text(NIX32, min_size=32, max_size=32),
        st.lists(
            st.sampled_from(
                ("token", "password", "secret", "key", "ghp_0123456789", "1.2", "x", "s.", "sk")
            ),
            min_size=1,
            max_size=5,
        ).map("-".join),
    ),
    "commit": st.text("0123456789abcdef", min_size=40, max_size=40),
    "hash": st.one_of(
        st.text(BASE64, min_size=43, max_size=43).map("sha256-{}=".format),
        st.text(BASE64, min_size=86, max_size=86).map("sha512-{}==".format),
        st.text(BASE64, min_size=86, max_size=86).map("sha512:{}==".format),
        st.text(NIX32, min_size=52, max_size=52).map("sha256:{}".format),
    ),
    "public key": st.text(BASE64, min_size=43, max_size=43).map("cache.example.org-1:{}=".format),
}
AROUND = (
    *("{}", "building '{}'...", "error: path '{}' is not valid", "copying {} from 'https://c'"),
    *("rev={}", '"rev":"{}"', "narHash: {}", "\x1b[35;1m{}\x1b[0m", "got:    {}", "https://h/x/{}"),
    *("PASSWORD=x {}", "token: y\n{}", "-----BEGIN RSA PRIVATE KEY-----\n{} and more"),
)


@pytest.mark.parametrize("kind", PUBLIC)
@given(st.data(), st.sampled_from(AROUND))
def test_redactor_never_touches_what_everybody_may_read(
    kind: str, data: st.DataObject, around: str
) -> None:
    public = data.draw(PUBLIC[kind])
    assert public in redact(around.format(public))


@given(st.text())
def test_redactor_takes_any_text_and_keeps_its_lines(text: str) -> None:
    assert redact(text).count("\n") == text.count("\n")
    assert redact(redact(text)) == redact(text)


# Time. A hostile line is compared with a usual one in the same run, not with a clock.

SIZE = 64 * 1024
RATIO = 20
"""How much longer a hostile line may take than a usual line that every rule must look at."""

HINTS = " ".join(hint for rule in _RULES for hint in rule.hints)
USUAL = "building nixfleet-agent-2.1.0 with some words and a path /nix/store/abc-name in it "


def fill(unit: str) -> str:
    """A line full of them; its end makes every rule look at it."""
    return f"{(unit * (SIZE // len(unit)))[: SIZE - len(HINTS)]} {HINTS}"


def cost(line: str, tries: int = 1) -> float:
    """Seconds of processor time."""

    def once() -> float:
        begin = time.process_time()
        Redactor().line(line)
        return time.process_time() - begin

    return min(once() for _ in range(tries))


def assert_cheap(line: str, usual: float) -> None:
    if cost(line) > RATIO * usual:  # one pause of a busy machine must not fail a test
        assert cost(line, tries=3) <= RATIO * usual, line[:80]


EXAMPLES = (
    *SECRETS,
    *HARMLESS[:-1],
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
)


@pytest.fixture(scope="module")
def usual() -> float:
    return cost(fill(USUAL), tries=5)


def test_no_rule_repeats_a_group_possessively() -> None:
    """Python before 3.11.5 then takes too much (python/cpython#106052); newer ones show nothing."""
    group = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+")
    assert not [rule.pattern for rule in _RULES if group.search(rule.pattern)]
    assert group.search("(?:a|b)++")
    assert group.search("(?:a|b){1,2}+")


@given(
    st.sampled_from(EXAMPLES),
    st.floats(0, 1),
    st.sampled_from(["", " ", "-", ".", "'", '"', "=", ":", ",", "\\", "/", "@", "\r", "\x1b[1m"]),
)
@settings(max_examples=30)
def test_repeated_beginnings_of_a_rule_take_linear_time(
    usual: float, example: str, part: float, between: str
) -> None:
    unit = example[: 1 + round(part * (len(example) - 1))] + between
    assert_cheap(fill(unit), usual)


@given(st.sampled_from(EXAMPLES), st.floats(0, 1), st.sampled_from("a-. @:/'\"\\=,;&\t>"))
@settings(max_examples=30)
def test_a_long_run_after_a_beginning_takes_linear_time(
    usual: float, example: str, part: float, character: str
) -> None:
    beginning = example[: 1 + round(part * (len(example) - 1))]
    assert_cheap(f"{beginning}{character * (SIZE - len(HINTS))} {HINTS}", usual)


@pytest.mark.parametrize("example", [*SECRETS, *KEY.split("\n")[:1]], ids=str)
def test_four_times_the_text_takes_about_four_times_as_long(example: str) -> None:
    """Repeated in one line, and its beginning alone; quadratic time would be sixteen times."""
    for unit in (example.replace("\n", " "), example[: len(example) // 2].replace("\n", " ")):
        short, long = (f"{unit * (size // len(unit))} {HINTS}" for size in (SIZE // 16, SIZE // 4))
        for tries in (1, 3, 9):  # one pause of a busy machine must not fail a test
            if cost(long, tries) < 8 * cost(short, tries) + 0.002:
                break
        else:
            raise AssertionError(unit)


@pytest.mark.parametrize(
    "unit",
    [
        *("a.", "://", "a://", "https://a", "-eyJ", "eyJ-", "login ", "password ", "ghp_-"),
        *("authorization:", "authorization: aaaaaaa", "--a-", "a_pass", "bearer a", "=", "'", '"'),
        *("\\", "\\'", "-----BEGIN A", "\x1b[", "\x1b]", "\x9b1;", "\u202e", "\r", "  password x"),
    ],
)
def test_a_hostile_line_takes_linear_time(usual: float, unit: str) -> None:
    assert_cheap(fill(unit), usual)
