"""`nix` as the host scripts use it: moving the agent's input in flake.lock, a few evaluations,
builds of the agent and of a system, and the difference between two systems.

Prints what Nix 2.34 prints, and refuses all else in its words.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.sandbox import flake, store
from nixfleet_core.sandbox.flake import FlakeError
from nixfleet_core.sandbox.repositories import GitError
from nixfleet_core.sandbox.store import AGENT_UNIT, Agent
from nixfleet_core.sandbox.tools.nix_log import BUILD, Log

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_FETCH_SECONDS: Final = 0.9
_EVAL_SECONDS: Final = 0.4
_READ_SECONDS: Final = 0.05
_BUILD_SECONDS: Final = 3.0

_EXEC_START: Final = ".config.systemd.services.nixfleet-agent.serviceConfig.ExecStart"
_BUILT: Final = (".config.system.build.nixos-rebuild", ".config.system.build.toplevel")

_WORDS: Final = {
    2: "--option --override-input --argstr",
    1: "--extra-experimental-features --log-format --apply --expr --max-jobs --cores",
    0: "--impure --raw --fallback --check --no-write-lock-file --no-trust --no-link "
    "--print-out-paths",
}
_OPTIONS: Final = {name: count for count, names in _WORDS.items() for name in names.split()}
"""How many words follow each."""


class Call(NamedTuple):
    """A command line, read: the words, and each option's arguments in order."""

    words: list[str]
    options: dict[str, list[list[str]]]

    def all(self, option: str) -> list[list[str]]:
        """The arguments of each use of it."""
        return self.options.get(option, [])


class UsageError(Exception):
    """A command line that Nix refuses."""


def read_call(argv: list[str]) -> Call:
    """Split words and options. Raises UsageError."""
    call = Call([], {})
    rest = list(argv)
    while rest:
        arg = rest.pop(0)
        if not arg.startswith("-"):
            call.words.append(arg)
        elif arg not in _OPTIONS:
            raise UsageError(f"unrecognised flag '{arg}'")
        else:
            call.options.setdefault(arg, []).append(rest[: _OPTIONS[arg]])
            del rest[: _OPTIONS[arg]]
    return call


def nix(machine: Machine, argv: list[str]) -> int:
    """Run nix and return its exit code."""
    log = Log(as_json=False)
    try:
        call = read_call(argv)
        log = Log(as_json=["internal-json"] in call.all("--log-format"))
        _run(machine, call, log)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'nix --help' for more information.\n")
        return 1
    except (FlakeError, GitError) as error:
        log.error(machine.shown(str(error)))
        return 1
    return 0


def _run(machine: Machine, call: Call, log: Log) -> None:
    match call.words:
        case ["flake", "update", name]:
            _lock(machine, name, None, log)
        case ["flake", "lock"] if call.all("--override-input"):
            name, url = call.all("--override-input")[0]
            _lock(machine, name, url, log)
        case ["eval", field] if call.all("--argstr"):
            _eval_input(machine, call, field)
        case ["eval", target] if call.all("--apply"):
            _eval(machine, call, target, log)
        case ["build", target]:
            _build(machine, target, log)
        case ["store", "diff-closures", before, after]:
            _diff_closures(before, after)
        case ["store", "verify", path]:
            _expect(machine, path)
        case ["realise", *paths]:  # nix-store --realise
            for path in paths:
                _realise(machine, path, log, is_compared=bool(call.all("--check")))
        case [*_, word]:
            raise UsageError(f"'{word}' is not a recognised command")
        case _:
            raise UsageError("no subcommand specified")


# -- flake.lock ------------------------------------------------------------------------------


def _lock(machine: Machine, name: str, url: str | None, log: Log) -> None:
    """Pin an input to the commit that the URL names, or to its branch's head: then a failed fetch
    falls back to what is there, with rc 0."""
    checkout = _flake_at(".")
    _warn_dirty(machine, checkout, log)
    path = checkout / "flake.lock"
    lock = flake.read_lock(path)
    machine.pause(_FETCH_SECONDS)
    node = flake.find_node(lock, name)
    if node is None:
        log.warn(f"'{name}' does not match any input of this flake")
        return
    before = node.copy()
    fields, rev = flake.read_url(url) if url else (node["original"], "")
    try:
        source = flake.fetch(machine, str(fields["url"]), rev or flake.ask_head(fields))
    except GitError as error:
        sys.stderr.write(f"{machine.shown(str(error))}\n")  # git's own words, never wrapped
        if url:
            raise FlakeError(f"Failed to fetch git repository '{fields['url']}'") from error
        log.warn(
            f"could not update local clone of Git repository '{fields['url']}'; "
            "continuing with the most recent version"
        )
        return
    node["locked"] = flake.locked_fields(fields, source)
    if node != before:
        log.warn(
            f'updating lock file "{machine.shown(path)}":\n'
            f"• {log.bold(f'Updated input {name!r}:')}\n"
            f"    {flake.shown_pin(before)}\n  → {flake.shown_pin(node)}"
        )
        path.write_text(flake.format_lock(lock))


def _flake_at(place: str) -> Path:
    """The flake that a path names. Raises FlakeError."""
    checkout = Path(place).resolve()
    if not (checkout / "flake.nix").is_file():
        raise FlakeError(f"path '{checkout}' does not contain a 'flake.nix', searching up")
    return checkout


