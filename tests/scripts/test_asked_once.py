"""A job asks what takes time only once, as long as the answer still holds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fake_host import CHAIN, git

if TYPE_CHECKING:
    from fake_host import FakeHost

OK = dict.fromkeys(CHAIN, "ok")
LOOK, CHECK = "eval --raw --no-update-lock-file", "--apply x: true"
one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)


GIT, DF = shutil.which("git"), shutil.which("df")


@pytest.fixture
def level(host: FakeHost) -> FakeHost:
    """A host whose checkout has all of upstream's commits."""
    git(host.checkout, "pull", "-q", "--ff-only")
    return host


@pytest.fixture(autouse=True)
def telling(host: FakeHost) -> None:
    """The host tells how git was called."""
    host.on("git", f'exec {GIT} "$@"')


def asked(host: FakeHost, tool: str, words: str) -> int:
    return sum(words in call for call in host.calls(tool))


def test_the_repository_is_asked_once_if_the_pull_brings_no_lock(level: FakeHost) -> None:
    level.run_job()
    assert level.steps == OK, level.log
    assert asked(level, "git", " ls-remote ") == 1
    assert (level.job / "latest").read_text().strip() == level.upstream.new


def test_another_lock_may_name_another_repository(host: FakeHost) -> None:
    """The pull brings one: what the preflight has asked does not count any more."""
    host.run_job()
    assert host.steps == OK, host.log
    assert asked(host, "git", " ls-remote ") == 2


def test_the_input_is_compared_with_the_lock_that_the_pull_brings(host: FakeHost) -> None:
    """It follows another branch in there."""
    above = host.root.parent / "nixfleet"
    git(host.root.parent, "clone", "-q", "--bare", host.upstream.nixfleet, above.name)
    git(above, "branch", "other", host.upstream.old)
    other = f"git\tfile://{above}\tother\t{host.upstream.old}\t\tgit+file://{above}?rev=\t"
    host.set("other", other)
    host.on(
        "git",
        'case "$*" in *" merge "*) cp "$s/other" "$s/lock-values"; '
        f'cp "$s/other" "$s/new-values" ;; esac; exec {GIT} "$@"',
    )
    host.run_job()
    assert host.steps == OK, host.log
    assert (host.job / "latest").read_text().strip() == host.upstream.old


def test_a_second_try_asks_anew(level: FakeHost) -> None:
    level.on(
        "nix",
        'case "$*" in *" update "*) if [ ! -e "$s/tried" ]; then : >"$s/tried"; '
        "echo 'error: unable to download: Connection reset by peer' >&2; exit 1; fi ;; esac; "
        'default "$@"',
    )
    level.run_job()
    assert (level.steps, level.step("update").attempts) == (OK, 2)
    assert asked(level, "git", " ls-remote ") == 2


def test_the_second_copy_of_one_lock_is_a_second_name(level: FakeHost) -> None:
    level.run_job()
    before, pulled = (level.job / f"flake.lock.{name}" for name in ("before", "pulled"))
    assert before.samefile(pulled)


def test_the_locks_before_and_after_a_pull_are_two_copies(host: FakeHost) -> None:
    text = host.lock.read_text()
    host.run_job()
    before, pulled = (host.job / f"flake.lock.{name}" for name in ("before", "pulled"))
    assert before.read_text() == text != pulled.read_text()


def test_what_the_look_has_evaluated_needs_no_check(level: FakeHost) -> None:
    level.run_job()
    assert level.steps == OK, level.log
    assert asked(level, "nix", CHECK) == 0


@one_shell
def test_a_dirty_tree_of_which_nothing_is_known_is_checked(level: FakeHost) -> None:
    """A commit of its lock may have stood for it in the look."""
    level.lock.write_text(level.lock.read_text() + " ")
    level.run_job()
    assert level.steps == OK, level.log
    assert asked(level, "nix", CHECK) == 1


@one_shell
def test_a_look_that_could_not_evaluate_decides_nothing(level: FakeHost) -> None:
    level.on("nix", f'case "$*" in *"{LOOK}"*) exit 1 ;; esac; default "$@"')
    level.run_job()
    assert level.steps == OK, level.log
    assert asked(level, "nix", CHECK) == 1


def test_restarts_of_before_do_not_count_against_an_agent_that_runs_already(
    level: FakeHost,
) -> None:
    """As after going back from an agent that crashed: the switch has started the other one."""
    level.on(
        "systemd",
        'default "$@"; for state in "$root"/run/systemd/units/nixfleet-agent.service; do '
        '[ ! -e "$state" ] || sed "s/success 0/success 5/" "$state" >"$s/other"; '
        '[ ! -e "$state" ] || cat "$s/other" >"$state"; done',
    )
    level.on(
        "nixos-rebuild",
        'default "$@"; rc=$?; systemctl start nixfleet-agent.service; exit "$rc"',
    )
    level.run_job()
    assert "the agent runs already" in level.log
    assert level.steps == OK, level.log
    assert asked(level, "systemctl", "reset-failed") == 1


@one_shell
def test_a_fetch_that_finds_no_room_fails_for_that(level: FakeHost) -> None:
    """Nix keeps the old commit then, and exits with 0."""
    level.on("nix", 'case "$*" in *" update "*) : >"$s/full"; exit 0 ;; esac; default "$@"')
    level.on("df", f'if [ -e "$s/full" ]; then echo; echo "x 1 1 0 x"; else exec {DF} "$@"; fi')
    level.run_job()
    assert (level.result["failed"], level.result["reason"]) == ("update", "disk-full"), level.log
