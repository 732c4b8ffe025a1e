from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from nixfleet_core.facts.model import ActiveGeneration, Checkout, Facts, Rebuild, System, Unit
from nixfleet_core.host import Host
from nixfleet_core.ids import new_job_id
from nixfleet_core.job.compile import compile_plan, step_lines
from nixfleet_core.judge.ways_back import WayBack
from nixfleet_core.nix.lock import FlakeLock, parse_lock
from nixfleet_core.nix.version import parse_version
from nixfleet_core.plan.levels import LEVEL_NOTES, LEVELS, level_options
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.plan.rules import (
    DISK_NEEDED_KIB,
    all_refusals,
    level_warnings,
    make_plan,
    make_rollback_plan,
)
from nixfleet_core.plan.steps import pin_url

OLD, NEW, REV = "1" * 40, "2" * 40, "a" * 40
TOOLS = ("git", "nix", "nixos-rebuild", "systemctl", "systemd-run")
FEATURES = ("--extra-experimental-features", "nix-command flakes")
HOST = Host(name="csb0")
CHAIN = ("preflight", "stop", "pull", "update", "rebuild", "start", "verify")


def lock(
    *, nixfleet: str = OLD, nixpkgs: str = OLD, follows: bool = False, **original: object
) -> FlakeLock:
    """A flake.lock with two inputs; `original` says where nixfleet comes from."""
    nodes: dict[str, Any] = {
        "root": {"inputs": {"nixfleet": ["fleet"] if follows else "n", "nixpkgs": "p"}},
        "n": {
            "locked": {"rev": nixfleet},
            "original": original or {"type": "git", "url": "https://h/nixfleet"},
        },
        "p": {"locked": {"rev": nixpkgs}},
    }
    if follows:
        nodes["root"]["inputs"]["fleet"] = "n"
    return parse_lock(json.dumps({"nodes": nodes, "root": "root", "version": 7}))


CHECKOUT = Checkout(
    path="/home/ops/nixcfg",
    state="ok",
    owner="ops",
    branch="main",
    upstream="origin/main",
    head=NEW,
    lock=lock(),
    lock_cksum="123 456",
)
FACTS = Facts(
    hostname="csb0",
    os="NixOS 25.11",
    platform="nixos",
    user="ops",
    tools=frozenset(TOOLS),
    nix=parse_version("nix (Nix) 2.34.8"),
    unit=Unit(load="loaded", active="active", pid=1),
    disk_free_kib=DISK_NEEDED_KIB,
    checkout=CHECKOUT,
)


def checkout(**changes: Any) -> Facts:
    return replace(FACTS, checkout=replace(CHECKOUT, **changes))


def plan(facts: Facts = FACTS, host: Host = HOST, **options: Any) -> Plan:
    made = make_plan(host, facts, Options(**options))
    assert isinstance(made, Plan), made
    return made


def argv(made: Plan, step_id: Any) -> tuple[str, ...]:
    step = made.step(step_id)
    assert step is not None
    return step.argv


@pytest.mark.parametrize(
    ("facts", "check", "why", "advice"),
    [
        (replace(FACTS, platform="unknown", os="Debian 12"), "platform", "Debian 12", "platform"),
        (replace(FACTS, platform="nix-darwin"), "platform", "nix-darwin", "darwin-rebuild"),
        (replace(FACTS, tools=FACTS.tools - {"git", "nix"}), "tools", "found.*git, nix", "PATH"),
        (replace(FACTS, nix=None), "tools", "a Nix whose version can be read", "repair"),
        (replace(FACTS, unit=None), "unit", r"nixfleet-agent.service \(unknown\)", "enable"),
        (replace(FACTS, unit=Unit("not-found", "inactive")), "unit", "not-found", "enable"),
        (replace(FACTS, unit=Unit("masked", "inactive")), "unit", "masked", "enable"),
        (replace(FACTS, disk_free_kib=1024 * 300), "disk", "300 MiB", "collect-garbage"),
        (replace(FACTS, memory_free_kib=1024 * 99), "memory", "99 MiB", "more is free"),
        (replace(FACTS, checkout=None), "checkout", "no path", "`checkout`"),
        (checkout(state="missing"), "checkout", "no /home/ops/nixcfg", "`checkout`"),
        (checkout(state="unreadable"), "checkout", "belongs to ops", "log in as its owner"),
        (checkout(state="unreadable", owner=None), "checkout", "somebody else", "as root"),
        (checkout(state="not-git"), "checkout", "no git repository", "`checkout`"),
        (checkout(branch=None), "remote", "detached HEAD", "--no-pull"),
        (checkout(upstream=None), "remote", "branch main .* no upstream", "--set-upstream-to"),
        (checkout(lock=None), "input", "has no flake.lock", "git checkout -- flake.lock"),
        (checkout(lock=None, lock_error="cut off"), "input", "cut off", "git checkout"),
        (checkout(lock=lock(follows=True)), "input", "follows fleet", "'fleet'"),
    ],
)
def test_a_host_is_refused(facts: Facts, check: str, why: str, advice: str) -> None:
    refusal = make_plan(HOST, facts, Options())
    assert isinstance(refusal, Refusal)
    assert refusal.check == check
    assert re.search(why, refusal.why), refusal.why
    assert advice in refusal.advice

    assert all_refusals(HOST, facts)[0] == refusal


