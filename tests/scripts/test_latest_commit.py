"""The commit that the lock should name: what a ref can be, who may ask, what no answer means."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, FakeHost, git
from git_server import GitServer

from nixfleet_core.job.events import Check
from nixfleet_core.log.failures import stale_pattern
from nixfleet_core.nix.refs import Found, find_ref, is_commit_of, is_ref, read_refs, ref_names
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GITHUB = "https://github.com/acme/nixfleet"
ONE, TWO, TAG = "1" * 40, "2" * 40, "f" * 40
OK = dict.fromkeys(CHAIN, "ok")
one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)
in_busybox = pytest.mark.parametrize("shell", ["busybox"], indirect=True)


def lead(host: FakeHost, url: str, to: str) -> None:
    """The owner's git goes to another place instead."""
    path = host.root / "home/ops/.gitconfig"
    with path.open("a") as file:
        file.write(f'[url "{to}"]\n\tinsteadOf = {url}\n')
    host.env["GIT_CONFIG_GLOBAL"] = str(path)


def follow(host: FakeHost, ref: str, old: str = "", new: str = "", kind: str = "github") -> None:
    """Let flake.lock name the input github:acme/nixfleet/REF; Nix moves it from `old` to `new`."""
    url = GITHUB if kind == "github" else host.upstream.nixfleet
    for name, rev in (
        ("lock-values", old or host.upstream.old),
        ("new-values", new or host.upstream.new),
    ):
        host.set(name, f"{kind}\t{url}\t{ref}\t{rev}\t\t{kind}:acme/nixfleet?rev=")


@pytest.fixture
def tagged(host: FakeHost, tmp_path: Path) -> FakeHost:
    """A host whose input is a repository of its own, to which github.com leads."""
    copy = tmp_path / "nixfleet"
    git(tmp_path, "clone", "-q", host.upstream.nixfleet, str(copy))
    lead(host, GITHUB, f"file://{copy}")
    lead(host, host.upstream.nixfleet, f"file://{copy}")
    return host


def repository(host: FakeHost) -> Path:
    return host.root.parent / "nixfleet"


def checks(host: FakeHost) -> list[tuple[str, bool, str]]:
    found = [event for event in host.events if isinstance(event, Check)]
    return [(one.check, one.ok, one.reason) for one in found if one.check == "input"]


@pytest.mark.parametrize("annotated", [False, True])
def test_a_github_input_may_be_a_tag(tagged: FakeHost, annotated: bool) -> None:
    git(repository(tagged), "tag", *(("-m", "two", "-a") if annotated else ()), "v2.0")
    follow(tagged, "v2.0")
    tagged.run_job()
    assert tagged.steps == OK, tagged.log
    assert (tagged.job / "latest").read_text().strip() == tagged.upstream.new


@in_busybox
@pytest.mark.parametrize(
    "ref", ["main", "HEAD", "", "refs/heads/main", "heads/main", "pull/7/head", "refs/pull/7/head"]
)
def test_a_github_input_may_be_any_ref(tagged: FakeHost, ref: str) -> None:
    git(repository(tagged), "update-ref", "refs/pull/7/head", "HEAD")
    follow(tagged, ref)
    tagged.run_job()
    assert tagged.steps == OK, tagged.log
    assert (tagged.job / "latest").read_text().strip() == tagged.upstream.new


@one_shell
@pytest.mark.parametrize("size", [7, 40])
def test_a_github_input_may_be_a_commit(tagged: FakeHost, size: int) -> None:
    """git cannot be asked for one that no ref names, but flake.lock has it."""
    old = tagged.upstream.old
    follow(tagged, old[:size], new=old)
    tagged.run_job()
    assert tagged.steps == OK, tagged.log
    assert (tagged.job / "latest").read_text().strip() == old


@one_shell
def test_an_old_lock_at_a_tag_is_not_believed(tagged: FakeHost) -> None:
    """Nix exits with 0, and its fetch failed."""
    git(repository(tagged), "tag", "-m", "two", "-a", "v2.0")
    follow(tagged, "v2.0", new=tagged.upstream.old)
    tagged.run_job()
    assert (tagged.steps["update"], tagged.step("update").reason) == ("failed", "stale")


@one_shell
def test_a_tags_own_object_in_the_lock_is_its_commit(tagged: FakeHost) -> None:
    """Nix before 2.34 locks an annotated tag of a git input to that."""
    git(repository(tagged), "tag", "-m", "two", "-a", "v2.0")
    tag = git(repository(tagged), "rev-parse", "v2.0")
    follow(tagged, "refs/tags/v2.0", new=tag, kind="git")
    tagged.run_job()
    assert tagged.steps == OK, tagged.log
    assert (tagged.job / "latest").read_text().strip() == tag


