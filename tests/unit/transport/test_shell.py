"""Scripts in shells, and the dialogue with a sudo that records its input."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

import pytest
from left_out import need
from posix_shells import SHELLS

from nixfleet_core.errors import NeedsPassword, NotAllowed
from nixfleet_core.transport import shell as module
from nixfleet_core.transport.answer import CARRIER_FAILED, Answer
from nixfleet_core.transport.dialogue import ROOTS_OWN, Dialogue, RootPrograms
from nixfleet_core.transport.local import local_shell, sandbox_shell
from nixfleet_core.transport.password import Password
from nixfleet_core.transport.roots import NoNeed
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixfleet_core.transport.process import Process

SECRET = "open sesame $(x) 'é"
TRACING = ("-x", "-v", "-xv")

SUDO = """#!/bin/sh
here=${0%/*}
[ "$1 $2 $3" = '-k -S --help' ] && exit 0
echo called >>"$here/calls"
[ "$1 $2 $3" = '-k -S --' ] || exit 90
prompt=$SUDO_PROMPT
shift 3
for try in 1 2 3; do
  case $(cat "$here/asks") in no) break ;; esac
  printf '%s' "$prompt" >&2
  IFS= read -r got || { echo 'the end of input' >>"$here/attempts"; exit 1; }
  printf '%s\\n' "$got" >>"$here/attempts"
  [ "$got" = "$(cat "$here/password")" ] && break
  echo 'Sorry, try again.' >&2
  [ "$try" = 3 ] && exit 1
done
exec "$@"
"""


@dataclass(frozen=True)
class Machine:
    """A machine where we are not root, and sudo is a setuid program that the test writes."""

    bin: Path

    def shell(self, argv: tuple[str, ...] = ("/bin/sh", "-s"), **env: str) -> Shell:
        path = f"{self.bin}:{os.environ['PATH']}"
        way = trusting(self.bin, os.getuid())
        return Shell(host="csb0", argv=argv, env={"PATH": path, **env}, way=way)

    def add(self, name: str, text: str, mode: int = 0o755) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(mode)

    def lines(self, name: str) -> list[str]:
        path = self.bin / name
        return path.read_text().splitlines() if path.exists() else []


def trusting(folder: Path, owner: int) -> Callable[[], Dialogue]:
    return partial(Dialogue, RootPrograms((str(folder),), (str(folder),), owner))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path)
    found.add("id", "#!/bin/sh\necho 1000\n")
    found.add("sudo", SUDO, 0o4755)
    (tmp_path / "asks").write_text("yes")
    (tmp_path / "password").write_text(SECRET)
    return found


@pytest.fixture(params=SHELLS)
def argv(request: pytest.FixtureRequest) -> tuple[str, ...]:
    name: str = request.param
    need(request, name)
    return SHELLS[name]


async def test_a_script_runs_to_its_end(argv: tuple[str, ...], machine: Machine) -> None:
    answer = await machine.shell(argv).run("echo out\necho bad >&2\nexit 3\n", limit=10)
    assert answer == Answer(3, b"out\n", "bad\n")


async def test_the_password_is_sent_once_and_the_script_after_it(
    argv: tuple[str, ...], machine: Machine
) -> None:
    shell = machine.shell(argv, SSH_CONNECTION="192.0.2.1 5 192.0.2.2 22")
    shell.password.give(SECRET)
    answer = await shell.run('echo "from $NF_FROM"; cat\n', limit=10, elevate=True)
    assert (answer.rc, answer.stdout) == (0, b"from 192.0.2.1 5 192.0.2.2 22\n")
    assert machine.lines("attempts") == [SECRET]
    assert len(machine.lines("calls")) == 1


async def test_a_wrong_password_costs_one_attempt(argv: tuple[str, ...], machine: Machine) -> None:
    shell = machine.shell(argv)
    shell.password.give("wrong")
    with pytest.raises(NeedsPassword) as caught:
        await shell.run(f"echo ran >{machine.bin}/ran\n", limit=10, elevate=True)
    assert (caught.value.host, caught.value.wrong) == ("csb0", True)
    assert machine.lines("attempts") == ["wrong"]
    assert machine.lines("ran") == []


async def test_a_password_that_failed_is_never_sent_again(
    argv: tuple[str, ...], machine: Machine
) -> None:
    """Not by this operation's repeat, and not by another that waited for the first."""
    shell = machine.shell(argv)
    shell.password.give("wrong")
    other = machine.shell(argv)
    other.password = shell.password
    tries = (each.run("echo ran\n", limit=10, elevate=True) for each in (shell, shell, other))
    errors = await asyncio.gather(*tries, return_exceptions=True)
    with pytest.raises(NeedsPassword) as caught:
        await shell.run("echo ran\n", limit=10, elevate=True)
    assert [type(error) for error in errors] == [NeedsPassword] * 3
    told = [error.said for error in (*errors, caught.value) if isinstance(error, NeedsPassword)]
    assert told == ["Sorry, try again."] * 4
    assert machine.lines("attempts") == ["wrong"]


async def test_a_password_that_is_right_serves_all(machine: Machine) -> None:
    shell = machine.shell()
    shell.password.give(SECRET)
    for _ in range(2):
        tries = (shell.run("echo ran\n", limit=10, elevate=True) for _ in range(3))
        assert [answer.stdout for answer in await asyncio.gather(*tries)] == [b"ran\n"] * 3
    assert machine.lines("attempts") == [SECRET] * 6


async def test_a_password_that_was_right_once_is_forgotten_when_it_fails(machine: Machine) -> None:
    shell = machine.shell()
    shell.password.give(SECRET)
    await shell.run("echo ran\n", limit=10, elevate=True)
    (machine.bin / "password").write_text("changed")
    for _ in range(2):
        with pytest.raises(NeedsPassword) as caught:
            await shell.run("echo ran\n", limit=10, elevate=True)
        assert caught.value.wrong
    assert machine.lines("attempts") == [SECRET, SECRET]


@pytest.mark.parametrize("tries", ["exit 1", "echo 'account expired' >&2; exit 1"])
async def test_a_password_with_which_sudo_ends_is_forgotten(machine: Machine, tries: str) -> None:
    machine.add("sudo", SUDO.replace("echo 'Sorry, try again.' >&2", tries), 0o4755)
    shell = machine.shell()
    shell.password.give("wrong")
    with pytest.raises(NotAllowed, match=r"account expired|becoming root was refused"):
        await shell.run("echo ran\n", limit=10, elevate=True)
    with pytest.raises(NeedsPassword):
        await shell.run("echo ran\n", limit=10, elevate=True)
    assert machine.lines("attempts") == ["wrong"]


@pytest.mark.parametrize("question", ["Verification code: ", "Place your finger: "])
async def test_a_question_that_is_not_for_the_password_gets_no_answer(
    argv: tuple[str, ...], machine: Machine, question: str
) -> None:
    asks = f'printf \'{question}\' >&2; read -r got; echo "$got" >>"$here/answers"\n'
    machine.add("sudo", SUDO.replace("for try", f"{asks}for try"), 0o4755)
    shell = machine.shell(argv)
    shell.password.give(SECRET)
    with patch.object(module, "QUIET", 0.2), pytest.raises(NotAllowed, match=question.strip(": ")):
        await shell.run("echo ran\n", limit=10, elevate=True)
    assert machine.lines("answers") == []


async def test_sudo_is_not_tried_without_a_password(
    argv: tuple[str, ...], machine: Machine
) -> None:
    with pytest.raises(NeedsPassword) as caught:
        await machine.shell(argv).run("echo ran\n", limit=10, elevate=True)
    assert not caught.value.wrong
    assert machine.lines("attempts") == []


async def test_no_password_is_sent_when_none_is_asked_for(
    argv: tuple[str, ...], machine: Machine
) -> None:
    (machine.bin / "asks").write_text("no")
    shell = machine.shell(argv)
    shell.password.give(SECRET)
    answer = await shell.run("cat; echo ran\n", limit=10, elevate=True)
    assert answer.stdout == b"ran\n"
    assert answer.stderr.count(SECRET) == 0


async def test_root_needs_no_sudo(argv: tuple[str, ...], machine: Machine) -> None:
    machine.add("id", "#!/bin/sh\necho 0\n")
    answer = await machine.shell(argv).run("echo ran\n", limit=10, elevate=True)
    assert (answer.stdout, machine.lines("calls")) == (b"ran\n", [])


async def test_a_host_that_refuses_says_why(machine: Machine) -> None:
    machine.add("sudo", "#!/bin/sh\necho 'ops is not in the sudoers file.' >&2\nexit 1\n", 0o4755)
    with pytest.raises(NotAllowed, match=r"^ops is not in the sudoers file\.$"):
        await machine.shell().run("echo ran\n", limit=10, elevate=True)


# A shell that traces, or echoes its input.


def traced(argv: tuple[str, ...], how: str) -> tuple[str, ...]:
    return (*argv[:-1], how, argv[-1])


@pytest.mark.parametrize("how", TRACING)
async def test_tracing_is_turned_off_in_a_shell(
    argv: tuple[str, ...], how: str, machine: Machine
) -> None:
    shell = machine.shell(traced(argv, how))
    shell.password.give(SECRET)
    answer = await shell.run("echo ran >&2\necho ran\n", limit=10, elevate=True)
    assert answer.stdout == b"ran\n"
    assert machine.lines("attempts") == [SECRET]
    assert "echo ran" not in answer.stderr
    assert SECRET not in answer.stderr


async def test_tracing_from_the_environment_is_turned_off(machine: Machine) -> None:
    """sshd's SetEnv can do that: bash takes SHELLOPTS from the environment."""
    shell = machine.shell(SHELLS["bash"], SHELLOPTS="xtrace:verbose")
    shell.password.give(SECRET)
    answer = await shell.run("echo ran\n", limit=10, elevate=True)
    assert answer.stdout == b"ran\n"
    assert machine.lines("attempts") == [SECRET]


@pytest.mark.parametrize(
    "carrier",
    ["tee /dev/stderr | sh -s", "exec 3>&1; tee /dev/fd/3 | sh -s >&2", "exec cat", "cat >&2"],
    ids=["all on stderr", "all on stdout", "only on stdout", "only on stderr"],
)
async def test_no_password_goes_to_a_shell_that_echoes_its_input(
    machine: Machine, carrier: str
) -> None:
    shell = machine.shell(("/bin/sh", "-c", carrier))
    shell.password.give(SECRET)
    with pytest.raises(NotAllowed, match="repeats its input"):
        await shell.run(f"echo ran >{machine.bin}/ran\n", limit=10, elevate=True)
    assert machine.lines("attempts") == []
    assert machine.lines("ran") == []


async def test_functions_of_the_environment_are_ignored(machine: Machine) -> None:
    """bash takes functions from the environment, even when it is called sh."""
    names = ("id", "ls", "printf", "command", "set", "exec", "unset", "[", "sudo")
    functions = {f"BASH_FUNC_{name}%%": "() { builtin echo function >&2; }" for name in names}
    (machine.bin / "sh").symlink_to(str(shutil.which("bash")))
    shell = machine.shell((str(machine.bin / "sh"), "-s"), **functions)
    shell.password.give(SECRET)
    answer = await shell.run("/bin/echo ran\n", limit=10, elevate=True)
    assert answer.stdout == b"ran\n"
    assert machine.lines("attempts") == [SECRET]
    assert "function" not in answer.stderr


# Which sudo.


@pytest.mark.parametrize("mode", [0o755, 0o4775, 0o4757, 0o2755])
async def test_a_sudo_that_others_can_write_is_not_used(
    argv: tuple[str, ...], machine: Machine, mode: int
) -> None:
    (machine.bin / "sudo").chmod(mode)
    await assert_refused(machine, machine.shell(argv))


async def test_a_sudo_of_another_user_is_not_used(argv: tuple[str, ...], machine: Machine) -> None:
    shell = machine.shell(argv)
    shell.way = trusting(machine.bin, os.getuid() + 1)
    await assert_refused(machine, shell)


async def test_a_folder_named_sudo_is_not_used(argv: tuple[str, ...], machine: Machine) -> None:
    (machine.bin / "sudo").unlink()
    (machine.bin / "sudo").mkdir(mode=0o4755)
    shell = machine.shell(argv)
    shell.password.give(SECRET)
    with pytest.raises(NotAllowed, match="no sudo, no doas"):
        await shell.run("echo ran\n", limit=10, elevate=True)


async def test_a_sudo_elsewhere_in_path_is_not_used(
    argv: tuple[str, ...], machine: Machine, tmp_path: Path
) -> None:
    """Not even if it is setuid: the owner of its folder could replace it."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (machine.bin / "id").rename(trusted / "id")
    shell = machine.shell(argv)
    shell.way = trusting(trusted, os.getuid())
    await assert_refused(machine, shell, trusted)


async def assert_refused(machine: Machine, shell: Shell, accepted: Path | None = None) -> None:
    shell.password.give(SECRET)
    with pytest.raises(NotAllowed) as caught:
        await shell.run(f"echo ran >{machine.bin}/ran\n", limit=10, elevate=True)
    assert str(caught.value) == (
        f"{machine.bin}/sudo is not used: "
        f"sudo and doas must be setuid programs of root in one of {accepted or machine.bin}."
    )
    assert machine.lines("calls") == []
    assert machine.lines("ran") == []


async def test_the_first_sudo_in_path_does_not_matter(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    first = Machine(tmp_path / "first")
    first.add("sudo", SUDO)
    shell = machine.shell(PATH=f"{first.bin}:{machine.bin}:{os.environ['PATH']}")
    shell.password.give(SECRET)
    assert (await shell.run("echo ran\n", limit=10, elevate=True)).stdout == b"ran\n"
    assert first.lines("calls") == []
    assert machine.lines("attempts") == [SECRET]


async def test_a_link_to_sudo_is_sudo(argv: tuple[str, ...], machine: Machine) -> None:
    """As on a host whose alternatives name sudo-rs."""
    (machine.bin / "sudo").rename(machine.bin / "sudo-rs")
    (machine.bin / "sudo").symlink_to("sudo-rs")
    shell = machine.shell(argv)
    shell.password.give(SECRET)
    await shell.run("echo ran\n", limit=10, elevate=True)
    assert machine.lines("attempts") == [SECRET]


async def test_doas_is_used_when_there_is_no_sudo(argv: tuple[str, ...], machine: Machine) -> None:
    (machine.bin / "sudo").unlink()
    doas = '#!/bin/sh\n[ "$1" = -n ] || exit 90\nshift\nexec "$@"\n'
    machine.add("doas", doas, 0o4755)
    shell = machine.shell(argv, SSH_CONNECTION="192.0.2.1 5 192.0.2.2 22")
    shell.password.give(SECRET)
    answer = await shell.run('echo "from $NF_FROM"; cat\n', limit=10, elevate=True)
    assert answer.stdout == b"from 192.0.2.1 5 192.0.2.2 22\n"
    (machine.bin / "doas").chmod(0o755)
    with pytest.raises(NotAllowed, match="doas is not used"):
        await shell.run("echo ran\n", limit=10, elevate=True)


DOAS = """#!/bin/sh
here=${0%/*}
[ "$1" = -n ] || {
  echo "doas: invalid option -- 'k'" >&2
  echo 'usage: doas [-Lns] [-C config] [-u user] command [args]' >&2
  exit 1
}
shift
exec "$@"
"""


async def test_a_doas_that_calls_itself_sudo_is_used_as_doas(
    argv: tuple[str, ...], machine: Machine
) -> None:
    machine.add("sudo", DOAS, 0o4755)
    shell = machine.shell(argv)
    shell.password.give(SECRET)
    answer = await shell.run("cat; echo ran\n", limit=10, elevate=True)
    assert (answer.stdout, answer.stderr.count(SECRET)) == (b"ran\n", 0)


RUN0 = """#!/bin/sh
[ "$1" = --no-ask-password ] || exit 90
shift
exec "$@"
"""


async def test_run0_is_used_when_there_is_no_sudo_and_no_doas(
    argv: tuple[str, ...], machine: Machine
) -> None:
    machine.add("sudo", '#!/bin/sh\nexec run0 "$@"\n')  # a shim, which is not setuid
    machine.add("run0", RUN0)
    machine.bin.chmod(0o755)
    shell = machine.shell(argv)
    shell.password.give(SECRET)
    assert (await shell.run("cat; echo ran\n", limit=10, elevate=True)).stdout == b"ran\n"


@pytest.mark.parametrize(
    ("path", "mode"),
    [("run0", 0o775), ("run0", 0o757), ("run0", 0o644), (".", 0o775), (".", 0o757)],
)
async def test_a_run0_that_others_can_replace_is_not_used(
    argv: tuple[str, ...], machine: Machine, path: str, mode: int
) -> None:
    (machine.bin / "sudo").unlink()
    machine.add("run0", RUN0)
    machine.bin.chmod(0o755)
    (machine.bin / path).chmod(mode)
    with pytest.raises(NotAllowed, match=r"run0 is not used|no sudo, no doas and no run0"):
        await machine.shell(argv).run("echo ran\n", limit=10, elevate=True)
    machine.bin.chmod(0o755)


async def test_a_run0_that_refuses_tells_which_sudo_was_not_used(machine: Machine) -> None:
    (machine.bin / "sudo").chmod(0o755)
    machine.add("run0", "#!/bin/sh\necho 'Access denied' >&2\nexit 1\n")
    machine.bin.chmod(0o755)
    with pytest.raises(NotAllowed, match=r"/sudo is not used: .*\. Access denied$"):
        await machine.shell().run("echo ran\n", limit=10, elevate=True)


async def test_a_run0_of_another_user_is_not_used(argv: tuple[str, ...], machine: Machine) -> None:
    (machine.bin / "sudo").unlink()
    machine.add("run0", RUN0)
    shell = machine.shell(argv)
    shell.way = trusting(machine.bin, os.getuid() + 1)
    with pytest.raises(NotAllowed, match="run0 is not used"):
        await shell.run("echo ran\n", limit=10, elevate=True)


def test_only_programs_of_root_are_trusted() -> None:
    assert ROOTS_OWN.owner == 0
    assert Dialogue().programs == ROOTS_OWN
    assert Shell(host="csb0", argv=("ssh",)).way is Dialogue
    assert local_shell("here").way is Dialogue


async def test_in_a_sandbox_nobody_becomes_root(machine: Machine) -> None:
    shell = sandbox_shell("csb0", "/r", {"PATH": f"{machine.bin}:{os.environ['PATH']}"})
    assert shell.way is NoNeed
    answer = await shell.run("echo ran\n", limit=10, elevate=True)
    assert (answer.stdout, machine.lines("calls")) == (b"ran\n", [])


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
async def test_the_password_is_in_no_argv_and_no_environment(machine: Machine) -> None:
    shell = machine.shell()
    shell.password.give(SECRET)
    process = await shell.open("echo ready\nsleep 60\n", elevate=True)
    try:
        assert await process.read() == b"ready\n"
        seen = {name: _all_processes(name) for name in ("cmdline", "environ")}
    finally:
        await process.close()
    assert b"/bin/sh\x00-s\x00" in seen["cmdline"]  # the shell itself was looked at
    assert not any(SECRET.encode() in data for found in seen.values() for data in found)
    assert SECRET not in repr(shell)


def _all_processes(name: str) -> list[bytes]:
    found = []
    for path in Path("/proc").glob(f"[0-9]*/{name}"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


# The dialogue, word by word.


@dataclass
class FakeProcess:
    """Prints on stderr what the test says, and records its input."""

    says: list[bytes]
    final: int = 1
    sent: list[bytes] = field(default_factory=list)
    rc: int | None = None
    stdin_closed: bool = False
    killed: bool = False
    closed: bool = False
    stderr: bytes = b""

    async def wait_output(self) -> None:
        if self.says:
            self.stderr += self.says.pop(0).replace(b"MARK", self.mark)
        else:
            self.rc = self.final

    @property
    def unread(self) -> bytes:
        """Its answer to our greeting."""
        found = re.search(
            rb"^printf '%s%s %s\\n' (\S+) (\S+) \"hello\"$", self.sent[0], re.MULTILINE
        )
        assert found is not None
        return found[1] + found[2] + b" hello\n"

    @property
    def mark(self) -> bytes:
        found = re.search(rb"^NF_MARK=(\S+)\nNF_MORE=(\S+)$", self.sent[0], re.MULTILINE)
        assert found is not None
        return found[1] + found[2]

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close_stdin(self) -> None:
        self.stdin_closed = True

    async def read(self) -> bytes:
        return b""

    async def wait(self) -> int:
        return self.final

    async def close(self) -> int:
        self.closed = True
        return self.final


async def talk(process: FakeProcess, password: str | None = None) -> int:
    others = FakeProcess([], final=0)

    async def start(*_: object, **__: object) -> Process:
        return cast("Process", others if process.sent else process)

    shell = Shell(host="csb0", argv=("ssh",))
    if password is not None:
        shell.password.give(password)
    with patch.object(module, "open_process", start):
        try:
            return (await shell.run("SCRIPT", limit=10, elevate=True)).rc
        finally:
            process.killed = any(b"\nkill -s KILL 77\n" in sent for sent in others.sent)


async def test_the_script_waits_for_ready_and_the_password_for_the_prompt() -> None:
    process = FakeProcess(
        [b"motd\n", b"SUDOMARK 77\n", b"MARK", b"\nlecture\nREADYMARK\n"], final=0
    )
    seen: list[int] = []
    wait = process.wait_output

    async def watched() -> None:
        seen.append(len(process.sent))
        await wait()

    with patch.object(process, "wait_output", watched):
        assert await talk(process, SECRET) == 0
    assert seen == [1, 1, 1, 2]
    password, script = process.sent[1:]
    assert password == SECRET.encode() + b"\n"
    assert b"\nSCRIPT\n" in script
    assert process.stdin_closed
    assert process.closed


async def test_no_password_is_sent_to_a_shell_that_is_ready_at_once() -> None:
    process = FakeProcess([b"LOGINMARK 77\nREADYMARK\n"], final=0)
    await talk(process, SECRET)
    (script,) = process.sent[1:]
    assert b"\nSCRIPT\n" in script


@pytest.mark.parametrize(
    "noise", [b"password for ops: ", b"READY\n", b"nixfleet-0:", b"READYnixfleet-:"]
)
async def test_a_password_is_sent_only_at_our_own_prompt(noise: bytes) -> None:
    process = FakeProcess([noise])
    with pytest.raises(NotAllowed):
        await talk(process, SECRET)
    assert len(process.sent) == 1


async def test_a_mark_among_other_words_is_no_prompt() -> None:
    process = FakeProcess([b"SUDOMARK 77\n+ exec sudo -k -S -p MARK -- /bin/sh"])
    with pytest.raises(NotAllowed, match="among other words"):
        await talk(process, SECRET)
    assert len(process.sent) == 1
    assert process.closed


@pytest.mark.parametrize(
    ("says", "password"),
    [
        (b"Sorry, try again.\nMARK", SECRET),
        (b"MARK", SECRET),
        (b"", None),
    ],
    ids=["the same again", "another at once", "the first, and we have none"],
)
async def test_sudo_that_asks_what_nobody_answers_is_killed_before_its_input_ends(
    says: bytes, password: str | None
) -> None:
    """It would count the end of its input as more wrong passwords."""
    process = FakeProcess([b"SUDOMARK 77\nMARK", *([says] if says else [])])
    with pytest.raises((NeedsPassword, NotAllowed)):
        await talk(process, password)
    assert process.killed
    assert not process.stdin_closed
    assert process.closed
    assert len(process.sent) == (1 if password is None else 2)


async def test_a_sudo_that_has_ended_is_not_killed() -> None:
    process = FakeProcess([b"SUDOMARK 77\nMARK", b"sudo: 1 incorrect password attempt\n"])
    with pytest.raises(NotAllowed, match="1 incorrect"):
        await talk(process, SECRET)
    assert not process.killed


@pytest.mark.parametrize("is_proven", [True, False])
async def test_a_link_that_breaks_leaves_only_a_proven_password(is_proven: bool) -> None:
    password = Password()
    password.give(SECRET)
    if is_proven:
        password.keep(SECRET)
    async with password.tried():
        pass
    async with password.tried() as left:
        assert left == (SECRET if is_proven else None)


async def test_a_refusal_has_the_last_words_of_the_host() -> None:
    process = FakeProcess([b"no sudo, no doas and no run0 on this host\n"])
    with pytest.raises(NotAllowed, match=r"^no sudo, no doas and no run0 on this host$"):
        await talk(process)
    assert process.closed


async def test_a_link_that_breaks_in_the_dialogue_is_no_refusal() -> None:
    process = FakeProcess([b"ssh: connect to host: No route to host\n"], final=CARRIER_FAILED)
    assert await talk(process, SECRET) == CARRIER_FAILED


# Limits.


async def test_a_script_that_takes_too_long_is_ended() -> None:
    answer = await local_shell("here").run("exec sleep 60\n", limit=0.2)
    assert (answer.end, answer.stdout) == ("late", b"")
    assert answer.rc < 0


async def test_a_sudo_that_never_answers_is_ended(machine: Machine) -> None:
    machine.add("sudo", SUDO.replace("shift 3", "exec sleep 60"), 0o4755)
    with (
        patch.object(module, "ELEVATE_LIMIT", 0.2),
        pytest.raises(NotAllowed, match=r"^sudo gave no answer in time$"),
    ):
        await machine.shell().run("echo ran\n", limit=10, elevate=True)


async def test_a_shell_that_never_answers_is_ended() -> None:
    shell = Shell(host="csb0", argv=("/bin/sh", "-c", "exec sleep 60"))
    with patch.object(module, "ELEVATE_LIMIT", 0.2):
        answer = await shell.run("echo ran\n", limit=10, elevate=True)
    assert (answer.end, answer.stdout) == ("late", b"")


async def test_a_flood_of_output_ends_the_dialogue() -> None:
    with patch.object(module, "ANSWER_LIMIT", 100_000):
        answer = await local_shell("here").run("while :; do echo flood; done\n", limit=10)
    assert answer.end == "cut"
    assert 100_000 < len(answer.stdout) < 300_000


async def test_an_open_shell_that_fails_to_become_root_is_closed() -> None:
    process = FakeProcess([b"SUDOMARK 77\nMARK"])

    async def start(*_: object, **__: object) -> Process:
        return cast("Process", process)

    with patch.object(module, "open_process", start), pytest.raises(NeedsPassword):
        await Shell(host="csb0", argv=("ssh",)).open("SCRIPT", elevate=True)
    assert process.closed


async def test_a_missing_carrier_is_an_error() -> None:
    with pytest.raises(OSError, match="no-such-ssh"):
        await Shell(host="csb0", argv=("/no-such-ssh",)).run("x", limit=1)


async def test_a_cancelled_run_leaves_no_process(machine: Machine) -> None:
    told = machine.bin / "told"
    os.mkfifo(told)
    task = asyncio.create_task(
        machine.shell().run(f"echo $$ >{told}; exec sleep 60\n", limit=50, elevate=False)
    )
    pid = int(await asyncio.to_thread(told.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