def test_no_refusal_hides_another() -> None:
    facts = replace(
        checkout(branch=None, lock=None),
        tools=frozenset(),
        nix=None,
        unit=None,
        disk_free_kib=1,
        memory_free_kib=1,
        attributes=("csb1",),
    )
    checks = [refusal.check for refusal in all_refusals(HOST, facts)]
    assert checks == [
        *("unit", "tools", "tools", "disk", "memory", "remote", "input", "attribute"),
    ]
    assert all_refusals(HOST, FACTS) == ()


def test_an_unknown_input_is_refused_and_the_known_ones_are_named() -> None:
    refusal = make_plan(replace(HOST, input="nixfleeet"), FACTS, Options())
    assert isinstance(refusal, Refusal)
    assert (refusal.check, refusal.why) == ("input", "the flake has no input 'nixfleeet'")
    assert "nixfleet, nixpkgs" in refusal.advice


def test_a_missing_checkout_is_refused_and_the_other_one_is_named() -> None:
    other = Checkout("/var/lib/nixfleet-agent/repo", "ok")
    refusal = make_plan(HOST, replace(checkout(state="missing"), other=other), Options())
    assert isinstance(refusal, Refusal)
    assert "or use the one at /var/lib/nixfleet-agent/repo with --checkout" in refusal.advice


@pytest.mark.parametrize("facts", [checkout(branch=None), checkout(upstream=None)])
def test_without_a_pull_no_branch_is_needed(facts: Facts) -> None:
    assert "pull" not in [step.id for step in plan(facts, pull=False).steps]


def test_unmeasured_space_is_left_to_the_preflight() -> None:
    assert plan(replace(FACTS, disk_free_kib=None))


def test_all_steps_of_an_update_in_order() -> None:
    steps = plan().steps
    assert tuple(step.id for step in steps) == CHAIN
    assert {step.id for step in steps if step.run_as == "owner"} == {"pull", "update"}
    assert {step.id for step in steps if step.tries > 1} <= {
        "preflight",
        "pull",
        "update",
        "rebuild",
    }
    assert [step.tries for step in steps if step.id in ("preflight", "pull", "update")] == [3, 3, 5]
    assert all(0 < step.limit <= 4 * 3600 and step.weight >= 1 for step in steps)
    assert [step.title for step in steps][3] == "Update nixfleet"


def test_the_commands_of_the_chain() -> None:
    made = plan()
    assert argv(made, "stop") == ("systemctl", "stop", "nixfleet-agent.service")
    assert argv(made, "pull") == (
        *("git", "merge", "--ff-only", "--no-overwrite-ignore", "FETCH_HEAD"),
    )
    assert argv(made, "start") == ("systemctl", "start", "nixfleet-agent.service")


@pytest.mark.parametrize(
    ("version", "command"),
    [
        ("nix (Nix) 2.8.0", ("flake", "lock", "--update-input", "nixfleet")),
        ("nix (Nix) 2.26.3", ("flake", "update", "nixfleet")),
        ("nix (Nix) 2.34.8", ("flake", "update", "nixfleet")),
        ("nix (Lix, like Nix) 2.93.0", ("flake", "update", "nixfleet")),
        ("nix (Determinate Nix 3.22.2) 2.35.2", ("flake", "update", "nixfleet")),
    ],
)
def test_each_nix_gets_the_command_that_it_knows(version: str, command: tuple[str, ...]) -> None:
    made = plan(replace(FACTS, nix=parse_version(version)))
    assert argv(made, "update") == ("nix", *FEATURES, *command)


