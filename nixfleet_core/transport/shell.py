"""Run a script in a shell on a host, as the one who is logged in or as root.

Whatever carries the shell (a local process, ssh) hands over its argv; the rest is the same.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nixfleet_core.session import NeedsPassword, NotAllowed
from nixfleet_core.tee import Process, open_process

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of stdout that `run` takes from a host before it stops listening."""

CARRIER_FAILED: Final = 255
"""The exit code that is ssh's own; anything else comes from the host."""

ELEVATE_LIMIT: Final = 45.0
"""Seconds until a shell of root must have answered; sudo itself may ask a slow directory."""

# sudo's password goes out only when its prompt (a random mark) has come, the script only after
# READY; a second prompt means it was wrong. -k: a cached credential must not make the password the
# script's first line. Sent whole: the shell reads no further while it waits for its end.
_BECOME_ROOT: Final = """\
PATH=/run/wrappers/bin:$PATH:/usr/bin:/bin; LC_ALL=C; export PATH LC_ALL
if [ "$(id -u </dev/null)" = 0 ]; then echo 'READY{mark}' >&2; exec /bin/sh -s
elif command -v sudo >/dev/null 2>&1; then
exec sudo -k -S -p '{mark}' -- /bin/sh -c '
echo "READY{mark}" >&2; NF_FROM=$1; export NF_FROM; exec /bin/sh -s' sh "${{SSH_CONNECTION:-}}"
elif command -v doas >/dev/null 2>&1; then
exec doas -n /bin/sh -c 'echo "READY{mark}" >&2; exec /bin/sh -s'
else echo 'no sudo and no doas on this host' >&2; exit 1; fi
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script has said. `rc` is the carrier's exit code, see CARRIER_FAILED."""

    rc: int
    stdout: bytes
    stderr: str
    timed_out: bool = False


@dataclass(slots=True)
class Shell:
    """How to get a shell on one host.

    `argv` starts `/bin/sh -s` there. `root` is where its file system begins. `elevates` is False
    where the one who is logged in already may do all (the sandbox).
    """

    host: str
    argv: tuple[str, ...]
    root: str = ""
    env: Mapping[str, str] | None = None
    elevates: bool = True
    password: str | None = field(default=None, repr=False)

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Answer:
        """Run a script to its end. Raises NeedsPassword and NotAllowed if `elevate`."""
        process = await open_process(self.argv, env=self.env)
        chunks: list[bytes] = []
        size = 0
        timed_out = False
        try:
            async with asyncio.timeout(limit):
                if elevate:
                    await self._become_root(process)
                process.write(script.encode())
                process.close_stdin()
                while size <= ANSWER_LIMIT and (chunk := await process.read()):
                    chunks.append(chunk)
                    size += len(chunk)
                if size <= ANSWER_LIMIT:
                    await process.wait()
        except TimeoutError:
            timed_out = True
        finally:
            rc = await process.close()
        return Answer(rc, b"".join(chunks), process.stderr.decode("utf-8", "replace"), timed_out)

    async def open(self, script: str, *, elevate: bool = False) -> Process:
        """Start a script whose output is read while it runs; `close` the process in any case."""
        process = await open_process(self.argv, env=self.env)
        try:
            if elevate:
                await self._become_root(process)
            process.write(script.encode())
            process.close_stdin()
        except BaseException:
            await process.close()
            raise
        return process

    async def _become_root(self, process: Process) -> None:
        if not self.elevates:
            return
        mark = f"nixfleet-{secrets.token_hex(16)}:"
        ready = f"READY{mark}".encode()
        process.write(_BECOME_ROOT.format(mark=mark).encode())
        sent = False
        async with asyncio.timeout(ELEVATE_LIMIT):
            while True:
                said = await process.wait_stderr()
                if ready in said:
                    return
                prompts = said.count(mark.encode())
                if prompts > int(sent):
                    if sent or self.password is None:
                        process.close_stdin()
                        raise NeedsPassword(self.host, wrong=sent)
                    process.write(self.password.encode() + b"\n")
                    sent = True
                elif process.rc == CARRIER_FAILED:
                    return  # the link broke, which is no answer: whoever reads on will see it
                elif process.rc is not None:
                    raise NotAllowed(_last_words(said, mark) or "becoming root was refused")


def _last_words(said: bytes, mark: str) -> str:
    lines = said.decode("utf-8", "replace").replace(mark, "").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
