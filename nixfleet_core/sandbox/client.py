"""The client behind `systemctl` and `systemd-run`: the manager does it, this prints its answer.

``python client.py ROOT TOOL ARGUMENT…``. Run as it is, on every look at a host several times: so it
imports next to nothing (`socket`, `json`, `pathlib` and `typing` would double its time).

A request is the caller's three standard streams with the first byte, then fields that each end in
NUL: host, tool, directory, the number of arguments, these, and the environment. The answer: exit
code, stdout, stderr.
"""

import _socket
import os
import sys


def call_manager(root: str, tool: str, argv: list[str]) -> int:
    """Have the manager run `tool`, print what it says, return its exit code."""
    here = os.getcwd()  # noqa: PTH109 - see above
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    fields = [os.path.basename(root), tool, here, str(len(argv)), *argv, *environment]  # noqa: PTH119
    request = b"".join(os.fsencode(field) + b"\0" for field in fields)
    streams = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
    try:
        # A socket's path must be short; relative to here it is.
        os.chdir(f"{root}/../..")
        manager = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        manager.connect("manager")
        manager.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        manager.sendall(request)
        manager.shutdown(_socket.SHUT_WR)
        answer = b""
        while chunk := manager.recv(65536):
            answer += chunk
        code, out, err, _ = answer.split(b"\0")
    except (OSError, ValueError):
        sys.stderr.write("Failed to connect to bus: No such file or directory\n")
        return 1
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(err)
    return int(code)


if __name__ == "__main__":
    sys.exit(call_manager(sys.argv[1], sys.argv[2], sys.argv[3:]))