NEGATIVE = ("--option", "narinfo-cache-negative-ttl", "0")
POSITIVE = ("--option", "narinfo-cache-positive-ttl", "0")
EVALUATE = ("--option", "eval-cache", "false")
ADDED: dict[int, tuple[str, ...]] = {
    0: (),
    1: NEGATIVE,
    2: (*POSITIVE, *NEGATIVE),
    3: (*POSITIVE, *NEGATIVE),
    4: (*EVALUATE, *POSITIVE, *NEGATIVE),
    5: ("--fallback", *EVALUATE, *POSITIVE, *NEGATIVE),
    6: ("--fallback", *EVALUATE, *POSITIVE, *NEGATIVE),
    7: ("--fallback", *EVALUATE, *POSITIVE, *NEGATIVE),
}
levels = pytest.mark.parametrize("level", LEVELS, ids=str)


@levels
def test_a_level_adds_its_options_to_the_rebuild(level: int) -> None:
    assert argv(plan(level=level), "rebuild") == (
        *("nixos-rebuild", "switch", "--flake", "/home/ops/nixcfg#csb0"),
        *("--log-format", "internal-json"),
        *ADDED[level],
    )


@levels
def test_home_manager_gets_fallback_as_an_option(level: int) -> None:
    words = level_options(level, "home-manager")
    assert "--fallback" not in words
    fallback = ("--option", "fallback", "true") if level >= 5 else ()
    assert words == (*fallback, *(word for word in ADDED[level] if word != "--fallback"))
    assert level_options(level, "nixos") == ADDED[level]


@levels
def test_a_level_adds_its_steps(level: int) -> None:
    more = {6: ("build",), 7: ("repair", "build")}.get(level, ())
    before, after = CHAIN[:4], CHAIN[4:]
    made = plan(level=level)
    assert tuple(step.id for step in made.steps) == (*before, *more, *after)
    for step in more:
        assert argv(made, step) == (f"{step}-agent",)


@levels
def test_from_level_3_on_the_input_is_locked_to_the_commit_from_git(level: int) -> None:
    follows_branch = ("nix", *FEATURES, "flake", "update", "nixfleet")
    pinned = ("pin-latest", *follows_branch)
    assert argv(plan(level=level), "update") == (pinned if level >= 3 else follows_branch)
    asked_for = argv(plan(level=level, input_rev=REV), "update")
    assert asked_for[-1] == f"git+https://h/nixfleet?rev={REV}"


def test_an_input_without_commits_is_updated_as_usual_with_a_warning() -> None:
    facts = checkout(lock=lock(type="tarball", url="https://h/x.tar.gz"))
    assert plan(facts, level=2).warnings == ()
    made = plan(facts, level=3)
    assert argv(made, "update")[-2:] == ("update", "nixfleet")
    (warning,) = made.warnings
    assert "'tarball', which has no commits: level 3 has no effect" in warning


HOME = replace(FACTS, platform="home-manager", uid=1000, trusted=False)
ONE = "narinfo-cache-negative-ttl is ignored"
TWO = "narinfo-cache-negative-ttl and narinfo-cache-positive-ttl are ignored"
REPAIR = "the nix daemon finds damaged files of the agent, but only root can repair them"


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (HOME, 0, ()),
        (HOME, 1, (f"the nix daemon does not trust ops: {ONE}",)),
        (HOME, 6, (f"the nix daemon does not trust ops: {TWO}",)),
        (HOME, 7, (f"the nix daemon does not trust ops: {TWO}", REPAIR)),
        (
            replace(HOME, trusted=None),
            1,
            (f"{ONE}, unless the nix daemon trusts ops; we could not see whether it does",),
        ),
        (replace(HOME, trusted=True), 6, ()),
        (replace(HOME, trusted=True), 7, (REPAIR,)),
        (replace(HOME, uid=0), 7, ()),
        (replace(HOME, platform="nixos"), 7, ()),
    ],
)
def test_plan_warns_of_options_without_effect_for_the_user(
    facts: Facts, level: int, said: tuple[str, ...]
) -> None:
    found = lock().find("nixfleet")
    assert found is not None
    assert level_warnings(facts, "nixfleet", found, Options(level=level)) == said


