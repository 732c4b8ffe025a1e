"""A flake that refuses a dirty tree is built from a commit of the new lock. Branch, index and files
stay as they are; Nix says whether that commit can stand for the tree."""

from __future__ import annotations

import shutil
import sys
from shlex import quote
from typing import TYPE_CHECKING, Final
from urllib.parse import quote as quote_url

import msgspec
import pytest
from fake_host import CHAIN, CHECKOUT, JOB, FakeHost, git, look
from hypothesis import given
from hypothesis import strategies as st
from test_share_lock import owned, plan, refusal, status

from nixfleet_core.plan.steps import lock_message
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    pass

__all__ = ["owned"]

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

# Nix: takes a commit, and a tree that git calls clean. A tree's source is its tracked files, and
# state/filter. With state/careless nothing is refused, with state/broken nothing evaluates.
STRICT: Final = rf"""
git() {{ command git -c core.hooksPath=/dev/null "$@"; }}
flake='' last=''
for word; do
  case $word in git+file:* | *'#'*) flake=${{word%%#*}} ;; esac
  last=$word
done
top() {{
  {quote(sys.executable)} -c 'import sys, urllib.parse as p; print(p.unquote(sys.argv[1]))' \
    "$(expr "$1" : 'git+file://\([^?]*\)')"
}}
rev() {{ expr "$1" : '.*rev=\([0-9a-f]*\)'; }}
evaluate() {{
  if [ -e "$s/broken" ]; then echo 'error: broken' >&2; exit 1; fi
  case $flake in
    git+file:*) git -C "$(top "$flake")" cat-file -e "$(rev "$flake")^{{commit}}" || exit ;;
    *)
      if [ ! -e "$s/careless" ] && ! git -C "$flake" diff --quiet HEAD; then
        echo 'error: refusing to build from a dirty tree' >&2
        exit 1
      fi
      ;;
  esac
}}
case "$*" in
  *" fields")
    while [ "$1" != lock ]; do shift; done
    rev=$(grep -o '"rev": "[0-9a-f]*"' "$2" | head -n 1 | cut -d'"' -f4)
    printf 'git\t%s\t\t%s\t\t\t\t\t1700000000\n' "$(cut -f2 "$s/lock-values")" "$rev"
    ;;
  *" metadata "*)
    case $last in
      git+file:*) id=$(git -C "$(top "$last")" rev-parse "$(rev "$last")^{{tree}}") ;;
      *)
        export GIT_INDEX_FILE="$s/index"
        git -C "$last" read-tree HEAD
        git -C "$last" add -u
        id=$(git -C "$last" write-tree)$(cat "$s/filter" 2>/dev/null)
        ;;
    esac
    printf '{{"locked":{{"narHash":"%s","type":"git"}},"locks":{{"narHash":"x"}}}}\n' "$id"
    ;;
  *drvPath*) evaluate; echo /nix/store/x.drv ;;
  *" build "* | *getContext* | *" eval --raw "*) (evaluate) && default "$@" ;;
  *) default "$@" ;;
esac
"""


@pytest.fixture
def strict(owned: FakeHost) -> FakeHost:
    """Nix refuses a dirty tree on this host."""
    owned.on("nix", STRICT)
    return owned


def commits(host: FakeHost) -> dict[str, str]:
    """The commits that we keep in the checkout, by job."""
    lines = git(host.checkout, "for-each-ref", "--format=%(refname) %(objectname)", "refs/nixfleet")
    return {
        ref.removeprefix("refs/nixfleet/"): id_ for ref, id_ in map(str.split, lines.splitlines())
    }


def again(host: FakeHost, job: str = JOB) -> None:
    """Let the next job have the same id; what is kept of this one lies under `job`."""
    shutil.rmtree(host.job)
    shutil.rmtree(host.run_state)
    if job != JOB:
        (host.jobs.parent / "commits" / JOB).rename(host.jobs.parent / "commits" / job)
        git(host.checkout, "update-ref", f"refs/nixfleet/{job}", commits(host)[JOB])
        git(host.checkout, "update-ref", "-d", f"refs/nixfleet/{JOB}")


