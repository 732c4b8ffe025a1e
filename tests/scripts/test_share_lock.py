"""After a proven update: flake.lock alone is committed and pushed, if that was asked for; a failure
there does not undo the update."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from fake_host import AGENTS, CHAIN, CHECKOUT, JOB, FakeHost, git, lock_text

from nixfleet_core.job.events import Check
from nixfleet_core.plan.model import Plan, Step
from nixfleet_core.plan.steps import lock_message
from nixfleet_core.scripts.compose import compose
from nixfleet_core.vocabulary import StepId

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

GIT = shutil.which("git")
MESSAGE = "flake.lock: nixfleet 0000000 -> latest"
COMMIT = (
    *("git", "-c", "core.hooksPath=/dev/null", "commit", "--quiet"),
    *("--message", MESSAGE, "--", "flake.lock"),
)
PUSH = ("git", "push", "--no-verify", "origin", "HEAD:refs/heads/main")

# Nix reads that lock file, not the host's state.
READ_LOCK = r"""
case "$*" in
  *" fields")
    while [ "$1" != lock ]; do shift; done
    rev=$(grep -o '"rev": "[0-9a-f]*"' "$2" | head -n 1 | cut -d'"' -f4)
    printf 'git\t%s\t\t%s\t\n' "$(cut -f2 "$s/lock-values")" "$rev"
    ;;
  *) default "$@" ;;
esac
"""


@pytest.fixture
def owned(host: FakeHost, tmp_path: Path) -> FakeHost:
    """A host whose checkout's owner has a name, and whose upstream may be pushed to."""
    bare = tmp_path / "nixcfg.git"
    git(tmp_path, "clone", "-q", "--bare", str(host.upstream.nixcfg), str(bare))
    git(host.checkout, "remote", "set-url", "origin", str(bare))
    git(host.checkout, "config", "user.name", "Ops")
    git(host.checkout, "config", "user.email", "ops@example.org")
    host.on("nix", READ_LOCK)
    return host


def plan(host: FakeHost, *, push: bool = False) -> Plan:
    """The whole chain, and the steps that commit and push flake.lock."""
    made = host.plan()
    argv: dict[StepId, tuple[str, ...]] = {"commit": COMMIT}
    if push:
        argv["push"] = PUSH
    steps = (
        Step(id=step, title=step, argv=words, run_as="owner", limit=30, tries=2)
        for step, words in argv.items()
    )
    return msgspec.structs.replace(made, steps=(*made.steps, *steps))


def upstream(host: FakeHost) -> Path:
    return Path(git(host.checkout, "remote", "get-url", "origin"))


def heads(host: FakeHost) -> tuple[str, str]:
    """Where the checkout is, and where its upstream."""
    return git(host.checkout, "rev-parse", "HEAD"), git(upstream(host), "rev-parse", "main")


def status(host: FakeHost) -> list[str]:
    # the branch comes first, so that stripping the output leaves the columns alone
    _, *found = git(host.checkout, "status", "--porcelain", "--branch").splitlines()
    return sorted(found)


def subject(host: FakeHost) -> str:
    return git(host.checkout, "log", "-1", "--format=%s, by %an <%ae>")


def stage_something(host: FakeHost) -> None:
    (host.checkout / "mine").touch()
    git(host.checkout, "add", "mine")


def test_the_commit_contains_only_the_proven_flake_lock(owned: FakeHost) -> None:
    stage_something(owned)
    (owned.checkout / "flake.nix").write_text("{ }\n")
    (owned.checkout / "new").touch()
    before = heads(owned)[1]
    owned.run_job(plan(owned))
    assert owned.steps == dict.fromkeys((*CHAIN, "commit"), "ok"), owned.log
    old, new = owned.upstream.old, owned.upstream.new
    assert subject(owned) == (f"{lock_message('nixfleet', old, new)}, by Ops <ops@example.org>")
    assert git(owned.checkout, "show", "--format=", "--name-only") == "flake.lock"
    assert status(owned) == [" M flake.nix", "?? new", "A  mine"]
    assert heads(owned)[1] == before
    assert owned.result["outcome"] == "done"