def test_the_inventorys_attribute_and_input_come_before_the_hosts() -> None:
    assert plan(replace(FACTS, hostname="cs0")).attribute == "cs0"
    made = plan(host=replace(HOST, attribute="server", input="nixpkgs"))
    assert (made.attribute, made.input) == ("server", "nixpkgs")
    assert "/home/ops/nixcfg#server" in argv(made, "rebuild")
    assert argv(made, "update")[-1] == "nixpkgs"


def test_an_input_is_pinned_to_the_commit_that_was_asked_for() -> None:
    made = plan(input_rev=REV)
    assert argv(made, "update") == (
        *("nix", *FEATURES, "flake", "lock", "--override-input", "nixfleet"),
        f"git+https://h/nixfleet?rev={REV}",
    )


@pytest.mark.parametrize("rev", ["a" * 39, "a" * 41, "A" * 40, "main", "", f"{REV}\n"])
def test_only_a_whole_commit_can_be_pinned(rev: str) -> None:
    refusal = make_plan(HOST, FACTS, Options(input_rev=rev))
    assert isinstance(refusal, Refusal)
    assert (refusal.check, "40" in refusal.advice) == ("input", True)


def test_a_tarball_cannot_be_pinned() -> None:
    facts = checkout(lock=lock(type="tarball", url="https://h/x.tar.gz"))
    assert plan(facts)
    refusal = make_plan(HOST, facts, Options(input_rev=REV))
    assert isinstance(refusal, Refusal)
    assert "tarball" in refusal.why


FORGE = {"owner": "o", "repo": "r"}


@pytest.mark.parametrize(
    ("original", "url"),
    [
        ({"type": "git", "url": "https://h/r"}, f"git+https://h/r?rev={REV}"),
        (
            {"type": "git", "url": "ssh://git@h/r", "ref": "v2"},
            f"git+ssh://git@h/r?ref=v2&rev={REV}",
        ),
        ({"type": "git", "url": "file:///srv/r"}, f"git+file:///srv/r?rev={REV}"),
        ({"type": "git", "url": "git+https://h/r"}, f"git+https://h/r?rev={REV}"),
        (
            {"type": "git", "url": "https://h/r", "ref": "refs/heads/a&b#c"},
            f"git+https://h/r?ref=refs/heads/a%26b%23c&rev={REV}",
        ),
        ({"type": "github", **FORGE}, f"github:o/r/{REV}"),
        ({"type": "github", **FORGE, "ref": "main"}, f"github:o/r/{REV}"),
        ({"type": "github", **FORGE, "host": "git.corp"}, f"github:o/r/{REV}?host=git.corp"),
        ({"type": "gitlab", **FORGE}, f"gitlab:o/r/{REV}"),
        ({"type": "gitlab", "owner": "g%2Fsub", "repo": "r"}, f"gitlab:g%2Fsub/r/{REV}"),
        ({"type": "gitlab", **FORGE, "host": "gl.corp"}, f"gitlab:o/r/{REV}?host=gl.corp"),
        ({"type": "sourcehut", "owner": "~o", "repo": "r"}, f"sourcehut:~o/r/{REV}"),
        (
            {"type": "git", "url": "https://h/r", "ref": "main", "dir": "a b", "submodules": True},
            f"git+https://h/r?ref=main&dir=a%20b&submodules=1&rev={REV}",
        ),
        (
            {"type": "github", **FORGE, "host": "git.corp", "dir": "sub", "x": 3},
            f"github:o/r/{REV}?host=git.corp&dir=sub",
        ),
        ({"type": "path", "path": "/x"}, None),
        ({"type": "tarball", "url": "https://h/x.tar.gz"}, None),
    ],
)
def test_a_commit_of_an_input_has_a_url(original: dict[str, Any], url: str | None) -> None:
    found = lock(**original).find("nixfleet")
    assert found is not None
    assert pin_url(found, REV) == url


HIDING = {
    "password": {"type": "git", "url": "https://op:tok3n@h/r"},
    "name": {"type": "git", "url": "https://tok3n@h/r"},
    "query": {"type": "git", "url": "https://h/r?private_token=tok3n"},
    "http": {"type": "git", "url": "http://op:tok3n@h/r"},
    "forge": {"type": "github", **FORGE, "host": "op:tok3n@git.corp"},
}