def kept(host: FakeHost) -> list[str]:
    """What lies in the folder of temporary files."""
    return sorted(path.name for path in (host.root / "tmp").iterdir() if path.name != "other")


def test_a_refused_tree_is_built_from_a_commit_of_the_new_lock(strict: FakeHost) -> None:
    strict.run_job()
    assert strict.steps == dict.fromkeys(CHAIN, "ok"), strict.log
    head = git(strict.checkout, "rev-parse", "HEAD")
    (commit,) = commits(strict).values()
    assert commits(strict) == {JOB: commit}
    built = f"?ref=refs/nixfleet/{JOB}&rev={commit}#h"
    flakes = [line.split("--flake ")[1] for line in strict.calls("nixos-rebuild")]
    assert [flake.endswith(built) for flake in flakes] == [False, True]
    said = git(
        strict.checkout, "log", "-1", "--format=%P %an <%ae>, %cn, %ad: %s", "--date=iso", commit
    )
    old, new = strict.upstream.old, strict.upstream.new
    date = git(strict.checkout, "log", "-1", "--format=%cd", "--date=iso-local")
    assert said.startswith(f"{head} Ops <ops@example.org>, Ops, ")
    assert said.endswith(f" +0000: {lock_message('nixfleet', old, new)}"), (said, date)
    assert git(strict.checkout, "show", f"{commit}:flake.lock") == strict.lock.read_text().strip()
    assert git(strict.checkout, "diff", "--name-only", "HEAD", commit) == "flake.lock"
    assert (status(strict), kept(strict)) == ([" M flake.lock"], [])


@one_shell
def test_one_state_has_one_commit_and_one_ref(strict: FakeHost) -> None:
    git(strict.checkout, "config", "--unset", "user.email")
    strict.run_job()
    first = commits(strict)[JOB]
    assert git(strict.checkout, "log", "-1", "--format=%an", first) == "nixfleet"
    again(strict, OTHER)
    strict.run_job()
    assert commits(strict) == {JOB: first}
    assert (strict.jobs.parent / "commits").iterdir()
    assert [path.name for path in (strict.jobs.parent / "commits").iterdir()] == [JOB]


OTHER: Final = "20261123-004102-cd34"


@one_shell
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_later_job_removes_a_commit_from_which_no_generation_is_built(
    strict: FakeHost, is_kept: bool
) -> None:
    strict.run_job()
    first = commits(strict)[JOB]
    again(strict, OTHER)
    if not is_kept:
        noted = strict.jobs.parent / "commits" / OTHER
        noted.write_text(noted.read_text().replace("nixos-system-h-2.0", "nixos-system-h-0.9"))
    strict.set("new-lock", strict.lock.read_text().replace("0000", "1111").rstrip())
    strict.run_job()
    assert (OTHER in commits(strict), JOB in commits(strict)) == (is_kept, True), strict.log
    if is_kept:
        assert commits(strict)[OTHER] == first != commits(strict)[JOB]


@one_shell
def test_the_host_remembers_what_the_flake_refuses(strict: FakeHost) -> None:
    strict.run_job()
    found = look(strict).checkout
    assert found is not None
    assert found.dirty_trees == "refuses"
    again(strict, OTHER)
    (strict.state / "calls").unlink()
    strict.run_job()
    assert strict.steps == dict.fromkeys(CHAIN, "ok"), strict.log
    assert len(strict.calls("nixos-rebuild")) == 1
    assert not [
        line for line in strict.calls("nix ") if "x: true" in line and "git+file:" not in line
    ]
    # another flake.nix is another flake
    (strict.checkout / "flake.nix").write_text("{ }\n")
    git(strict.checkout, "commit", "-q", "-m", "m", "--", "flake.nix")
    found = look(strict).checkout
    assert found is not None
    assert found.dirty_trees is None


@one_shell
def test_a_flake_that_no_commit_mends_does_not_refuse_dirty_trees(strict: FakeHost) -> None:
    strict.on("nixos-rebuild", ': >"$s/broken"; echo "error: broken" >&2; exit 1')
    strict.run_job()
    assert (strict.steps["rebuild"], strict.result["reason"]) == ("failed", "")
    assert len(strict.calls("nixos-rebuild")) == 1
    (strict.state / "broken").unlink()
    found = look(strict).checkout
    assert found is not None
    assert (found.dirty_trees, commits(strict)) == (None, {})


