"""`nix` as the host scripts use it: moving the agent's input in flake.lock, a few evaluations,
builds of the agent and of a system, and the difference between two systems.

Prints what Nix 2.34 prints, and refuses all else in its words.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nixfleet_core.sandbox import flake, store
from nixfleet_core.sandbox.flake import FlakeError
from nixfleet_core.sandbox.repositories import GitError
from nixfleet_core.sandbox.store import AGENT_FILE, Agent, System
from nixfleet_core.sandbox.tools.nix_log import BUILD, Log

if TYPE_CHECKING:
    from collections.abc import Collection

    from nixfleet_core.sandbox.machine import Machine

_FETCH_SECONDS: Final = 0.9
_EVAL_SECONDS: Final = 0.4
_READ_SECONDS: Final = 0.05
_BUILD_SECONDS: Final = 3.0

_EXEC_START: Final = ".config.systemd.services.nixfleet-agent.serviceConfig.ExecStart"
_DRV_PATH: Final = ".drvPath"
_BUILT: Final = (".config.system.build.nixos-rebuild", ".config.system.build.toplevel")

_WORDS: Final = {
    2: "--option --override-input --argstr",
    1: "--extra-experimental-features --log-format --apply --expr --max-jobs --cores",
    0: "--impure --raw --fallback --check --no-write-lock-file --no-update-lock-file --no-trust "
    "--no-link --print-out-paths",
}
_OPTIONS: Final = {name: count for count, names in _WORDS.items() for name in names.split()}
"""How many words follow each."""


Options = dict[str, list[list[str]]]
"""The words that follow each use of an option."""


def read_call(argv: list[str]) -> tuple[list[str], Options]:
    """Split words and options. Raises FlakeError."""
    words: list[str] = []
    options: Options = defaultdict(list)
    rest = list(argv)
    while rest:
        arg = rest.pop(0)
        if not arg.startswith("-"):
            words.append(arg)
        elif arg not in _OPTIONS:
            raise FlakeError(f"unrecognised flag '{arg}'\nTry 'nix --help' for more information.")
        else:
            options[arg].append(rest[: _OPTIONS[arg]])
            del rest[: _OPTIONS[arg]]
    return words, options


def nix(machine: Machine, argv: list[str]) -> int:
    """Run nix and return its exit code."""
    log = Log(as_json=False)
    try:
        words, options = read_call(argv)
        log = Log(as_json=["internal-json"] in options["--log-format"])
        _run(machine, words, options, log)
    except (FlakeError, GitError) as error:
        log.error(machine.shown(str(error)))
        return 1
    return 0


def _run(machine: Machine, words: list[str], options: Options, log: Log) -> None:
    match words:
        case ["flake", "update", name]:
            _lock(machine, name, None, log)
        case ["flake", "lock"] if options["--override-input"]:
            name, url = options["--override-input"][0]
            _lock(machine, name, url, log)
        case ["eval", "fields"] if options["--argstr"]:
            _eval_input(machine, dict(options["--argstr"]))
        case ["eval", target] if options["--apply"]:
            _eval(machine, options["--apply"][-1][0], target, log)
        case ["eval", target] if target.endswith(_DRV_PATH):
            _find(machine, target.removesuffix(_DRV_PATH), _BUILT, log)
        case ["build", target]:
            _build(machine, target, log)
        case ["store", "diff-closures", before, after]:
            _diff_closures(before, after)
        case ["store", "verify", path]:
            _expect(machine, path)
        case ["realise", *paths]:  # nix-store --realise
            for path in paths:
                _realise(machine, path, log, is_compared=bool(options["--check"]))
        case _:
            raise FlakeError(f"'{(words or [''])[-1]}' is not a recognised command")


def _lock(machine: Machine, name: str, url: str | None, log: Log) -> None:
    """Pin an input to the commit that the URL names, or to its branch's head. For a branch, a
    failed fetch keeps the locked commit, with rc 0."""
    checkout = _open(machine, ".", log)
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


def _open(machine: Machine, place: str, log: Log) -> Path:
    """The flake that a path names. Raises FlakeError."""
    checkout = Path(place).resolve()
    if not (checkout / "flake.nix").is_file():
        raise FlakeError(f"path '{checkout}' does not contain a 'flake.nix', searching up")
    if flake.is_dirty(checkout):
        log.warn(f"Git tree '{machine.shown(checkout)}' is dirty")
    return checkout


def _eval(machine: Machine, function: str, target: str, log: Log) -> None:
    """How a host's agent is started, its derivation, or whether there is such a host."""
    checkout, _, rest = _find(machine, target, ("", _EXEC_START), log)
    if not rest:
        sys.stdout.write("true\n")
        return
    agent = flake.agent_of(machine, checkout)
    if "getContext" in function:
        sys.stdout.write(machine.shown(store.add_derivation(machine, agent)))
    else:
        sys.stdout.write(f"/nix/store/{agent.name}/bin/nixfleet-agent")


