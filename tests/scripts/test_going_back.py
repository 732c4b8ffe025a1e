"""Where a job goes back to: the active system and the profile, each to what it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import msgspec
import pytest
from fake_host import AGENTS, JOB, STORE, SYSTEMS, UNIT, FakeHost, unit_text

from nixfleet_core.facts.generations import Before, Generation, read_generations
from nixfleet_core.facts.parse import parse_probe
from nixfleet_core.plan.model import Plan, Step
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    pass

one_shell = pytest.mark.parametrize("shell", ["bash"], indirect=True)
OTHER, OLDEST = "20261122-004101-cd34", "20261121-004101-ef56"
OLD, BAD = SYSTEMS["1.0"], SYSTEMS["2.0"]
SPECIAL, TRIED, NEWEST = (
    f"{STORE}/{letter * 32}-nixos-system-h-{name}"
    for letter, name in (("s", "special"), ("t", "tried"), ("n", "3.0"))
)
BACK = Step(id="rollback", title="", argv=("switch-back",), run_as="root", limit=30)
NO_AGENT = f"{STORE}/{'x' * 32}-nixfleet-agent-3.0/bin/agent"
"""An agent that does not start: its program is not there."""


def add_system(
    host: FakeHost, system: str, agent: str = AGENTS["1.0"], init: str = "", fails: int = 0
) -> None:
    """A system that writes down how it is activated; `boot` activates nothing."""
    at = Path(f"{host.root}{system}")
    (at / "bin").mkdir(parents=True, exist_ok=True)
    unit = at / "etc/systemd/system/nixfleet-agent.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(unit_text(agent))
    if init:
        (at / "init-interface-version").write_text(init)
    switch = at / "bin/switch-to-configuration"
    switch.write_text(
        f"""#!/bin/sh
root={quote(str(host.root))}
echo {system} $1 >>"$root/state/switched"
[ {fails} = 0 ] || exit {fails}
[ $1 != boot ] || exit 0
cp "$root{system}/etc/systemd/system/{UNIT}" "$root/etc/systemd/system/{UNIT}"
ln -sfn "$root{system}" "$root/run/current-system"
"""
    )
    switch.chmod(0o755)


def set_profile(host: FakeHost, *systems: str) -> None:
    """Generations from 1 on; the profile names the last."""
    profiles = host.root / "nix/var/nix/profiles"
    for number, system in enumerate(systems, 1):
        link = profiles / f"system-{number}-link"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{host.root}{system}")
    (profiles / "system").unlink()
    (profiles / "system").symlink_to(f"system-{len(systems)}-link")


def set_active(host: FakeHost, system: str) -> None:
    link = host.root / "run/current-system"
    link.unlink()
    link.symlink_to(f"{host.root}{system}")


def left_look(
    host: FakeHost, job: str, side: str, active: str, profile: str, more: str = ""
) -> None:
    """What an earlier job has seen."""
    place = host.jobs / job
    place.mkdir(parents=True, exist_ok=True)
    (place / "plan.json").touch()
    pairs = (("system.current", active), ("system.profile", profile))
    lines = "".join(f"{key} {len(value)}\n{value}\n" for key, value in pairs)
    (place / side).write_text(f"nixfleet-probe 1\n{lines}{more}end 0\n")


def half_switched(host: FakeHost, active: str = OLD, profile: str = BAD, job: str = OTHER) -> None:
    """A job has moved the profile, and its activation has failed."""
    left_look(host, job, "before", active, OLD)
    left_look(host, job, "after", active, profile)


def state(host: FakeHost) -> tuple[str, str]:
    """The active system, and the profile's link."""
    active = str((host.root / "run/current-system").resolve()).removeprefix(str(host.root))
    return active, str((host.root / "nix/var/nix/profiles/system").readlink())


