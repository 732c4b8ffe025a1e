"""The doctor's look: a real run on a fake host, read as the client reads it."""

from __future__ import annotations

import shutil
import time
from shlex import quote

import pytest
from fake_host import CHECKOUT, FakeHost, git, tree

from nixfleet_core.facts.health import Health, Launchd, Remote, parse_health
from nixfleet_core.log.failure_table import LAN_NAME
from nixfleet_core.log.failures import find_failure
from nixfleet_core.transport.dialogue import ROOTS_OWN

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

PRINTED = {
    "": "first",
    "raw": "first\\nWAITED=0\\nlast",
    "indented": "first\\n\\t\\tWAITED=0\\n\\t\\tlast",
    "escaped": "first\\\\012WAITED=0\\\\012last",
}
"""How launchctl could print an argument of several lines; as printf takes it."""


def examine(host: FakeHost, **env: str) -> Health:
    values = {
        "NF_CHECKOUT": CHECKOUT,
        "NF_INPUT": "nixfleet",
        "NF_ATTRIBUTE": "",
        "NF_DEEP": "",
        "NF_CHOSEN": "",
        "NF_LAN_NAME": LAN_NAME,
        **ROOTS_OWN.values,
    }
    asked = time.time()
    done = host.send(host.script("doctor", **values), SHELL="/bin/zsh", **env)
    assert (done.returncode, done.stderr) == (0, b"")
    return parse_health(done.stdout, asked, time.time())


def put_home(host: FakeHost) -> None:
    """Make it a home of Home Manager."""
    (host.root / "etc/NIXOS").unlink()
    profiles = host.root / "home/ops/.local/state/nix/profiles"
    profiles.mkdir(parents=True)
    (profiles / "home-manager").symlink_to("home-manager-1-link")


def put_on_a_mac(host: FakeHost, printed: str) -> None:
    put_home(host)
    host.on("uname", "case $1 in -s) echo Darwin ;; *) echo Darwin the-mac arm64 ;; esac")
    host.on("sw_vers", "echo 15.6.1")
    host.on(
        "launchctl",
        f"""case $* in
  managername) echo Aqua ;;
  'limit maxfiles') printf '\\tmaxfiles    256            unlimited\\n' ;;
  print\\ user/*/com.nixfleet.agent) printf '\\tpended nondemand spawn = inefficient\\n{printed}' ;;
  print\\ user/*[0-9]) : ;;
  *) exit 113 ;;
esac""",
    )
    shown = r"sh -c sleep 2; : sh nf-one\012two-nf"
    host.on("ps", f"case $* in *args=*) printf '%s\\n' '{shown}' ;; esac")


def test_it_sees_all_and_changes_nothing(host: FakeHost) -> None:
    host.on("nix", "case $* in *show*) echo 'experimental-features = flakes nix-command' ;; esac;"
            'default "$@"')  # fmt: skip
    host.set("expected", "csb0\nh")
    (host.state / "calls").touch()
    before = {name: value for name, value in tree(host.root).items() if name != "state/calls"}
    health = examine(host)
    after = {name: value for name, value in tree(host.root).items() if name != "state/calls"}
    assert after == before
    assert not host.calls("sudo", "doas")
    facts = health.facts
    assert (facts.hostname, facts.platform, facts.attributes) == (
        "the-host",
        "nixos",
        ("csb0", "h"),
    )
    assert facts.checkout is not None
    assert facts.checkout.state == "ok"
    assert (health.shell, health.home, health.carrier) == ("zsh", "/home/ops", "systemd")
    assert health.git.startswith("git version ")
    assert health.features == frozenset({"flakes", "nix-command"})
    assert (health.store_answers, health.bounds, health.clock) == (True, "timeout", 0)
    assert health.files is not None
    assert health.remote == Remote(answers=True, kind="file")
    assert (health.unfinished, health.launchd) == ("", None)


@one_shell
@pytest.mark.parametrize(
    ("own", "features"),
    [
        ("", frozenset()),
        ("extra-experimental-features = flakes", frozenset({"flakes"})),
    ],
)
def test_the_features_are_those_without_ours(
    host: FakeHost, own: str, features: frozenset[str]
) -> None:
    shown = 'echo "experimental-features = ${NIX_CONFIG##*= }"'
    host.on("nix", f'case $* in *show*) {shown} ;; *) default "$@" ;; esac')
    if own:
        host.env["NIX_CONFIG"] = own
    assert examine(host).features == features


