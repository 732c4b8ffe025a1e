"""What a look believes of a process: its program, from the kernel, and as little as possible of
its command line. A look runs nothing that a process names."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

import pytest
from fake_host import AGENTS, DARWIN, UNIT, FakeHost, look, runs

from nixfleet_core.facts.model import Binary, Facts, Running
from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Iterator

one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)

AGENT: Final = AGENTS["1.0"]
OLD: Final = f"/nix/store/{'0' * 32}-nixfleet-agent-0.9/bin/agent"
HIDDEN: Final = AGENT.replace("/agent", "/.agent-wrapped")
INNER: Final = f"/nix/store/{'3' * 32}-nixfleet-agent-unwrapped-1.0/bin/agent"
START: Final = f"/nix/store/{'4' * 32}-nixfleet-agent-start"
BASH: Final = f"/nix/store/{'5' * 32}-bash-5.2/bin/bash"
EVIL: Final = "/home/ops/evil"


put = FakeHost.put


def seen(facts: Facts) -> tuple[str, str, bool]:
    """The kind of proof, the running program, and whether it is the installed one."""
    assert facts.running is not None
    assert facts.installed is not None
    proof, binary = facts.running.proof, facts.running.binary
    same = proof in ("exe", "script") and facts.installed.is_run_by(binary)
    return proof, binary.path, same


# Programs.


def test_the_agents_own_program_is_proven(host: FakeHost) -> None:
    runs(host, AGENT, "any", "words")
    facts = look(host)
    assert seen(facts) == ("exe", AGENT, True)
    assert facts.installed == Binary(AGENT, "1.0")


@one_shell
def test_an_older_agent_is_recognised_as_not_installed(host: FakeHost) -> None:
    put(host, OLD)
    runs(host, OLD)
    assert seen(look(host)) == ("exe", OLD, False)


@one_shell
def test_an_older_agent_may_be_gone_from_the_store(host: FakeHost) -> None:
    runs(host, f"{OLD} (deleted)")
    assert seen(look(host)) == ("exe", OLD, False)


@one_shell
def test_a_program_whose_file_was_replaced_is_not_the_new_file(host: FakeHost) -> None:
    runs(host, f"{AGENT} (deleted)")
    assert seen(look(host)) == ("other", AGENT, False)


@one_shell
def test_another_program_is_no_agent_under_any_name(host: FakeHost) -> None:
    for path in (EVIL, f"/nix/store/{'6' * 32}-coreutils/bin/sleep"):
        put(host, path)
        runs(host, path, AGENT, AGENT)
        assert seen(look(host)) == ("other", path, False)


@one_shell
@pytest.mark.parametrize("word", [AGENT, f"{EVIL}/..{AGENT}", f"/tmp{AGENT}", f"{AGENT}/../x", "x"])
def test_without_the_right_to_look_the_words_are_a_claim(host: FakeHost, word: str) -> None:
    runs(host, None, "sh", word)
    running = look(host, NF_DEEP="1").running
    if word == AGENT:
        assert running == Running(Binary(AGENT, "1.0"), "claimed", 4001), "not even its hash"
    else:
        assert running is None


def test_a_look_runs_no_path_that_a_process_or_unit_names(host: FakeHost) -> None:
    mark = host.root / "was-run"
    text = f"#!/bin/sh\necho run >>{quote(str(mark))}\n"
    for path in (AGENT, OLD, EVIL):
        put(host, path, text)
    for exe, words in ((AGENT, [EVIL]), (EVIL, [AGENT]), (None, [OLD, EVIL]), (OLD, ["sh", EVIL])):
        runs(host, exe, *words)
        look(host, NF_DEEP="why")
    assert not mark.exists()


# Wrappers, in the shapes of nixpkgs.

SHELL_WRAPPER = (
    f"#! {BASH} -e\nexport PATH='/nix/store/{'7' * 32}-git/bin'\n"
    'exec -a "$0" "{target}"  --flag "$@" \n'
)
OLD_SHELL_WRAPPER = (
    f"#! {BASH} -eu\ndeclare -a extraFlagsArray=()\nset +u\n"
    'exec -a "$0" {target}  "${{extraFlagsArray[@]}}" "$@"\n'
)
START_SCRIPT = f'#!{BASH}\ncd /\nif true; then exec \\\n  {{target}} --serve "$@"; fi\n'
PROGRAM_WRAPPER = (
    b"\x7fELF\2\1\1\0/lib/ld.so\0PATH\0{target}\0\0\n\n# -----\n# The C-code for this binary "
    b"wrapper has been generated using the following command:\n\n\nmakeCWrapper '{target}' \\\n"
    b"    --inherit-argv0 \\\n    --prefix 'PATH' ':' '/nix/store/"
    + b"7" * 32
    + b"-git/bin'\n\n\0\xff\0"
)


def wrapper(text: str | bytes, target: str) -> str | bytes:
    if isinstance(text, bytes):
        return text.replace(b"{target}", target.encode())
    return text.format(target=target)


WRAPPERS: Final[dict[str, tuple[str, str | bytes, str]]] = {
    "makeWrapper, in its package": (AGENT, SHELL_WRAPPER, HIDDEN),
    "makeWrapper, of another package": (AGENT, SHELL_WRAPPER, INNER),
    "makeWrapper, as it was": (AGENT, OLD_SHELL_WRAPPER, INNER),
    "writeShellScript": (START, START_SCRIPT, INNER),
    "makeBinaryWrapper, in its package": (AGENT, PROGRAM_WRAPPER, HIDDEN),
    "makeBinaryWrapper, of another package": (AGENT, PROGRAM_WRAPPER, INNER),
    "makeBinaryWrapper, of a wrapped program": (
        *(AGENT, PROGRAM_WRAPPER, INNER.replace("/agent", "/.agent-wrapped_")),
    ),
}


@pytest.mark.parametrize(("unit", "text", "target"), WRAPPERS.values(), ids=WRAPPERS)
def test_the_program_that_a_wrapper_starts_is_the_installed_agent(
    host: FakeHost, unit: str, text: str | bytes, target: str
) -> None:
    put(host, BASH)
    put(host, target)
    put(host, unit, wrapper(text, target))
    runs(host, target, unit, "--serve")
    facts = look(host, unit)
    assert seen(facts) == ("exe", target, True)
    # a program in the same package need not be named
    assert facts.installed is not None
    assert bool(facts.installed.starts) == (not target.startswith(facts.installed.identity))


@one_shell
def test_a_wrapper_of_a_wrapper_is_followed(host: FakeHost) -> None:
    put(host, BASH)
    put(host, START, wrapper(START_SCRIPT, AGENT))
    put(host, AGENT, wrapper(PROGRAM_WRAPPER, INNER))
    put(host, INNER, wrapper(SHELL_WRAPPER, HIDDEN.replace("11", "88")))
    last = put(host, HIDDEN.replace("11", "88")).removeprefix(str(host.root))
    runs(host, last)
    assert seen(look(host, START)) == ("exe", last, True)


@one_shell
def test_a_circle_of_wrappers_ends(host: FakeHost) -> None:
    put(host, AGENT, wrapper(PROGRAM_WRAPPER, INNER))
    put(host, INNER, wrapper(PROGRAM_WRAPPER, AGENT))
    runs(host, put(host, OLD).removeprefix(str(host.root)))
    assert seen(look(host)) == ("exe", OLD, False)


@one_shell
def test_a_link_to_a_program_is_followed(host: FakeHost) -> None:
    link = Path(f"{host.root}/run/agent")
    link.symlink_to(f"{host.root}{AGENT}")
    runs(host, AGENT)
    assert seen(look(host, "/run/agent")) == ("exe", AGENT, True)


@one_shell
@pytest.mark.parametrize(
    "text",
    [
        f"#!{BASH}\nexec {BASH} -c 'exec {INNER}'\n",
        f"#!{BASH}\n# exec {EVIL} {OLD}\nexec {INNER}\n",
        f"#!{BASH}\nPATH={OLD}:{BASH}\n{BASH} -c true\nexec {INNER}\n",
    ],
)
def test_an_interpreter_is_never_the_wrapped_program(host: FakeHost, text: str) -> None:
    put(host, AGENT, text)
    for path in (INNER, BASH):
        put(host, path)
    runs(host, BASH, "bash", "-c", "loop", AGENT, INNER)
    facts = look(host)
    assert seen(facts) == ("other", BASH, False)
    assert facts.installed is not None
    assert facts.installed.starts == (INNER.removesuffix("/bin/agent"),)


@one_shell
def test_a_wrapped_program_must_have_the_wrappers_name(host: FakeHost) -> None:
    put(host, AGENT, wrapper(PROGRAM_WRAPPER, BASH))
    put(host, BASH)
    runs(host, BASH, AGENT)
    assert seen(look(host)) == ("other", BASH, False)


# A store with hard links, on a Mac.

LINK: Final = f"/nix/store/.links/{'9' * 52}"


def runs_as(host: FakeHost, name: str) -> None:
    """lsof, without /proc, gives the agent's program that name."""
    shutil.rmtree(host.root / "proc/4001")
    host.on("uname", DARWIN)
    host.on("lsof", f"""printf 'p4001\\nftxt\\nn%s\\n' "$root"{quote(name)}""")


