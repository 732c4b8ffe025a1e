"""Why a host has an old agent: real hosts get every cause, and `why` names it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypedDict, get_args

import pytest

from nixfleet_core.vocabulary import FoundCause

from .client import QUICK
from .host import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .client import Client
    from .fleet import Fleet
    from .host import LabHost
    from .repos import Repos

UNIT: Final = "nixfleet-agent.service"
_FILE: Final = f"/etc/systemd/system/{UNIT}"
ISOLATED: Final = "/var/lib/nixfleet-agent/repo"


class Answer(TypedDict):
    """The JSON of `nixfleet why` for one host."""

    host: str
    cause: str
    sentence: str
    evidence: dict[str, str | None]
    cure: str


@dataclass
class Stage:
    """One host, and the actions of a story's scenes."""

    repos: Repos
    host: LabHost
    client: Client

    def why(self) -> Answer:
        done = self.client.run("why", self.host.name, "--json")
        assert done.returncode == 0, done.stderr
        answer: Answer = json.loads(done.stdout)
        return answer

    def as_ops(self, command: str, folder: str = CHECKOUT) -> str:
        return self.host.enter(f"cd {folder}; {command}", user="ops")

    def as_root(self, command: str) -> str:
        return self.host.enter(command)

    def move_lock(self, folder: str = CHECKOUT) -> None:
        """Do as an operator would, by the command that every Nix understands."""
        new = self.host.name != "csb1"
        update = "update nixfleet" if new else "lock --update-input nixfleet"
        self.as_ops(f"nix flake {update}", folder)

    def rebuild(self, folder: str = CHECKOUT) -> None:
        """It may fail: some scenes want that."""
        rebuild = "/run/current-system/sw/bin/nixos-rebuild switch --no-reexec --flake"
        self.as_root(f"SUDO_UID=1000 {rebuild} {folder}#{self.host.name} || true")

    def restart(self) -> None:
        self.as_root(f"systemctl restart {UNIT}")

    def drop_in(self, lines: str) -> None:
        self.as_root(
            f"mkdir -p {_FILE}.d; printf '[Service]\\n%s\\n' '{lines}' > {_FILE}.d/lab.conf; "
            "systemctl daemon-reload"
        )


# The service.


def wait(stage: Stage) -> None:
    """A shell that is still to become the agent, as on a Mac without a network."""
    start = f"sleep 600; exec {stage.host.agent_exe()}"
    stage.drop_in(f'ExecStart=\nExecStart=/bin/sh -c "{start}"')
    stage.as_root(f"systemctl restart {UNIT}")


def crash(stage: Stage) -> None:
    """It fails at once, and systemd waits to start it again."""
    stage.drop_in("ExecStartPre=/bin/false\nRestartSec=1h")
    stage.as_root(f"systemctl restart {UNIT} || true")


def crash_too_often(stage: Stage) -> None:
    stage.drop_in("ExecStartPre=/bin/false\nRestartSec=0")
    stage.as_root(f"systemctl restart {UNIT} || true")
    stage.as_root(f"until systemctl is-failed -q {UNIT}; do sleep 0.1; done")


def mask(stage: Stage) -> None:
    stage.as_root(f"rm -r {_FILE} {_FILE}.d; ln -s /dev/null {_FILE}; systemctl daemon-reload")


# What is installed.


def install_new(stage: Stage) -> None:
    stage.repos.release("2.2.0")
    stage.move_lock()
    stage.rebuild()


def switch_ends_with(code: int) -> Callable[[Stage], None]:
    def switch(stage: Stage) -> None:
        stage.repos.release(f"2.2.{code}")
        stage.repos.commit_nixcfg(fail_switch=code)
        stage.as_ops("git pull -q --ff-only")
        stage.move_lock()
        stage.rebuild()

    return switch