@pytest.mark.parametrize("original", HIDING.values(), ids=HIDING)
@pytest.mark.parametrize(
    "options", [Options(input_rev=REV), *(Options(level=level) for level in range(3, 8))], ids=str
)
def test_an_input_whose_url_hides_something_is_not_pinned(
    original: dict[str, Any], options: Options
) -> None:
    facts = checkout(lock=lock(**original))
    made = make_plan(HOST, facts, options)
    assert isinstance(made, Refusal)
    assert made.check == "credentials"
    for way in ("~/.netrc", "access-tokens", "deploy key", "level below 3"):
        assert way in made.advice
    assert "tok3n" not in f"{made}"


@pytest.mark.parametrize("original", HIDING.values(), ids=HIDING)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_below_level_3_nix_takes_the_url_from_the_flake(
    original: dict[str, Any], level: int
) -> None:
    facts = checkout(lock=lock(**original))
    made = make_plan(HOST, facts, Options(level=level, commit_lock=True))
    assert isinstance(made, Plan)
    assert made.step("update") is not None
    assert "tok3n" not in f"{made}{step_lines(made)}{compile_plan(made, new_job_id())}{facts}"


def test_an_ssh_user_is_no_secret_and_a_password_there_is_dropped() -> None:
    facts = checkout(lock=lock(type="git", url="ssh://git:tok3n@h/r"))
    made = make_plan(HOST, facts, Options(input_rev=REV))
    assert isinstance(made, Plan)
    assert argv(made, "update")[-1] == f"git+ssh://git@h/r?rev={REV}"


def test_a_project_in_groups_is_asked_under_its_real_path() -> None:
    found = lock(type="gitlab", owner="g%2Fsub", repo="r").find("nixfleet")
    assert found is not None
    assert found.source.url == "https://gitlab.com/g/sub/r"


DIRTY_INPUT = {"lock": lock(nixfleet=NEW), "head_lock": lock()}
DIRTY_OTHER = {"lock": lock(nixpkgs=NEW), "head_lock": lock()}


@pytest.mark.parametrize(
    ("facts", "discard", "restored"),
    [
        (FACTS, False, None),
        (FACTS, True, None),
        (checkout(**DIRTY_INPUT), False, "123 456"),
        (checkout(**DIRTY_OTHER), False, None),
        (checkout(**DIRTY_OTHER), True, "123 456"),
    ],
    ids=["clean", "clean, discard", "only the input", "another input", "another input, discard"],
)
def test_a_dirty_flake_lock_is_reset_only_if_nothing_is_lost(
    facts: Facts, discard: bool, restored: str | None
) -> None:
    assert plan(facts, discard_lock=discard).restore_lock == restored


def test_warnings_name_other_changes_that_the_rebuild_includes() -> None:
    assert plan().warnings == ()
    assert plan(checkout(**DIRTY_OTHER, dirty=("flake.lock",))).warnings == (
        "flake.lock has uncommitted changes (nixpkgs)",
    )
    same = plan(checkout(head_lock=lock())).warnings
    assert same == ("flake.lock has uncommitted changes (formatting only)",)
    many = plan(checkout(dirty=tuple("abcdefg"))).warnings
    assert many == ("the rebuild includes uncommitted changes: a, b, c, d, e and 2 more",)
    pinned = plan(checkout(lock=lock(type="git", url="https://h/x", rev=REV))).warnings
    assert pinned == ("flake.nix pins nixfleet to aaaaaaa",)


@pytest.mark.parametrize(
    ("options", "then"),
    [
        ({"force": True}, "at most 30 minutes, then goes on and ends it"),
        ({}, "at most 30 minutes, then is refused"),
        ({"now": True}, "the update is refused if it still does at the start"),
        ({"force": True, "now": True}, "the update is refused if it still does at the start"),
    ],
)
def test_a_rebuild_of_the_agents_is_named_in_the_plan(options: dict[str, Any], then: str) -> None:
    rebuild = Rebuild(4711, "nixos-rebuild", is_agents=True)
    (said,) = plan(replace(FACTS, rebuild=rebuild), **options).warnings
    assert said.startswith("the agent's service runs nixos-rebuild (process 4711): ")
    assert said.endswith(then)


