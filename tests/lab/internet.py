"""github.com and its API, and a server of files, as the hosts see them: over TLS that they trust,
with faults on command. All of them have one repository.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from typing import TYPE_CHECKING, Final

from .git_server import Failing, Server

if TYPE_CHECKING:
    from pathlib import Path

    from .git_server import GitHandler, Target

GITHUB: Final = "github:lab/nixfleet"
TARBALL: Final = "https://files.example.org/nixfleet.tar.gz"
"""The repository, as flakes name it."""

NAMES: Final = ("github.com", "api.github.com", "files.example.org")
_API: Final = "api.github.com/repos/lab/nixfleet/"
_REPOSITORY: Final = re.compile(r"github\.com/lab/nixfleet(?:\.git)?(/(?:info/|git-upload-pack).*)")
_ARCHIVE: Final = re.compile(
    r"github\.com/lab/nixfleet/archive/(\w+)\.tar\.gz"
    r"|api\.github\.com/repos/lab/nixfleet/tarball/(\w+)"
    r"|files\.example\.org/nixfleet\.tar\.gz"
)


class Internet(Failing):
    """Serves after `open`: its port is 443, which another program here may already have."""

    def __init__(self, repository: Path, address: str, folder: Path) -> None:
        super().__init__()
        self._repository, self._address = repository, address
        self._http: Server | None = None
        self._keys = folder / "internet.key"
        self.certificate: Final = folder / "internet.crt"
        """The certificate that hosts must trust."""
        self.token = ""
        """The token of GitHub's API that a request needs, as Nix's access-tokens give it; empty: it
        needs none. git has no use for it."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=lab", "-addext",
             "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES),
             "-keyout", str(self._keys), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )  # fmt: skip

    def __str__(self) -> str:
        return "the internet"

    def admits(self, credential: str) -> bool:
        return not self.token or credential in (f"token {self.token}", f"Bearer {self.token}")

    def reset(self) -> None:
        self.token = ""
        super().reset()

    def open(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        if self._http is None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self.certificate, self._keys)
            self._http = Server((self._address, 443), self, tls)

    def close(self) -> None:
        if self._http is not None:
            self._http.stop()
            self._http = None

    def is_for(self, target: Target, request: GitHandler, body: bytes) -> bool:
        match target:
            case "all":
                return True
            case "api":
                return _url(request).startswith(_API)
            case "fetches":
                return not _REPOSITORY.fullmatch(_url(request)) or b"command=fetch" in body

    def answer(self, request: GitHandler, body: bytes) -> None:
        url = _url(request)
        if found := _REPOSITORY.fullmatch(url):
            request.answer_git(self._repository, f"/{self._repository.name}{found[1]}", body)
        elif found := _ARCHIVE.fullmatch(url):
            self._send_archive(request, found[1] or found[2] or "HEAD")
        elif url.startswith(f"{_API}commits/"):
            names = self._git("log", "-1", "--format=%H %T", url.rpartition("/")[2]).split()
            answer = {"sha": names[0].decode(), "commit": {"tree": {"sha": names[1].decode()}}}
            request.send(200, [("Content-Type", "application/json")], json.dumps(answer).encode())
        else:
            request.send(404, [], b"no such page\n")

    def _send_archive(self, request: GitHandler, commit: str) -> None:
        packed = self._git("archive", "--format=tar.gz", f"--prefix=nixfleet-{commit}/", commit)
        request.send(200, [("Content-Type", "application/gzip")], packed)

    def _git(self, *words: str) -> bytes:
        return subprocess.run(
            ["git", "-C", str(self._repository), *words], check=True, capture_output=True
        ).stdout


def _url(request: GitHandler) -> str:
    return f"{request.headers.get('Host', '')}{request.path}"