@one_shell
def test_a_branch_and_a_tag_of_one_name_are_left_to_nix(tagged: FakeHost) -> None:
    git(repository(tagged), "branch", "both", "HEAD~1")
    git(repository(tagged), "tag", "both")
    follow(tagged, "both")
    tagged.run_job()
    assert tagged.steps == OK, tagged.log
    assert "its repository says unknown" in tagged.log


# Who may ask.


@pytest.fixture
def closed() -> Iterator[GitServer]:
    made = GitServer(scheme="http", opens=False)
    yield made
    made.stop()


def test_a_private_input_that_only_nix_can_fetch_is_updated(
    host: FakeHost, closed: GitServer
) -> None:
    """nix.conf has access-tokens for it, and git has nothing."""
    lead(host, GITHUB, f"{closed.url}/closed/nixfleet")
    follow(host, "")
    host.run_job()
    assert host.steps == OK, host.log
    assert checks(host) == [("input", True, "refused")]
    assert f"preflight: {GITHUB} refuses git. Nix may have other credentials" in host.log
    assert not (host.job / "latest").exists()


@one_shell
@pytest.mark.parametrize(
    "says",
    [
        "git@github.com: Permission denied (publickey).",
        "ERROR: Repository not found.",
        "fatal: unable to access 'https://h/r/': The requested URL returned error: 403",
    ],
)
def test_each_refusal_of_git_is_left_to_nix(host: FakeHost, says: str) -> None:
    answer(host, f"echo {says!r} >&2; exit 128")
    follow(host, "")
    host.run_job()
    assert host.steps == OK, host.log
    assert checks(host) == [("input", True, "refused")]


def answer(host: FakeHost, script: str) -> None:
    """Let git answer so when it is asked for refs."""
    real = shutil.which("git")
    host.on("git", f'case "$*" in *ls-remote*) {script} ;; esac; exec {real} "$@"')


@one_shell
def test_an_input_that_only_nix_can_fetch_is_not_believed_when_nix_kept_the_old_one(
    host: FakeHost, closed: GitServer
) -> None:
    lead(host, GITHUB, f"{closed.url}/closed/nixfleet")
    follow(host, "", new=host.upstream.old)
    said = "warning: error: unable to download 'https://h/x': HTTP error 404; using cached version"
    assert "using cached version" in stale_pattern()
    host.on("nix", f'default "$@"; case "$*" in *" update "*) echo "{said}" >&2 ;; esac')
    host.run_job()
    assert (host.steps["update"], host.step("update").reason) == ("failed", "stale")


@one_shell
def test_at_level_3_an_input_that_git_may_not_ask_is_updated_as_usual(
    host: FakeHost, closed: GitServer
) -> None:
    lead(host, GITHUB, f"{closed.url}/closed/nixfleet")
    follow(host, "")
    update = ("nix", "flake", "update", "nixfleet")
    host.run_job(host.plan(lines={"update": ("pin-latest", *update)}))
    assert host.steps == OK, host.log
    assert " ".join(update) in host.calls("nix ")
    assert not [call for call in host.calls("nix ") if "--override-input" in call]


@one_shell
def test_the_checkouts_own_settings_for_urls_do_not_count(host: FakeHost) -> None:
    """nixcfg's deploy key may be behind such a setting. Nix fetches elsewhere, without it."""
    follow(host, "", kind="git")
    url = host.upstream.nixfleet
    git(host.checkout, "config", "url.file:///nowhere/.insteadOf", url)
    host.run_job()
    assert host.steps == OK, host.log


def no_such_ref(host: FakeHost) -> str:
    lead(host, GITHUB, host.upstream.nixfleet)
    follow(host, "no-such")
    return f"preflight: {GITHUB} has no 'no-such', which nixfleet is to follow"


def a_glob(host: FakeHost) -> str:
    """It would fit each branch."""
    lead(host, GITHUB, host.upstream.nixfleet)
    follow(host, "*")
    return f"preflight: {GITHUB} has no '*', which nixfleet is to follow"


def only_a_tag(host: FakeHost) -> str:
    """An input of git is a branch."""
    answer(host, f"printf '{ONE}\\tHEAD\\n{ONE}\\trefs/tags/v1\\n'; exit")
    follow(host, "v1", kind="git")
    return "has no 'v1', which nixfleet is to follow"


def no_network(host: FakeHost) -> str:
    answer(host, 'echo "fatal: unable to access: Could not resolve host: github.com" >&2; exit 128')
    follow(host, "")
    return f"preflight: {GITHUB} does not name a commit for nixfleet"


def login_page(host: FakeHost) -> str:
    answer(host, "exit 0")
    follow(host, "main")
    return f"preflight: {GITHUB} does not name a commit for nixfleet"


def refused_git(host: FakeHost) -> str:
    """Nix itself fetches this input with git."""
    answer(host, "echo 'git@h: Permission denied (publickey).' >&2; exit 128")
    follow(host, "main", kind="git")
    return "refuses git, with which Nix fetches nixfleet"


