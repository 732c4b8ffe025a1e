"""Git over smart http on the bridge, with faults on command. Each repository has a port of its own,
so that one can refuse connections while the others answer.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from pathlib import Path

Fault = Literal["ok", "refuse", "empty", "hang", "html"] | int
"""What a repository answers: ok; refuse (nothing listens); empty (closed without a byte); hang (no
answer until the fault changes, then as the new one says); html (200, but a login page); a number is
that HTTP status."""

Target = Literal["all", "fetches"]
"""Which requests meet a fault: all, or only those for a commit's content (it is still named)."""

_HTML: Final = b"<!doctype html><title>Sign in</title><p>Sign in to this network</p>\n"


class RepoServer:
    """Serves one repository at `url`."""

    def __init__(self, repository: Path, address: str) -> None:
        self.repository = repository
        self.requests: list[tuple[Fault, str]] = []
        """Every request since the last reset: how it was answered, and its path. A refused one
        is never seen."""
        self._faults: deque[Fault] = deque(["ok"])
        self._target: Target = "all"
        self._changed = threading.Condition()
        self._http: _Server | None = _Server((address, 0), self)
        self._address: Final = self._http.server_address[:2]

    @property
    def url(self) -> str:
        return f"http://{self._address[0]!s}:{self._address[1]}/{self.repository.name}"

    def set_fault(self, *faults: Fault, target: Target = "all") -> None:
        """Answer one request with each fault in turn, and all later ones with the last.

        `refuse` can only stand alone: there is no request to count.
        """
        with self._changed:
            self._faults, self._target = deque(faults), target
            self._changed.notify_all()
        if "refuse" in faults:
            self.close()
        elif self._http is None:
            self._http = _Server(self._address, self)

    def reset(self) -> None:
        self.set_fault("ok")
        self.requests.clear()

    def wait_for(self, fault: Fault, seconds: float = 30) -> None:
        """Wait until a request has met this fault. Raises TimeoutError."""
        with self._changed:
            met = self._changed.wait_for(
                lambda: any(how == fault for how, _ in self.requests), seconds
            )
        if not met:
            raise TimeoutError(f"{self.url}: no request met {fault!r} in {seconds:g} s")

    def close(self) -> None:
        if self._http is not None:
            self._http.stop()
            self._http = None

    def next_fault(self, path: str, body: bytes) -> Fault:
        """The fault for this request. Blocks while the repository hangs."""
        with self._changed:
            while True:
                if self._target == "fetches" and b"command=fetch" not in body:
                    self.requests.append(("ok", path))
                    return "ok"
                faults = self._faults
                fault = faults.popleft() if len(faults) > 1 else faults[0]
                self.requests.append((fault, path))
                self._changed.notify_all()
                if fault != "hang":
                    return fault
                while self._faults is faults:
                    self._changed.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str | bytes | bytearray, int], repo: RepoServer) -> None:
        super().__init__(cast("tuple[str, int]", address), GitHandler)
        self.repo = repo
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class GitHandler(BaseHTTPRequestHandler):
    """Answers as git-http-backend does, and with faults."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The requests are in RepoServer.requests."""

    def _answer(self) -> None:
        # Read first: a client that is still writing would see a reset instead of the answer.
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        repo = cast("_Server", self.server).repo
        packed = self.headers.get("Content-Encoding") == "gzip"
        match repo.next_fault(self.path, gzip.decompress(body) if packed else body):
            case "ok":
                self.answer_git(repo.repository, self.path, body)
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
        self.end_headers()
        self.wfile.write(content)