def build_elsewhere(stage: Stage) -> None:
    """The agent's own checkout has the new commit, and the operator's has not."""
    stage.repos.release("2.2.0")
    stage.as_root(f"mkdir -p {ISOLATED}; chown -R ops: /var/lib/nixfleet-agent")
    stage.as_ops(f"git clone -q {stage.repos.url('nixcfg')} {ISOLATED}", "/")
    stage.as_root("chmod 0700 /var/lib/nixfleet-agent")
    stage.move_lock(ISOLATED)
    stage.rebuild(ISOLATED)
    stage.restart()


def look_from_there(stage: Stage) -> None:
    stage.client.write_inventory({stage.host: "ops"}, checkout=ISOLATED)


# flake.lock.


def update_ends_with(code: int) -> Callable[[Stage], None]:
    """The server names the commit, but gives it to nobody. If nix has the old one from the
    branch, it exits with 0."""

    def update(stage: Stage) -> None:
        stage.repos.release("2.2.0")
        with stage.client.start("update", stage.host.name, "--force", *QUICK) as running:
            with stage.host.gate("stop") as gate:
                gate.wait_reached()
                stage.repos.set_fault("nixfleet", 404, target="fetches")
            assert running.wait() == code, running.output
        stage.repos.set_fault("nixfleet", "ok")

    return update


def update(stage: Stage) -> None:
    stage.repos.release("2.3.0")
    assert stage.client.update(stage.host.name, "--force")["verdict"] == "updated"


def break_flake(stage: Stage) -> None:
    stage.as_ops("echo nonsense >> flake.nix")


def mend_flake_and_lose_server(stage: Stage) -> None:
    stage.as_ops("git checkout -q flake.nix")
    stage.repos.set_fault("nixfleet", 500)


def release(stage: Stage) -> None:
    stage.repos.set_fault("nixfleet", "ok")
    stage.repos.release("2.2.0")


def name_another_input(stage: Stage) -> None:
    stage.client.write_inventory({stage.host: "ops"}, input="agent")


def follow(stage: Stage) -> None:
    """The inventory names an input that is only another name of nixfleet."""
    stage.as_ops(
        "sed -i -e 's/^  outputs =.*/  inputs.alias.follows = \"nixfleet\";\\n&/' "
        "-e 's/nixfleet, other }/nixfleet, other, alias }/' flake.nix; nix flake lock"
    )
    stage.client.write_inventory({stage.host: "ops"}, input="alias")


def pin(stage: Stage) -> None:
    """flake.nix names the commit that the lock is at."""
    stage.client.write_inventory({stage.host: "ops"})
    rev = json.loads(stage.as_ops("cat flake.lock"))["nodes"]["nixfleet"]["locked"]["rev"]
    stage.as_ops(
        "git checkout -q flake.nix flake.lock; "
        f"sed -i '/inputs.nixfleet.url/s/?ref=main/?ref=main\\&rev={rev}/' flake.nix; "
        "nix flake lock"
    )


def tear_lock(stage: Stage) -> None:
    stage.as_ops("head -c 300 flake.lock > half; mv half flake.lock")


def mend_lock_and_switch_branch(stage: Stage) -> None:
    stage.as_ops("git checkout -q flake.nix flake.lock; git switch -q -c try")


def back_to_main_and_change_upstream(stage: Stage) -> None:
    stage.as_ops("git switch -q main")
    stage.repos.commit_nixcfg("Something else")


# Where every link holds.


def change_only_the_readme(stage: Stage) -> None:
    """An hour from now, so that no clock is in doubt."""
    with stage.repos.later(3600):
        stage.repos.commit("nixfleet", "Explain", {"README": "words\n"})
    stage.move_lock()


def nothing(stage: Stage) -> None:
    """As the host was."""


@dataclass(frozen=True)
class Scene:
    """An action on the host, and the expected words; the evidence must have `seen`. `cure` is the
    command, where the scene is about that."""

    cause: FoundCause
    says: str
    play: Callable[[Stage], object]
    seen: Mapping[str, str | None] = field(default_factory=dict)
    cure: str = ""


def by_root(command: str) -> Callable[[Stage], object]:
    return lambda stage: stage.as_root(command)


