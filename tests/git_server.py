"""Git servers on this machine, by https and http, that record each request.

The certificate is for 127.0.0.1 and localhost, which count as two servers; its key is for tests.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

TLS: Final = Path(__file__).parent / "samples/tls"
REV: Final = "1" * 40
SECRETS: Final = ("authorization", "cookie", "x-token")


def basic(user: str, password: str) -> str:
    """The header of that user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _line(text: str) -> bytes:
    return f"{len(text) + 4:04x}{text}".encode()


_REFS: Final = (
    _line("# service=git-upload-pack\n")
    + b"0000"
    + _line(f"{REV} HEAD\0symref=HEAD:refs/heads/main\n")
    + _line(f"{REV} refs/heads/main\n")
    + b"0000"
)


@dataclass
class GitServer:
    """Answers what begins with `/open` to anybody, `/closed` to whoever brings some credential,
    `/moved/…` with a redirect to the rest at `moved_to`, for `/closed` ones only when it is known
    who asks."""

    scheme: str = "https"
    name: str = "127.0.0.1"
    moved_to: str = ""
    opens: bool = True
    """False: no credential opens a closed repository."""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Each request's path and credentials."""

    def __post_init__(self) -> None:
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                said = {k.lower(): v for k, v in self.headers.items() if k.lower() in SECRETS}
                if isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert():
                    said["certificate"] = "yes"
                ours.seen.append((self.path, said))
                _, kind, rest = self.path.split("/", 2)
                known = (bool(said) and ours.opens) or kind in ("open", "moved")
                if not known:
                    self.answer(401, b"", ("WWW-Authenticate", 'Basic realm="x"'))
                elif kind.startswith("moved"):
                    self.answer(301, b"", ("Location", f"{ours.moved_to}/{rest}"))
                else:
                    kind_of = "application/x-git-upload-pack-advertisement"
                    self.answer(200, _REFS, ("Content-Type", kind_of))

            def answer(self, code: int, body: bytes, header: tuple[str, str]) -> None:
                self.send_response(code)
                self.send_header(*header)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # each connection inherits this: no part of an answer waits for a late ACK
        self.server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
            context.load_verify_locations(TLS / "cert.pem")
            context.verify_mode = ssl.CERT_OPTIONAL
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def place(self) -> str:
        """Its name and port, as hosts.toml lists them."""
        return f"{self.name}:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.place}"

    @property
    def secrets(self) -> list[dict[str, str]]:
        """The credentials of each request that brought some."""
        return [said for _, said in self.seen if said]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