@one_shell
@pytest.mark.parametrize("word", ["refuses", "takes"])
def test_a_wrong_memory_changes_no_result(strict: FakeHost, word: str) -> None:
    strict.run_job()
    folder = strict.jobs.parent / "flakes"
    (path,) = folder.iterdir()
    path.write_text(path.read_text().replace("refuses", word))
    if word == "refuses":
        strict.set("careless", "")
    again(strict, OTHER)
    strict.run_job()
    assert strict.steps == dict.fromkeys(CHAIN, "ok"), strict.log


@one_shell
def test_a_memory_that_others_could_write_is_not_read(strict: FakeHost) -> None:
    strict.run_job()
    (strict.jobs.parent / "flakes").chmod(0o777)
    found = look(strict).checkout
    assert found is not None
    assert found.dirty_trees is None


@one_shell
@pytest.mark.parametrize("spoil", ["filter", "file"])
def test_a_rebuild_is_refused_if_a_commit_cannot_stand_for_the_tree(
    strict: FakeHost, spoil: str
) -> None:
    if spoil == "filter":
        strict.set("filter", "smudged")
        named = "flake.lock"
    else:
        edit = f'echo mine >>"$root{CHECKOUT}/README"'
        strict.on("systemctl", f'case $1 in stop) {edit} ;; esac; default "$@"')
        git(strict.checkout, "pull", "-q")
        named = "README"
    strict.run_job()
    assert (strict.steps["rebuild"], strict.step("rebuild").reason) == ("failed", "dirty")
    assert commits(strict) == {}
    assert strict.agent_runs()
    assert spoil == "filter" or named in strict.log.split("committed first:")[1]


@one_shell
@pytest.mark.parametrize("spoil", ["filter", "file"])
def test_an_update_of_a_dirty_tree_is_refused_before_anything_is_touched(
    strict: FakeHost, spoil: str
) -> None:
    strict.lock.write_text(strict.lock.read_text() + "\n")
    if spoil == "filter":
        strict.set("filter", "smudged")
    else:
        (strict.checkout / "flake.nix").write_text("{ }\n")
    strict.run_job(msgspec.structs.replace(strict.plan(pull=False)))
    assert refusal(strict) == ("attribute", "dirty")
    assert strict.log.endswith("flake.lock\n" if spoil == "filter" else "flake.nix\n")
    assert (commits(strict), kept(strict)) == ({}, [])


@one_shell
def test_a_dirty_lock_of_an_earlier_update_is_no_obstacle(strict: FakeHost) -> None:
    strict.lock.write_text(strict.lock.read_text() + "\n")
    strict.run_job(strict.plan(pull=False))
    assert strict.steps == dict.fromkeys((s for s in CHAIN if s != "pull"), "ok"), strict.log


@one_shell
def test_a_flake_that_takes_dirty_trees_is_built_as_it_lies(strict: FakeHost) -> None:
    strict.set("careless", "")
    strict.run_job()
    assert strict.steps == dict.fromkeys(CHAIN, "ok"), strict.log
    assert (commits(strict), len(strict.calls("nixos-rebuild"))) == ({}, 1)


@one_shell
def test_a_failed_build_is_not_built_again(strict: FakeHost) -> None:
    strict.set("careless", "")
    strict.on("nixos-rebuild", 'echo "error: builder failed" >&2; exit 1')
    strict.run_job()
    assert (strict.steps["rebuild"], strict.step("rebuild").reason) == ("failed", "")
    assert (commits(strict), len(strict.calls("nixos-rebuild"))) == ({}, 1)


@one_shell
def test_a_configuration_that_no_commit_can_evaluate_is_what_it_is(strict: FakeHost) -> None:
    strict.on("nixos-rebuild", 'touch "$s/broken"; default "$@"')
    strict.run_job()
    assert (strict.steps["rebuild"], strict.step("rebuild").reason) == ("failed", "")
    assert (commits(strict), len(strict.calls("nixos-rebuild"))) == ({}, 1)


