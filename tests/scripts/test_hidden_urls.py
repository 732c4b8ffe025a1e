"""A secret in the URL of an input, or of nixcfg's remote, is in no argument, log or file."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, CHECKOUT, SHELLS, FakeHost, git, lock_text
from git_server import REV, GitServer, basic
from left_out import need

from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.nix.lock import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.vocabulary import StepId

GIT = shutil.which("git")
TOKEN = "tok%403n-marked"
LOGIN = {"authorization": basic("o p", "tok@3n-marked")}
one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)


@pytest.fixture
def server() -> Iterator[GitServer]:
    made = GitServer(scheme="http")
    yield made
    made.stop()


@dataclass
class Hiding:
    """A host whose flake.lock names an input by a URL with user information, or with a query."""

    host: FakeHost
    server: GitServer

    def lock(self, user: str = f"o%20p:{TOKEN}@", query: str = "", kind: str = "closed") -> None:
        place = f"{self.server.url}/{kind}/r"
        hides = "query" if query else "login"
        given = f"http://{user}{self.server.place}/{kind}/r{query}"
        self.host.set("given", given)
        for name, rev in (("lock-values", "2" * 40), ("new-values", REV)):
            self.host.set(name, f"git\t{place}\t\t{rev}\t\t\t{hides}")
        for path, rev in ((self.host.lock, "2" * 40), (self.host.state / "new-lock", REV)):
            path.write_text(lock_text(rev).replace("https://h/nixfleet", given))
        git(self.host.checkout, "commit", "-q", "--allow-empty", "-am", "The input moves")

    def run(self, *update: str, tries: int = 3) -> None:
        """A job that pulls nothing."""
        lines: dict[StepId, tuple[str, ...]] = {"update": update} if update else {}
        self.host.run_job(self.host.plan(pull=False, lines=lines, tries=tries))

    def said(self) -> str:
        """All files of the job, all arguments, and all output."""
        shown = [*self.host.calls()]
        for folder in (self.host.job, self.host.run_state):
            files = (path for path in folder.rglob("*") if path.is_file())
            # the copy of flake.lock that is restored byte for byte is the host's own file
            files = (path for path in files if not path.name.startswith("flake.lock"))
            shown += [path.read_text(errors="replace") for path in files]
        return "\n".join(shown)


@pytest.fixture
def hiding(host: FakeHost, server: GitServer) -> Hiding:
    host.on("git", f'exec {GIT} "$@"')
    made = Hiding(host, server)
    made.lock()
    return made


def test_only_git_gets_the_password_of_the_inputs_url(hiding: Hiding) -> None:
    host = hiding.host
    hiding.run()
    assert host.steps == {step: "ok" for step in CHAIN if step != "pull"}, host.log
    assert (host.job / "latest").read_text().strip() == REV
    assert LOGIN in hiding.server.secrets
    for name in ("before", "after"):
        found = parse_probe((host.job / name).read_bytes()).checkout
        assert found is not None
        assert found.lock is not None
        agent = found.lock.find("nixfleet")
        assert agent is not None
        assert agent.source == Source(f"{hiding.server.url}/closed/r")
    said = hiding.said()
    assert "marked" not in said
    assert "tok%40" not in said
    assert f"ls-remote -- {hiding.server.url}/closed/r HEAD" in said


@one_shell
def test_a_second_checkouts_urls_hide_nothing_in_a_job(hiding: Hiding) -> None:
    """Its flake.lock is written down beside the other: to compare them."""
    host = hiding.host
    other = host.root / "var/lib/nixfleet-agent/repo"
    git(host.root, "clone", "-q", str(host.upstream.nixcfg), str(other))
    urls = (
        *("https://op:tok@h/r?key=marked-1", "ssh://git:marked-2@h/r"),
        *("git+ssh://git@h/kept", "git://h/q?key=marked-3"),
    )
    nodes = {str(n): {"locked": {"url": url}} for n, url in enumerate(urls)}
    (other / "flake.lock").write_text(json.dumps({"nodes": nodes, "root": "0", "version": 7}))
    hiding.run()
    before = (host.job / "before").read_text()
    assert "\nother.lock " in before
    assert "marked" not in hiding.said()
    for kept in ("https://h/r?", "ssh://git@h/r", "git+ssh://git@h/kept", "git://h/q?"):
        assert f'"{kept}"' in before


@pytest.mark.parametrize("inner", SHELLS)
@one_shell
def test_git_gets_the_password_with_any_sh_of_the_host(
    hiding: Hiding, request: pytest.FixtureRequest, inner: str
) -> None:
    need(request, inner)
    words = " ".join(SHELLS[inner])
    hiding.host.on("sh", f'exec {words} "$@"')
    hiding.run()
    assert hiding.host.steps["update"] == "ok", hiding.host.log
    assert LOGIN in hiding.server.secrets
    assert "marked" not in hiding.said()


@one_shell
def test_a_url_with_only_a_user_gets_the_owners_password(hiding: Hiding) -> None:
    host = hiding.host
    hiding.lock(user="o%20p@")
    helper = '!f() { grep -q "username=o p" && echo password=tok@3n-marked; }; f'
    settings = host.root / "home/ops/.gitconfig"
    git(host.checkout, "config", "--file", str(settings), "credential.helper", helper)
    host.env["GIT_CONFIG_GLOBAL"] = str(settings)
    hiding.run()
    assert host.steps["update"] == "ok", host.log
    assert LOGIN in hiding.server.secrets
    assert "o p" not in "\n".join(call for call in host.calls("git") if "ls-remote" in call)


@one_shell
def test_a_wrong_password_refuses_the_job_and_is_not_shown(hiding: Hiding) -> None:
    hiding.lock(kind="closed-to-all")
    hiding.server.opens = False
    host = hiding.host
    hiding.run()
    assert host.steps["preflight"] == "failed"
    assert f"preflight: {hiding.server.url}/closed-to-all/r refuses git, with which" in host.log
    assert "marked" not in hiding.said()


@one_shell
def test_a_url_with_a_query_is_not_asked_and_the_update_goes_on(hiding: Hiding) -> None:
    hiding.lock(user="", query="?private_token=marked")
    host = hiding.host
    hiding.run()
    assert host.steps["update"] == "ok", host.log
    assert "its repository says unknown" in host.log
    assert hiding.server.seen == []
    assert "marked" not in hiding.said()


@pytest.mark.parametrize("query", ["", "?private_token=marked"])
@one_shell
def test_an_input_that_got_a_credential_after_the_plan_is_not_pinned(
    hiding: Hiding, query: str
) -> None:
    hiding.lock(query=query)
    host = hiding.host
    hiding.run("pin-latest", "nixfleet")
    assert (host.steps["update"], host.step("update").reason) == ("failed", "credentials")
    assert host.calls("nixos-rebuild") == []
    assert host.agent_runs()
    assert not [call for call in host.calls("nix") if "--override-input" in call]
    assert "marked" not in hiding.said()


@one_shell
def test_a_refusing_forge_does_not_get_the_input_pinned(hiding: Hiding) -> None:
    host = hiding.host
    host.on(
        "nix",
        'case "$*" in *" update "*) echo "API rate limit exceeded" ;; *) default "$@" ;; esac',
    )
    hiding.run(tries=1)
    assert (host.steps["update"], host.step("update").reason) == ("failed", "credentials")
    assert not [call for call in host.calls("nix") if "--override-input" in call]
    assert "marked" not in hiding.said()


def test_the_password_of_a_remote_is_in_no_argument(
    hiding: Hiding,
) -> None:
    host = hiding.host
    url = f"http://o%20p:{TOKEN}@{hiding.server.place}/closed/r"
    git(host.checkout, "remote", "set-url", "origin", url)
    done = host.ask("incoming", NF_CHECKOUT=CHECKOUT)
    assert LOGIN in hiding.server.secrets
    assert "marked" not in "\n".join(host.calls()) + done.stderr.decode() + done.stdout.decode()
    assert not list(Path(host.env["TMPDIR"]).iterdir())