def link(host: FakeHost, path: str, name: str) -> None:
    """One more name for that file."""
    other = Path(f"{host.root}{name}")
    other.parent.mkdir(parents=True, exist_ok=True)
    other.unlink(missing_ok=True)
    other.hardlink_to(f"{host.root}{path}")


def test_a_file_of_an_optimised_store_has_the_units_name(host: FakeHost) -> None:
    """Whichever name lsof gives: the store's own, or that of an older package's equal file."""
    for name in (LINK, OLD):
        link(host, AGENT, name)
    for name in (LINK, OLD, AGENT):
        (host.root / "proc/4001").mkdir(exist_ok=True)
        runs_as(host, name)
        assert seen(look(host)) == ("exe", AGENT, True)


@one_shell
def test_a_wrapped_file_of_an_optimised_store_has_the_name_that_its_wrapper_starts(
    host: FakeHost,
) -> None:
    put(host, INNER, b"\x7fELF inner")
    put(host, AGENT, wrapper(PROGRAM_WRAPPER, INNER))
    link(host, INNER, LINK)
    runs_as(host, LINK)
    assert seen(look(host)) == ("exe", INNER, True)


@one_shell
def test_another_file_of_an_optimised_store_is_not_the_agent(host: FakeHost) -> None:
    put(host, OLD, b"\x7fELF old")
    link(host, OLD, LINK)
    runs_as(host, LINK)
    assert seen(look(host)) == ("other", LINK, False)
    (host.root / "proc/4001").mkdir()
    runs_as(host, OLD)
    assert seen(look(host)) == ("exe", OLD, False)


