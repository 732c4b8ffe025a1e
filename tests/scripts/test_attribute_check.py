"""The preflight calls a configuration missing only if the flake has names, and not this one."""

from __future__ import annotations

import pytest
from fake_host import FakeHost

from nixfleet_core.job.events import Check

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

# nix cannot evaluate the configuration; it lists the names in state/names, if there are any
FAILS = r"""
case "$*" in
  *"x: true"* | *ExecStart*) echo "error: refusing to build from a dirty tree" >&2; exit 1 ;;
  *"#nixosConfigurations") cat "$s/names" ;;
  *) default "$@" ;;
esac
"""


def refused(host: FakeHost) -> tuple[str, str]:
    """Why the check refuses, and its words."""
    host.on("nix", FAILS)
    host.run_job()
    assert host.result["failed"] == "preflight"
    check = next(e for e in host.events if isinstance(e, Check) and e.check == "attribute")
    assert not check.ok
    return check.reason, (host.job / "log").read_bytes()[check.said : check.log].decode()


def test_a_name_that_the_flake_lacks_is_missing_and_the_others_are_told(host: FakeHost) -> None:
    host.set("names", "g\nhost")
    assert refused(host) == ("missing", "g\nhost\n")


@one_shell
def test_a_configuration_that_is_there_does_not_evaluate(host: FakeHost) -> None:
    host.set("names", "g\nh")
    why, said = refused(host)
    assert (why, "error: refusing to build from a dirty tree\n" in said) == ("evaluation", True)


@one_shell
def test_a_flake_whose_names_cannot_be_listed_does_not_evaluate(host: FakeHost) -> None:
    why, said = refused(host)
    assert (why, "error: refusing to build from a dirty tree\n" in said) == ("evaluation", True)