@one_shell
def test_nix_without_its_features_or_daemon(host: FakeHost) -> None:
    evaluated = host.state / "evaluated"
    host.on(
        "nix",
        f"""case $* in
  *--version*) ;;
  *attrNames*) echo . >>{quote(str(evaluated))}; echo 'error: x' >&2; exit 1 ;;
  *) echo 'error: x' >&2; exit 1 ;;
esac; default "$@" """,
    )
    health = examine(host)
    assert (health.features, health.store_answers) == (frozenset(), False)
    assert health.facts.attributes is None
    assert health.eval_said == ("error: x",)
    assert evaluated.read_text() == ".\n", "an evaluation can take minutes"


@one_shell
@pytest.mark.parametrize(
    ("url", "kind", "near"),
    [
        ("https://user:s3cret@git.example.org/x", "https", False),
        ("git@192.168.1.5:x", "ssh", True),
        ("ssh://git@nas.local:22/x", "ssh", True),
        ("http://10.0.0.7:8080/x", "http", True),
        ("https://10.example.org/x", "https", False),
        ("ext::sh -c x", "ssh", False),
        ("/srv/nowhere", "file", False),
    ],
)
def test_of_the_remote_only_its_kind_is_told(
    host: FakeHost, url: str, kind: str, near: bool
) -> None:
    real = shutil.which("git")
    host.on(
        "git",
        f"""case $* in
  *'ls-remote --exit-code'*)
    echo "fatal: unable to access 'https://h/': Could not resolve host: git.example.org" >&2
    exit 128 ;;
esac
exec {real} "$@" """,
    )
    git(host.checkout, "remote", "set-url", "origin", url)
    found = examine(host).remote
    assert found is not None
    assert (found.kind, found.is_near, found.answers) == (kind, near, False)
    failure = find_failure(found.said)
    assert failure is not None
    assert failure.cause == "fetch-failed"


@one_shell
def test_a_checkout_without_an_upstream_has_no_remote(host: FakeHost) -> None:
    git(host.checkout, "branch", "--unset-upstream")
    (host.checkout / ".git/MERGE_HEAD").write_text(f"{host.upstream.old}\n")
    health = examine(host)
    assert (health.remote, health.unfinished) == (None, "MERGE_HEAD")


@one_shell
def test_a_missing_checkout_is_no_error(host: FakeHost) -> None:
    shutil.rmtree(host.checkout)
    health = examine(host)
    assert health.facts.checkout is not None
    assert (health.facts.checkout.state, health.remote) == ("missing", None)


@one_shell
@pytest.mark.parametrize(
    ("kind", "scope", "status", "found"),
    [
        ("Battery", "", "Discharging", (True, 7)),
        ("Battery", "System", "Discharging", (True, 7)),
        ("Battery", "Device", "Discharging", (False, None)),
        ("Battery", "", "Charging", (False, None)),
        ("Mains", "", "", (False, None)),
    ],
)
def test_a_battery_of_a_laptop_is_seen(
    host: FakeHost, kind: str, scope: str, status: str, found: tuple[bool, int | None]
) -> None:
    supply = host.root / "sys/class/power_supply/BAT0"
    supply.mkdir(parents=True)
    for name, text in {"type": kind, "scope": scope, "status": status, "capacity": "7"}.items():
        if text:
            (supply / name).write_text(f"{text}\n")
    facts = examine(host).facts
    assert (facts.on_battery, facts.charge) == found


@one_shell
def test_a_home_without_a_user_bus_has_guarded_jobs(host: FakeHost) -> None:
    put_home(host)
    health = examine(host)
    assert (health.carrier, health.root, health.closed_place) == ("guard", None, "")


@pytest.mark.parametrize("form", PRINTED)
def test_what_only_a_mac_can_answer(host: FakeHost, form: str) -> None:
    lines = f"\\targuments = {{\\n\\t\\t/bin/sh\\n\\t\\t-c\\n\\t\\t{PRINTED[form]}\\n\\t}}\\n"
    put_on_a_mac(host, lines)
    assert examine(host).launchd == Launchd(
        session="Aqua",
        domains=("user",),
        pended="inefficient",
        files=10**9,
        arguments=form,
        newline="\\012",
    )


@one_shell
@pytest.mark.parametrize("is_installed", [True, False])
def test_apples_stand_in_for_git_is_not_asked(host: FakeHost, is_installed: bool) -> None:
    put_on_a_mac(host, "")
    host.on("xcode-select", f"exit {0 if is_installed else 2}")
    usr = host.root / "usr/bin"
    usr.mkdir(parents=True)
    usr.joinpath("git").symlink_to(f"{host.root}/run/wrappers/bin/git")
    host.on("git", f'exec {shutil.which("git")} "$@"')
    health = examine(host)
    assert (health.git_is_stub, bool(health.git)) == (not is_installed, is_installed)