def test_a_commit_is_pushed_when_asked(owned: FakeHost) -> None:
    owned.run_job(plan(owned, push=True))
    assert owned.steps == dict.fromkeys((*CHAIN, "commit", "push"), "ok"), owned.log
    here, there = heads(owned)
    assert here == there
    assert subject(owned).startswith("flake.lock: nixfleet ")


@one_shell
def test_hooks_do_not_run(owned: FakeHost) -> None:
    for hook in ("pre-commit", "prepare-commit-msg", "post-commit", "pre-push"):
        path = owned.checkout / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {hook}-ran\nexit 1\n")
        path.chmod(0o755)
    owned.run_job(plan(owned, push=True))
    assert (owned.steps["commit"], owned.steps["push"]) == ("ok", "ok"), owned.log
    assert not list(owned.checkout.glob("*-ran"))


@one_shell
def test_a_flake_lock_that_equals_head_needs_no_commit(owned: FakeHost) -> None:
    same = lock_text(owned.upstream.new, "5" * 40)
    other = owned.root / "tmp/other"
    git(owned.root, "clone", "-q", str(upstream(owned)), str(other))
    (other / "flake.lock").write_text(same)
    git(other, "commit", "-q", "-a", "-m", "Update the agent")
    git(other, "push", "-q")
    owned.set("new-lock", same.rstrip())
    owned.run_job(plan(owned, push=True))
    assert owned.steps == dict.fromkeys((*CHAIN, "commit", "push"), "ok"), owned.log
    here, there = heads(owned)
    assert here == there == git(other, "rev-parse", "HEAD")
    assert "nothing to commit" in owned.log
    assert "nothing to push" in owned.log


@one_shell
def test_no_commit_is_made_without_a_proof(owned: FakeHost) -> None:
    owned.on("nixos-rebuild", f'default "$@"; echo {AGENTS["1.0"]} >"$s/expected"')
    owned.run_job(plan(owned, push=True))
    assert owned.steps == dict.fromkeys(CHAIN, "ok") | {"commit": "skipped", "push": "skipped"}
    here, there = heads(owned)
    assert here == there
    assert status(owned) == [" M flake.lock"]


@one_shell
def test_no_commit_is_made_after_a_failure(owned: FakeHost) -> None:
    owned.on("nixos-rebuild", 'default "$@"; exit 4')
    owned.run_job(plan(owned, push=True))
    assert (owned.steps["commit"], owned.steps["push"]) == ("skipped", "skipped")
    assert owned.result["failed"] == "rebuild"


def refusal(host: FakeHost) -> tuple[str, str]:
    """Why the preflight refuses: the check, and its reason. Nothing else has run."""
    ran = {step for step, status in host.steps.items() if status != "skipped"}
    assert (ran, host.steps["preflight"]) == ({"preflight"}, "failed"), host.log
    check = next(event for event in host.events if isinstance(event, Check) and not event.ok)
    return check.check, check.reason


def test_an_update_is_refused_if_nobody_could_commit(owned: FakeHost) -> None:
    git(owned.checkout, "config", "--unset", "user.email")
    owned.run_job(plan(owned, push=True))
    assert refusal(owned) == ("commit", "identity")
    assert status(owned) == []
    assert "user.email" in owned.log


@one_shell
def test_a_flake_lock_that_changed_meanwhile_is_not_committed(owned: FakeHost) -> None:
    owned.on("nixos-rebuild", f'default "$@"; echo " " >>"$root{CHECKOUT}/flake.lock"')
    owned.run_job(plan(owned))
    assert (owned.steps["commit"], owned.step("commit").reason) == ("failed", "lock-changed")
    assert status(owned) == [" M flake.lock"]