@one_shell
def test_the_program_that_launchd_has_loaded_is_known_by_that_name(host: FakeHost) -> None:
    """An older agent than the installed one."""
    put(host, OLD, b"\x7fELF old")
    link(host, OLD, LINK)
    runs_as(host, LINK)
    call = f"agent_loaded={OLD}; nf_look_at 4001 {AGENT}; echo $nf_look_proof $nf_look_path"
    said = host.send(compose("service", root=str(host.root), call=call)).stdout
    assert said.decode() == f"exe {OLD}\n"


@one_shell
def test_linux_tells_the_name_that_was_started(host: FakeHost) -> None:
    """The wrapper around it may have changed, so the same content must be started anew."""
    link(host, AGENT, OLD)
    runs(host, OLD)
    assert seen(look(host)) == ("exe", OLD, False)


# Scripts.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (BASH, [BASH, AGENT]),
        (BASH, ["bash", AGENT, "-c", "argument"]),
        (f"{BASH} -e", [BASH, "-e", AGENT]),
        (f"{BASH}\t-Oextglob -e ", [BASH, "-Oextglob -e", AGENT]),
        (BASH, [BASH, "-eu", "-x", AGENT]),
        (f"{BASH} -e", [BASH, "-e", "-u", AGENT]),
    ],
)
def test_a_script_runs_as_the_interpreter_of_its_first_line(
    plain_host: FakeHost, line: str, words: list[str]
) -> None:
    script(plain_host, line, *words)
    assert seen(look(plain_host)) == ("script", AGENT, True)