@one_shell
def test_the_agent_alone_is_built_from_the_same_commit(strict: FakeHost) -> None:
    strict.run_job(strict.plan(more=("repair", "build")))
    assert strict.steps["build"] == "ok", strict.log
    asked = [line for line in strict.calls("nix ") if "getContext" in line]
    assert ["git+file:" in line for line in asked] == [False, True]


@one_shell
@pytest.mark.parametrize("how", ["fails", "killed"])
def test_nothing_is_left_of_a_commit_that_was_not_built(strict: FakeHost, how: str) -> None:
    ends = "exit 1" if how == "fails" else 'kill -9 $(cat "$s/runner"); exit 1'
    strict.on("nixos-rebuild", f'case "$*" in *git+file:*) {ends} ;; esac; default "$@"')
    strict.write_job()
    running = strict.start_job()
    strict.set("runner", str(running.pid))
    running.wait(60)
    if how == "killed":
        assert commits(strict) != {}
        assert strict.start_job("finish").wait(60) == 0
    assert strict.steps["rebuild"] == "failed"
    assert commits(strict) == {}
    assert list((strict.jobs.parent / "commits").iterdir()) == []
    assert status(strict) == [" M flake.lock"]


def test_the_branch_goes_to_the_commit_that_was_built(strict: FakeHost) -> None:
    (strict.checkout / "mine").touch()
    strict.run_job(plan(strict))
    assert strict.steps == dict.fromkeys((*CHAIN, "commit"), "ok"), strict.log
    commit = commits(strict)[JOB]
    assert [f"rev={commit}#h" in line for line in strict.calls("nixos-rebuild")] == [True]
    assert git(strict.checkout, "rev-parse", "HEAD") == commit
    assert status(strict) == ["?? mine"]
    assert git(strict.checkout, "symbolic-ref", "HEAD") == "refs/heads/main"
    facts = look(strict, "/nix/store/22222222222222222222222222222222-nixfleet-agent-2.0/bin/agent")
    assert facts.checkout is not None
    assert facts.checkout.source in {proof.source for proof in facts.proofs}


@one_shell
def test_a_careless_flake_is_built_from_the_commit_too_if_it_is_to_be_kept(
    strict: FakeHost,
) -> None:
    strict.set("careless", "")
    strict.run_job(plan(strict))
    assert git(strict.checkout, "rev-parse", "HEAD") == commits(strict)[JOB]
    assert status(strict) == []


@one_shell
def test_a_tree_that_no_commit_can_stand_for_is_built_and_then_committed(strict: FakeHost) -> None:
    strict.set("careless", "")
    strict.set("filter", "smudged")
    strict.run_job(plan(strict))
    assert strict.steps == dict.fromkeys((*CHAIN, "commit"), "ok"), strict.log
    assert commits(strict) == {}
    assert ["git+file:" in line for line in strict.calls("nixos-rebuild")] == [False]
    assert status(strict) == []


@one_shell
def test_a_head_that_moved_since_the_build_is_left_alone(strict: FakeHost) -> None:
    move = (
        f'git -C "$root{CHECKOUT}" -c user.name=t -c user.email=t@x commit -q --allow-empty -m mine'
    )
    strict.on("nixos-rebuild", f'default "$@"; {move}')
    strict.run_job(plan(strict))
    assert (strict.steps["commit"], strict.step("commit").reason) == ("failed", "upstream")
    assert git(strict.checkout, "log", "-1", "--format=%s") == "mine"
    assert status(strict) == [" M flake.lock"]


@one_shell
@pytest.mark.parametrize("at", ["update-index --cacheinfo", "update-ref -m nixfleet HEAD"])
def test_a_kill_while_the_branch_moves_leaves_all_as_it_was(strict: FakeHost, at: str) -> None:
    """git has its lock by then, and dies with the runner."""
    real = shutil.which("git")
    lock = ".git/index.lock" if "index" in at else ".git/refs/heads/main.lock"
    kill = f'touch {lock}; kill -9 $(cat "$s/runner"); exit 1'
    late = f'if [ -e "$s/late" ]; then {kill}; fi'
    strict.on("git", f'case "$*" in *"{at} "*) {late} ;; esac; exec {real} "$@"')
    strict.on("nixos-rebuild", 'default "$@"; touch "$s/late"')
    strict.write_job(plan(strict))
    running = strict.start_job()
    strict.set("runner", str(running.pid))
    assert running.wait(60) == -9
    strict.on("git", f'exec {real} "$@"')
    head = git(strict.checkout, "rev-parse", "HEAD")
    assert strict.start_job("finish").wait(60) == 0
    assert strict.result["outcome"] == "interrupted"
    assert git(strict.checkout, "rev-parse", "HEAD") == head
    assert status(strict) == [" M flake.lock"]
    assert not list((strict.checkout / ".git").rglob("*.lock"))


