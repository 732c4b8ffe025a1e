"""A GitHub for one host: git over https, the archives of commits, and an API with faults.

The host is told that github.com is here, and to believe its certificate.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, cast

from .git_server import GitHandler

if TYPE_CHECKING:
    from pathlib import Path

    from .host import LabHost

URL: Final = "github:lab/nixfleet"
_NAMES: Final = ("github.com", "api.github.com")


class Forge:
    """Serves one repository as `github.com/lab/nixfleet`."""

    def __init__(self, repository: Path, folder: Path, address: str) -> None:
        self.repository: Final = repository
        self.api = 200
        """The status that the API answers with."""
        self.asked = 0
        """How often the API was asked since it was last set."""
        self._address: Final = address
        self._certificate: Final = folder / "forge.pem"
        key = folder / "forge.key"
        names = ",".join(f"DNS:{name}" for name in _NAMES)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", "/CN=lab", "-addext", f"subjectAltName={names}",
             "-keyout", str(key), "-out", str(self._certificate)],
            check=True,
            capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, key)
        self._http = _Server((address, 443), self)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def introduce(self, host: LabHost) -> None:
        """Lead the host here when it looks for GitHub."""
        etc = host.root / "etc"
        with (etc / "hosts").open("a") as hosts:
            hosts.write(f"{self._address} {' '.join(_NAMES)}\n")
        with (etc / "ssl/certs/ca-certificates.crt").open("a") as known:
            known.write(self._certificate.read_text())

    def set_api(self, status: int) -> None:
        self.api, self.asked = status, 0

    def git(self, *words: str) -> bytes:
        """What git says of the repository."""
        return subprocess.run(
            ["git", "-C", str(self.repository), *words], check=True, capture_output=True
        ).stdout

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], forge: Forge) -> None:
        super().__init__(address, _Handler)
        self.forge = forge


class _Handler(GitHandler):
    def do_HEAD(self) -> None:  # noqa: N802
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        forge = cast("_Server", self.server).forge
        if self.headers["Host"].startswith("api."):
            self._answer_api(forge)
        elif found := re.fullmatch(r"/lab/nixfleet/archive/([0-9a-f]{40})\.tar\.gz", self.path):
            self._send_archive(forge, found[1])
        elif found := re.fullmatch(r"/lab/nixfleet(?:\.git)?(/.*)", self.path):
            self.answer_git(forge.repository, f"/{forge.repository.name}{found[1]}", body)
        else:
            self.send(404, [], b"")

    def _answer_api(self, forge: Forge) -> None:
        forge.asked += 1
        found = re.fullmatch(r"/repos/lab/nixfleet/commits/(.+)", self.path)
        if forge.api != 200 or found is None:
            self.send(forge.api if found else 404, [], b'{"message": "as the test said"}')
            return
        rev, tree = forge.git("log", "-1", "--format=%H %T", found[1]).decode().split()
        commit = {"sha": rev, "commit": {"tree": {"sha": tree}}}
        self.send(200, [("Content-Type", "application/json")], json.dumps(commit).encode())

    def _send_archive(self, forge: Forge, rev: str) -> None:
        archive = ("archive", "--format=tar.gz", f"--prefix=nixfleet-{rev}/", rev)
        self.send(200, [("Content-Type", "application/x-gzip")], forge.git(*archive))
