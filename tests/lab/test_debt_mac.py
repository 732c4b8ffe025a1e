"""Restart debt of launchd's agents on the lab's Mac: what is named, and how it is paid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

_FILES: Final = Path(__file__).with_name("debt")
_NIX: Final = ". /nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh"
_ACTIVE: Final = ".local/state/home-manager/gcroots/current-home"
_PREFIX: Final = "org.nix-community.home."

RELOADED: Final = {"plain", "script", "library", "deleted"}
"""Their plists name what they run, so launchd has an old plist of them loaded."""

OLD: Final = RELOADED | {"linked", "removed"}


def job(name: str) -> str:
    return f"gui/501/{_PREFIX}{name}"


def run(mac: LabHost, command: str) -> str:
    """Run a command as the user, who has nothing but a Mac's tools, and Nix."""
    done = mac.run("exec /bin/sh -eus", mac.user, stdin=f"{_NIX}\n{command}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def activate(mac: LabHost, release: str, base: str) -> str:
    """Let the home of that release be the active one, without a word to launchd."""
    home = run(
        mac,
        f"nix-build --no-out-link debt/home.nix --argstr release {release} --argstr base {base}",
    ).splitlines()[-1]
    run(
        mac,
        f"nix-env -p ~/.local/state/nix/profiles/home-manager --set {home}; "
        f"ln -sfn {home} {_ACTIVE}; rm -f Library/LaunchAgents/{_PREFIX}*; "
        f"cp {home}/LaunchAgents/{_PREFIX}* Library/LaunchAgents/",
    )
    return home


def debt(client: Client, mac: LabHost, code: int) -> dict[str, Any]:
    done = client.run("debt", mac.name, "--json")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_exactly_the_old_agents_of_a_mac_are_named_and_can_be_paid(
    fresh_homes: Fleet, tmp_path: Path
) -> None:
    mac, client = fresh_homes["imac0"], fresh_homes.client(tmp_path / "op")
    client.folder.mkdir()
    client.write_inventory({mac: mac.user})
    for file in ("home.nix", "home.sh"):
        text = (_FILES / file).read_text()
        run(mac, f"mkdir -p debt; cat >debt/{file} <<'TEXT'\n{text}\nTEXT")
    base = run(mac, f"readlink {_ACTIVE}")
    first = activate(mac, "1.0", base)
    for name in OLD | {"steady"}:  # a kickstart returns when there is a process
        plist = f"~/Library/LaunchAgents/{_PREFIX}{name}.plist"
        run(mac, f"launchctl bootstrap gui/501 {plist}; launchctl kickstart {job(name)}")
    assert mac.agent_version() == "2.1.0", "it waits until what starts it has become the agent"
    answer = debt(client, mac, 0)
    assert answer["sentence"] == "nothing old runs", answer
    activate(mac, "2.0", base)
    old = f"{first}/LaunchAgents/{_PREFIX}"
    gone = run(mac, f"sed -n 's|.*<string>\\(/nix/store/.*\\)/bin/.*|\\1|p' {old}deleted.plist")
    mac.enter(f"rm -rf {gone}")
    answer = debt(client, mac, 3)
    units = {one["unit"].removeprefix(_PREFIX): one for one in answer["units"]}
    assert set(units) == OLD, json.dumps(answer)
    assert (answer["not_seen"], answer["unseen"], answer["boot"]) == ([], 0, [])
    assert {one["uid"] for one in units.values()} == {501}
    kinds = {name: one["kind"] for name, one in units.items()}
    assert kinds == dict.fromkeys(units, "program") | {"script": "script", "library": "library"}
    assert {name for name, one in units.items() if one["is_deleted"]} == {"deleted"}
    for name, package in (("plain", "plain"), ("linked", "plain"), ("library", "libextra")):
        assert f"-{package}-1.0" in units[name]["old"]
        assert f"-{package}-2.0" in units[name]["new"]
    assert {name for name, one in units.items() if "older plist" in one["reason"]} == RELOADED
    assert units["linked"]["pay"] == f"launchctl kickstart -k {job('linked')}"
    assert units["removed"]["pay"] == f"launchctl bootout {job('removed')}"
    # each is paid by the command that it names; several at once, as the longest takes seconds
    paying = " & ".join(f"{{ {one['pay']}; }}" for one in units.values())
    done = mac.run(f"{paying} & wait", mac.user)
    assert done.stderr == ""
    answer = debt(client, mac, 0)
    assert (answer["sentence"], answer["units"]) == ("nothing old runs", [])
