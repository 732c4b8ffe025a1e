"""An operator with an ssh configuration of their own, and what must work with it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fleet import Fleet
    from .host import LabHost


@contextmanager
def operator(fleet: Fleet, config: str, *hosts: LabHost) -> Iterator[Client]:
    """A client whose ssh configuration begins with `config`. Its folder has a short path: the
    sockets of its shared connections lie in it, and are those of no other client."""
    folder = Path(tempfile.mkdtemp(prefix="nf-"))
    try:
        client = configured(fleet.client(folder), config)
        client.write_inventory(dict.fromkeys(hosts, "ops"))
        yield client
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def configured(client: Client, config: str) -> Client:
    """The same client with these lines before those of its ssh configuration."""
    path = client.folder / "ssh_config"
    text = f"{config}\n{client.ssh_config.read_text()}"
    path.write_text(text)
    return replace(client, ssh_config=path)


def own_ssh(client: Client, host: LabHost, *words: str) -> list[str]:
    """The operator's own `ssh HOST`, without our program."""
    return ["ssh", "-F", str(client.ssh_config), *words, host.ssh_address("ops")]


@contextmanager
def logged_in(client: Client, host: LabHost) -> Iterator[subprocess.Popen[str]]:
    """The operator's own session, once all that its configuration asks for is set up."""
    ready = ("-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo ready")
    argv = own_ssh(client, host, "-N", "-o", "RemoteCommand=none", *ready)
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=client.env
    ) as session:
        try:
            assert session.stdout is not None
            assert session.stdout.readline() == "ready\n"
            yield session
            assert session.poll() is None, "our program ended the operator's own session"
        finally:
            session.kill()


def states(client: Client, *words: str) -> dict[str, str]:
    """What `nixfleet hosts` says of each host."""
    done = client.run("hosts", "--json", *words)
    assert done.returncode == 0, done.stderr
    rows = map(json.loads, done.stdout.splitlines())
    return {row["host"]: row["state"] for row in rows}


def reached(client: Client) -> set[str]:
    """The hosts that answered the list, and whose agent is not known to be wrong."""
    return {name for name, state in states(client).items() if state in ("current", "unproven")}


def assert_all_works(client: Client, host: LabHost) -> None:
    """Connecting at the terminal, and all that `assert_works` has."""
    with client.at_terminal("connect", host.name) as running:
        assert running.wait() == 0, running.output
    assert_works(client, host)


def assert_works(client: Client, host: LabHost) -> None:
    """The look, an update that is followed to its last byte, and the list of jobs."""
    assert states(client) == {host.name: "stale"}
    answer = client.update(host.name, "--force")
    assert answer["verdict"] == "updated", answer
    job = answer["job"]
    assert job is not None
    there = (host.root / f"var/lib/nixfleet/jobs/{job}/log").read_bytes()
    assert client.log_of(host, job).read_bytes() == there
    listed = client.run("jobs", host.name, "--json")
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [row["job"] for row in rows if row["outcome"] == "done"] == [job], listed.stderr


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
