"""`nix` as the chain uses it: version, moving one input of flake.lock, a few evaluations, and the
difference between two systems.

Prints what Nix 2.34 prints, and refuses all else in its words.
"""

from __future__ import annotations

import copy
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from nixfleet_core.sandbox import flake, store
from nixfleet_core.sandbox.flake import FetchError, Fields, FlakeError, Lock, Node
from nixfleet_core.sandbox.machine import NIX_VERSION
from nixfleet_core.sandbox.store import AGENT_UNIT
from nixfleet_core.sandbox.tools.nix_log import message

if TYPE_CHECKING:
    from nixfleet_core.sandbox.machine import Machine

_FETCH_SECONDS: Final = 0.9
_EVAL_SECONDS: Final = 0.4
_READ_SECONDS: Final = 0.05

_EXEC_START: Final = ".config.systemd.services.nixfleet-agent.serviceConfig.ExecStart"

_EVERYWHERE: Final = {
    "--extra-experimental-features": 1,
    "--experimental-features": 1,
    "--option": 2,
    "--log-format": 1,
    "--refresh": 0,
    "--quiet": 0,
    "--show-trace": 0,
    "--accept-flake-config": 0,
    "--no-warn-dirty": 0,
    "--print-build-logs": 0,
    "-L": 0,
}
_LOCKING: Final = {
    "--override-input": 2,
    "--update-input": 1,
    "--no-write-lock-file": 0,
    "--commit-lock-file": 0,
    "--flake": 1,
}
_EVALUATING: Final = {
    "--impure": 0,
    "--raw": 0,
    "--json": 0,
    "--no-write-lock-file": 0,
    "--argstr": 2,
    "--arg": 2,
    "--apply": 1,
    "--expr": 1,
    "--file": 1,
    "-f": 1,
}


class Call(NamedTuple):
    """A command line, read: the words, and each option's arguments in order."""

    words: list[str]
    options: dict[str, list[list[str]]]

    def last(self, option: str) -> list[str] | None:
        return self.options[option][-1] if option in self.options else None

    def has(self, option: str) -> bool:
        return option in self.options


class UsageError(Exception):
    """A command line that Nix refuses."""


def read_call(argv: list[str], known: dict[str, int]) -> Call:
    """Split words and options. Raises UsageError."""
    call = Call([], {})
    rest = list(argv)
    while rest:
        arg = rest.pop(0)
        if not arg.startswith("-") or arg == "-":
            call.words.append(arg)
        elif arg not in known:
            raise UsageError(f"unrecognised flag '{arg}'")
        elif len(rest) < known[arg]:
            raise UsageError(f"flag '{arg}' requires {known[arg]} argument(s)")
        else:
            call.options.setdefault(arg, []).append(rest[: known[arg]])
            del rest[: known[arg]]
    return call


def nix(machine: Machine, argv: list[str]) -> int:
    """Run nix and return its exit code."""
    say = _Voice(machine)
    try:
        return _run(machine, argv, say)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'nix --help' for more information.\n")
    except (FlakeError, FetchError) as error:
        say.error(str(error))
    return 1


