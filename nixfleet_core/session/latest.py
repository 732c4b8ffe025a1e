"""The latest commit of a flake input, from its repository; the client asks once for each source.
What else is done at such a server (session/repository.py) goes the same way.

The URL comes from a host's flake.lock, so the server can be anybody's. We ask without credentials
first. The operator's credentials go only to servers that git's configuration names by URL, or that
hosts.toml lists; they never follow a redirect to another server.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar
from urllib.parse import urljoin

from nixfleet_core.host import DEFAULT_FORGES
from nixfleet_core.log.failures import refused_pattern
from nixfleet_core.nix.git_url import (
    GitUrl,
    Hidden,
    Latest,
    NotKnown,
    read_url,
    split_url,
)
from nixfleet_core.nix.refs import (
    Found,
    asked_names,
    find_ref,
    is_commit_of,
    is_ref,
    read_refs,
    ref_names,
)
from nixfleet_core.session.git_settings import (
    Credentials,
    Netrc,
    Setting,
    asking_environment,
    choose,
    has_named,
    has_unnamed,
    listing_environment,
    read_netrc,
    read_settings,
)
from nixfleet_core.transport.process import Completed, run
from nixfleet_core.vocabulary import APPLE_GIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixfleet_core.host import Host
    from nixfleet_core.nix.lock import Source

ASK_SECONDS: Final = 20.0
"""Seconds for one source, all tries together."""

NETRC_LIMIT: Final = 1024 * 1024
"""Bytes of ~/.netrc that are read."""

_HOPS: Final = 3
"""So many redirects are followed with credentials; we judge each new server anew."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question; equal questions are asked once."""

    url: GitUrl | NotKnown
    ref: str | None
    any_kind: bool
    hidden: Hidden | None
    forges: tuple[str, ...]


_Answer = Found | NotKnown | None
"""None: the repository did not answer."""

_T = TypeVar("_T")
_Told = TypeVar("_Told", covariant=True)


class Errand(Protocol[_Told]):
    """What git is to do at a server, and how its answer is read."""

    @property
    def seconds(self) -> float:
        """For all tries together."""
        ...

    def argv(self, url: str) -> tuple[str, ...]:
        """The command for the URL that git gets, which has no credential."""
        ...

    def read(self, done: Completed) -> _Told | NotKnown | None:
        """What came of it; None if the repository was not reached, or is closed to us."""
        ...


@dataclass(frozen=True, slots=True)
class _ListRefs:
    """Asks which commits the refs of the question lead to."""

    asked: Question
    seconds: float = ASK_SECONDS

    @property
    def _names(self) -> tuple[str, ...]:
        return ref_names(self.asked.ref, any_kind=self.asked.any_kind)

    def argv(self, url: str) -> tuple[str, ...]:
        return ("git", "ls-remote", "--", url, *asked_names(self._names))

    def read(self, done: Completed) -> _Answer:
        """What the repository said, if it listed refs."""
        refs = read_refs(done.stdout) if done.rc == 0 else None
        if refs is None:
            return None
        match find_ref(refs, self._names):
            case "no-ref":
                return _no_ref(self.asked)
            case "ambiguous":
                return _ambiguous(self.asked)
            case found:
                return found


class GitLatest:
    """Asks with `git ls-remote`; only refs with 40 hex digits count as an answer.

    git exits with 0 and without output behind a captive portal.
    `here`: all hosts are folders on this machine, as in the demo.
    """

    def __init__(self, *, here: bool = False) -> None:
        self.here = here
        self._asked: dict[Question, _Asked] = {}

    async def latest(
        self, source: Source, host: Host | None = None, *, since: float = 0.0
    ) -> Latest:
        """The commit; or why it is not known; or None if no repository answered. A pinned source
        is its own answer. `host` is the one whose flake.lock names the source. A remembered answer
        counts only if it has a commit and was asked for after `since`."""
        if source.pinned is not None or source.url is None:
            return source.pinned
        asked = question_of(source, host, here=self.here)
        known = self._asked.get(asked)
        if known is None or known.at < since or known.has_failed:
            known = self._asked[asked] = _Asked(time.monotonic(), asyncio.create_task(_ask(asked)))
        return _as_locked(await asyncio.shield(known.answer), source)


def question_of(source: Source, host: Host | None, *, here: bool = False) -> Question:
    """The question for a source that `host` names in its flake.lock."""
    local = here or (host is not None and host.address is None)
    forges = host.forges if host is not None else DEFAULT_FORGES
    url = read_url(source.url or "", local=local)  # the host's paths may be this machine's
    return Question(url, source.ref, source.any_kind, source.hidden, forges)


