"""Which of the operator's git settings apply when we ask a repository.

Every setting that is not a credential applies: proxies, certificate authorities, `insteadOf`, ssh.
Where a section can hold credentials, this module lists the harmless settings, not the secret ones.
So a setting that a later git adds is left out.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Credentials = Literal["all", "named", "none"]
"""Which credentials apply: all of the operator's; those that git's configuration gives to a server
by its URL; or none."""


class Setting(NamedTuple):
    """One line of git's configuration. `key` is `section.subsection.name`, as git prints it."""

    key: str
    value: str

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def subsection(self) -> str:
        return self.key[len(self.section) + 1 : -len(self.name) - 1]


def read_settings(listed: bytes) -> tuple[Setting, ...]:
    """Read the output of `git config --list -z`, in its order: later lines count more."""
    lines = (line.partition("\n") for line in os.fsdecode(listed).split("\0") if line)
    # a key without `=` is a true boolean
    return tuple(Setting(key, value if eq else "true") for key, eq, value in lines)


_FOR_HTTP: Final = """
proxy proxyauthmethod proxysslcert proxysslkey proxysslcertpasswordprotected proxysslcainfo
sslversion sslcipherlist sslverify sslcainfo sslcapath sslbackend sslnativeca pinnedpubkey
schannelcheckrevoke schannelusesslcainfo version curloptresolve useragent postbuffer noepsv
lowspeedlimit lowspeedtime keepaliveidle keepaliveinterval keepalivecount maxrequests minsessions
followredirects
"""
"""None is a credential for the server. Credentials for a proxy go to the proxy only."""

_HARMLESS: Final[dict[str, frozenset[str]]] = {
    "http": frozenset(_FOR_HTTP.split()),
    "credential": frozenset(("usehttppath", "protectprotocol", "interactive")),
}

_SECRET: Final = frozenset(
    ("http.extraheader", "http.cookiefile", "http.sslcert", "http.sslkey", "credential.helper")
)
"""The credentials that people set for all servers. Only messages depend on this list."""

_VARIABLES: Final = ("GIT_SSL_CERT", "GIT_SSL_KEY")


def choose(settings: Iterable[Setting], credentials: Credentials) -> tuple[Setting, ...]:
    """The settings that apply, in their order."""
    return tuple(line for line in settings if _goes(line, credentials))


def _goes(line: Setting, credentials: Credentials) -> bool:
    if line.section in ("include", "includeif"):
        return False  # the included settings are in the list themselves
    if credentials == "all" or not _is_credential(line):
        return True
    return credentials == "named" and _names_server(line.subsection)


def _is_credential(line: Setting) -> bool:
    """Whether it is a credential. An empty value is none: it cancels the values before it."""
    return (
        bool(line.value) and line.section in _HARMLESS and line.name not in _HARMLESS[line.section]
    )


_LITERAL: Final = re.compile(r"(?:^|\.)[^.*]+(?:\.|$)")


def _names_server(pattern: str) -> bool:
    """Whether a subsection names a server; `https://` alone and `*` mean all servers."""
    place = re.sub(r"^[A-Za-z0-9+.-]*://", "", pattern).partition("/")[0].rpartition("@")[2]
    host = place if place.startswith("[") else place.partition(":")[0]
    return bool(_LITERAL.search(host))


def has_named(settings: Iterable[Setting]) -> bool:
    """Whether git's configuration gives a credential to some server by its URL."""
    return any(_is_credential(line) and _names_server(line.subsection) for line in settings)


def has_unnamed(settings: Iterable[Setting], environ: Mapping[str, str]) -> bool:
    """Whether git has credentials that it would offer to any server."""
    held: set[str] = set()
    for line in settings:
        key = f"{line.section}.{line.name}"
        if key in _SECRET and not _names_server(line.subsection):
            if line.value:
                held.add(key)
            else:
                held.discard(key)
    return bool(held) or any(environ.get(name) for name in _VARIABLES)


_KEPT: Final = re.compile(
    "GIT_(?:SSH|SSH_COMMAND|SSH_VARIANT|PROXY_COMMAND|ALLOW_PROTOCOL|EXEC_PATH|SSL_NO_VERIFY"
    "|SSL_VERSION|SSL_CIPHER_LIST|SSL_CAINFO|SSL_CAPATH|PROXY_SSL_[A-Z_]+|HTTP_PROXY_AUTHMETHOD"
    "|HTTP_USER_AGENT|HTTP_LOW_SPEED_[A-Z]+)"
)
"""git's variables that say how to reach servers. The operator's values stay."""

_SOURCES: Final = re.compile(
    "GIT_CONFIG_(?:NOSYSTEM|SYSTEM|GLOBAL|PARAMETERS|COUNT|KEY_[0-9]+|VALUE_[0-9]+)"
)

SSH_OPTIONS: Final = (
    "-a -x -k -o BatchMode=yes -o ConnectTimeout=10 -o ForwardAgent=no -o ClearAllForwardings=yes "
    "-o PermitLocalCommand=no -o RemoteCommand=none"
)
"""A server that a flake.lock names may not use the operator's agent, screen or Kerberos ticket (-a
-x -k also cancel options before them). ssh offers keys as usual."""


def listing_environment(environ: Mapping[str, str], neutral: str) -> dict[str, str]:
    """The environment for listing git's settings: the operator's own, without any repository's.
    `neutral` is an empty directory of ours."""
    return {
        **{name: text for name, text in environ.items() if _goes_along(name)},
        "LC_ALL": "C",
        "LANGUAGE": "",
        "GIT_CEILING_DIRECTORIES": os.path.dirname(neutral),  # noqa: PTH120 - text, no access
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",  # set but empty: git looks for no other askpass
        "GCM_INTERACTIVE": "never",
    }


def asking_environment(
    environ: Mapping[str, str],
    neutral: str,
    settings: Sequence[Setting],
    ssh: str,
    credentials: Credentials,
) -> dict[str, str]:
    """The environment for asking a repository: only `settings` apply."""
    env = {
        name: text
        for name, text in listing_environment(environ, neutral).items()
        if not _SOURCES.fullmatch(name)
    }
    if credentials == "all":
        env |= {name: environ[name] for name in _VARIABLES if name in environ}
    env |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_SSH_COMMAND": f"{ssh} {SSH_OPTIONS}",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, line in enumerate(settings):
        env[f"GIT_CONFIG_KEY_{number}"] = line.key
        env[f"GIT_CONFIG_VALUE_{number}"] = line.value
    return env


def _goes_along(name: str) -> bool:
    """Whether a variable is not git's, or says where settings or servers are."""
    if not name.startswith(("GIT_", "SSH_ASKPASS")):
        return True
    return bool(_KEPT.fullmatch(name) or _SOURCES.fullmatch(name))


@dataclass(frozen=True, slots=True)
class Netrc:
    """The servers that ~/.netrc names, and whether it has a `default` for all others. curl takes
    credentials from there, whatever we tell git."""

    names: frozenset[str] = frozenset()
    default: bool = False


def read_netrc(text: str) -> Netrc:
    """Read it as curl does. In doubt, take a word for a server's name or a default."""
    words = [word.strip('"').lower() for word in re.findall(r'"[^"]*"|\S+', text)]
    names = frozenset(name for word, name in pairwise(words) if word == "machine")
    return Netrc(names, "default" in words)