def _warn_dirty(machine: Machine, checkout: Path, log: Log) -> None:
    if flake.is_dirty(checkout):
        log.warn(f"Git tree '{machine.shown(checkout)}' is dirty")


# -- evaluation ------------------------------------------------------------------------------


def _eval(machine: Machine, call: Call, target: str, log: Log) -> None:
    """How a host's agent is started, its derivation, or whether there is such a host."""
    checkout, host, rest = _attribute(target)
    _warn_dirty(machine, checkout, log)
    machine.pause(_EVAL_SECONDS)
    if not flake.has_host(checkout, host) or rest not in ("", _EXEC_START):
        raise _missing(checkout, target)
    if not rest:
        sys.stdout.write("true\n")
        return
    agent = flake.agent_of(machine, checkout)
    if "getContext" in call.all("--apply")[-1][0]:
        sys.stdout.write(machine.shown(store.add_derivation(machine, agent)))
    else:
        sys.stdout.write(f"/nix/store/{agent.name}/bin/nixfleet-agent")


def _build(machine: Machine, target: str, log: Log) -> None:
    """Evaluate, build and name a host's system, or what nixos-rebuild builds first: itself."""
    from nixfleet_core.sandbox.tools.build import (
        build_nothing,
        build_system,
    )  # others are quicker without it

    checkout, host, rest = _attribute(target)
    _warn_dirty(machine, checkout, log)
    shown = machine.shown(f"git+file://{checkout}#{target.partition('#')[2]}")
    activity = log.start(0, f"evaluating derivation '{shown}'", level=4)
    sys.stderr.flush()
    machine.pause(_EVAL_SECONDS)
    log.stop(activity)
    if not flake.has_host(checkout, host) or rest not in _BUILT:
        raise _missing(checkout, target)
    system = flake.system_of(machine, checkout, host)
    if rest == _BUILT[0]:
        build_nothing(log)
    else:
        build_system(machine, system, log)
        sys.stdout.write(f"/nix/store/{system.name}\n")


def _realise(machine: Machine, path: str, log: Log, *, is_compared: bool) -> None:
    """Build the agent, or build it once more and find it the same."""
    _expect(machine, path)
    agent = Agent(*json.loads(machine.real(path).read_text()))
    if is_compared or not store.has(machine, agent.name):
        activity = log.start(BUILD, f"building '{path}'", path, "", 1, 1, level=3)
        sys.stderr.flush()
        machine.pause(_BUILD_SECONDS)
        log.stop(activity)
    store.add_agent(machine, agent)
    sys.stdout.write(f"/nix/store/{agent.name}\n")


def _expect(machine: Machine, path: str) -> None:
    if not machine.real(path).exists():
        raise FlakeError(f"path '{path}' is not valid")


def _eval_input(machine: Machine, call: Call, field: str) -> None:
    """Where a flake input comes from: its URL, or on one line its kind, URL, ref, rev, pinned rev,
    the URL that pins it, and what its URL hides; or `missing`."""
    arguments = {name: text for name, text in call.all("--argstr")}  # noqa: C416 - lists of two
    machine.pause(_READ_SECONDS)
    node = flake.find_node(flake.read_lock(Path(arguments["lock"])), arguments["input"])
    if node is None:
        sys.stdout.write("missing")
        return
    url, ref = node["original"]["url"], node["original"].get("ref", "")
    pin = f"git+{url}?{f'ref={ref}&' if ref else ''}rev="
    fields = ("git", url, ref, node["locked"]["rev"], "", pin, "")
    sys.stdout.write(str(url) if field == "given" else "\t".join(map(str, fields)))


def _diff_closures(before: str, after: str) -> None:
    """Systems here have one package of their own that changes: the agent."""
    old, new = _agent_version(before), _agent_version(after)
    if old != new:
        sys.stdout.write(f"nixfleet-agent: {old} → {new}\n")


def _agent_version(system: str) -> str:
    """The version of the agent that a system's unit names. Raises FlakeError."""
    unit = Path(system) / "etc/systemd/system" / AGENT_UNIT
    text = unit.read_text() if unit.exists() else ""
    match = re.search(r"/nix/store/[^/]*-nixfleet-agent-([^/]+)/", text)
    if match is None:
        raise FlakeError(f"path '{system}' is not valid")
    return match[1]


def _attribute(target: str) -> tuple[Path, str, str]:
    """The flake, the host, and the rest of `FLAKE#nixosConfigurations."HOST"REST`."""
    reference, _, attribute = target.partition("#")
    match = re.fullmatch(r'nixosConfigurations\."([^"/]+)"(.*)', attribute)
    host, rest = match.groups() if match else ("", attribute)
    return _flake_at(reference), host, rest


def _missing(checkout: Path, target: str) -> FlakeError:
    """Nix's message for an attribute that a flake lacks."""
    attribute = target.partition("#")[2]
    return FlakeError(
        f"flake 'git+file://{checkout}' does not provide attribute "
        f"'packages.x86_64-linux.{attribute}', 'legacyPackages.x86_64-linux.{attribute}' "
        f"or '{attribute}'"
    )