def _build(machine: Machine, target: str, log: Log) -> None:
    """Build and name a host's system, or nixos-rebuild itself, which it builds first."""
    from nixfleet_core.sandbox.tools import build  # not at the top: it would slow down other calls

    checkout, host, rest = _find(machine, target, _BUILT, log)
    agent = flake.agent_of(machine, checkout)
    system = System(host, agent, flake.configuration(checkout, host), store.proxy_of(host))
    if rest == _BUILT[0]:
        build.build_tool(machine, system, log)
    else:
        build.build_system(machine, system, log)
        sys.stdout.write(f"/nix/store/{system.name}\n")


def _find(machine: Machine, target: str, known: Collection[str], log: Log) -> tuple[Path, str, str]:
    """Evaluate `FLAKE#nixosConfigurations."HOST"REST`: the flake, the host, and the rest.

    Raises FlakeError if the flake has no such host, or if we do not know the attribute.
    """
    reference, _, attribute = target.partition("#")
    checkout = _open(machine, reference, log)
    shown = machine.shown(f"git+file://{checkout}#{attribute}")
    activity = log.start(0, f"evaluating derivation '{shown}'", level=4)
    sys.stderr.flush()
    machine.pause(_EVAL_SECONDS)
    log.stop(activity)
    match = re.fullmatch(r'nixosConfigurations\."([^"/]+)"(.*)', attribute)
    if not match or match[2] not in known or not (checkout / "hosts" / match[1]).is_dir():
        raise FlakeError(
            f"flake 'git+file://{checkout}' does not provide attribute "
            f"'packages.x86_64-linux.{attribute}', 'legacyPackages.x86_64-linux.{attribute}' "
            f"or '{attribute}'"
        )
    return checkout, match[1], match[2]


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


def _eval_input(machine: Machine, arguments: dict[str, str]) -> None:
    """A flake input's source, on one line: kind, URL, ref, rev, pinned rev, the URL that pins it,
    what its URL hides, and what its ref can be; or `missing`."""
    machine.pause(_READ_SECONDS)
    node = flake.find_node(flake.read_lock(Path(arguments["lock"])), arguments["input"])
    if node is None:
        sys.stdout.write("missing")
        return
    url, ref = node["original"]["url"], node["original"]["ref"]
    fields = ("git", url, ref, node["locked"]["rev"], "", f"git+{url}?ref={ref}&rev=", "", "")
    sys.stdout.write("\t".join(map(str, fields)))


def _diff_closures(before: str, after: str) -> None:
    """Systems here have only one package that changes: the agent."""
    old, new = _agent_version(before), _agent_version(after)
    if old != new:
        sys.stdout.write(f"nixfleet-agent: {old} → {new}\n")


def _agent_version(system: str) -> str:
    """The version of the agent that a system's unit names. Raises FlakeError."""
    unit = Path(system) / AGENT_FILE
    text = unit.read_text() if unit.exists() else ""
    match = re.search(r"/nix/store/[^/]*-nixfleet-agent-([^/]+)/", text)
    if match is None:
        raise FlakeError(f"path '{system}' is not valid")
    return match[1]