def switched(host: FakeHost) -> list[tuple[str, ...]]:
    """What was activated, and how."""
    path = host.state / "switched"
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def moves(host: FakeHost) -> list[str]:
    """How nix-env was asked to move the profile back, after the rebuild's own call."""
    return [" ".join(call.split(" ")[-2:]) for call in host.calls("nix-env")]


def failing_update(host: FakeHost) -> Plan:
    """An update whose new agent does not start, and that goes back then."""
    host.set("new-system", f"{host.root}{NEWEST}")
    host.set("new-installed", NO_AGENT)
    host.on(
        "systemctl",
        'case "$1 $(cat "$root/etc/systemd/system/nixfleet-agent.service")" in\n'
        '  start*agent-3.0* | restart*agent-3.0*) exit 1 ;;\nesac\ndefault "$@"\n',
    )
    plan = host.plan(rollback_on_failure=True)
    return msgspec.structs.replace(plan, steps=(*plan.steps, BACK))


def lay_out(host: FakeHost) -> None:
    for system in (OLD, BAD, SPECIAL, TRIED):
        add_system(host, system)
    add_system(host, NEWEST, NO_AGENT)


def links(host: FakeHost) -> dict[str, str]:
    found = (host.root / "nix/var/nix/profiles").glob("system-*-link")
    return {path.name: str(path.readlink()) for path in found}


def goes_back(host: FakeHost) -> None:
    """Run the failing update; what was in the profile's history is still there."""
    history = links(host)
    host.run_job(failing_update(host))
    assert (host.steps["rebuild"], host.steps["rollback"]) == ("ok", "ok"), host.log
    assert history.items() <= links(host).items()
    assert host.agent_runs()


def test_after_a_half_switch_both_go_to_the_active_systems_generation(host: FakeHost) -> None:
    lay_out(host)
    set_profile(host, OLD, BAD)
    half_switched(host)
    goes_back(host)
    assert state(host) == (OLD, "system-1-link")
    assert moves(host)[-1] == "--switch-generation 1"
    assert switched(host) == [(NEWEST, "switch"), (OLD, "switch")]
    before = parse_probe((host.job / "before").read_bytes())
    assert (before.system.current, before.system.profile, before.back) == (OLD, BAD, OLD)


@one_shell
def test_what_somebody_staged_stays_staged(host: FakeHost) -> None:
    lay_out(host)
    set_profile(host, OLD, BAD)
    goes_back(host)
    assert state(host) == (OLD, "system-2-link")
    assert moves(host)[-1] == "--switch-generation 2"
    assert switched(host) == [(NEWEST, "switch"), (BAD, "boot"), (OLD, "test")]


@one_shell
def test_what_waits_for_a_reboot_stays_staged(host: FakeHost) -> None:
    lay_out(host)
    add_system(host, OLD, init="systemd 2")
    add_system(host, BAD, init="systemd 3")
    set_profile(host, OLD, BAD)
    half_switched(host)
    goes_back(host)
    assert state(host) == (OLD, "system-2-link")
    assert switched(host)[1:] == [(BAD, "boot"), (OLD, "test")]


@one_shell
def test_a_profile_that_ran_after_its_half_switch_has_not_failed(host: FakeHost) -> None:
    lay_out(host)
    set_profile(host, OLD, BAD)
    half_switched(host, job=OLDEST)
    left_look(host, OTHER, "before", BAD, BAD)
    goes_back(host)
    assert state(host) == (OLD, "system-2-link")


@one_shell
def test_what_was_only_tried_is_tried_again(host: FakeHost) -> None:
    lay_out(host)
    set_active(host, TRIED)
    goes_back(host)
    assert state(host) == (TRIED, "system-1-link")
    assert switched(host) == [(NEWEST, "switch"), (OLD, "boot"), (TRIED, "test")]


