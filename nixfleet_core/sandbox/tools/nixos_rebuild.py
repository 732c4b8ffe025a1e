"""`nixos-rebuild`: evaluate, build with a believable log, move the profile, activate.

As nixos-rebuild-ng does it: two Nix runs (its own newer self, then the system), the profile moved
before the activation, and the activation in a unit of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import flake, store
from nixfleet_core.sandbox.flake import FetchError, FlakeError
from nixfleet_core.sandbox.tools.build_log import build_log, builds_of
from nixfleet_core.sandbox.tools.nix import missing_attribute
from nixfleet_core.sandbox.tools.nix_log import (
    BUILDS,
    COPY_PATHS,
    REALISE,
    Session,
    message,
    stop,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixfleet_core.sandbox.machine import Machine
    from nixfleet_core.sandbox.store import System

_EVAL_SECONDS: Final = 0.7
_BUILD_SECONDS: Final = 8.0
_SHORTEST_SLEEP: Final = 0.002
_UNIT: Final = "nixos-rebuild-switch-to-configuration"
_ACTIONS: Final = ("switch", "boot", "test", "build", "dry-build", "dry-activate")
_VALUED: Final = {
    "--flake": 1,
    "--option": 2,
    "--log-format": 1,
    "--max-jobs": 1,
    "-j": 1,
    "--cores": 1,
    "--override-input": 2,
}
_FLAGS: Final = frozenset(
    {
        *("--refresh", "--fallback", "--impure", "--show-trace", "-L", "--print-build-logs"),
        *("--no-reexec", "--fast", "--keep-going", "--sudo", "--no-write-lock-file"),
    }
)


def nixos_rebuild(machine: Machine, argv: list[str]) -> int:
    """Run nixos-rebuild and return its exit code."""
    for signum in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(signum, signal.SIG_DFL)
    action, options, unknown = _read(argv)
    if unknown or action not in _ACTIONS or "--flake" not in options:
        return _usage(action, unknown)
    reference, _, host = options["--flake"][0].partition("#")
    build = _Build(machine, Path(reference).resolve(), host.strip('"') or machine.name)
    build.as_json = options.get("--log-format") == ["internal-json"]
    rc = build.run()
    return rc if rc or action in ("build", "dry-build") else _activate(machine, build.out, action)


def _read(argv: list[str]) -> tuple[str, dict[str, list[str]], list[str]]:
    action, unknown, options = "", [], dict[str, list[str]]()
    rest = list(argv)
    while rest:
        arg = rest.pop(0)
        if arg in _VALUED:
            options[arg], rest = rest[: _VALUED[arg]], rest[_VALUED[arg] :]
        elif not action and not arg.startswith("-"):
            action = arg
        elif arg not in _FLAGS:
            unknown.append(arg)
    return action, options, unknown


def _usage(action: str, unknown: list[str]) -> int:
    text = f"unrecognized arguments: {' '.join(unknown)}"
    if not unknown:
        text = (
            f"argument {{{','.join(_ACTIONS)}}}: invalid choice: '{action}'"
            if action not in _ACTIONS
            else "--flake is needed: this host's configuration is a flake"
        )
    sys.stderr.write(f"usage: nixos-rebuild [-h] [--flake FLAKE_URI] {{{','.join(_ACTIONS)}}}\n")
    sys.stderr.write(f"nixos-rebuild: error: {text}\n")
    return 2


class _Build:
    """The two Nix runs; `out` is the system's name in the store when they went well."""

    def __init__(self, machine: Machine, checkout: Path, host: str) -> None:
        self._machine = machine
        self._checkout = checkout
        self._host = host
        self.as_json = False
        self.out = ""

    def run(self) -> int:
        for attribute in ("nixos-rebuild", "toplevel"):
            full = f'nixosConfigurations."{self._host}".config.system.build.{attribute}'
            try:
                self._evaluate(full)
                system = flake.system_of(self._machine, self._checkout, self._host)
            except (FlakeError, FetchError) as error:
                return self._fail(str(error), full)
            if attribute == "nixos-rebuild":
                self._say(self._nothing_to_build())
                sys.stderr.write("building the system configuration...\n")
            else:
                self._build(system)
        return 0

    def _evaluate(self, attribute: str) -> None:
        if flake.is_dirty(self._checkout):
            text = f"Git tree '{self._machine.shown(self._checkout)}' is dirty"
            self._say([message(1, f"\x1b[35;1mwarning:\x1b[0m {text}")], f"warning: {text}\n")
        shown = f"git+file://{self._machine.shown(self._checkout)}#{attribute}"
        activity, line = Session().start(0, f"evaluating derivation '{shown}'", level=4)
        self._say([line])
        self._machine.pause(_EVAL_SECONDS / 2)
        self._say([stop(activity)])
        if not flake.has_host(self._checkout, self._host):
            raise FlakeError(missing_attribute(self._checkout, attribute))

    def _fail(self, error: str, attribute: str) -> int:
        text = self._machine.shown(error)
        self._say([message(0, f"\x1b[31;1merror:\x1b[0m {text}")], f"error: {text}\n")
        sys.stderr.write(
            "Command 'nix --extra-experimental-features nix-command flakes build "
            f"--print-out-paths {self._machine.shown(self._checkout)}#{attribute} --no-link' "
            "returned non-zero exit status 1.\n"
        )
        return 1

    def _nothing_to_build(self) -> Iterable[str]:
        session = Session()
        started = [session.start(kind) for kind in (REALISE, BUILDS, COPY_PATHS)]
        return [*(line for _, line in started), *(stop(number) for number, _ in started[::-1])]

    def _build(self, system: System) -> None:
        self.out = system.name
        if store.has(self._machine, system.name):
            self._say(self._nothing_to_build())
            return
        builds = builds_of(system, with_agent=not store.has(self._machine, system.agent.name))
        at = behind = 0.0
        for when, json_line, plain in build_log(builds, _BUILD_SECONDS):
            behind += (when - at) / self._machine.speed
            at = when
            if behind > _SHORTEST_SLEEP:
                sys.stderr.flush()
                time.sleep(behind)
                behind = 0.0
            sys.stderr.write(json_line if self.as_json else plain)
        store.add_system(self._machine, system)

    def _say(self, lines: Iterable[str], plain: str = "") -> None:
        sys.stderr.write("".join(lines) if self.as_json else plain)
        sys.stderr.flush()


def _activate(machine: Machine, name: str, action: str) -> int:
    out = f"/nix/store/{name}"
    if action in ("switch", "boot"):
        store.set_profile(machine, machine.real(out))
    switch = str(machine.real(f"{out}/bin/switch-to-configuration"))
    command = [
        "systemd-run",
        *("-E", "LOCALE_ARCHIVE", "-E", "NIXOS_INSTALL_BOOTLOADER"),
        *("--collect", "--no-ask-password", "--pipe", "--quiet", "--service-type=exec"),
        *(f"--unit={_UNIT}", switch, action),
    ]
    sys.stderr.flush()
    rc = subprocess.run(command, check=False).returncode
    if rc:
        shown = machine.shown(" ".join(command))
        sys.stderr.write(f"Command '{shown}' returned non-zero exit status {rc}.\n")
        return rc
    sys.stderr.write("Done. The new configuration is ")
    sys.stderr.flush()
    sys.stdout.write(f"{out}\n")
    return 0