@one_shell
def test_no_hook_runs_when_a_commit_is_written(strict: FakeHost) -> None:
    hooks = strict.checkout / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-index-change", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {quote(str(strict.root))}/ran\n")
        (hooks / name).chmod(0o755)
    git(strict.checkout, "config", "core.splitIndex", "true")
    strict.run_job(plan(strict))
    assert strict.steps["commit"] == "ok", strict.log
    assert not (strict.root / "ran").exists()


@one_shell
def test_verify_evaluates_a_refused_tree_and_leaves_nothing(strict: FakeHost) -> None:
    strict.run_job()
    before = {path: path.read_bytes() for path in strict.checkout.rglob("*") if path.is_file()}
    facts = look(strict, NF_DEEP="1", NF_ATTRIBUTE="h")
    assert (facts.expected_error, facts.expected is not None) == (None, True)
    assert {p: p.read_bytes() for p in strict.checkout.rglob("*") if p.is_file()} == before
    assert kept(strict) == []
    # another file has changes: no commit can stand for this tree
    (strict.checkout / "README").write_text("mine\n")
    facts = look(strict, NF_DEEP="1", NF_ATTRIBUTE="h")
    assert (facts.expected_error, facts.expected) == ("eval", None)


def ask(host: FakeHost, call: str, **values: str) -> str:
    given_ = {"NF_EVALUATION": "30", "NF_NIX_STAMP": "", "NF_INPUT": "nixfleet", **values}
    script = compose("probe", root=str(host.root), values=given_, call=call)
    done = host.send(script)
    assert done.stderr == b"", done.stderr
    return done.stdout.decode()


def test_a_flake_in_a_folder_of_the_repository_is_named_by_its_folder(strict: FakeHost) -> None:
    (strict.checkout / "a b").mkdir()
    for name in ("flake.nix", "flake.lock"):
        git(strict.checkout, "mv", name, f"a b/{name}")
    git(strict.checkout, "commit", "-q", "-m", "Move")
    (strict.checkout / "a b/flake.lock").write_text("new")
    call = (
        f'nf_owner "$NF_ROOT{CHECKOUT}"; cd "$NF_ROOT{CHECKOUT}/a b"; nf_write_commit refs/x ""; '
    )
    said = ask(strict, f'{call} printf "%s\\n" "$nf_commit_flake"').strip()
    commit = git(strict.checkout, "rev-parse", "refs/x")
    assert said == f"git+file://{quote_url(str(strict.checkout))}?ref=refs/x&rev={commit}&dir=a%20b"
    assert git(strict.checkout, "show", f"{commit}:a b/flake.lock") == "new"


@one_shell
def test_a_shallow_clone_makes_no_commit(strict: FakeHost) -> None:
    shutil.rmtree(strict.checkout)
    source = f"file://{quote_url(str(strict.upstream.nixcfg))}"
    git(strict.root, "clone", "-q", "--depth=1", source, str(strict.checkout))
    call = (
        f'nf_owner "$NF_ROOT{CHECKOUT}"; cd "$NF_ROOT{CHECKOUT}"; nf_write_commit "" "" 2>/dev/null'
    )
    assert ask(strict, f"{call} || echo none") == "none\n"
    assert kept(strict) == []


@one_shell
@given(path=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_path_in_a_url_is_quoted_as_the_plan_shows_it(plain_host: FakeHost, path: str) -> None:
    said = ask(plain_host, 'nf_percent "$NF_PATH"', NF_PATH=path)
    assert said == quote_url(path) + "\n"