@one_shell
@pytest.mark.parametrize("below", ["own", "failed"])
def test_a_specialisation_runs_below_its_parents_generation(host: FakeHost, below: str) -> None:
    lay_out(host)
    special = Path(f"{host.root}{OLD}/specialisation/quiet")
    special.parent.mkdir()
    special.symlink_to(f"{host.root}{SPECIAL}")
    set_active(host, SPECIAL)
    if below == "failed":
        set_profile(host, OLD, BAD)
        half_switched(host, active=SPECIAL)
    goes_back(host)
    assert state(host) == (SPECIAL, "system-1-link")
    assert switched(host) == [(NEWEST, "switch"), (OLD, "boot"), (SPECIAL, "test")]


@one_shell
@pytest.mark.parametrize("link", ["comin-1-link", "comin/20261121"])
def test_another_tools_system_runs_again_and_boots_again(host: FakeHost, link: str) -> None:
    lay_out(host)
    theirs = host.root / "nix/var/nix/profiles/system-profiles" / link
    theirs.parent.mkdir(parents=True)
    theirs.symlink_to(f"{host.root}{TRIED}")
    set_active(host, TRIED)
    goes_back(host)
    assert state(host) == (TRIED, "system-1-link")
    assert switched(host) == [(NEWEST, "switch"), (TRIED, "switch")]


@one_shell
def test_a_retry_that_moves_no_profile_goes_back_too(host: FakeHost) -> None:
    """The profile names the new system already: only the activation moves something."""
    lay_out(host)
    set_profile(host, OLD, NEWEST)
    half_switched(host, profile=NEWEST)
    goes_back(host)
    assert state(host) == (OLD, "system-1-link")


@one_shell
def test_whoever_was_waited_for_is_not_undone(host: FakeHost) -> None:
    """Somebody else's switch moves the system while the job waits for it."""
    lay_out(host)
    theirs = (
        'rm -f "$root/run/systemd/units/nixos-rebuild-switch-to-configuration.service"',
        f'ln -sfn "$root{BAD}" "$root/run/current-system"',
        f'ln -sfn "$root{BAD}" "$root/nix/var/nix/profiles/system-2-link"',
        'ln -sfn system-2-link "$root/nix/var/nix/profiles/system"',
        f"exec {shutil.which('sleep')} 0.05",
    )
    host.on(
        "sleep",
        'if [ -e "$s/waited" ]; then default; exit; fi; : >"$s/waited"\n' + "\n".join(theirs),
    )
    host.let_live("nixos-rebuild-switch-to-configuration.service")
    goes_back(host)
    assert state(host) == (BAD, "system-2-link")
    before = parse_probe((host.job / "before").read_bytes())
    assert (before.system.current, before.back) == (BAD, BAD)


# A rollback that somebody asks for.


def asked(host: FakeHost, *words: str) -> Plan:
    plan = host.plan()
    steps = {step.id: step for step in plan.steps}
    back = msgspec.structs.replace(BACK, argv=("switch-back", *words))
    return msgspec.structs.replace(
        plan,
        goal="rollback",
        target=words[0],
        steps=(steps["preflight"], steps["stop"], back, steps["start"], steps["verify"]),
    )


@one_shell
@pytest.mark.parametrize(
    ("number", "moved", "link"),
    [
        (("1",), "--switch-generation 1", "system-1-link"),
        (("2",), "--switch-generation 3", "system-3-link"),  # 2 is another system by now
        (("9",), "--switch-generation 3", "system-3-link"),  # 9 was collected
        ((), "--switch-generation 3", "system-3-link"),
    ],
)
def test_the_generation_is_gone_to_by_its_number(
    host: FakeHost, number: tuple[str, ...], moved: str, link: str
) -> None:
    lay_out(host)
    set_profile(host, OLD, BAD, OLD, NEWEST)
    set_active(host, NEWEST)
    history = links(host)
    host.run_job(asked(host, OLD, OLD, *number))
    assert host.steps["rollback"] == "ok", host.log
    assert (state(host), moves(host), links(host)) == ((OLD, link), [moved], history)


