"""Which parts of two systems NixOS does not exchange while one of them runs."""

from __future__ import annotations

import json

import pytest

from nixfleet_core.facts.inhibitors import changed_inhibitors

OLD, NEW = "/nix/store/" + "a" * 32 + "-systemd-258.2", "/nix/store/" + "b" * 32 + "-systemd-259"
DBUS = "/nix/store/" + "c" * 32 + "-dbus-broker-37"

PAIRS: dict[str, tuple[str | None, str | None, tuple[str, ...]]] = {
    "the same": ('{"systemd": "258"}', '{"systemd":"258"}', ()),
    "another value": ('{"a": "1", "systemd": "258"}', '{"systemd": "259", "a": "1"}', ("systemd",)),
    "a name of the new system alone": ("{}", '{"systemd": "259"}', ()),
    "a name of the old system alone": ('{"systemd": "258"}', "{}", ()),
    "no file in the new system": ('{"systemd": "258"}', None, ()),
    "no file in the old system": (None, '{"systemd": "258"}', ()),
    "lines: the same in another order": (f"{OLD}\n{DBUS}", f"{DBUS}\n{OLD}\n", ()),
    "lines: another path": (f"{OLD}\n{DBUS}", f"{NEW}\n{DBUS}", ("systemd-258.2", "systemd-259")),
    "lines: one has gone": (f"{OLD}\n{DBUS}", DBUS, ("systemd-258.2",)),
    "lines and names": (OLD, '{"systemd": "259"}', ()),
    "neither": ("[1, 2]", '{"systemd": "259"}', ()),
    "not only texts": ('{"systemd": 7}', '{"systemd": "259"}', ()),
}


@pytest.mark.parametrize(("old", "new", "changed"), PAIRS.values(), ids=PAIRS)
def test_names_the_parts_that_differ(
    old: str | None, new: str | None, changed: tuple[str, ...]
) -> None:
    assert changed_inhibitors(old, new) == changed


def test_a_file_that_nests_too_deeply_names_nothing() -> None:
    assert changed_inhibitors("[" * 4000, json.dumps({"systemd": "1"})) == ()
