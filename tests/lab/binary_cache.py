"""A binary cache over http on the bridge, with faults on command.

Its content is real: a host's Nix built, signed and copied it.
"""

from __future__ import annotations

import lzma
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from pathlib import Path

    from .host import LabHost

Part = Literal["narinfo", "nar"]
"""The kinds of requests: whether the cache has a path, or for the path itself."""

Fault = Literal["ok", "truncated", "wrong"] | int
"""What is answered: ok; truncated (half of it, then the end); wrong (one bit is another); a number
is that HTTP status. A cache answers 404 when it lacks a path."""

NAME: Final = "lab-cache"


class Request(NamedTuple):
    part: Part
    name: str
    answer: Fault


class BinaryCache:
    """Serves `folder`, which `stock` fills."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder: Final = folder
        self.requests: list[Request] = []
        """Every request for a part since the last `forget`."""
        self._faults: dict[Part, Fault] = {}
        folder.mkdir(exist_ok=True)
        self._http = _Server((address, 0), self)

    @property
    def url(self) -> str:
        return f"http://{self._http.server_address[0]!s}:{self._http.server_address[1]}"

    def set_fault(self, part: Part, fault: Fault) -> None:
        self._faults[part] = fault

    def fault(self, part: Part) -> Fault:
        return self._faults.get(part, "ok")

    def forget(self) -> None:
        """Forget the requests so far, which a test looks at."""
        self.requests.clear()

    def served(self, part: Part) -> int:
        """How many of these were answered without a fault."""
        return sum(one.part == part and one.answer == "ok" for one in self.requests)

    def asked(self, part: Part, store_path: str = "") -> bool:
        """Whether somebody asked for such a part; a narinfo's name is the path's hash."""
        digest = store_path.removeprefix("/nix/store/")[:32]
        return any(one.part == part and digest in one.name for one in self.requests)

    def trust(self, host: LabHost) -> None:
        """Let the host use this cache, and sign what it copies to it."""
        key = f"/root/{NAME}"
        host.enter(
            f"test -e {key} || nix key generate-secret --key-name {NAME} > {key}; "
            f"echo substituters = {self.url} >> /etc/nix/nix.conf; "
            f"echo trusted-public-keys = $(nix key convert-secret-to-public < {key})"
            " >> /etc/nix/nix.conf; systemctl try-restart nix-daemon"
        )

    def stock(self, host: LabHost, flake: str) -> str:
        """Let the host build what the flake names, sign it, copy it here and forget it again.

        Returns its store path.
        """
        build = f"nix build --option substituters '' --out-link /root/built '{flake}'"
        copy = f"nix copy --to 'file:///root/cache?secret-key=/root/{NAME}' $path"
        path = host.enter(
            f"rm -rf /root/cache; {build} >&2; path=$(readlink /root/built); {copy} >&2; "
            "rm /root/built; nix store delete $path >&2; echo $path"
        )
        shutil.copytree(host.root / "root/cache", self.folder, dirs_exist_ok=True)
        return path

    def move_nars(self) -> None:
        """Pack everything differently and upload it again: the entries then name other files."""
        for nar in (self.folder / "nar").iterdir():
            nar.rename(nar.with_name(f"again-{nar.name}"))
        for entry in self.folder.glob("*.narinfo"):
            entry.write_text(entry.read_text().replace("URL: nar/", "URL: nar/again-"))

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], cache: BinaryCache) -> None:
        super().__init__(address, _Handler)
        self.cache = cache
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The requests are in BinaryCache.requests."""

    def _answer(self) -> None:
        cache = cast("_Server", self.server).cache
        name = self.path.lstrip("/")
        path = cache.folder / name
        if not name.endswith(".narinfo") and not name.startswith("nar/"):
            self._send(200 if path.is_file() else 404, path)
            return
        part: Part = "nar" if name.startswith("nar/") else "narinfo"
        fault = cache.fault(part) if path.is_file() else 404
        cache.requests.append(Request(part, name, fault))
        match fault:
            case int(status):
                self._send(status, None)
            case _:
                self._send(200, path, fault)

    def _send(self, status: int, path: Path | None, fault: Fault = "ok") -> None:
        content = path.read_bytes() if status == 200 and path else b"as the test said\n"
        if fault == "wrong":
            nar = bytearray(lzma.decompress(content))
            nar[len(nar) // 2] ^= 1
            content = lzma.compress(nar)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "truncated":
            content = content[: len(content) // 2]
            self.close_connection = True
        if self.command == "GET":
            self.wfile.write(content)