@one_shell
def test_a_system_without_a_generation_becomes_a_new_one(host: FakeHost) -> None:
    lay_out(host)
    set_profile(host, BAD)
    set_active(host, BAD)
    host.run_job(asked(host, OLD, OLD, "1"))
    assert state(host) == (OLD, "system-2-link"), host.log
    assert moves(host)[0].endswith(f"--set {host.root}{OLD}".split(" ")[-1])


@one_shell
def test_an_activation_that_fails_leaves_the_profile_and_says_so(host: FakeHost) -> None:
    lay_out(host)
    add_system(host, OLD, fails=4)
    set_profile(host, OLD, BAD)
    set_active(host, BAD)
    host.run_job(asked(host, OLD, OLD, "1"))
    assert (host.steps["rollback"], host.step("rollback").rc) == ("failed", 4)
    assert state(host) == (BAD, "system-1-link")
    assert host.agent_runs()


@one_shell
def test_a_boot_loader_that_fails_does_not_keep_the_old_system_from_running(
    host: FakeHost,
) -> None:
    lay_out(host)
    add_system(host, BAD, fails=1)
    set_profile(host, OLD, BAD, NEWEST)
    set_active(host, NEWEST)
    host.run_job(asked(host, OLD, BAD, "2"))
    assert (host.steps["rollback"], host.step("rollback").rc) == ("failed", 1)
    assert state(host) == (OLD, "system-2-link")


@one_shell
@pytest.mark.parametrize("gone", ["system", "profile"])
def test_a_target_that_was_collected_touches_nothing(host: FakeHost, gone: str) -> None:
    lay_out(host)
    set_profile(host, OLD, BAD)
    set_active(host, BAD)
    there = {"system": OLD, "profile": OLD}
    host.run_job(asked(host, *(there | {gone: f"{STORE}/{'g' * 32}-gone"}).values()))
    assert (host.steps["rollback"], host.step("rollback").reason) == ("failed", "target")
    assert (state(host), switched(host), moves(host)) == ((BAD, "system-2-link"), [], [])
    assert host.agent_runs()


# Home Manager.

HOME_OLD, HOME_BAD = (f"{STORE}/{c * 32}-home-manager-generation" for c in "hk")


def lay_out_home(host: FakeHost, *, driver: bool) -> Path:
    """Two generations; the second is in the profile, and its activation failed: the link to the
    active home was not moved. Return the folder of the profiles."""
    (host.root / "etc/NIXOS").unlink()
    profiles = host.root / "home/ops/.local/state/nix/profiles"
    roots = host.root / "home/ops/.local/state/home-manager/gcroots"
    for folder in (profiles, roots):
        folder.mkdir(parents=True)
    for number, home in enumerate((HOME_OLD, HOME_BAD), 1):
        at = Path(f"{host.root}{home}")
        at.mkdir(parents=True)
        knows = "# --driver-version N\n" if driver else ""
        (at / "activate").write_text(
            f"""#!/bin/sh
{knows}root={quote(str(host.root))}
echo {home} $* >>"$root/state/switched"
ln -sfn "$root{home}" "$root/home/ops/.local/state/home-manager/gcroots/current-home"
"""
        )
        (at / "activate").chmod(0o755)
        (profiles / f"home-manager-{number}-link").symlink_to(at)
    (profiles / "home-manager").symlink_to("home-manager-2-link")
    (roots / "current-home").symlink_to(f"{host.root}{HOME_OLD}")
    return profiles