def script(host: FakeHost, line: str, *words: str) -> None:
    """The installed agent is a script with that first line; bash runs, with these words."""
    put(host, BASH)
    put(host, AGENT, f"#!{line.replace(BASH, f'{host.root}{BASH}')}\nwhile :; do :; done\n")
    runs(host, BASH, *(f"{host.root}{word}" if word.startswith("/") else word for word in words))


@one_shell
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (BASH, ["bash", "-c", "loop", AGENT]),
        (BASH, ["bash", "-ec", AGENT]),
        (BASH, ["bash", "-c", AGENT]),
        (BASH, ["bash", "-s", AGENT]),
        (BASH, ["bash", "-i", AGENT]),
        (BASH, ["bash", "--rcfile", EVIL, AGENT]),
        (BASH, ["bash", "--posix", AGENT]),
        (BASH, ["bash", "--", AGENT]),
        (BASH, ["bash", "-", AGENT]),
        (BASH, ["bash", "", AGENT]),
        (BASH, ["bash", "-e*", AGENT]),
        (BASH, ["bash", "loop", AGENT]),
        (BASH, ["bash", EVIL, AGENT]),
        (BASH, ["bash", f"{AGENT}\n"]),
        (BASH, ["bash", *["-e"] * 20, AGENT]),
        (BASH, ["bash"]),
        (BASH, []),
        ("/bin/sh", [BASH, AGENT]),
        ("/usr/bin/env bash", ["bash", AGENT]),
        ("bash", ["bash", AGENT]),
        (f"{BASH} -O", ["bash", "-Oextglob", AGENT]),
    ],
)  # fmt: skip
def test_other_command_lines_of_an_interpreter_show_no_agent(
    plain_host: FakeHost, line: str, words: list[str]
) -> None:
    put(plain_host, EVIL, f"#!{plain_host.root}{BASH}\n")
    script(plain_host, line, *words)
    assert seen(look(plain_host)) == ("other", BASH, False)


@one_shell
def test_a_script_outside_of_the_store_is_no_agent(plain_host: FakeHost) -> None:
    script(plain_host, BASH, "bash", "/home/ops/nixfleet-agent")
    put(plain_host, "/home/ops/nixfleet-agent", f"#!{plain_host.root}{BASH}\n")
    assert seen(look(plain_host)) == ("other", BASH, False)


@one_shell
def test_a_script_that_a_wrapper_starts_is_the_installed_agent(plain_host: FakeHost) -> None:
    put(plain_host, START, wrapper(START_SCRIPT, AGENT))
    script(plain_host, BASH, "bash", AGENT)
    assert seen(look(plain_host, START)) == ("script", AGENT, True)


@one_shell
def test_an_older_script_is_not_the_installed_one(plain_host: FakeHost) -> None:
    script(plain_host, BASH, "bash", OLD)
    put(plain_host, OLD, f"#!{plain_host.root}{BASH}\n")
    assert seen(look(plain_host)) == ("script", OLD, False)


@one_shell
def test_a_script_is_not_proven_as_a_program_by_an_interpreter_beside_it(
    plain_host: FakeHost,
) -> None:
    beside = AGENT.replace("/agent", "/python3")
    put(plain_host, beside)
    put(plain_host, AGENT, f"#!{plain_host.root}{beside}\n")
    runs(plain_host, beside, "python3", "-c", "pass", AGENT)
    assert seen(look(plain_host)) == ("other", beside, False)


# Real processes.


@contextmanager
def process(host: FakeHost, *argv: str) -> Iterator[None]:
    """A real process as the agent's."""
    (host.root / "proc").rename(host.root / "proc.was")
    (host.root / "proc").symlink_to("/proc")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        host.let_live(UNIT, pid=child.pid)
        yield
        child.kill()