@pytest.mark.parametrize(
    ("options", "rebuild", "then"),
    [
        ({"force": True}, Rebuild(47, "nh"), "at most 30 minutes, then goes on all the same"),
        ({}, Rebuild(47, "nh", is_claimed=True), "at most 30 minutes, then is refused"),
        ({"now": True}, Rebuild(47, "nh", is_claimed=True), "if it still does at the start"),
        (
            {"force": True, "now": True},
            Rebuild(47, "nh"),
            "the update is refused if it still does at the start",
        ),
        (
            {"force": True, "now": True},
            Rebuild(47, "nh", is_claimed=True),
            "another user runs it, so the forced update goes on",
        ),
    ],
)
def test_another_rebuild_is_named_in_the_plan(
    options: dict[str, Any], rebuild: Rebuild, then: str
) -> None:
    (said,) = plan(replace(FACTS, rebuild=rebuild), **options).warnings
    assert said.startswith("another rebuild runs on the host: nh (process 47): ")
    assert said.endswith(then)


def test_a_unit_that_rebuilds_is_named_without_a_process() -> None:
    (said,) = plan(replace(FACTS, rebuild=Rebuild(None, "nixos-upgrade"))).warnings
    assert said.startswith("another rebuild runs on the host: nixos-upgrade: ")


@pytest.mark.parametrize(
    ("options", "then"),
    [
        ({}, "the update waits for it, at most 30 minutes, then is refused"),
        ({"force": True}, "the update waits for it, at most 30 minutes, then is refused"),
        ({"now": True}, "the update is refused if it still does at the start"),
    ],
)
def test_a_running_activation_is_named_in_the_plan_and_waited_for(
    options: dict[str, Any], then: str
) -> None:
    said = f"another rebuild is in its activation on the host: {then}"
    busy = replace(FACTS, switch_running=True)
    for facts in (busy, replace(busy, rebuild=Rebuild(4711, "nixos-rebuild"))):
        assert plan(facts, **options).warnings == (said,)


def test_plan_warns_of_two_checkouts_that_disagree() -> None:
    other = Checkout("/var/lib/nixfleet-agent/repo", "ok", head=OLD, lock=lock(nixfleet=NEW))
    (said,) = plan(replace(FACTS, other=other)).warnings
    assert "/var/lib/nixfleet-agent/repo is at commit 1111111, this one at 2222222" in said
    assert "locks nixfleet to 2222222, this one to 1111111" in said


@pytest.mark.parametrize(("owner", "planned"), [("ops", "ops"), ("eve", "eve"), (None, "ops")])
def test_root_steps_down_to_the_checkouts_owner(owner: str | None, planned: str) -> None:
    facts = checkout(owner=owner)
    assert plan(facts).owner == planned
    back = make_rollback_plan(HOST, facts, TO_OLDER, None, Options())
    assert isinstance(back, Plan)
    assert back.owner == planned


# Committing and pushing flake.lock.


def test_flake_lock_is_committed_and_pushed_only_when_asked() -> None:
    assert [step.id for step in plan().steps][-1] == "verify"
    assert [step.id for step in plan(commit_lock=True).steps][-2:] == ["verify", "commit"]
    made = plan(commit_lock=True, push=True, rollback_on_failure=True)
    last = made.steps[-4:]
    assert [step.id for step in last] == ["verify", "rollback", "commit", "push"]
    assert {step.run_as for step in last[2:]} == {"owner"}