def _as_locked(answer: _Answer, source: Source) -> Latest:
    """The answer, in the words of this flake.lock."""
    if isinstance(answer, Found):
        return source.locked if source.locked in answer.objects else answer.commit
    if isinstance(answer, NotKnown) and is_commit_of(source.ref, source.locked):
        return source.locked
    return answer


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that is under way or answered, and when it was asked (time.monotonic())."""

    at: float
    answer: asyncio.Task[_Answer]

    @property
    def has_failed(self) -> bool:
        return self.answer.done() and (self.answer.cancelled() or self.answer.result() is None)


async def _ask(asked: Question) -> _Answer:
    if asked.ref and not is_ref(asked.ref):
        return _no_ref(asked)
    return await go_to_server(asked, _ListRefs(asked))


async def go_to_server(asked: Question, errand: Errand[_T]) -> _T | NotKnown | None:
    """Do the errand at the question's server, with the credentials that it may get; or say why not.
    None if it did not answer in time."""
    if asked.hidden is not None and asked.hidden.query:
        return _HAS_QUERY
    url = asked.url
    if isinstance(url, NotKnown):
        return url
    try:
        # a repository in the current directory must have no influence
        with TemporaryDirectory(prefix="nixfleet-git-") as neutral:
            async with asyncio.timeout(errand.seconds):
                return await _ask_from(Path(neutral), url, asked, errand)
    except (OSError, TimeoutError):
        return None


async def _ask_from(
    neutral: Path, url: GitUrl, asked: Question, errand: Errand[_T]
) -> _T | NotKnown | None:
    if not await _has_git():
        return _STUB
    env = listing_environment(os.environ, str(neutral))
    listed = await run(("git", "config", "--list", "-z"), env=env, cwd=neutral, limit=ASK_SECONDS)
    if listed.rc:
        return _BROKEN
    asker = _Asker(neutral, read_settings(listed.stdout), asked, errand)
    try:
        return await asker.ask(url, asked.hidden.login() if asked.hidden else None)
    except _SettingsLeak:
        return _LEAKY


async def _has_git() -> bool:
    """False where git is a Mac's stub without Apple's tools: it would open a dialog."""
    if platform.system() != "Darwin" or shutil.which("git") != "/usr/bin/git":
        return True
    return (await run(("xcode-select", "-p"), limit=ASK_SECONDS)).rc == 0


class _SettingsLeak(Exception):  # noqa: N818 - a state of this machine's git
    """git reads more settings than we gave it."""


_Login = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class _Route:
    """`given` is the URL that git gets, `url` the one to which the operator's `insteadOf` leads."""

    given: str
    url: GitUrl

    @property
    def rewritten(self) -> bool:
        return self.given != self.url.text