class _Voice:
    """Nix's stderr: plain text, or internal-json."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.as_json = False

    def warn(self, text: str) -> None:
        text = self._machine.shown(text)
        if self.as_json:
            sys.stderr.write(message(1, f"\x1b[35;1mwarning:\x1b[0m {text}"))
        else:
            sys.stderr.write(f"warning: {text}\n")

    def error(self, text: str) -> None:
        text = self._machine.shown(text)
        if self.as_json:
            sys.stderr.write(message(0, f"\x1b[31;1merror:\x1b[0m {text}"))
        else:
            sys.stderr.write(f"error: {text}\n")

    def git(self, text: str) -> None:
        """What git itself printed: never wrapped."""
        sys.stderr.write(f"{self._machine.shown(text)}\n")


def _run(machine: Machine, argv: list[str], say: _Voice) -> int:
    known = {"--version": 0, "--no-trust": 0, **_EVERYWHERE, **_LOCKING, **_EVALUATING}
    call = read_call(argv, known)
    say.as_json = call.last("--log-format") == ["internal-json"]
    match call.words:
        case [] if call.has("--version"):
            sys.stdout.write(f"nix (Nix) {NIX_VERSION}\n")
            return 0
        case ["flake", "update", *inputs]:
            read_call(argv, {**_EVERYWHERE, **_LOCKING})
            return _update(machine, call, inputs, say)
        case ["flake", "lock"]:
            read_call(argv, {**_EVERYWHERE, **_LOCKING})
            return _lock(machine, call, say)
        case ["eval", *targets]:
            read_call(argv, {**_EVERYWHERE, **_EVALUATING})
            return _eval(machine, call, targets, say)
        case ["store", "diff-closures", before, after]:
            read_call(argv, _EVERYWHERE)
            return _diff_closures(before, after)
        case ["store", "verify", *paths]:
            return _verify(machine, paths, say)
        case ["flake", *rest]:
            raise UsageError(f"'{(rest or [''])[0]}' is not a recognised command")
        case [word, *_]:
            raise UsageError(f"'{word}' is not a recognised command")
        case _:
            raise UsageError("no subcommand specified")


# -- flake.lock ------------------------------------------------------------------------------


def _update(machine: Machine, call: Call, inputs: list[str], say: _Voice) -> int:
    checkout = _flake_here(call)
    _warn_dirty(checkout, say)
    lock = flake.read_lock(checkout / "flake.lock")
    if not inputs:
        inputs = [n for n in lock["nodes"][lock["root"]]["inputs"] if flake.is_own_input(lock, n)]
    before = copy.deepcopy(lock)
    machine.pause(_FETCH_SECONDS)
    for name in inputs:
        if not flake.is_own_input(lock, name):
            say.warn(f"'{name}' does not match any input of this flake")
            continue
        _move_to_head(machine, lock, name, say)
    _save(checkout, before, lock, say)
    return 0


def _move_to_head(machine: Machine, lock: Lock, name: str, say: _Voice) -> None:
    """Pin an input to its branch's head; a failed fetch falls back to what is there, rc 0."""
    node = flake.find_node(lock, name)
    assert node is not None
    original = node["original"]
    if original["type"] == "github":
        say.warn(
            f"unable to download 'https://api.github.com/repos/{original['owner']}/"
            f"{original['repo']}/commits/{original['ref']}': Could not resolve hostname (6) "
            "Could not resolve host: api.github.com; using cached version"
        )
        return
    try:
        rev = flake.ask_head(original)
        source = flake.fetch(machine, str(original["url"]), rev)
    except FetchError as error:
        say.git(str(error))
        say.warn(
            f"could not update local clone of Git repository '{original['url']}'; "
            "continuing with the most recent version"
        )
        return
    flake.lock_source(lock, name, original, source)


def _lock(machine: Machine, call: Call, say: _Voice) -> int:
    checkout = _flake_here(call)
    lock = flake.read_lock(checkout / "flake.lock")
    before = copy.deepcopy(lock)
    if call.has("--update-input"):
        sys.stderr.write(
            "warning: '--update-input' is a deprecated alias for 'flake update' "
            "and will be removed in a future version.\n"
        )
    _warn_dirty(checkout, say)
    machine.pause(_FETCH_SECONDS)
    for (name,) in call.options.get("--update-input", []):
        if flake.is_own_input(lock, name):
            _move_to_head(machine, lock, name, say)
        else:
            say.warn(f"the flag '--update-input {name}' does not match any input")
    for name, url in call.options.get("--override-input", []):
        _override(machine, lock, name, url, say)
    _save(checkout, before, lock, say)
    return 0


def _override(machine: Machine, lock: Lock, name: str, url: str, say: _Voice) -> None:
    if not flake.is_own_input(lock, name):
        say.warn(f"the flag '--override-input {name} {url}' does not match any input")
        return
    fields, rev = flake.read_url(url)
    try:
        source = flake.fetch(machine, str(fields["url"]), rev or flake.ask_head(fields))
    except FetchError as error:
        say.git(str(error))
        raise FlakeError(f"Failed to fetch git repository '{fields['url']}'") from error
    flake.lock_source(lock, name, fields, source)


def _save(checkout: Path, before: Lock, lock: Lock, say: _Voice) -> None:
    """Announce, then write in place, as Nix does."""
    moved = "".join(
        f"\n• {_bold(f'Updated input {name!r}:', say)}\n    {_pin(before, name)}"
        f"\n  → {_pin(lock, name)}"
        for name, key in sorted(lock["nodes"][lock["root"]]["inputs"].items())
        if isinstance(key, str) and _locked(before, name) != _locked(lock, name)
    )
    if not moved:
        return
    path = checkout / "flake.lock"
    say.warn(f'updating lock file "{path}":{moved}')
    path.write_text(flake.format_lock(lock))


def _bold(text: str, say: _Voice) -> str:
    return f"\x1b[1m{text}\x1b[0m" if say.as_json else text


def _locked(lock: Lock, name: str) -> Fields:
    node: Node = flake.find_node(lock, name) or {}
    return node.get("locked", {})


def _pin(lock: Lock, name: str) -> str:
    return flake.shown_pin(_locked(lock, name))


def _flake_here(call: Call) -> Path:
    given = call.last("--flake")
    return _flake_at(given[0] if given else ".")