def test_the_commit_and_the_push_are_shown_as_they_run() -> None:
    made = make_plan(HOST, FACTS, Options(push=True), latest=NEW)
    assert isinstance(made, Plan), made
    assert argv(made, "commit") == (
        *(
            "fast-forward",
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "commit",
            "--quiet",
            "--message",
        ),
        *("flake.lock: nixfleet 1111111 -> 2222222", "--", "flake.lock"),
    )
    assert argv(made, "push") == (
        *("git", "push", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"),
        *("origin", "HEAD:refs/heads/main"),
    )
    assert not [word for word in argv(made, "push") if word.startswith(("-f", "--force", "+"))]


COMMIT = "git+file:///home/ops/nixcfg?ref=refs/nixfleet/JOB&rev=<commit of the new lock>"


@pytest.mark.parametrize(
    ("seen", "options", "flake", "warned"),
    [
        ({}, {}, "/home/ops/nixcfg", None),
        ({"dirty_trees": "takes"}, {}, "/home/ops/nixcfg", None),
        ({"dirty_trees": "refuses"}, {}, COMMIT, "only this host has; --commit-lock"),
        ({"dirty_trees": "refuses"}, {"commit_lock": True}, COMMIT, None),
        ({}, {"commit_lock": True}, COMMIT, None),
        ({}, {"push": True}, COMMIT, None),
        (
            {"dirty_trees": "refuses", "unnamed": "filter"},
            {},
            "/home/ops/nixcfg",
            "may not be able to stand for this one: git changes some of its files by a filter",
        ),
        (
            {"unnamed": "hidden"},
            {"commit_lock": True},
            "/home/ops/nixcfg",
            "the tree is built, unless Nix reads the same files from a commit: git was told",
        ),
    ],
)
def test_the_plan_says_which_flake_is_built(
    seen: dict[str, Any], options: dict[str, Any], flake: str, warned: str | None
) -> None:
    made = make_plan(HOST, checkout(**seen), Options(**options))
    assert isinstance(made, Plan), made
    assert argv(made, "rebuild")[3] == f"{flake}#csb0"
    about = [text for text in made.warnings if "dirty tree" in text or "tree is built" in text]
    assert [(warned or "?") in text for text in about] == ([True] if warned else []), about


def test_a_flake_in_a_folder_is_built_from_the_whole_repository() -> None:
    facts = checkout(path="/home/ops/a b/nix/x", folder="nix/x/", dirty_trees="refuses")
    made = make_plan(HOST, facts, Options())
    assert isinstance(made, Plan), made
    where = (
        "git+file:///home/ops/a%20b?ref=refs/nixfleet/JOB&rev=<commit of the new lock>&dir=nix/x"
    )
    assert argv(made, "rebuild")[3] == f"{where}#csb0"


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        (FACTS, {}, "flake.lock: nixfleet 1111111 -> latest"),
        (FACTS, {"input_rev": REV}, "flake.lock: nixfleet 1111111 -> aaaaaaa"),
        (
            checkout(lock=lock(nixfleet=NEW), head_lock=lock()),
            {"input_rev": REV},
            "flake.lock: nixfleet 1111111 -> aaaaaaa",
        ),
    ],
    ids=["latest is not known", "pinned", "a lock that is changed already"],
)
def test_the_commit_message_says_what_is_known(
    facts: Facts, options: dict[str, Any], message: str
) -> None:
    assert message in argv(plan(facts, commit_lock=True, **options), "commit")


@pytest.mark.parametrize(
    ("facts", "options", "check", "why"),
    [
        (checkout(head_lock=lock(nixpkgs=NEW)), {"commit_lock": True}, "commit", "of nixpkgs"),
        (checkout(head_lock=lock(nixpkgs=NEW)), {"push": True}, "commit", "of nixpkgs"),
        (checkout(upstream=None), {"push": True, "pull": False}, "push", "no branch of a remote"),
        (checkout(branch=None), {"push": True, "pull": False}, "push", "no branch of a remote"),
        (checkout(upstream="main"), {"push": True}, "push", "no branch of a remote"),
    ],
    ids=["more than the input", "pushed, too", "no upstream", "no branch", "a local upstream"],
)
def test_plan_refuses_a_commit_or_push_that_cannot_work(
    facts: Facts, options: dict[str, Any], check: str, why: str
) -> None:
    refusal = make_plan(HOST, facts, Options(**options))
    assert isinstance(refusal, Refusal)
    assert refusal.check == check
    assert why in refusal.why


def test_a_flake_lock_that_differs_only_in_the_input_may_be_committed() -> None:
    plan(checkout(head_lock=lock(nixfleet=NEW)), commit_lock=True)
    plan(checkout(head_lock=lock(nixpkgs=NEW)))


def test_every_level_has_a_note() -> None:
    assert tuple(LEVEL_NOTES) == LEVELS


def test_plan_says_what_becomes_of_a_system_that_is_not_the_profiles() -> None:
    special = System("/a", "/b", 4, active=ActiveGeneration(4, specialisation="work"))
    (warning,) = plan(replace(FACTS, system=special)).warnings
    assert warning == (
        "the host runs the specialisation work: it is kept if the new system has it, too; else the "
        "host leaves it"
    )
    comins = System("/a", "/b", 4, active=ActiveGeneration(7, "comin"))
    (warning,) = plan(replace(FACTS, system=comins)).warnings
    assert warning == (
        "the system that runs is that of the profile comin: what manages that profile may switch "
        "back to it"
    )