def by_ops(command: str) -> Callable[[Stage], object]:
    return lambda stage: stage.as_ops(command)


STORIES: Final[dict[str, tuple[str, tuple[Scene, ...]]]] = {
    "the service": (
        "gpc0",
        (
            Scene("current", "proven: 2.1.0", nothing, {"unit": "loaded, active (running)"}),
            Scene("agent-starting", "not yet the agent", wait, {"running_path": None}),
            Scene(
                "agent-down",
                "inactive (dead)",
                by_root(f"systemctl stop {UNIT}"),
                {"unit": "loaded, inactive (dead)", "running_path": None},
            ),
            Scene(
                "agent-crash-looping", "auto-restart", crash, {"unit": "activating (auto-restart)"}
            ),
            Scene(
                "start-limit-hit", "refuses", crash_too_often, {"unit": "result start-limit-hit"}
            ),
            Scene("unit-masked", "its unit is masked", mask, {"unit": "masked, "}),
            Scene(
                "unit-missing",
                "its unit is not-found",
                by_root(f"rm {_FILE}; systemctl daemon-reload"),
                {"unit": "not-found, ", "installed_path": None},
            ),
            Scene("preflight-platform", "is not NixOS, and this", by_root("rm /etc/NIXOS")),
        ),
    ),
    "the lock stays": (
        "csb0",
        (
            Scene("proof-missing", "the flake builds could", break_flake, {"expected_path": None}),
            Scene("latest-unknown", "did not say", mend_flake_and_lose_server, {"latest": None}),
            Scene("lock-behind", "flake.lock has nixfleet at", release),
            Scene("input-missing", "has no input agent", name_another_input, {"lock": None}),
            Scene("follows", "the input follows nixfleet", follow),
            Scene("pinned", "flake.nix pins nixfleet", pin, {"checkout": "flake.nix"}),
            Scene("lock-broken", "flake.lock cannot be read", tear_lock, {"lock": None}),
            Scene(
                "wrong-branch",
                "is on the branch try, not on main",
                mend_lock_and_switch_branch,
                {"checkout": "branch try"},
            ),
            Scene(
                "nixcfg-behind",
                "is behind origin/main",
                back_to_main_and_change_upstream,
                {"checkout": "lacks its newest commit"},
            ),
        ),
    ),
    "the fetch": (
        "csb0",
        (
            Scene(
                "stale-fetch",
                "nix could not fetch the",
                update_ends_with(3),
                {"last_job": "failed in update with code 65, stale", "last_job_said": "404"},
            ),
            Scene("lock-not-pushed", "not committed", update, {"checkout": "flake.lock"}),
            Scene("lock-reset", "was reset", by_ops("git checkout -q flake.lock")),
        ),
    ),
    "the build": (
        "gpc0",
        (Scene("same-derivation", "builds the same path", change_only_the_readme),),
    ),
    "the switch": (
        "csb1",
        (
            Scene("job-failed", "failed in the step update with code 1", update_ends_with(1)),
            Scene("reboot-pending", "needs a reboot", switch_ends_with(100)),
            Scene(
                "switch-incomplete",
                "the profile names a new system",
                switch_ends_with(1),
                cure="nixfleet update csb1 --as-locked",
            ),
        ),
    ),
    "the other checkout": (
        "csb1",
        (
            Scene(
                "built-elsewhere",
                f"was built from {ISOLATED}",
                build_elsewhere,
                {
                    "installed_path": "nixfleet-agent-2.2.0/",
                    "expected_path": "nixfleet-agent-2.1.0/",
                    "other_expected_path": "nixfleet-agent-2.2.0/",
                    "other_checkout": ISOLATED,
                },
            ),
            Scene(
                "lock-not-pushed",
                f"not committed in {ISOLATED}",
                look_from_there,
                {"other_checkout": CHECKOUT},
            ),
        ),
    ),
}