@dataclass(frozen=True, slots=True)
class _Asker(Generic[_T]):
    """Does one errand, with the operator's settings as git has listed them."""

    neutral: Path
    settings: tuple[Setting, ...]
    asked: Question
    errand: Errand[_T]

    async def ask(
        self, url: GitUrl, login: _Login | None, hops: int = _HOPS
    ) -> _T | NotKnown | None:
        """Ask at a checked URL; `login` is the user information that flake.lock had in it."""
        words = ("git", "ls-remote", "--get-url", "--", url.text)
        leads = await self._run(words, chosen=choose(self.settings, "all"))
        place = os.fsdecode(leads.stdout).removesuffix("\n")
        if leads.rc or not place:
            return None
        if place == url.text:
            return await self._ask_by_scheme(_Route(url.text, url), login, hops)
        there = read_url(split_url(place)[0], local=True)
        if isinstance(there, NotKnown):
            if re.match("https?:", place, re.IGNORECASE):
                return there
            # a transport that the operator chose
            return self.errand.read(await self._try(_Route(url.text, GitUrl(place, "file")), "all"))
        return await self._ask_by_scheme(_Route(url.text, there), None, hops)

    async def _ask_by_scheme(
        self, route: _Route, login: _Login | None, hops: int
    ) -> _T | NotKnown | None:
        match route.url.scheme:
            case "https":
                return await self._ask_https(route, login, hops)
            case "http" if _applies(_netrc(), route.url):
                return _in_clear(route.url)
            case "http":
                done = await self._try(route, "named" if route.rewritten else "none")
            case _:
                done = await self._try(route, "all")
        return self.errand.read(done) or self._unless_open(done, route.url)

    async def _ask_https(
        self, route: _Route, login: _Login | None, hops: int
    ) -> _T | NotKnown | None:
        """Ask without credentials first, then with those that this server may get."""
        url, netrc = route.url, _netrc()
        listed = url.server in self.asked.forges
        if netrc.default and not listed and _host(url) not in netrc.names:
            return _not_default(url)
        done = None
        if not _applies(netrc, url):
            try:
                done = await self._try(route, "none")
            except _SettingsLeak:
                if not listed:
                    raise
            else:
                if answer := self.errand.read(done):
                    return answer
        own = login is not None and login[1] is not None
        if own or listed or has_named(self.settings) or _applies(netrc, url):
            which: Credentials = "none" if own else "all" if listed else "named"
            done = await self._try(route, which, follow=False, login=login)
            if answer := self.errand.read(done):
                return answer
            there = _redirect(done, url)
            if there is not None and hops:
                again = login if there.server == url.server else None
                return await self.ask(there, again, hops - 1)
        return self._unless_open(done, url) if done is not None else None

    def _unless_open(self, done: Completed, url: GitUrl) -> NotKnown | None:
        """Why a repository that listed nothing is closed to us; None if it did not answer."""
        if not _REFUSED.search(done.stderr):
            return None
        listed = url.server in self.asked.forges
        if url.scheme == "https" and not listed and has_unnamed(self.settings, os.environ):
            return _may_not(url)
        return _closed(url)

    async def _try(
        self,
        route: _Route,
        credentials: Credentials,
        *,
        follow: bool = True,
        login: _Login | None = None,
    ) -> Completed:
        """Try with those credentials. Without `follow`, git does not follow redirects, but names
        them in stderr. Raises _SettingsLeak."""
        chosen = [
            line for line in choose(self.settings, credentials) if follow or not _follows(line)
        ]
        if not route.rewritten:
            chosen = _only(route.url, chosen)
        chosen.append(Setting("credential.interactive", "false"))
        if credentials != "all":
            chosen.append(Setting("http.emptyauth", "false"))  # no Kerberos ticket either
        more: dict[str, str] = {}
        if not follow:
            chosen.append(Setting("http.followredirects", "false"))
            more |= _TELL_REDIRECT
        if login is not None:
            chosen += _login_settings(route.url, login)
            more[_LOGIN_VARIABLE] = f"username={login[0]}\npassword={login[1]}"
        if credentials != "all":
            await self._check(chosen, credentials)
        argv = self.errand.argv(route.given)
        return await self._run(argv, chosen=chosen, credentials=credentials, more=more)

    async def _check(self, chosen: Sequence[Setting], credentials: Credentials) -> None:
        """Check that git reads no other settings. A git older than 2.32 always reads its files, and
        a distribution may add files. Raises _SettingsLeak."""
        argv = ("git", "config", "--list", "--name-only", "-z")
        listed = await self._run(argv, chosen=chosen, credentials=credentials)
        names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
        if listed.rc or names != [line.key for line in chosen]:
            raise _SettingsLeak

    async def _run(
        self,
        argv: tuple[str, ...],
        *,
        chosen: Sequence[Setting],
        credentials: Credentials = "all",
        more: Mapping[str, str] | None = None,
    ) -> Completed:
        env = asking_environment(os.environ, str(self.neutral), chosen, self._ssh(), credentials)
        env |= more or {}
        return await run(argv, env=env, cwd=self.neutral, limit=self.errand.seconds)

    def _ssh(self) -> str:
        """The operator's ssh command, chosen as git does."""
        set_up = [line.value for line in self.settings if line.key == "core.sshcommand"]
        program = os.environ.get("GIT_SSH")
        return (
            os.environ.get("GIT_SSH_COMMAND")
            or (set_up[-1] if set_up else "")
            or (shlex.quote(program) if program else "ssh")
        )


def _follows(line: Setting) -> bool:
    return (line.section, line.name) == ("http", "followredirects")


def _only(url: GitUrl, settings: Sequence[Setting]) -> list[Setting]:
    """Allow only the URL's own transport (http may lead on to https), and only if the operator
    allows it."""
    kept = [line for line in settings if line.key != "protocol.allow"]
    kept.append(Setting("protocol.allow", "never"))
    for scheme in ("http", "https") if url.scheme == "http" else (url.scheme,):
        allow = f"protocol.{scheme}.allow"
        if not any(line.key == allow for line in kept):
            kept.append(Setting(allow, "always"))
    return kept


_LOGIN_VARIABLE: Final = "NIXFLEET_GIT_LOGIN"
_HELPER: Final = f'!f() {{ if [ "$1" = get ]; then printf "%s\\n" "${_LOGIN_VARIABLE}"; fi; }}; f'


def _login_settings(url: GitUrl, login: _Login) -> tuple[Setting, ...]:
    """Settings that give the user information in flake.lock to that server, and to no other; the
    values are in git's environment. A name alone goes with the operator's own password for it."""
    if login[1] is None:
        return (Setting(f"credential.{url.base}.username", login[0]),)
    return (Setting("credential.helper", ""), Setting(f"credential.{url.base}.helper", _HELPER))


