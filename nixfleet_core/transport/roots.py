"""The ways to become root on a host. Each is a class that reads the output and says what is next.

None of them holds the password. The shell sends it only when sudo's prompt has come.

What the programs print was read in their sources, and is played by the real ones in the lab:
sudo 1.9 (tgetpass.c, auth/pam.c), sudo-rs 0.2 (pam/converse.rs), opendoas 6.8, systemd's run0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Final, NamedTuple

from nixfleet_core.errors import NotAllowed

_CROWDED: Final = "sudo's prompt stands among other words, so no password goes there: "

_REQUIRETTY: Final = (
    "sudo's configuration needs `Defaults:USER !requiretty`; on NixOS "
    'security.sudo.extraConfig = "Defaults:USER !requiretty";'
)

_RS_BEGIN: Final = b"[sudo: "
_RS_PASSWORD: Final = b"] Password:"
"""sudo-rs's prompt: `[sudo: MARK] Password: `."""

LONGEST_WORDS: Final = 300
"""Characters of a program's words that an error quotes."""


class Next(Enum):
    """Our next step."""

    LISTEN = auto()
    GIVE_PASSWORD = auto()
    GIVE_ANOTHER = auto()
    """The password was wrong."""
    GO_ON = auto()
    """Send the script."""


class Heard(NamedTuple):
    """All output of the host so far."""

    stderr: bytes = b""
    stdout: bytes = b""
    over: bool = False
    """The shell has ended, and not by a broken link."""
    quiet: bool = False
    """Nothing has come for some seconds."""
    late: bool = False
    """Root's shell should be there by now."""


class Way(ABC):
    """One attempt to become root."""

    @property
    def opening(self) -> bytes:
        """The words that we send first."""
        return b""

    @property
    def process(self) -> int | None:
        """The number, on the host, of the process that we talk to."""
        return None

    @property
    def said(self) -> str:
        """The program's own words about a password that was wrong."""
        return ""

    @abstractmethod
    def hear(self, heard: Heard) -> Next:
        """Read the output so far. Raises NotAllowed."""


class NoNeed(Way):
    """The user who is logged in may do everything already, as in the sandbox."""

    def hear(self, heard: Heard) -> Next:
        del heard
        return Next.GO_ON


@dataclass(slots=True)
class OnHost(Way):
    """A way that the host takes, and announces by a word and the mark. Most ways ask nothing: a
    shell of root starts, and says READY and the mark."""

    mark: bytes
    word: ClassVar[bytes]
    name: ClassVar[str]
    """Of the program."""
    setting: ClassVar[str] = ""
    """What the host needs for this way, if the program refuses. USER is who logs in there."""

    def hear(self, heard: Heard) -> Next:
        """The output since the announcement."""
        if b"READY" + self.mark in heard.stderr:
            return Next.GO_ON
        if heard.over:
            raise self.refusal(self.words(heard) or "becoming root was refused")
        if heard.late:
            words = self.words(heard)
            raise self.refusal(f"{self.name} gave no answer in time{words and f': {words}'}")
        return Next.LISTEN

    def words(self, heard: Heard) -> str:
        """What the program said. sudo prints what a PAM module tells on stdout."""
        return words(heard.stdout + b"\n" + heard.stderr, self.mark)

    def refusal(self, why: str) -> NotAllowed:
        return NotAllowed(why, self.setting)


class RootLogin(OnHost):
    """The user who is logged in is root."""

    word, name = b"LOGIN", "the shell"


class Doas(OnHost):
    """doas, if it needs no password (`nopass`); it takes one only from a terminal, so we tell it
    not to ask."""

    word, name = b"DOAS", "doas"
    setting = (
        "doas takes a password only from a terminal: its configuration needs the line `permit "
        "nopass USER as root`; on NixOS security.doas.extraRules = "
        '[ { users = [ "USER" ]; noPass = true; } ];'
    )


