"""A program in tmux, as an operator has it: keys go in, the screen is read.

tmux's control mode says when something was drawn, so that nothing here has to poll.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Tmux:
    """One window of that size. Its server is ours alone, and gone when the context is left."""

    def __init__(
        self, socket: Path, argv: list[str], env: Mapping[str, str], size: tuple[int, int]
    ) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        width, height = map(str, size)
        self._env = dict(env) | {"LANG": "C.UTF-8", "TERM": "screen-256color"}
        self._control = subprocess.Popen(
            [*self._tmux, "-u", "-C", "new-session", "-x", width, "-y", height, shlex.join(argv)],
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._control.stdin is not None
        self._control.stdin.write(f"refresh-client -C {width}x{height}\n".encode())
        self._control.stdin.flush()
        assert self._control.stdout is not None
        os.read(self._control.stdout.fileno(), 65536)  # then the server is there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._tmux, "kill-server"], env=self._env, check=False)
        self._control.kill()  # it may wait for us to read on
        self._control.wait()

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], env=self._env, check=True)

    def screen(self) -> str:
        """What can be read off the screen now."""
        argv = [*self._tmux, "capture-pane", "-p"]
        return subprocess.run(
            argv, env=self._env, check=True, capture_output=True, text=True
        ).stdout

    def wait_for(self, *texts: str, seconds: float = 90) -> str:
        """Wait until all of these are on the screen. Raises AssertionError with the screen."""
        assert self._control.stdout is not None
        fd = self._control.stdout.fileno()
        deadline = monotonic() + seconds
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            left = max(0.0, deadline - monotonic())
            assert select.select([fd], [], [], left)[0], f"no {texts} in:\n{screen}"
            assert os.read(fd, 65536), f"the program ended:\n{screen}"