# Going back.

SYSTEM, OLDER = "/nix/store/new-system", "/nix/store/old-system"
TO_OLDER, TO_SYSTEM = (WayBack(system=path, profile=path, number=7) for path in (OLDER, SYSTEM))
JOB = "20261123-004101-ab12"
RUNS = replace(FACTS, system=System(current=SYSTEM, profile=SYSTEM))


def test_rollback_needs_no_space_no_pull_and_no_nix() -> None:
    facts = replace(
        RUNS,
        disk_free_kib=0,
        memory_free_kib=0,
        nix=None,
        tools=frozenset({"systemctl", "systemd-run"}),
        checkout=replace(CHECKOUT, branch=None, lock=None),
    )
    made = make_rollback_plan(HOST, facts, TO_OLDER, JOB, Options())
    assert isinstance(made, Plan), made
    assert [step.id for step in made.steps] == ["preflight", "stop", "rollback", "start", "verify"]
    assert argv(made, "rollback") == ("switch-back", OLDER, OLDER, "7")
    assert (made.goal, made.target, made.lock_from, made.options.pull) == (
        *("rollback", OLDER, JOB, False),
    )
    assert made.restore_lock is None


@pytest.mark.parametrize(
    ("facts", "target", "check"),
    [
        (RUNS, TO_SYSTEM, "target"),
        (replace(RUNS, platform="unknown"), TO_OLDER, "platform"),
        (replace(RUNS, tools=frozenset()), TO_OLDER, "tools"),
        (replace(RUNS, unit=None), TO_OLDER, "unit"),
        (replace(RUNS, checkout=None), TO_OLDER, "checkout"),
    ],
)
def test_a_rollback_that_cannot_work_is_refused(facts: Facts, target: WayBack, check: str) -> None:
    refusal = make_rollback_plan(HOST, facts, target, None, Options())
    assert isinstance(refusal, Refusal)
    assert refusal.check == check


def test_after_a_half_switch_either_generation_can_be_gone_to() -> None:
    facts = replace(RUNS, system=System(current=OLDER, profile=SYSTEM))
    for way in (TO_SYSTEM, TO_OLDER):
        assert isinstance(make_rollback_plan(HOST, facts, way, None, Options()), Plan)
    staged = WayBack(system=OLDER, profile=SYSTEM, number=8, why="active before job x", ran=True)
    assert isinstance(make_rollback_plan(HOST, facts, staged, None, Options()), Refusal)
    made = make_rollback_plan(HOST, RUNS, staged, None, Options())
    assert isinstance(made, Plan)
    assert argv(made, "rollback") == ("switch-back", OLDER, SYSTEM, "8")
    assert (made.target, made.target_profile, made.target_number, made.target_ran) == (
        *(OLDER, SYSTEM, 8, True),
    )
    assert made.target_words == (
        f"the system {OLDER}, with generation 8 in the profile: active before job x"
    )


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"rollback_on_failure": True}, {"rollback"}),
        ({"confirm_within": 30}, {"confirm", "rollback"}),
        ({}, set()),
    ],
)
def test_plan_has_the_steps_to_go_back_that_its_options_need(
    options: dict[str, Any], more: set[str]
) -> None:
    made = plan(**options)
    ids = [step.id for step in made.steps]
    assert set(ids) == {*CHAIN, *more}
    if "confirm" in more:
        assert argv(made, "confirm") == ("wait-for-operator", "30")
        assert ids.index("rebuild") < ids.index("confirm") < ids.index("start")
    if "rollback" in more:
        assert ids[-1] == "rollback"


def test_builds_use_the_cores_and_jobs_that_were_asked_for() -> None:
    words = argv(plan(cores=2, max_jobs=0, level=0), "rebuild")
    assert words[-4:] == ("--cores", "2", "--max-jobs", "0")


def test_a_limit_is_taken_from_the_options() -> None:
    limits = {step.id: step.limit for step in plan(limits={"rebuild": 60}).steps}
    assert limits["rebuild"] == 60
    assert limits["pull"] != 60


def test_the_same_facts_give_the_same_plan_and_it_survives_json() -> None:
    made = plan(force=True, level=2)
    assert made == plan(force=True, level=2)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made