REFUSALS = {
    no_such_ref: "no-ref",
    a_glob: "no-ref",
    only_a_tag: "no-ref",
    no_network: "unreachable",
    login_page: "unreachable",
    refused_git: "refused",
}


@one_shell
@pytest.mark.parametrize(("make", "reason"), REFUSALS.items())
def test_each_reason_for_no_commit_is_a_refusal_of_its_own(
    host: FakeHost, make: Callable[[FakeHost], str], reason: str
) -> None:
    says = make(host)
    lock = host.lock.read_bytes()
    host.run_job(host.plan(tries=1))
    assert checks(host) == [("input", False, reason)], host.log
    assert says in host.log
    assert (host.calls("systemctl stop"), host.lock.read_bytes()) == ([], lock)


# The same rule in Python and sh.


def sh(host: FakeHost, call: str, **values: str) -> str:
    script = compose("latest", root=str(host.root), values=values, call=call)
    done = host.send(script)
    assert done.stderr == b"", done.stderr
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


REFS = [
    *(
        "main",
        "v2.0",
        "HEAD",
        "",
        "refs/tags/v1",
        "refs/pull/7/head",
        "pull/7/head",
        "é",
        "a@{b",
        "-x",
    ),
    *("a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a\tb", "a\nb", "a\x7f", "\x01", "@"),
    *("abc", "abcd", "ABCD", "1" * 40, "1" * 41, "0123abcdef", "12g4"),
]


def test_a_ref_means_the_same_to_both(host: FakeHost) -> None:
    values = {f"R{number}": ref for number, ref in enumerate(REFS)}

    def says(function: str, words: str = "") -> list[str]:
        calls = (
            f'if {function} "${name}" {words}; then echo yes; else echo no; fi' for name in values
        )
        return sh(host, "\n".join(calls), **values).split("\n")

    assert says("nf_is_ref") == ["yes" if is_ref(ref) else "no" for ref in REFS]
    wanted = ["yes" if is_commit_of(ref, ONE) else "no" for ref in REFS]
    assert says("nf_is_commit_of", ONE) == wanted


@pytest.mark.parametrize(
    ("words", "any_kind"),
    [("github ''", True), ("git ''", False), ("git any", True), ("sourcehut any", True)],
)
def test_a_ref_has_the_same_names_for_both(host: FakeHost, words: str, any_kind: bool) -> None:
    good = {f"R{n}": ref for n, ref in enumerate(REFS) if not ref or is_ref(ref)}
    calls = "\n".join(f'nf_ref_names "${name}" {words}' for name in good)
    wanted = [" ".join(ref_names(ref, any_kind=any_kind)) for ref in good.values()]
    assert sh(host, calls, **good).split("\n") == wanted


LISTS = [
    "",
    f"{ONE}\tHEAD\n",
    f"{ONE}\trefs/heads/v\n",
    f"{ONE}\trefs/x/refs/heads/v\n",
    f"{ONE}\tHEAD\n{TAG}\trefs/tags/v\n{ONE}\trefs/tags/v^{{}}\n",
    f"{TAG}\trefs/tags/v\n{ONE}\trefs/tags/v^{{}}\n{ONE}\trefs/heads/v\n",
    f"{TAG}\trefs/tags/v\n{ONE}\trefs/tags/v^{{}}\n{TWO}\trefs/heads/v\n",
    f"{TWO}\trefs/v\n{TWO}\trefs/heads/v\n",
    f"{ONE}\trefs/heads/é\n",
    "<html>Please log in</html>\n",
    f"{ONE} HEAD\n",
    f"{ONE[:39]}\tHEAD\n",
    f"{ONE}0\tHEAD\n",
    f"warning\n{ONE}\tHEAD\n",
    f"{'G' * 40}\tHEAD\n",
    f"{ONE}\tHEAD\tx\n",
]


def test_what_git_lists_means_the_same_to_both(host: FakeHost) -> None:
    wanted = (("HEAD",), ("refs/heads/v",), ("refs/v", "refs/heads/v", "refs/tags/v"))
    questions = [(text, names) for text in LISTS for names in wanted]
    for number, (text, _) in enumerate(questions):
        (host.root / f"tmp/{number}").write_text(text)
    calls = "".join(
        f'echo "$(nf_ref_find "$NF_ROOT/tmp/{number}" {" ".join(names)})."\n'
        for number, (_, names) in enumerate(questions)
    )
    said = sh(host, calls).split("\n")
    for line, (text, names) in zip(said, questions, strict=True):
        refs = read_refs(text.encode())
        found = find_ref(refs, names) if refs is not None else None
        if isinstance(found, Found):
            commit, *objects = line.removesuffix(".").split(" ")
            assert (commit, frozenset(objects)) == (found.commit, found.objects), text
        else:
            assert line == f"{found or ''}.", (text, names)
