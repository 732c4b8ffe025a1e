"""Which of the operator's credentials reach which server, with real git and servers of our own."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_server import REV, TLS, GitServer, basic

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.nix.git_url import Latest, NotKnown
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.session.latest import GitLatest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIT = shutil.which("git")
HELPER = '!f() { if [ "$1" = get ]; then echo username=op; echo password=secret; fi; }; f'
OPERATOR = {"authorization": basic("op", "secret")}
WRAPPER = """#!/bin/sh
printf '%s\\n' "$*" >>{told}
exec {git} "$@"
"""


@dataclass
class Client:
    """The operator's machine: git's settings, ~/.netrc, and the arguments of git."""

    home: Path

    def settings(self, text: str = "") -> None:
        # only the test's certificate: GnuTLS reads all of this machine's before each connection
        trust = f"[http]\n\tsslCAInfo = {TLS}/cert.pem\n\tsslCAPath = {TLS}/none\n"
        (self.home / ".gitconfig").write_text(trust + text)

    def helper(self, scope: str = "") -> None:
        self.settings(f"[credential{scope}]\n\thelper = {json.dumps(HELPER)}\n")

    @property
    def argv(self) -> str:
        return (self.home / "argv").read_text()

    async def ask(self, url: str, *forges: str, ref: str | None = None) -> Latest:
        """Ask for the latest commit of a URL in the flake.lock of a host."""
        lock = {
            "version": 7,
            "root": "r",
            "nodes": {
                "r": {"inputs": {"nixfleet": "n"}},
                "n": {"original": {"type": "git", "url": url, **({"ref": ref} if ref else {})}},
            },
        }
        found = parse_lock(json.dumps(lock)).find("nixfleet")
        assert found is not None
        host = Host("csb0", SshAddress("csb0"), forges=forges)
        return await GitLatest().latest(found.source, host)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name in [name for name in os.environ if name.startswith(("GIT_", "SSH_", "XDG_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(WRAPPER.format(told=tmp_path / "argv", git=GIT))
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=os.pathsep)
    made = Client(tmp_path)
    made.settings()
    return made


@pytest.fixture
def serve() -> Iterator[Callable[..., GitServer]]:
    running: list[GitServer] = []

    def start(scheme: str = "https", name: str = "127.0.0.1") -> GitServer:
        running.append(GitServer(scheme, name))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., GitServer]) -> GitServer:
    return serve()


def may_not_ask(answer: Latest, server: GitServer) -> bool:
    return isinstance(answer, NotKnown) and f"may not ask {server.place}" in answer.why


async def test_three_reasons_for_no_commit_are_three_answers(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    """The client may not ask; there is no such ref; nobody answers."""
    server, gone = serve(), serve()
    assert may_not_ask(await client.ask(f"{server.url}/closed/r", ref="main"), server)
    answer = await client.ask(f"{server.url}/open/r", ref="v2.0")
    assert isinstance(answer, NotKnown)
    assert answer.why == "its repository has no branch 'v2.0'"
    url = gone.url
    gone.stop()
    assert await client.ask(f"{url}/open/r", ref="main") is None


async def test_an_open_repository_gets_no_credential(client: Client, server: GitServer) -> None:
    client.settings(
        f'[credential]\n\thelper = {json.dumps(HELPER)}\n[http]\n\textraHeader = "X-Token: t"'
    )
    for forges in ((), (server.place,)):
        assert await client.ask(f"{server.url}/open/r", *forges, ref="main") == REV
    assert server.secrets == []


# Programs and terminals.


async def test_nobody_is_asked_for_a_password(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = client.home / "askpass"
    asked.write_text(f"#!/bin/sh\n: >{client.home}/was-asked\necho secret\n")
    asked.chmod(0o755)
    client.settings(f"[core]\n\taskPass = {asked}\n")
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(asked))
    for forges in ((), (server.place,)):
        answer = await client.ask(f"{server.url}/closed/r", *forges)
        assert may_not_ask(answer, server)
    assert (server.secrets, (client.home / "was-asked").exists()) == ([], False)


# Credentials for all servers.


async def test_a_helper_for_all_servers_answers_only_a_listed_forge(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    forge, other = serve(), serve()
    client.helper()
    assert await client.ask(f"{forge.url}/closed/r", forge.place) == REV
    assert forge.secrets == [OPERATOR]
    answer = await client.ask(f"{other.url}/closed/r", forge.place)
    assert may_not_ask(answer, other)
    assert isinstance(answer, NotKnown)
    assert f'forges = ["{other.place}", …]' in answer.advice
    assert other.secrets == []
    assert len(other.seen) == 1


@pytest.mark.parametrize("port", ["", ":1"])
async def test_a_forge_is_a_server_with_its_port(
    client: Client, server: GitServer, port: str
) -> None:
    client.helper()
    assert may_not_ask(await client.ask(f"{server.url}/closed/r", f"127.0.0.1{port}"), server)
    assert server.secrets == []


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        ('extraHeader = "X-Token: t"', {"x-token": "t"}),
        ('extraHeader = "Authorization: Bearer t"', {"authorization": "Bearer t"}),
        ("cookieFile = {home}/cookies", {"cookie": "session=t"}),
        ("sslCert = {tls}/cert.pem\n\tsslKey = {tls}/key.pem", {"certificate": "yes"}),
    ],
    ids=["header", "authorization", "cookies", "client certificate"],
)
@pytest.mark.parametrize("scoped", [False, True])
async def test_git_settings_for_all_servers_reach_only_named_servers(
    client: Client,
    serve: Callable[..., GitServer],
    settings: str,
    secret: dict[str, str],
    scoped: bool,
) -> None:
    forge, other = serve(), serve(name="localhost")
    (client.home / "cookies").write_text(
        "".join(f"{name}\tFALSE\t/\tTRUE\t0\tsession\tt\n" for name in ("127.0.0.1", "localhost"))
    )
    scope = f' "{forge.url}"' if scoped else ""
    text = settings.format(home=client.home, tls=TLS)
    client.settings(f"[http{scope}]\n\t{text}\n")
    listed = () if scoped else (forge.place,)
    assert await client.ask(f"{forge.url}/closed/r", *listed) == REV
    assert secret in forge.secrets
    answer = await client.ask(f"{other.url}/closed/r", *listed)
    assert may_not_ask(answer, other)
    assert other.secrets == []


async def test_a_client_certificate_of_the_environment_reaches_only_listed_servers(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSL_CERT", f"{TLS}/cert.pem")
    monkeypatch.setenv("GIT_SSL_KEY", f"{TLS}/key.pem")
    assert may_not_ask(await client.ask(f"{server.url}/closed/r"), server)
    assert server.secrets == []
    assert await client.ask(f"{server.url}/closed/r", server.place) == REV


async def test_settings_of_the_environment_count_as_the_operators(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "http.extraHeader")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "X-Token: t")
    assert may_not_ask(await client.ask(f"{server.url}/closed/r"), server)
    assert server.secrets == []
    assert await client.ask(f"{server.url}/closed/r", server.place) == REV


@pytest.mark.parametrize("scope", ["https://", "*", "https://*"])
async def test_a_pattern_that_fits_every_server_names_no_server(
    client: Client, server: GitServer, scope: str
) -> None:
    client.helper(f' "{scope}"')
    assert await client.ask(f"{server.url}/closed/r") != REV
    assert server.secrets == []


# Credentials for one server.


async def test_a_helper_scoped_to_the_server_needs_no_list(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    named, other = serve(), serve()
    client.helper(f' "{named.url}"')
    assert await client.ask(f"{named.url}/closed/r") == REV
    assert named.secrets == [OPERATOR]
    assert may_not_ask(await client.ask(f"{other.url}/closed/r"), other)
    assert other.secrets == []


async def test_git_settings_for_one_path_do_not_reach_another(
    client: Client, server: GitServer
) -> None:
    client.settings(f'[http "{server.url}/closed/mine"]\n\textraHeader = "X-Token: t"\n')
    assert await client.ask(f"{server.url}/closed/mine/r") == REV
    server.seen.clear()
    assert may_not_ask(await client.ask(f"{server.url}/closed/other"), server)
    assert server.secrets == []


async def test_netrc_answers_only_the_servers_that_it_names(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    named, other = serve(), serve(name="localhost")
    (client.home / ".netrc").write_text("machine 127.0.0.1 login op password secret\n")
    assert await client.ask(f"{named.url}/closed/r") == REV
    assert named.secrets == [OPERATOR]
    assert may_not_ask(await client.ask(f"{other.url}/closed/r"), other)
    assert other.secrets == []


async def test_the_default_of_netrc_reaches_only_listed_servers(
    client: Client, server: GitServer
) -> None:
    (client.home / ".netrc").write_text(
        "machine x login a password b\ndefault login op password secret\n"
    )
    assert may_not_ask(await client.ask(f"{server.url}/open/r"), server)
    assert server.seen == []
    assert await client.ask(f"{server.url}/closed/r", server.place) == REV


# Redirects.


async def test_a_repository_renamed_on_its_server_is_found(
    client: Client, server: GitServer
) -> None:
    server.moved_to = server.url
    client.helper()
    assert await client.ask(f"{server.url}/moved/open/r") == REV
    assert server.secrets == []
    # a closed repository is redirected only after the client has logged in
    assert await client.ask(f"{server.url}/moved-closed/closed/r", server.place) == REV
    assert server.secrets == [OPERATOR] * 2


async def test_a_redirect_may_be_relative(client: Client, server: GitServer) -> None:
    client.helper()
    assert await client.ask(f"{server.url}/moved-closed/closed/r", server.place) == REV


@pytest.mark.parametrize("moved", ["moved", "moved-closed"])
@pytest.mark.parametrize(
    "settings",
    [
        f"[credential]\n\thelper = {json.dumps(HELPER)}\n",
        '[http]\n\textraHeader = "X-Token: t"\n',
        '[http "FORGE"]\n\textraHeader = "X-Token: t"\n',
        '[http "FORGE"]\n\textraHeader = "X-Token: t"\n\tfollowRedirects = true\n',
    ],
    ids=["helper", "header", "header for the forge", "redirects are followed"],
)
async def test_a_redirect_of_a_forge_takes_no_credential_to_another_server(
    client: Client, serve: Callable[..., GitServer], moved: str, settings: str
) -> None:
    forge, other = serve(), serve(name="localhost")
    forge.moved_to = other.url
    client.settings(settings.replace("FORGE", forge.url))
    answer = await client.ask(f"{forge.url}/{moved}/closed/r", forge.place)
    assert answer is None or may_not_ask(answer, other)
    assert len(other.seen) > 0
    assert other.secrets == []
    # an open repository there is answered
    assert await client.ask(f"{forge.url}/{moved}/open/r", forge.place) == REV
    assert other.secrets == []


async def test_a_listed_server_gets_its_own_credential_after_a_redirect(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    one, two = serve(), serve(name="localhost")
    one.moved_to = two.url
    client.helper()
    assert await client.ask(f"{one.url}/moved-closed/closed/r", one.place, two.place) == REV
    assert two.secrets == [OPERATOR]


async def test_redirects_in_a_circle_end(client: Client, server: GitServer) -> None:
    server.moved_to = f"{server.url}/moved-closed"
    client.helper()
    assert await client.ask(f"{server.url}/moved-closed/r", server.place) is None


# http.


async def test_http_carries_no_credential(client: Client, serve: Callable[..., GitServer]) -> None:
    server = serve(scheme="http")
    client.settings(
        f'[credential "{server.url}"]\n\thelper = {json.dumps(HELPER)}\n'
        f'[http "{server.url}"]\n\textraHeader = "X-Token: t"\n'
    )
    assert await client.ask(f"{server.url}/open/r", server.place) == REV
    for user in ("", "u:p@"):
        url = f"http://{user}{server.place}/closed/r"
        assert may_not_ask(await client.ask(url, server.place), server)
    (client.home / ".netrc").write_text("machine 127.0.0.1 login op password secret\n")
    assert may_not_ask(await client.ask(f"{server.url}/open/r"), server)
    assert server.secrets == []


async def test_http_may_redirect_to_https_but_not_back(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    plain, server = serve("http"), serve(name="localhost")
    plain.moved_to, server.moved_to = server.url, plain.url
    client.helper()
    assert await client.ask(f"{plain.url}/moved/open/r", server.place) == REV
    plain.seen.clear()
    assert await client.ask(f"{server.url}/moved/open/r", server.place) is None
    assert (plain.seen, plain.secrets) == ([], [])


# Passwords in flake.lock.


async def test_the_password_of_a_flake_lock_reaches_its_server_and_no_argument(
    client: Client, server: GitServer
) -> None:
    client.helper()
    url = f"https://us%40er:to%3Ak3n@{server.place}/closed/r"
    assert await client.ask(url) == REV
    assert server.secrets == [{"authorization": basic("us@er", "to:k3n")}]
    assert "k3n" not in client.argv
    assert "us@er" not in client.argv


async def test_the_password_of_a_flake_lock_does_not_follow_a_redirect(
    client: Client, serve: Callable[..., GitServer]
) -> None:
    one, two = serve(), serve(name="localhost")
    one.moved_to = two.url
    answer = await client.ask(f"https://u:tok3n@{one.place}/moved-closed/closed/r")
    assert may_not_ask(answer, two)
    assert one.secrets == [{"authorization": basic("u", "tok3n")}]
    assert (two.secrets, len(two.seen)) == ([], 1)
    one.moved_to = one.url
    assert await client.ask(f"https://u:tok3n@{one.place}/moved-closed/closed/r") == REV


async def test_a_url_with_only_a_user_gets_the_operators_password_for_it(
    client: Client, server: GitServer
) -> None:
    helper = "!f() { grep -q username=us@er && echo password=secret; }; f"
    client.settings(f"[credential]\n\thelper = {json.dumps(helper)}\n")
    assert await client.ask(f"https://us%40er@{server.place}/closed/r", server.place) == REV
    assert server.secrets == [{"authorization": basic("us@er", "secret")}]
    assert "us@er" not in client.argv


async def test_a_password_that_would_speak_gits_protocol_is_not_used(
    client: Client, server: GitServer
) -> None:
    client.helper()
    answer = await client.ask(f"https://u:p%0Ahost=evil@{server.place}/closed/r")
    assert may_not_ask(answer, server)
    assert server.secrets == []


# The current directory.


async def test_the_repository_of_the_current_directory_is_ignored(
    client: Client, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = client.home / "ran"
    for name in ("GIT_DIR", ""):
        folder = client.home / f"archive{name}"
        inner = folder / ".git"
        for part in ("objects", "refs"):
            (inner / part).mkdir(parents=True)
        (inner / "HEAD").write_text("ref: refs/heads/main\n")
        (inner / "config").write_text(
            f'[core]\n\trepositoryformatversion = 0\n[credential "{server.url}"]\n'
            f'\thelper = "!touch {ran}; echo username=a; echo password=b; :"\n'
            f'[url "{server.url}/open/"]\n\tinsteadOf = {server.url}/closed/\n'
        )
        if name:
            monkeypatch.setenv(name, str(inner))
        else:
            monkeypatch.delenv("GIT_DIR")
            monkeypatch.chdir(folder)
        assert may_not_ask(await client.ask(f"{server.url}/closed/r", server.place), server)
    assert (ran.exists(), server.secrets) == (False, [])


async def test_git_before_2_32_asks_only_listed_servers(client: Client, server: GitServer) -> None:
    """git older than 2.32 still reads its own files."""
    old = f'#!/bin/sh\nexport GIT_CONFIG_GLOBAL={client.home}/.gitconfig\nexec {GIT} "$@"\n'
    (client.home / "bin/git").write_text(old)
    client.helper()
    answer = await client.ask(f"{server.url}/closed/r")
    assert isinstance(answer, NotKnown)
    assert "use git 2.32 or later" in answer.advice
    assert server.seen == []
    assert await client.ask(f"{server.url}/closed/r", server.place) == REV


async def test_the_answer_says_that_git_cannot_read_its_settings(
    client: Client, server: GitServer
) -> None:
    (client.home / ".gitconfig").write_text("[http\n")
    answer = await client.ask(f"{server.url}/open/r")
    assert isinstance(answer, NotKnown)
    assert "git configuration" in answer.why


# The operator's own insteadOf.


async def test_insteadof_leads_where_the_operator_wants(client: Client, server: GitServer) -> None:
    client.settings(f'[url "{server.url}/open/"]\n\tinsteadOf = git@github.com:\n')
    assert await client.ask("git@github.com:o/r") == REV


async def test_insteadof_may_name_any_transport_that_git_allows(client: Client) -> None:
    script = client.home / "connect"
    script.write_text(f"#!/bin/sh\n: >{client.home}/connected\n")
    script.chmod(0o755)
    text = f'[url "ext::{script} "]\n\tinsteadOf = https://corp.example.org/\n'
    client.settings(text)
    assert await client.ask("https://corp.example.org/r") is None
    assert not (client.home / "connected").exists(), "git's own rule for ext is never"
    client.settings(f'{text}[protocol "ext"]\n\tallow = always\n')
    await client.ask("https://corp.example.org/r")
    assert (client.home / "connected").exists()


async def test_insteadof_of_all_http_gives_no_server_a_credential(
    client: Client, server: GitServer
) -> None:
    client.settings(
        f'[credential]\n\thelper = {json.dumps(HELPER)}\n[url "https://"]\n\tinsteadOf = http://\n'
    )
    assert may_not_ask(await client.ask(f"http://{server.place}/closed/r"), server)
    assert server.secrets == []
    assert await client.ask(f"http://{server.place}/closed/r", server.place) == REV


@pytest.mark.parametrize("base", ["https://me@", "https://me:own@", "HTTPS://me@"])
async def test_insteadof_of_all_https_with_a_user_gives_no_server_a_credential(
    client: Client, server: GitServer, base: str
) -> None:
    client.settings(
        f'[credential]\n\thelper = {json.dumps(HELPER)}\n[url "{base}"]\n\tinsteadOf = https://\n'
    )
    await client.ask(f"{server.url}/closed/r")
    # a password that the operator wrote into the URL goes there
    assert OPERATOR not in server.secrets
    assert "secret" not in str(server.secrets)
    assert basic("me", "secret") not in str(server.secrets)


async def test_insteadof_with_the_operators_own_password_works(
    client: Client, server: GitServer
) -> None:
    url = f"https://me:own@{server.place}/closed/"
    client.settings(f'[url "{url}"]\n\tinsteadOf = https://corp.example.org/\n')
    assert await client.ask("https://corp.example.org/r") == REV
    assert server.secrets == [{"authorization": basic("me", "own")}] * len(server.secrets)
    assert "own" not in client.argv


async def test_a_transport_that_the_operator_forbids_stays_forbidden(
    client: Client, server: GitServer
) -> None:
    client.settings('[protocol "https"]\n\tallow = never\n')
    assert await client.ask(f"{server.url}/open/r") is None
    assert server.seen == []


# ssh.

SSH = """#!/bin/sh
printf '%s\\n' "$@" >>{told}
env >{told}.env
exit 255
"""


@pytest.fixture
def ssh(client: Client) -> Callable[[], list[str]]:
    """The arguments of an ssh that stands in for the real one, since the last look."""
    told = client.home / "ssh-argv"
    for name in ("ssh", "other-ssh"):
        (client.home / f"bin/{name}").write_text(SSH.format(told=told))
        (client.home / f"bin/{name}").chmod(0o755)

    def read() -> list[str]:
        lines = told.read_text().splitlines() if told.exists() else []
        told.unlink(missing_ok=True)
        return lines

    return read


@pytest.mark.parametrize("url", ["ssh://git@other.example.org:29418/r", "git@other.example.org:r"])
async def test_ssh_forwards_no_agent_screen_or_ticket(
    client: Client, ssh: Callable[[], list[str]], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert await client.ask(url) is None
    argv = ssh()
    assert {"ForwardAgent=no", "BatchMode=yes", "ClearAllForwardings=yes", "-a", "-x", "-k"} < set(
        argv
    )
    assert {"PermitLocalCommand=no", "git@other.example.org"} < set(argv)
    env = (client.home / "ssh-argv.env").read_text()
    assert "SSH_ASKPASS" not in env
    assert "SSH_AUTH_SOCK=/run/agent" in env, "keys are offered as ssh does"


async def test_the_operators_own_ssh_command_is_extended(
    client: Client, ssh: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.settings("[core]\n\tsshCommand = ssh -i ~/deploy-key -A\n")
    await client.ask("git@h:r")
    argv = ssh()
    assert argv[:2] == ["-i", f"{client.home}/deploy-key"]
    assert argv.index("-A") < argv.index("-a")
    monkeypatch.setenv("GIT_SSH", "other-ssh")
    client.settings()
    await client.ask("git@h:r")
    assert "ForwardAgent=no" in ssh()
    monkeypatch.setenv("GIT_SSH_COMMAND", "other-ssh -p 1")
    await client.ask("git@h:r")
    assert ssh()[:2] == ["-p", "1"]


async def test_a_password_of_an_ssh_url_is_dropped(
    client: Client, ssh: Callable[[], list[str]]
) -> None:
    await client.ask("ssh://git:tok3n@h.example.org/r")
    assert "git@h.example.org" in ssh()
    assert "tok3n" not in client.argv


@pytest.mark.parametrize(
    "url",
    [
        "ssh://x`touch ran`y/r",
        "ssh://$(touch ran)/r",
        "ssh://-oProxyCommand=touch/r",
        "ssh://-l@h/r",
        "-oProxyCommand=touch:r",
        "a;b@h:r",
        "h|x:r",
        "ssh://h/r`x`",
        "ssh://h/../r",
        "git@h:../r",
        "ext::sh -c touch% ran",
        "odd::anything",
        "odd://h/r",
        "file:r",
        "path:/r",
        "file:///r",
        "/r",
        "../r",
        "https://h\n/r",
        "https://h\\x/r",
        "https://h/r\x00",
        "--upload-pack=x",
        "",
    ],
)
async def test_a_forbidden_url_reaches_no_process(
    client: Client, ssh: Callable[[], list[str]], url: str
) -> None:
    answer = await client.ask(url)
    assert isinstance(answer, NotKnown)
    assert (ssh(), (client.home / "argv").exists()) == ([], False)


async def test_a_url_with_a_query_is_not_asked_since_git_would_show_it(
    client: Client, server: GitServer
) -> None:
    answer = await client.ask(f"{server.url}/open/r?private_token=tok3n")
    assert isinstance(answer, NotKnown)
    assert "query" in answer.why
    assert not (client.home / "argv").exists()
