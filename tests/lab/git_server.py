"""Git over smart http on the bridge, with faults on command. Each repository has a port of its own,
so that one can refuse connections while the others answer.
"""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import threading
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

Fault = Literal["ok", "refuse", "empty", "cut", "hang", "html"] | int
"""What a repository answers: ok; refuse (nothing listens); empty (closed without a byte); cut (half
of the answer, then the end); hang (no answer until the fault changes, then as the new one says);
html (200, but a login page); a number is that HTTP status."""

Target = Literal["all", "fetches", "api"]
"""Which requests meet a fault: all; those for a commit's content (it is still named); those to a
forge's API."""

_HTML: Final = b"<!doctype html><title>Sign in</title><p>Sign in to this network</p>\n"


class Failing(ABC):
    """Answers requests, or fails as a test says."""

    def __init__(self) -> None:
        self.requests: list[tuple[Fault, str]] = []
        """Every request since the last reset: how it was answered, and its path. A refused one
        is never seen."""
        self.login = ""
        """The `user:password` that a request needs; empty: it needs none."""
        self._faults: deque[Fault] = deque(["ok"])
        self._target: Target = "all"
        self._changed = threading.Condition()

    def admits(self, credential: str) -> bool:
        """Whether a request with that header `Authorization` may see anything."""
        wanted = base64.b64encode(self.login.encode()).decode()
        return not self.login or credential == f"Basic {wanted}"

    @abstractmethod
    def answer(self, request: GitHandler, body: bytes) -> None:
        """Answer as all is well."""

    @abstractmethod
    def is_for(self, target: Target, request: GitHandler, body: bytes) -> bool:
        """Whether this request is of that kind."""

    def set_fault(self, *faults: Fault, target: Target = "all") -> None:
        """Answer one request with each fault in turn, and all later ones with the last."""
        with self._changed:
            self._faults, self._target = deque(faults), target
            self._changed.notify_all()

    def reset(self) -> None:
        self.login = ""
        self.set_fault("ok")
        self.requests.clear()

    def wait_for(self, fault: Fault, seconds: float = 30) -> None:
        """Wait until a request has met this fault. Raises TimeoutError."""
        with self._changed:
            met = self._changed.wait_for(
                lambda: any(how == fault for how, _ in self.requests), seconds
            )
        if not met:
            raise TimeoutError(f"{self}: no request met {fault!r} in {seconds:g} s")

    def next_fault(self, request: GitHandler, body: bytes) -> Fault:
        """The fault for this request. Blocks while the server hangs."""
        with self._changed:
            while True:
                if not self.is_for(self._target, request, body):
                    self.requests.append(("ok", request.path))
                    return "ok"
                faults = self._faults
                fault = faults.popleft() if len(faults) > 1 else faults[0]
                self.requests.append((fault, request.path))
                self._changed.notify_all()
                if fault != "hang":
                    return fault
                while self._faults is faults:
                    self._changed.wait()


class RepoServer(Failing):
    """Serves one repository at `url`."""

    def __init__(self, repository: Path, address: str) -> None:
        super().__init__()
        self.repository = repository
        self._http: Server | None = Server((address, 0), self)
        self._address: Final = self._http.server_address[:2]

    def __str__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        return f"http://{self._address[0]!s}:{self._address[1]}/{self.repository.name}"

    def set_fault(self, *faults: Fault, target: Target = "all") -> None:
        """Any fault, and `refuse`, which can only stand alone: it leaves no request to count."""
        super().set_fault(*faults, target=target)
        if "refuse" in faults:
            self.close()
        elif self._http is None:
            self._http = Server(self._address, self)

    def close(self) -> None:
        if self._http is not None:
            self._http.stop()
            self._http = None

    def answer(self, request: GitHandler, body: bytes) -> None:
        request.answer_git(self.repository, request.path, body)

    def is_for(self, target: Target, request: GitHandler, body: bytes) -> bool:  # noqa: ARG002
        return target == "all" or b"command=fetch" in body


class Server(ThreadingHTTPServer):
    """Listens in its own thread; over TLS if it gets a context for that."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str | bytes | bytearray, int],
        failing: Failing,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(cast("tuple[str, int]", address), GitHandler)
        self.failing = failing
        if tls is not None:
            # each connection shakes hands in its own thread, at its first byte
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class GitHandler(BaseHTTPRequestHandler):
    """Answers as git-http-backend does, and with faults."""

    cut = False
    """Whether the answer ends in the middle."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The requests are in Failing.requests."""

    def _answer(self) -> None:
        # Read first: a client that is still writing would see a reset instead of the answer.
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        failing = cast("Server", self.server).failing
        if not failing.admits(self.headers.get("Authorization", "")):
            self.send(401, [("WWW-Authenticate", 'Basic realm="lab"')], b"")
            return
        packed = self.headers.get("Content-Encoding") == "gzip"
        match failing.next_fault(self, gzip.decompress(body) if packed else body):
            case "ok":
                failing.answer(self, body)
            case "cut":
                self.close_connection = self.cut = True
                failing.answer(self, body)
            case "html":
                self.send(200, [("Content-Type", "text/html")], _HTML)
            case int(status):
                self.send(status, [("Content-Type", "text/plain")], b"as the test said\n")
            case _:
                self.close_connection = True

    def answer_git(self, repository: Path, wanted: str, body: bytes) -> None:
        """Let git answer, as a web server would: git-http-backend(1) is a CGI program."""
        path, _, query = wanted.partition("?")
        cgi = {
            "GIT_PROJECT_ROOT": str(repository.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        answer = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, env=os.environ | cgi
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().splitlines()]
        status = next((int(value.split()[0]) for key, value in fields if key == "Status"), 200)
        self.send(status, [(key, value) for key, value in fields if key != "Status"], content)

    def send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        with suppress(ConnectionError):  # the client may have been killed
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if self.cut else content)
