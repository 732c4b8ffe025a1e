"""How this machine's pip reaches its index: copied when the tests run, and kept nowhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_VARIABLES: Final = re.compile(
    r"PIP_\w+|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE", re.IGNORECASE
)
_OF_MACHINE: Final = ("/etc/pip.conf", "/etc/xdg/pip/pip.conf")
_OF_USER: Final = (".config/pip/pip.conf", ".pip/pip.conf")
_NETWORK: Final = ("/etc/resolv.conf", "/etc/hosts")
_CERTIFICATES: Final = (
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
)


@dataclass(frozen=True)
class Settings:
    """`paths`: files and folders that are needed at the same place; `of_user`: the user's own
    files, by their names in the home."""

    environment: dict[str, str]
    paths: tuple[str, ...]
    of_user: dict[str, str]


def machine_settings() -> Settings:
    """pip's files and variables, and whatever path these name; certificates, names of hosts."""
    environment = {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
    environment.pop("PIP_CACHE_DIR", None)
    home = Path.home()
    of_user = {name: str(home / name) for name in _OF_USER if (home / name).is_file()}
    files = [*_OF_MACHINE, *of_user.values()]
    texts = [*environment.values(), *(Path(file).read_text() for file in files if _is_there(file))]
    named = {path for text in texts for path in re.findall(r"(?<![\w:/])/[^\s'\",:]+", text)}
    known = [*_OF_MACHINE, *_NETWORK, *_CERTIFICATES]
    # a folder brings what lies in it
    extra = sorted(path for path in named if not path.startswith(_CERTIFICATES))
    paths = tuple(dict.fromkeys(path for path in [*known, *extra] if _is_there(path)))
    return Settings(environment, paths, of_user)


def _is_there(path: str) -> bool:
    return Path(path).exists()