class Run0(OnHost):
    """run0, where polkit allows it without asking. polkit's agent reads a password from the
    terminal alone, so none can be given; and run0 is not setuid, so none should."""

    word, name = b"RUN0", "run0"
    setting = (
        "run0 takes a password only from a terminal: polkit has to allow USER the action "
        "org.freedesktop.systemd1.manage-units; on NixOS security.polkit.extraConfig = "
        "''polkit.addRule(function(action, subject) { if (action.id == "
        '"org.freedesktop.systemd1.manage-units" && subject.user == "USER") '
        "return polkit.Result.YES; });'';"
    )


@dataclass(slots=True)
class Sudo(OnHost):
    """sudo, whose prompt is the mark. If it asks the same again, our answer was wrong.

    sudo shows our prompt where PAM asks for `Password:`; any other question has PAM's words,
    unless its configuration says passprompt_override. sudo-rs puts our prompt before every
    question; before 0.2.5 it has its own, which gets no password.
    """

    word, name = b"SUDO", "sudo"
    _answered: int = field(default=0, init=False)
    """The number of prompts that we have answered."""
    _said: str = field(default="", init=False)

    @property
    def said(self) -> str:
        return self._said

    def hear(self, heard: Heard) -> Next:
        *_, before, after = (b"", *heard.stderr.split(self.mark))
        by_rs = before.endswith(_RS_BEGIN)
        prompts = heard.stderr.count(self.mark)
        if b"READY" + self.mark in heard.stderr:
            return Next.GO_ON
        if prompts > self._answered:
            if self._answered and (not by_rs or after.startswith(_RS_PASSWORD)):
                return self._asked_again(heard)
            if after.rstrip(b" ") == (_RS_PASSWORD if by_rs else b""):
                self._answered = prompts
                return Next.GIVE_PASSWORD
            if not by_rs or b"\n" in after:
                raise self.refusal(_CROWDED + last_words(heard.stderr, self.mark))
        if heard.quiet and (question := self._question(heard.stderr)):
            raise self.refusal(self._about(question, heard))
        return OnHost.hear(self, heard)

    def refusal(self, why: str) -> NotAllowed:
        return NotAllowed(why, _REQUIRETTY if "you must have a tty" in why else self.setting)

    def words(self, heard: Heard) -> str:
        return OnHost.words(self, heard._replace(stderr=self._since_answer(heard.stderr)))

    def _asked_again(self, heard: Heard) -> Next:
        between = heard.stderr.split(self.mark)[self._answered]
        between = between.removesuffix(_RS_BEGIN).removeprefix(_RS_PASSWORD)
        self._said = words(heard.stdout + b"\n" + between, self.mark)
        if not words(between, self.mark):
            raise self.refusal("sudo asks for two passwords, one after the other")
        return Next.GIVE_ANOTHER

    def _since_answer(self, stderr: bytes) -> bytes:
        """What sudo said since it has our password; all, if it never got one."""
        if not self._answered:
            return stderr
        return self.mark.join(stderr.split(self.mark)[self._answered :]).removeprefix(_RS_PASSWORD)

    def _question(self, stderr: bytes) -> str:
        """A last line that is not complete, and is no prompt that we have answered."""
        last = self._since_answer(stderr).rpartition(b"\n")[2]
        return words(last.replace(_RS_BEGIN + self.mark + b"]", b""), self.mark)

    def _about(self, question: str, heard: Heard) -> str:
        told = heard.stdout  # before our answer, stderr has the lecture
        if self._answered:
            told += b"\n" + self._since_answer(heard.stderr).rpartition(b"\n")[0]
        why = words(told, self.mark)
        asked = question.rstrip(": ")  # a redactor would take what follows for the password
        return f"sudo asks “{asked}”, which cannot be answered here{why and f' ({why})'}"


WAYS: Final = (RootLogin, Sudo, Doas, Run0)
"""Those that a host can take."""


def words(said: bytes, mark: bytes) -> str:
    """All lines that say something, in one; too many are cut off."""
    lines = said.replace(mark, b"").decode("utf-8", "replace").splitlines()
    text = " ".join(line.strip() for line in lines if line.strip())
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]} …"


def last_words(said: bytes, mark: bytes) -> str:
    """The last line that holds more than the mark."""
    lines = said.replace(mark, b"").decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