@one_shell
@pytest.mark.parametrize("driver", [True, False])
def test_a_home_goes_to_its_active_generation_by_number(host: FakeHost, driver: bool) -> None:
    profiles = lay_out_home(host, driver=driver)
    half = "nixfleet-probe 1\nsystem.current {}\n{}\nsystem.profile {}\n{}\nend 0\n"
    jobs = host.root / "home/ops/.local/state/nixfleet/jobs" / OTHER
    jobs.mkdir(parents=True)
    (jobs / "plan.json").touch()
    for side, profile in (("before", HOME_OLD), ("after", HOME_BAD)):
        (jobs / side).write_text(half.format(len(HOME_OLD), HOME_OLD, len(profile), profile))
    found = read_generations(host.ask("generations", NF_PLATFORM_GIVEN="home-manager").stdout)
    assert (found.active, found.profile, found.number) == (HOME_OLD, HOME_BAD, 2)
    call = (
        'NF_RUN=$NF_ROOT/tmp NF_LOG=$NF_ROOT/tmp/log NF_GOAL=rollback NF_LOCK_FROM=""\n'
        'nf_run() { PATH=$NF_ROOT/run/wrappers/bin:$PATH "$@"; }\n'
        f'nf_do_rollback switch-back "$NF_ROOT{HOME_OLD}" "$NF_ROOT{HOME_OLD}" 1'
    )
    parts = ("probe", "preflight", "chain", "levels", "changes", "share_lock", "runner")
    values = {"NF_PLATFORM_GIVEN": "home-manager", "NF_ID": JOB, "NF_CHECKOUT": "", "NF_DEEP": ""}
    done = host.send(compose(*parts, root=str(host.root), call=call, values=values))
    assert done.returncode == 0, done.stderr
    assert (profiles / "home-manager").readlink() == Path("home-manager-1-link")
    assert switched(host) == [(HOME_OLD, *(("--driver-version", "1") if driver else ()))]


# What a client is told.


def test_a_client_is_told_what_is_known_of_each_generation(host: FakeHost) -> None:
    lay_out(host)
    add_system(host, BAD, AGENTS["2.0"])
    set_profile(host, OLD, BAD)
    runs = f"running.proof 3\nexe\nrunning.path {len(AGENTS['1.0'])}\n{AGENTS['1.0']}\n"
    half_switched(host)
    left_look(host, OLDEST, "before", TRIED, OLD, runs)
    (host.jobs / OTHER / "flake.lock.before").touch()
    found = read_generations(host.ask("generations", NF_PLATFORM_GIVEN="nixos").stdout)
    assert (found.active, found.profile, found.number) == (OLD, BAD, 2)
    assert found.generations == (
        Generation(2, BAD, AGENTS["2.0"]),
        Generation(1, OLD, AGENTS["1.0"]),
    )
    newest, oldest = found.jobs
    assert (newest.job, oldest.job) == (OTHER, OLDEST)
    assert newest.before == Before(OLD, OLD, 1, AGENTS["1.0"], locked=True)
    assert oldest.before == Before(TRIED, OLD, 1, AGENTS["1.0"])
    assert [(look.side, look.active, look.profile) for look in newest.looks] == [
        ("before", OLD, OLD),
        ("after", OLD, BAD),
    ]
    assert [look.running for look in oldest.looks] == [AGENTS["1.0"]]


@one_shell
def test_what_was_before_a_job_and_is_gone_is_no_way_back(host: FakeHost) -> None:
    lay_out(host)
    left_look(host, OTHER, "before", f"{STORE}/{'g' * 32}-gone", OLD)
    (job,) = read_generations(host.ask("generations", NF_PLATFORM_GIVEN="nixos").stdout).jobs
    assert job.before is None


@one_shell
def test_an_older_versions_job_of_a_half_switched_host_goes_to_the_active_one(
    host: FakeHost,
) -> None:
    lay_out(host)
    set_profile(host, OLD, BAD, NEWEST)
    set_active(host, NEWEST)
    half_switched(host, job=OLDEST)
    left_look(host, OTHER, "before", OLD, BAD)
    newest, _ = read_generations(host.ask("generations", NF_PLATFORM_GIVEN="nixos").stdout).jobs
    assert newest.before == Before(OLD, OLD, 1, AGENTS["1.0"])