def _flake_at(reference: str) -> Path:
    """The flake that a path or a `git+file:` or `path:` reference names. Raises FlakeError."""
    for prefix in ("git+file://", "path:"):
        reference = reference.removeprefix(prefix)
    start = Path(reference).resolve()
    for folder in (start, *start.parents):
        if (folder / "flake.nix").is_file():
            return folder
    raise FlakeError(f"path '{start}' does not contain a 'flake.nix', searching up")


def _warn_dirty(checkout: Path, say: _Voice) -> None:
    if flake.is_dirty(checkout):
        say.warn(f"Git tree '{checkout}' is dirty")


# -- evaluation ------------------------------------------------------------------------------


def _eval(machine: Machine, call: Call, targets: list[str], say: _Voice) -> int:
    if call.has("--argstr"):
        return _eval_input(machine, call, targets)
    if len(targets) != 1 or "#" not in targets[0]:
        raise UsageError(f"unexpected argument '{' '.join(targets)}'")
    reference, _, attribute = targets[0].partition("#")
    checkout = _flake_at(reference)
    _warn_dirty(checkout, say)
    machine.pause(_EVAL_SECONDS)
    host, rest = _host_of(attribute)
    if not flake.has_host(checkout, host) or rest not in ("", _EXEC_START):
        raise FlakeError(missing_attribute(checkout, attribute))
    if rest:
        agent = flake.agent_of(machine, checkout)
        text = f"/nix/store/{agent.name}/bin/nixfleet-agent"
        if any("getContext" in words[0] for words in call.options.get("--apply", [])):
            text = machine.shown(store.add_derivation(machine, agent))
        sys.stdout.write(text if call.has("--raw") else f'"{text}"\n')
    elif call.has("--apply"):
        sys.stdout.write("true" if call.has("--raw") else "true\n")
    else:
        raise FlakeError("cannot convert a function to JSON")
    return 0


def _verify(machine: Machine, paths: list[str], say: _Voice) -> int:
    for path in paths:
        if not machine.real(path).exists():
            say.error(f"path '{path}' is not valid")
            return 1
    return 0


def _eval_input(machine: Machine, call: Call, targets: list[str]) -> int:
    """Where a flake input comes from. `fields`, one line: kind, url, ref, rev, pinned, pin, what
    the URL hides; or `missing`. `given`: the URL as it is."""
    arguments = {pair[0]: pair[1] for pair in call.options["--argstr"]}
    machine.pause(_READ_SECONDS)
    path, name = Path(arguments.get("lock", "")), arguments.get("input", "")
    node = flake.find_node(flake.read_lock(path), name)
    if node is None:
        sys.stdout.write("missing")
        return 0
    original = node.get("original", {})
    url = original.get("url", "")
    if original.get("type") == "github":
        url = f"https://github.com/{original['owner']}/{original['repo']}"
    if targets == ["given"]:
        sys.stdout.write(str(url))
        return 0
    parts = urlsplit(str(url))
    hides = "query" if parts.query else "login" if "@" in parts.netloc else ""
    server = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, server, parts.path, "", "")) if hides else url
    ref = f"ref={original['ref']}&" if "ref" in original else ""
    fields = (
        original.get("type", ""),
        url,
        original.get("ref", ""),
        node.get("locked", {}).get("rev", ""),
        original.get("rev", ""),
        "" if hides else f"git+{url}?{ref}rev=",
        hides,
    )
    sys.stdout.write("\t".join(map(str, fields)))
    return 0


def _diff_closures(before: str, after: str) -> int:
    """Systems here have one package of their own that changes: the agent."""
    old, new = _agent_version(before), _agent_version(after)
    if old != new:
        sys.stdout.write(f"nixfleet-agent: {old} → {new}\n")
    return 0


def _agent_version(system: str) -> str:
    """The version of the agent that a system's unit names. Raises FlakeError."""
    unit = Path(system) / "etc/systemd/system" / AGENT_UNIT
    match = re.search(r"/nix/store/[^/]*-nixfleet-agent-([^/]+)/", _read(unit))
    if match is None:
        raise FlakeError(f"path '{system}' is not valid")
    return match[1]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _host_of(attribute: str) -> tuple[str, str]:
    """The host of `nixosConfigurations."HOST"REST`, quoted or not."""
    rest = attribute.removeprefix("nixosConfigurations.")
    if rest == attribute:
        return "", attribute
    if rest.startswith('"'):
        host, _, rest = rest[1:].partition('"')
        return host, rest
    host, dot, rest = rest.partition(".")
    return host, dot + rest


def missing_attribute(checkout: Path, attribute: str) -> str:
    """Nix's message for an attribute that a flake lacks."""
    return (
        f"flake 'git+file://{checkout}' does not provide attribute "
        f"'packages.x86_64-linux.{attribute}', 'legacyPackages.x86_64-linux.{attribute}' "
        f"or '{attribute}'"
    )