@one_shell
@pytest.mark.parametrize("settings", [{"gpg.program": "false"}, {"gpg.format": "ssh"}])
def test_an_update_is_refused_if_its_commit_could_not_be_signed(
    owned: FakeHost, settings: dict[str, str]
) -> None:
    for name, value in {"commit.gpgSign": "true", **settings}.items():
        git(owned.checkout, "config", name, value)
    owned.run_job(plan(owned))
    assert refusal(owned) == ("commit", "signing")
    assert status(owned) == []


@one_shell
@pytest.mark.needs("ssh-keygen")
def test_a_commit_is_signed_if_the_owner_signs(owned: FakeHost) -> None:
    key = owned.root / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(words, check=True)
    values = {"commit.gpgSign": "true", "gpg.format": "ssh", "user.signingKey": str(key)}
    for name, value in values.items():
        git(owned.checkout, "config", name, value)
    owned.run_job(plan(owned))
    assert owned.steps["commit"] == "ok", owned.log
    assert "BEGIN SSH SIGNATURE" in git(owned.checkout, "cat-file", "commit", "HEAD")


@one_shell
def test_a_lock_in_a_folder_of_the_repository_is_committed_and_pushed(owned: FakeHost) -> None:
    git(owned.checkout, "pull", "-q")
    (owned.checkout / "nix").mkdir()
    for name in ("flake.nix", "flake.lock"):
        git(owned.checkout, "mv", name, f"nix/{name}")
    git(owned.checkout, "commit", "-q", "-m", "Move")
    git(owned.checkout, "push", "-q")
    owned.run_job(msgspec.structs.replace(plan(owned, push=True), checkout=f"{CHECKOUT}/nix"))
    assert (owned.steps["commit"], owned.steps["push"]) == ("ok", "ok"), owned.log
    here, there = heads(owned)
    assert here == there
    assert git(owned.checkout, "show", "--format=", "--name-only", "HEAD") == "nix/flake.lock"


def move_upstream(host: FakeHost) -> str:
    """Somebody else pushes while this host does; the commit that upstream then has."""
    other = host.root / "tmp/other"
    git(host.root, "clone", "-q", str(upstream(host)), str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "Another")
    push = f'cd "$root/tmp/other" && {GIT} push -q; cd "$OLDPWD"'
    host.on("git", f'case $1 in push) {push} ;; esac; exec {GIT} "$@"')
    return git(other, "rev-parse", "HEAD")


def test_a_refused_push_takes_its_commit_back(owned: FakeHost) -> None:
    stage_something(owned)
    newest = move_upstream(owned)
    owned.run_job(plan(owned, push=True))
    assert (owned.steps["commit"], owned.steps["push"]) == ("ok", "failed"), owned.log
    assert owned.step("push").reason == "refused"
    assert (owned.result["outcome"], owned.result["failed"]) == ("done", "")
    here, there = heads(owned)
    assert (here, there) == (git(upstream(owned), "rev-parse", "main~1"), newest)
    assert owned.upstream.new in owned.lock.read_text()
    assert status(owned) == [" M flake.lock", "A  mine"]


@one_shell
def test_the_next_update_pushes_after_a_refused_push(owned: FakeHost) -> None:
    newest = move_upstream(owned)
    owned.run_job(plan(owned, push=True))
    shutil.rmtree(owned.job)
    shutil.rmtree(owned.run_state)
    owned.on("git", f'exec {GIT} "$@"')
    owned.run_job(plan(owned, push=True))
    assert owned.steps["push"] == "ok", owned.log
    here, there = heads(owned)
    assert here == there
    assert git(owned.checkout, "rev-parse", "HEAD~1") == newest


@one_shell
def test_a_transient_failure_is_tried_again_with_the_same_commit(owned: FakeHost) -> None:
    fails = 'if [ ! -e "$s/failed" ]; then touch "$s/failed"; echo early EOF >&2; exit 128; fi'
    owned.on("git", f'case $1 in push) {fails} ;; esac; exec {GIT} "$@"')
    owned.run_job(plan(owned, push=True))
    assert (owned.steps["push"], owned.step("push").attempts) == ("ok", 2), owned.log
    here, there = heads(owned)
    assert here == there


