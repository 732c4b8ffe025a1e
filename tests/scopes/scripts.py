"""The scripts that a session sends to a host, and the scripts inside them, as they are sent."""

# ruff: noqa: ARG002 - a stand-in has the signatures of what it stands for

from __future__ import annotations

import asyncio
import shlex
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Never

from nixfleet_core.facts.model import Checkout, Facts
from nixfleet_core.host import Host
from nixfleet_core.job.compile import compile_plan
from nixfleet_core.job.copies import Copies
from nixfleet_core.plan.model import Options, Plan, Step
from nixfleet_core.session.shell_session import ShellSession
from nixfleet_core.transport.dialogue import Dialogue
from nixfleet_core.transport.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Awaitable

PROJECT: Final = Path(__file__).parents[2]
JOB: Final = "20261123-004101-ab12"

CHECKOUT: Final = Checkout("/c", "ok", upstream="origin/main")
PLAN: Final = Plan(
    host="h",
    attribute="h",
    checkout="/c",
    owner="ops",
    input="nixfleet",
    options=Options(),
    steps=(Step(id="pull", title="", argv=("git", "pull"), run_as="owner", limit=1),),
    tools=("git",),
)


class _Sent(BaseException):
    """Nobody answers: only the sent text matters."""


@dataclass(slots=True)
class _Listener(Shell):
    """A shell that keeps the text it is sent."""

    sent: list[str] = field(default_factory=list)

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Never:
        self.sent.append(script)
        raise _Sent

    async def open(self, script: str, *, elevate: bool = False) -> Never:
        self.sent.append(script)
        raise _Sent


async def _ask_everything(shell: Shell, folder: Path) -> None:
    session = ShellSession(Host(name="h"), shell, Copies(folder))
    facts = Facts(hostname="h", os="", platform="nixos", checkout=CHECKOUT)
    questions: tuple[Awaitable[object], ...] = (
        session._probe("/c", debt=True),
        session.inspect(),
        session._with_attributes(facts, "/c"),
        session.incoming(facts),
        session.jobs(),
        session.launch(PLAN, JOB),
        _follow(session),
        session._confirm(JOB),
        session.fetch_plan(JOB),
        session.cancel(JOB),
    )
    for question in questions:
        with suppress(_Sent):
            await question


async def _follow(session: ShellSession) -> None:
    async for _ in session.follow(JOB):
        pass


def sent_scripts() -> dict[str, str]:
    """Each by its name: the questions, the job, and the way to root."""
    shell = _Listener(host="h", argv=())
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_ask_everything(shell, Path(folder)))
    return {
        **{_call(script): script for script in shell.sent},
        "job": compile_plan(PLAN, JOB),
        "become_root": Dialogue().opening.decode(),
    }


def written_scripts() -> dict[str, str]:
    """The scripts that run as they are written: those of nix/, the tools of the demo's hosts, and
    the one that a job gives to the checkout's owner."""
    files = [
        path
        for folder in ("nix", "nixfleet_core/sandbox/tools")
        for path in sorted((PROJECT / folder).glob("*.sh"))
    ]
    files.append(PROJECT / "nixfleet_core/scripts/job/tree.sh")
    return {str(path.relative_to(PROJECT)): path.read_text() for path in files}


def _call(script: str) -> str:
    """The call in the last lines, which stand in braces."""
    return shlex.split(script.rsplit("\nnf_platform\n", 1)[1])[0]
