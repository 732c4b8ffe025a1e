"""Which generation holds the active system, and what a switch minds: over a host's own folders."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import pytest
from fake_host import CHECKOUT, SYSTEMS, FakeHost, look

from nixfleet_core.facts.model import ActiveGeneration, System
from nixfleet_core.job.events import Check

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

WORK = f"/nix/store/{'3' * 32}-nixos-system-h-work"
"""A specialisation of the first system."""


@pytest.fixture
def special(host: FakeHost) -> FakeHost:
    """A host that runs the specialisation `work` of its profile's system."""
    make_system(host, WORK)
    specialise(host, SYSTEMS["1.0"], WORK)
    activate(host, WORK)
    return host


def make_system(host: FakeHost, path: str) -> None:
    script = Path(f"{host.root}{path}/bin/switch-to-configuration")
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    (script.parents[1] / "nixos-version").write_text("26.05")


def specialise(host: FakeHost, path: str, of: str, name: str = "work") -> None:
    folder = Path(f"{host.root}{path}/specialisation")
    folder.mkdir(exist_ok=True)
    (folder / name).symlink_to(f"{host.root}{of}")


def activate(host: FakeHost, path: str) -> None:
    link = host.root / "run/current-system"
    link.unlink()
    link.symlink_to(f"{host.root}{path}")


def profile(host: FakeHost, number: int, path: str, name: str = "system") -> None:
    """The profile gets that generation."""
    link = host.root / f"nix/var/nix/profiles/{name}-{number}-link"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(f"{host.root}{path}")
    whole = link.with_name(Path(name).name)
    whole.unlink(missing_ok=True)
    whole.symlink_to(link.name)


def system(host: FakeHost) -> System:
    return look(host).system


def inhibit(host: FakeHost, path: str, text: str) -> None:
    Path(f"{host.root}{path}/switch-inhibitors").write_text(text)


def test_the_profiles_own_system_is_not_looked_for(host: FakeHost) -> None:
    found = system(host)
    assert (found.active, found.is_apart) == (None, False)


def test_an_older_generation_runs(host: FakeHost) -> None:
    profile(host, 2, SYSTEMS["2.0"])
    profile(host, 10, SYSTEMS["2.0"])
    found = system(host)
    assert (found.active, found.generation, found.is_newer) == (ActiveGeneration(1), 10, True)


@one_shell
def test_a_newer_generation_runs(host: FakeHost) -> None:
    profile(host, 9, SYSTEMS["2.0"])
    profile(host, 10, SYSTEMS["2.0"])
    profile(host, 2, SYSTEMS["1.0"])
    activate(host, SYSTEMS["2.0"])
    found = system(host)
    assert (found.active, found.is_apart, found.is_newer) == (ActiveGeneration(10), True, False)


def test_a_specialisation_of_the_profiles_system_is_that_system(special: FakeHost) -> None:
    found = system(special)
    assert (found.specialisation, found.is_apart) == ("work", False)


@one_shell
def test_a_specialisation_of_an_older_system_is_older(special: FakeHost) -> None:
    profile(special, 2, SYSTEMS["2.0"])
    found = system(special)
    assert found.active == ActiveGeneration(1, specialisation="work")
    assert (found.is_apart, found.is_newer) == (True, True)


@one_shell
@pytest.mark.parametrize("name", ["two\nlines", "system-9-link", "."])
def test_names_of_specialisations_are_untrusted(host: FakeHost, name: str) -> None:
    make_system(host, WORK)
    if name != ".":
        specialise(host, SYSTEMS["1.0"], WORK, name)
    activate(host, WORK)
    found = system(host)
    assert found.specialisation == ("" if name != "system-9-link" else name)


def test_another_tools_profile_holds_the_active_system(host: FakeHost) -> None:
    profile(host, 3, SYSTEMS["2.0"], "system-profiles/comin")
    activate(host, SYSTEMS["2.0"])
    found = system(host)
    assert (found.active, found.is_newer) == (ActiveGeneration(3, "comin"), False)