UP: Final = "echo up; read line"


def test_a_real_script_is_proven_and_a_shell_with_its_name_is_not(plain_host: FakeHost) -> None:
    file = put(plain_host, AGENT, f"#!/bin/sh -e\n{UP}\n")
    with process(plain_host, file):
        assert seen(look(plain_host)) == ("script", AGENT, True)


@one_shell
def test_a_real_shell_that_only_names_the_agent_is_not_proven(plain_host: FakeHost) -> None:
    file = put(plain_host, AGENT, "#!/bin/sh\n")
    shell = os.path.realpath("/bin/sh")
    with process(plain_host, "/bin/sh", "-c", UP, file):
        assert seen(look(plain_host)) == ("other", shell, False)


@one_shell
def test_a_real_wrapped_program_is_proven(plain_host: FakeHost) -> None:
    program = put(plain_host, INNER, Path(os.path.realpath("/bin/sh")).read_bytes())
    put(plain_host, START, f'#!/bin/sh\nexec {INNER} "$@"\n')
    with process(plain_host, program, "-c", UP):
        assert seen(look(plain_host, START)) == ("exe", INNER, True)


# The host's rule and the client's.

ONES: Final = {
    "the same file": (AGENT, AGENT, []),
    "a file of the package": (HIDDEN, AGENT, []),
    "what it starts": (INNER, AGENT, [INNER.removesuffix("/bin/agent")]),
    "one of several": (INNER, START, [AGENT[:60], INNER.removesuffix("/bin/agent")]),
    "an older one": (OLD, AGENT, [INNER.removesuffix("/bin/agent")]),
    "a beginning of it": (INNER, AGENT, [INNER[:50]]),
    "no store path": (EVIL, EVIL, []),
    "another place": ("/usr/bin/x", EVIL, []),
}


@pytest.mark.parametrize(("running", "installed", "starts"), ONES.values(), ids=ONES)
def test_host_and_client_agree_when_two_paths_are_one_program(
    host: FakeHost, running: str, installed: str, starts: list[str]
) -> None:
    script = compose(
        "process",
        root=str(host.root),
        call='if nf_is_one "$X_RUNS" "$X_IS" "$X_STARTS"; then echo yes; else echo no; fi',
        values={"X_RUNS": running, "X_IS": installed, "X_STARTS": " ".join(starts)},
    )
    here = Binary(installed, starts=tuple(starts)).is_run_by(Binary(running))
    assert host.send(script).stdout == (b"yes\n" if here else b"no\n")


# The agent's log, on a Mac.


def last_words(host: FakeHost, log: Path | None = None) -> str:
    text = compose(
        "service",
        root=str(host.root),
        call=f"nf_own_log '{log or host.root / 'tmp/agent.err'}' 2",
        values={"NF_PLATFORM_GIVEN": "home-manager"},
    )
    return host.send(text).stdout.decode()


def test_only_a_regular_file_of_the_user_is_read_as_the_agents_log(plain_host: FakeHost) -> None:
    log = plain_host.root / "tmp/agent.err"
    refused = f"{log} is not read: it is no regular file\n"
    assert last_words(plain_host) == ""
    log.write_text("one\ntwo\nthree\n")
    assert last_words(plain_host) == "two\nthree\n"
    other = log.with_suffix(".other")
    log.rename(other)
    log.symlink_to(other)
    assert last_words(plain_host) == refused
    log.unlink()
    os.mkfifo(log)
    assert last_words(plain_host) == refused


@one_shell
def test_a_file_of_another_user_is_not_the_agents_log(plain_host: FakeHost) -> None:
    log = Path("/etc/passwd")  # a file of root that everybody can read
    if os.geteuid() == 0:
        log = plain_host.root / "tmp/agent.err"
        log.write_text("believe me\n")
        os.chown(log, 54321, 54321)
    owner = "uid 54321" if os.geteuid() == 0 else "root"
    said = f"{log} is not read: it belongs to {owner}, so this agent cannot log there\n"
    assert last_words(plain_host, log) == said