@one_shell
@pytest.mark.parametrize("message", ["Fix the disk", "flake.lock: nixpkgs 1111111 -> 2222222"])
def test_commits_of_somebody_else_are_not_pushed_along(owned: FakeHost, message: str) -> None:
    git(owned.checkout, "pull", "-q")
    (owned.checkout / "README").write_text("mine, committed\n")
    git(owned.checkout, "commit", "-q", "-a", "-m", message)
    before = heads(owned)[1]
    owned.run_job(plan(owned, push=True))
    assert (owned.steps["commit"], owned.step("push").reason) == ("ok", "others"), owned.log
    assert heads(owned)[1] == before
    assert message in owned.log
    # their owner pushes both by hand
    assert subject(owned).startswith("flake.lock: nixfleet ")


@one_shell
def test_an_earlier_commit_of_flake_lock_is_pushed_along(owned: FakeHost) -> None:
    git(owned.checkout, "pull", "-q")
    owned.lock.write_text(lock_text("6" * 40, "5" * 40))
    git(owned.checkout, "commit", "-q", "-a", "-m", "flake.lock: nixfleet 1111111 -> 6666666")
    owned.run_job(plan(owned, push=True))
    here, there = heads(owned)
    assert here == there
    assert subject(owned).startswith("flake.lock: nixfleet 6666666 -> ")


@one_shell
def test_a_commit_on_another_branch_is_not_pushed(owned: FakeHost) -> None:
    git(owned.checkout, "pull", "-q")
    owned.on("nixos-rebuild", f'default "$@"; {GIT} -C "$root{CHECKOUT}" checkout -q -b mine')
    before = heads(owned)[1]
    owned.run_job(plan(owned, push=True))
    assert (owned.steps["push"], owned.step("push").reason) == ("failed", "upstream")
    assert heads(owned)[1] == before


@one_shell
def test_a_kill_in_the_push_takes_the_commit_back(owned: FakeHost) -> None:
    owned.write_job(plan(owned, push=True))
    owned.on("git", f'case $1 in push) kill -9 $(cat "$s/runner"); exit 1 ;; esac; exec {GIT} "$@"')
    running = owned.start_job()
    owned.set("runner", str(running.pid))
    assert running.wait(60) == -9
    assert owned.start_job("finish").wait(60) == 0
    assert owned.result["outcome"] == "interrupted"
    assert status(owned) == [" M flake.lock"]
    here, there = heads(owned)
    assert here == there


@one_shell
@pytest.mark.parametrize(
    ("proof", "path", "starts", "proven"),
    [
        ("exe", AGENTS["2.0"], "", True),
        ("script", AGENTS["2.0"], "", True),
        ("exe", AGENTS["1.0"], AGENTS["1.0"].removesuffix("/bin/agent"), True),
        ("exe", AGENTS["1.0"], "", False),
        ("other", AGENTS["2.0"], "", False),
        ("claimed", AGENTS["2.0"], "", False),
        ("", AGENTS["2.0"], "", False),
    ],
)
def test_flake_lock_is_shared_only_for_a_proven_agent(
    host: FakeHost, proof: str, path: str, starts: str, proven: bool
) -> None:
    records = {
        "journal": f"running.proof 3\nexe\nrunning.path {len(AGENTS['2.0'])}\n{AGENTS['2.0']}",
        "running.proof": proof,
        "installed.starts": starts,
        "running.path": path,
        "installed.path": AGENTS["2.0"],
        "expected.path": AGENTS["2.0"],
    }
    host.job.mkdir(parents=True)
    text = "".join(f"{key} {len(value)}\n{value}\n" for key, value in records.items())
    (host.job / "after").write_text(f"nixfleet-probe 1\n{text}end 0\n")
    call = f"NF_JOB=$NF_JOBS/{JOB} NF_RUN=$NF_STATE/x; if nf_is_proven; then echo yes; fi"
    script = compose("probe", "share_lock", root=str(host.root), call=call)
    assert host.send(script).stdout == (b"yes\n" if proven else b"")