@one_shell
def test_a_wrapper_around_the_active_system_is_that_system(host: FakeHost) -> None:
    wrapper = Path(f"{host.root}/nix/store/{'4' * 32}-activatable-nixos-system-h")
    wrapper.mkdir()
    for name in ("bin", "nixos-version"):
        (wrapper / name).symlink_to(f"{host.root}{SYSTEMS['1.0']}/{name}")
    profile(host, 2, str(wrapper)[len(str(host.root)) :])
    found = system(host)
    assert found.current != found.profile
    assert (found.active, found.is_apart) == (ActiveGeneration(2), False)


@one_shell
def test_no_generation_holds_the_system_of_a_test(host: FakeHost) -> None:
    activate(host, SYSTEMS["2.0"])
    found = system(host)
    assert (found.active, found.has_hidden, found.is_apart) == (None, False, True)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('{"systemd": "258", "dbus": "a"}', '{"systemd": "259", "dbus": "a"}', ("systemd",)),
        (
            f"/nix/store/{'9' * 32}-systemd-258.2\n/nix/store/{'j' * 32}-dbus-broker-37\n",
            f"/nix/store/{'j' * 32}-dbus-broker-37\n",
            ("systemd-258.2",),
        ),
    ],
)
def test_reads_what_a_switch_does_not_exchange(
    host: FakeHost, old: str, new: str, changed: tuple[str, ...]
) -> None:
    inhibit(host, SYSTEMS["1.0"], old)
    inhibit(host, SYSTEMS["2.0"], new)
    profile(host, 2, SYSTEMS["2.0"])
    assert system(host).inhibitors == changed


# In a job.


def checks(host: FakeHost) -> list[Check]:
    return [e for e in host.events if isinstance(e, Check) and e.check == "switch"]


def evaluates_to(host: FakeHost, attribute: str, text: str, code: int = 0) -> None:
    """Nix says this of that attribute of the configuration."""
    host.on(
        "nix",
        f'case "$*" in *"{attribute}") printf %s {quote(text)}; exit {code} ;; esac\ndefault "$@"',
    )


def test_a_new_system_that_waits_for_a_boot_is_announced_before_the_stop(host: FakeHost) -> None:
    inhibit(host, SYSTEMS["1.0"], '{"a\\"${b}": "258"}')
    evaluates_to(host, ".config.system.switch", "systemd dbus")
    host.run_job()
    assert [(check.ok, check.reason) for check in checks(host)] == [(True, "inhibited")]
    assert "as these parts change: systemd dbus." in host.log
    assert host.result["outcome"] == "done"


@one_shell
@pytest.mark.parametrize(
    ("now", "said", "code"), [("{}", "systemd", 0), ('{"a":"b"}', "", 0), ("x", "x", 1)]
)
def test_no_warning_without_a_known_difference(
    host: FakeHost, now: str, said: str, code: int
) -> None:
    inhibit(host, SYSTEMS["1.0"], now)
    evaluates_to(host, ".config.system.switch", said, code)
    host.run_job()
    assert [(check.ok, check.reason) for check in checks(host)] == [(True, "")]
    assert host.result["outcome"] == "done"


def rebuilds(host: FakeHost) -> list[str]:
    return host.calls("nixos-rebuild")


def test_the_rebuild_keeps_a_specialisation_that_the_new_system_has(special: FakeHost) -> None:
    evaluates_to(special, ".config.specialisation", "yes")
    special.run_job()
    assert rebuilds(special) == [
        f"nixos-rebuild switch --flake {special.root}{CHECKOUT}#h --specialisation work"
    ]


@one_shell
@pytest.mark.parametrize(("said", "code"), [("", 0), ("yes", 1)])
def test_a_specialisation_that_the_new_system_lacks_is_left(
    special: FakeHost, said: str, code: int
) -> None:
    evaluates_to(special, ".config.specialisation", said, code)
    special.run_job()
    assert rebuilds(special) == [f"nixos-rebuild switch --flake {special.root}{CHECKOUT}#h"]
    assert ("does not have the specialisation work" in special.log) == (code == 0)


@one_shell
def test_a_host_without_specialisation_evaluates_none(host: FakeHost) -> None:
    host.run_job()
    assert [call for call in host.calls("nix") if "specialisation" in call] == []
    assert host.result["outcome"] == "done"
