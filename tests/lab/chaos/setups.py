"""What operators and hosts have set up for people: ssh configurations, login shells, busy jumps."""

from __future__ import annotations

import socket
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Final

from ..login_shells import LINES, NOLOGIN, OSC7, TO_STDERR, use_shell
from ..operator import configured, free_port, logged_in, own_ssh
from .case import Case
from .faults import strike_at

if TYPE_CHECKING:
    from ..client import Answer, Running
    from .scene import Scene

TMUX: Final = "RequestTTY force\nRemoteCommand tmux new -A -s main"
_SSH: Final = "ssh.service"


def _configure(scene: Scene, config: str) -> None:
    """Put these lines before those of the operator's ssh configuration."""
    scene.client.ssh_config = configured(scene.client, config).ssh_config


def _prove_own_ssh(scene: Scene, says: str, *words: str) -> None:
    """The operator's own `ssh HOST` fails with these words."""
    argv = own_ssh(scene.client, scene.host)
    done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False)
    scene.prove(f"ssh HOST: {says}", says in done.stderr)


def _reset(scene: Scene, running: Running) -> None:
    """Every connection gets a reset, so the set-up counts once more."""
    running.wait_for("▶")
    scene.prove("{} connections reset", scene.host.drop_ssh_connections())
    running.wait_for("the job goes on")


def _remote_command(scene: Scene) -> Answer:
    _configure(scene, f"Host *\n{TMUX}")
    _prove_own_ssh(scene, "Cannot execute command-line and remote command", "true")
    return strike_at("rebuild", _reset)(scene)


def _forward(scene: Scene) -> Answer:
    """The operator's own session has the port all the time."""
    forward = f"LocalForward {free_port()} 127.0.0.1:80"
    _configure(scene, f"Host *\n{forward}\nExitOnForwardFailure yes")
    with logged_in(scene.client, scene.host):
        _prove_own_ssh(scene, "Could not request local forwarding", "true")
        with scene.update() as running:
            return scene.answer(running)


def _start_up(scene: Scene, *, shell: str, noise: str) -> Answer:
    use_shell(scene.host, shell, noise)
    printed = scene.host.run("true", "ops")
    size = len(printed.stdout) + len(printed.stderr)
    scene.prove("{} characters are printed before each command", size)
    return strike_at("rebuild", _reset)(scene)


def _busy_jump(scene: Scene) -> Answer:
    """sshd lets one connection log in at a time, and somebody else is about to."""
    host = scene.host
    config = "/etc/ssh/sshd_config.d/a.conf"
    host.enter(f"echo MaxStartups 1 > {config}; systemctl restart {_SSH}")
    _configure(scene, f"Match host {host.ip} user ops\nProxyJump pw@{host.ip}\nHost *")
    with socket.create_connection((host.ip, 22)) as idle:
        assert idle.recv(3) == b"SSH"
        with scene.update() as running:
            scene.prove_journal(_SSH, "beginning MaxStartups throttling")
            idle.close()
            answer = scene.answer(running)
    assert "Accepted publickey for pw" in host.enter(f"journalctl -q -o cat -u {_SSH}")
    return answer


def _nologin(scene: Scene, running: Running) -> None:
    """The account is closed while its job runs, and opened again."""
    running.wait_for("▶")
    scene.host.enter(f"usermod --shell {NOLOGIN} ops")
    seen = len(running.output)
    scene.host.drop_ssh_connections()
    running.wait_for("its login shell runs nothing", after=seen)
    scene.prove("the client: its login shell runs nothing")
    scene.host.enter("usermod --shell /bin/bash ops")


CASES: Final = (
    Case(name="RemoteCommand and RequestTTY force", play=_remote_command),
    Case(name="LocalForward whose port the operator's own ssh has", play=_forward),
    Case(
        name="fish prints OSC 7 without a newline",
        play=partial(_start_up, shell="fish", noise=OSC7),
    ),
    Case(
        name="bash prints our own words on stdout and stderr",
        play=partial(_start_up, shell="bash", noise=LINES + TO_STDERR),
    ),
    Case(name="a jump refuses the first connections", play=_busy_jump),
    Case(name="account closed in rebuild", play=strike_at("rebuild", _nologin)),
)