_TELL_REDIRECT: Final = {"GIT_TRACE_CURL": "1", "GIT_TRACE_CURL_NO_DATA": "1"}
"""git's message has only the code of a redirect. Its trace has the place, and is never shown."""

_IS_REDIRECT: Final = re.compile(rb"The requested URL returned error: 3[0-9][0-9]")
_PLACE: Final = re.compile(rb"<= Recv header: location: *([^\r\n]+)", re.IGNORECASE)
_REFS: Final = "/info/refs?service=git-upload-pack"


def _redirect(done: Completed, url: GitUrl) -> GitUrl | None:
    """The place of a redirect that git did not follow; only https, and refs, as git requires."""
    places = _PLACE.findall(done.stderr)
    if done.rc == 0 or not places or not _IS_REDIRECT.search(done.stderr):
        return None
    place = places[-1].decode("ascii", "replace").strip()
    target = urljoin(f"{url.text.rstrip('/')}{_REFS}", place)
    if not target.endswith(_REFS):
        return None
    there = read_url(target.removesuffix(_REFS), local=False)
    return there if isinstance(there, GitUrl) and there.scheme == "https" else None


_REFUSED: Final = re.compile(
    rf"{refused_pattern()}|returned error: 4(?!08|29)[0-9][0-9]|repository '.*' not found"
    "|alert|certificate required".encode()
)
"""The server answers and wants credentials, or hides the repository from strangers."""


def _netrc() -> Netrc:
    try:
        with (Path.home() / ".netrc").open("rb") as file:
            return read_netrc(file.read(NETRC_LIMIT).decode("utf-8", "replace"))
    except (OSError, RuntimeError):
        return Netrc()


def _host(url: GitUrl) -> str:
    return re.sub(r":[0-9]+$", "", url.server).strip("[]")


def _applies(netrc: Netrc, url: GitUrl) -> bool:
    """Whether curl would send this server something of ~/.netrc."""
    return netrc.default or _host(url) in netrc.names


_HAS_QUERY: Final = NotKnown(
    "the client does not ask its repository: the URL in flake.lock has a query, which may be a "
    "secret, and everybody could read it in git's arguments",
    "use a URL without a query in flake.nix; or look on the host: nix flake metadata --refresh",
)
_BROKEN: Final = NotKnown(
    "the client could not read this machine's git configuration",
    "git config --list says what is wrong",
)
_STUB: Final = NotKnown(
    "the client cannot ask: git needs Apple's command line tools on this Mac", APPLE_GIT.cure
)
_LEAKY: Final = NotKnown(
    "the client may not ask its repository: this machine's git also reads settings that we must "
    "keep from it",
    "use git 2.32 or later; or list the server as one of `forges` under [defaults] in hosts.toml",
)


def _no_ref(asked: Question) -> NotKnown:
    kinds = "branch, tag or commit" if asked.any_kind else "branch"
    return NotKnown(
        f"its repository has no {kinds} {asked.ref or 'HEAD'!r}",
        "correct the name in flake.nix",
    )


def _ambiguous(asked: Question) -> NotKnown:
    return NotKnown(
        f"its repository has a branch and a tag {asked.ref!r} at different commits, and only the "
        f"forge knows which one it takes",
        f"write refs/heads/{asked.ref} or refs/tags/{asked.ref} in flake.nix",
    )


def _closed(url: GitUrl) -> NotKnown:
    return NotKnown(
        f"the client may not ask {url.server or 'its repository'}: it wants credentials, or hides "
        f"the repository, and git has none that it accepts",
        f"give git what opens it: git ls-remote {url.text} must work",
    )


def _allow(url: GitUrl) -> str:
    return (
        f'if it may have your credentials, write forges = ["{url.server}", …] '
        "under [defaults] in hosts.toml"
    )


def _may_not(url: GitUrl) -> NotKnown:
    return NotKnown(
        f"the client may not ask {url.server}: it wants credentials, and you have none for it by "
        f"name",
        f"{_allow(url)}; or give git a credential.{url.base}.helper",
    )


def _not_default(url: GitUrl) -> NotKnown:
    return NotKnown(
        f"the client may not ask {url.server}: it would get the `default` entry of ~/.netrc",
        f"{_allow(url)}; or give each server an entry of its own in ~/.netrc",
    )


def _in_clear(url: GitUrl) -> NotKnown:
    return NotKnown(
        f"the client may not ask {url.server} by http: ~/.netrc has a password for it",
        "name the repository by https in flake.nix",
    )
