"""The list of changed packages that a job keeps."""

from __future__ import annotations

import pytest
from fake_host import JOB, SYSTEMS, FakeHost, read_frames
from test_runner import NEW_ONE_FAILS, going_back

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

SAID = "nixfleet-agent: 1.0 → 2.0, \x1b[31;1m+40.0 KiB\x1b[0m\n"


def says(host: FakeHost, script: str) -> None:
    """Let `nix store diff-closures` run that."""
    host.on("nix", f'case "$*" in *diff-closures*) {script} ;; *) default "$@" ;; esac')


def test_the_job_keeps_the_changes_and_tells_them(host: FakeHost) -> None:
    says(host, f"printf '%s' '{SAID}'")
    host.run_job()
    kept = host.job / "changes"
    assert kept.read_text() == SAID
    assert kept.stat().st_mode & 0o777 == 0o600
    (call,) = host.calls("nix --extra-experimental-features nix-command store")
    assert call.endswith(f"{host.root}{SYSTEMS['1.0']} {host.root}{SYSTEMS['2.0']}")
    done = host.ask("follow", NF_ID=JOB, NF_LOG_AT="0", NF_EVENTS_AT="0")
    frames = {frame.kind: frame.data for frame in read_frames(done.stdout)}
    assert frames["changes"] == SAID.encode()
    assert list(frames)[-1] == "result"


@one_shell
@pytest.mark.parametrize(
    "script", ["echo error: no such command >&2; exit 1", ":"], ids=["unknown", "nothing"]
)
def test_no_file_is_kept_when_nix_tells_no_changes(host: FakeHost, script: str) -> None:
    says(host, script)
    host.run_job()
    assert not [path.name for path in host.job.iterdir() if "changes" in path.name]
    assert host.result["outcome"] == "done"


@one_shell
def test_a_flood_of_changes_is_cut_off(host: FakeHost) -> None:
    says(host, "yes 'a: 1 → 2'")
    host.run_job()
    assert (host.job / "changes").stat().st_size == 256 * 1024


@one_shell
def test_an_unchanged_system_is_not_asked_about(host: FakeHost) -> None:
    host.on("nixos-rebuild", ":")
    host.run_job()
    assert not host.calls("nix --extra-experimental-features nix-command store")


@one_shell
def test_a_rollback_keeps_no_changes(host: FakeHost) -> None:
    says(host, f"printf '%s' '{SAID}'")
    host.on("systemctl", NEW_ONE_FAILS)
    host.run_job(going_back(host))
    assert host.steps["rollback"] == "ok", host.log
    assert host.calls("nix --extra-experimental-features nix-command store")
    assert not (host.job / "changes").exists()