@pytest.mark.parametrize(("name", "scenes"), STORIES.values(), ids=STORIES)
def test_every_cause_is_named(
    fresh: Fleet, host: LabHost, client: Client, scenes: tuple[Scene, ...]
) -> None:
    stage = Stage(fresh.repos, host, client)
    for scene in scenes:
        scene.play(stage)
        found = stage.why()
        assert (found["cause"], scene.says in found["sentence"]) == (scene.cause, True), found
        assert (found["host"], bool(found["cure"])) == (host.name, scene.cause != "current")
        assert found["cure"] == (scene.cure or found["cure"])
        for label, text in scene.seen.items():
            seen = found["evidence"][label]
            assert seen == text or (seen and text and text in seen), f"{label}: {seen}"


def test_the_stories_tell_of_every_cause() -> None:
    told = {scene.cause for _, scenes in STORIES.values() for scene in scenes}
    # a look that evaluates the flake knows better than lock-not-built: see test_proofs
    elsewhere = {"switch-inhibited", "other-system"}  # see test_active_system
    named = told | elsewhere | {"not-restarted", "job-running", "lock-not-built"}
    assert named == set(get_args(FoundCause))


@pytest.mark.parametrize("name", ["gpc0"])
def test_why_names_the_job_that_runs(fresh: Fleet, host: LabHost, client: Client) -> None:
    stage = Stage(fresh.repos, host, client)
    fresh.repos.release("2.2.0")
    with client.start("update", host.name, "--force", *QUICK) as running:
        with host.gate("build") as gate:
            gate.wait_reached()
            found = stage.why()
        assert running.wait() == 0, running.output
    assert (found["cause"], found["cure"]) == ("job-running", f"nixfleet attach {host.name}")
    assert found["evidence"]["running_path"] is None


@pytest.mark.parametrize("name", ["csb0"])
def test_the_incident(fresh: Fleet, host: LabHost, client: Client) -> None:
    """The new agent is installed, the old one runs, and then the new one."""
    stage = Stage(fresh.repos, host, client)
    old = host.agent_exe()
    install_new(stage)
    found = stage.why()
    evidence = found["evidence"]
    new = host.enter(f"sed -n s/^ExecStart=//p {_FILE}")
    assert found["cause"] == "not-restarted"
    assert found["sentence"].startswith("not restarted: 2.2.0 (")
    assert "2.1.0 (" in found["sentence"]
    assert (evidence["running_path"], evidence["running_version"]) == (old, "2.1.0")
    assert (evidence["installed_path"], evidence["installed_version"]) == (new, "2.2.0")
    assert evidence["expected_path"] == new
    assert evidence["running_proof"] == "the kernel's exe link"
    assert evidence["lock"] == evidence["latest"] == fresh.repos.head("nixfleet")
    assert found["cure"] == "nixfleet restart csb0"
    said = client.run("why", "csb0")
    assert (said.returncode, "not restarted" in said.stdout) == (0, True)
    assert client.run("verify", "csb0").returncode == 3
    assert client.run(*found["cure"].split()[1:], "--yes").returncode == 0
    assert host.agent_exe() == new


def test_why_says_that_a_healthy_host_is_current(fleet: Fleet, client: Client) -> None:
    done = client.run("why", *fleet.hosts, "--json")
    assert done.returncode == 0, done.stderr
    answers: list[Answer] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [found["cause"] for found in answers] == ["current"] * len(fleet.hosts)
    for found in answers:
        seen = found["evidence"]
        assert None not in seen.values()
        assert seen["running_path"] == seen["installed_path"] == seen["expected_path"]
        assert seen["lock"] == seen["latest"] == fleet.repos.head("nixfleet")
        assert seen["running_sha256"] == seen["installed_sha256"]


def test_why_says_that_an_absent_host_is_unreachable(fleet: Fleet, client: Client) -> None:
    path = client.folder / "config/nixfleet/hosts.toml"
    path.write_text('[hosts.gone]\nssh = "ops@127.0.0.1:1"\n')
    done = client.run("why", "gone", "--json")
    assert done.returncode == 5
    assert json.loads(done.stdout)["cause"] == "unreachable"
