"""A bare clone of an input's repository, in the client's cache: it knows what lies between commits.

It is fetched when somebody asks, at most once a minute, with the credentials that its server may
get (session/latest.py). Only commits are fetched where the server can leave out the rest. What a
repository holds is untrusted: no hook, no setting and no command of it is run, and nothing is
checked out.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from nixfleet_core.ids import is_commit
from nixfleet_core.job.copies import write_whole
from nixfleet_core.judge.coming import Side
from nixfleet_core.judge.fix import Change, Past, could_be_copies, holds_all
from nixfleet_core.limits import TEXT_LIMIT
from nixfleet_core.log.plain_file import open_plain, read_plain
from nixfleet_core.nix.git_url import GitUrl, NotKnown
from nixfleet_core.nix.version_label import MOST_BYTES, version_of_file, version_of_tag
from nixfleet_core.session.clone_fetch import FETCH_SECONDS, Fetch, Lacks
from nixfleet_core.session.git_settings import listing_environment
from nixfleet_core.session.latest import go_to_server
from nixfleet_core.transport.process import KEEP, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from nixfleet_core.session.latest import Question
    from nixfleet_core.transport.process import Completed

FRESH: Final = 60.0
"""Seconds for which a fetch counts."""

MOST_LATER: Final = 5000
"""So many commits beside the fix are read."""

MOST_FOUND: Final = 50
"""So many commits are listed that a word finds."""

MOST_LACKED: Final = 5
"""So many tags of something else than a commit are followed."""

MOST_COMPARED: Final = 20
"""So many patches are compared with the fix."""

MOST_OBJECTS: Final = 1000
"""So many files, or folders with all that is in them, are fetched for that."""

_URL: Final = "nixfleet-url"
_FETCHED: Final = "nixfleet-fetched"
_LOCAL_SECONDS: Final = 60.0
_LABEL_SECONDS: Final = 5.0
_PLAIN_FILE: Final = re.compile(
    rb"100(?:644|755) blob (?P<blob>[0-9a-f]{40,64}) +(?P<size>[0-9]{1,9})\tVERSION\n"
)
_RAW: Final = re.compile(
    rb"^:(?!160000 |[0-7]{6} 160000 )[0-7]{6} [0-7]{6} ([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ",
    re.MULTILINE,
)
"""The files of a change, before and after, without submodules."""
_FORMAT: Final = "--format=%H%x00%P%x00%ae %at%x00%ct%x00%s%x00%b%x00%x01"


def repositories_path() -> Path:
    """Where the clones are."""
    return platformdirs.user_cache_path("nixfleet") / "repositories"


@dataclass(frozen=True, slots=True)
class Repository:
    """One clone."""

    folder: Path
    asked: Question

    @classmethod
    def of(cls, asked: Question) -> Repository:
        url = asked.url.text if isinstance(asked.url, GitUrl) else ""
        name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return cls(repositories_path() / f"{name}.git", asked)

    @property
    def exists(self) -> bool:
        return self._fetched.exists()

    @property
    def fetched(self) -> float:
        """When it was fetched last, in seconds since the epoch; 0 if it never was."""
        with suppress(OSError):
            return self._fetched.stat().st_mtime
        return 0.0

    @property
    def _fetched(self) -> Path:
        return self.folder / _FETCHED

    async def fetch(self) -> NotKnown | None:
        """Bring it up to date, unless it is. Returns why that failed; then it is as it was before,
        and may not exist. Raises OSError if there is no place for it."""
        if isinstance(self.asked.url, NotKnown):
            return self.asked.url
        async with _alone(self.folder):
            if time.time() - self.fetched < FRESH:
                return None
            await self._init()
            refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            failed = await self._bring(refs)
            if failed is None:
                self._fetched.touch()
            elif not self.exists:
                shutil.rmtree(self.folder, ignore_errors=True)
            return failed

    async def bring(self, revs: Iterable[str]) -> None:
        """Fetch commits that no branch leads to, if the server gives them."""
        if not isinstance(self.asked.url, NotKnown):
            async with _alone(self.folder):
                for rev in revs:
                    await self._bring((rev,))

    async def _bring(
        self, refs: tuple[str, ...], leave_out: str = "tree:0", seconds: float = FETCH_SECONDS
    ) -> NotKnown | None:
        # a git that was ended leaves its half; nobody else is at work
        for left in (self.folder / "objects" / "pack").glob("tmp_*"):
            left.unlink(missing_ok=True)
        leave_out = leave_out if await self._can_forgo() else ""
        fetch = Fetch(self.folder, refs, folder_size(self.folder), leave_out, seconds)
        done = await go_to_server(self.asked, fetch)
        for _ in range(MOST_LACKED):
            if not isinstance(done, Lacks):
                break
            await go_to_server(self.asked, replace(fetch, refs=(done.object,)))
            done = await go_to_server(self.asked, fetch)
        if done is True:
            return None
        return done if isinstance(done, NotKnown) else _NO_ANSWER

    async def _can_forgo(self) -> bool:
        """Whether this git can be kept from fetching what it lacks: all since 2.45 have an option
        for that, too; older ones with the security fixes of May 2024 say that they do not fetch."""
        if (await self._git("--no-lazy-fetch", "version")).rc == 0:
            return True
        remote = ("-c", "remote.none.promisor=true", "-c", f"remote.none.url={os.devnull}")
        done = await self._git(*remote, "cat-file", "-e", "1" * 40)
        return b"lazy fetching disabled" in done.stderr

    async def _init(self) -> None:
        if (self.folder / "HEAD").exists():
            return
        await self._git("init", "--quiet", "--bare", "--template=", str(self.folder))
        for key, value in (("core.hooksPath", os.devnull), ("gc.auto", "0")):
            await self._git("config", key, value)
        if isinstance(self.asked.url, GitUrl):
            write_whole(self.folder / _URL, os.fsencode(self.asked.url.text))

    async def find(self, word: str) -> tuple[Change, ...]:
        """The commits that a hash, its beginning, a tag or words of a title name, newest first."""
        if re.fullmatch(r"[0-9a-fA-F]{4,64}", word):
            done = await self._git("rev-parse", f"--disambiguate={word.lower()}")
            revs = done.stdout.decode("ascii", "replace").split()
            if revs and (found := await self._changes("--no-walk=unsorted", *revs)):
                return found
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+/-]*", word) and ".." not in word:
            tag = await self._git(
                "rev-parse", "--verify", "--quiet", f"refs/tags/{word}^{{commit}}"
            )
            if is_commit(rev := tag.stdout.decode("ascii", "replace").strip()):
                return await self._changes("--no-walk=unsorted", rev)
        grep = ("--fixed-strings", "--regexp-ignore-case", f"--grep={word}")
        found = await self._changes("--all", f"-n{MOST_FOUND * 4}", *grep)
        # git looks at whole messages
        titled = [one for one in found if word.lower() in one.title.lower()]
        return tuple(titled[:MOST_FOUND])

    async def version(self, commit: str) -> str | None:
        """What version the commit is said to be: by a tag that points at it, else by its file
        VERSION if that is here. None if the commit is not here, or nothing says it."""
        if not is_commit(commit):
            return None
        tags = await self._git(
            *("for-each-ref", "--sort=-version:refname", "--format=%(refname:strip=2)"),
            *(f"--points-at={commit}", "refs/tags"),
            limit=_LABEL_SECONDS,
        )
        names = tags.stdout.decode("utf-8", "replace").splitlines()
        if named := next(filter(None, map(version_of_tag, names)), None):
            return named
        listed = await self._git("ls-tree", "-l", commit, "VERSION", limit=_LABEL_SECONDS)
        file = _PLAIN_FILE.fullmatch(listed.stdout)
        if file is None or int(file["size"]) > MOST_BYTES:
            return None
        blob = await self._git("cat-file", "blob", file["blob"].decode(), limit=_LABEL_SECONDS)
        return version_of_file(blob.stdout)

    async def past(self, fix: Change, commit: str) -> Past:
        """What is known of a commit beside the fix."""
        if not await self.has(commit):
            return Past(commit, known=False)
        later = await self._changes(
            "--topo-order", f"-n{MOST_LATER + 1}", commit, f"^{fix.rev}", cut=True
        )
        ahead = await self._git("rev-list", "--count", fix.rev, f"^{commit}")
        leads = await self._git("for-each-ref", "--count=1", f"--contains={commit}")
        cut = await self._is_cut(commit, f"^{fix.rev}") or (
            # what is cut off there may lead to some of them
            not holds_all(fix, later) and await self._is_cut(fix.rev)
        )
        counts = ahead.stdout.strip().isdigit() and not await self._is_cut(fix.rev, f"^{commit}")
        past = Past(
            commit,
            later=later[:MOST_LATER],
            whole=len(later) <= MOST_LATER and not cut,
            cut=cut,
            ahead=int(ahead.stdout) if counts else 0,
            reachable=bool(leads.stdout),
        )
        return await self._compared(fix, past)

    async def apart(self, commit: str, other: str, most: int) -> tuple[Side, Side] | None:
        """What the first commit has that the other lacks, and the reverse, the newest `most` by
        name. None if that cannot be said, as where the history is cut off."""
        if await self._is_cut(commit, other):
            return None
        comes, goes = await self._side(commit, other, most), await self._side(other, commit, most)
        return (comes, goes) if comes is not None and goes is not None else None

    async def _side(self, commit: str, other: str, most: int) -> Side | None:
        counted = await self._git("rev-list", "--count", commit, f"^{other}")
        newest = await self._changes("--topo-order", f"-n{most}", commit, f"^{other}")
        number = counted.stdout.strip()
        return Side(int(number), newest) if number.isdigit() else None

    async def has(self, commit: str) -> bool:
        """Whether the commit is there."""
        found = await self._git("cat-file", "-t", commit)
        return found.stdout.strip() == b"commit"

    async def _compared(self, fix: Change, past: Past) -> Past:
        candidates = could_be_copies(fix, past.later)
        if not candidates or len(fix.parents) > 1:
            return past
        same = await self._same_patch(fix, candidates[:MOST_COMPARED])
        if same is None:
            return replace(past, compared=False)
        return replace(past, same_patch=same, compared=len(candidates) <= MOST_COMPARED)

    async def _same_patch(self, fix: Change, candidates: Sequence[Change]) -> frozenset[str] | None:
        """Those that change the same as the fix. Their files are fetched if they were left out, the
        folders first. None if that failed."""
        changes = (fix, *candidates)
        revs = [one.rev for one in changes]
        changed = await self._changed_files(revs)
        if changed is None:
            roots = await self._git(
                *("log", "--no-walk=unsorted", "--format=%T", *revs),
                *(parent for one in changes for parent in one.parents),
            )
            await self._bring_all(roots.stdout.decode("ascii", "replace").split(), "blob:none")
            changed = await self._changed_files(revs)
        if changed is None:
            return None
        patches = await self._patch_ids(revs)
        if patches is None:
            await self._bring_all(changed, "tree:0")
            patches = await self._patch_ids(revs)
        if patches is None:
            return None
        mine = patches.get(fix.rev)
        return frozenset(rev for rev in revs[1:] if mine and patches.get(rev) == mine)

    async def _bring_all(self, objects: Sequence[str], leave_out: str) -> None:
        """Fetch these objects, unless they are too many."""
        if 0 < len(objects) <= MOST_OBJECTS and not isinstance(self.asked.url, NotKnown):
            async with _alone(self.folder):
                await self._bring(tuple(dict.fromkeys(objects)), leave_out, _LOCAL_SECONDS)

    async def _changed_files(self, revs: Sequence[str]) -> list[str] | None:
        """All that these commits change, before and after; None if it is not here."""
        shown = ("--no-walk=unsorted", "--format=", "--raw", "-r", "--no-abbrev", "--no-renames")
        done = await self._git("log", *shown, *revs, "--")
        if done.rc or len(done.stdout) >= KEEP:
            return None
        pairs = _RAW.findall(done.stdout)
        return [found.decode() for pair in pairs for found in pair if found.strip(b"0")]

    async def _patch_ids(self, revs: Sequence[str]) -> dict[str, str] | None:
        """The id of each commit's patch, if all of their files are here."""
        script = (
            'dir=$1; shift; for rev; do git --git-dir="$dir" diff-tree --root --patch '
            '--no-ext-diff --no-textconv --no-color "$rev" || exit; done'
        )
        piped = f"{{ {script}; echo done >&2; }} | git patch-id --stable"
        done = await self._run("sh", "-c", piped, "sh", str(self.folder), *revs)
        if done.rc or not done.stderr.endswith(b"done\n"):
            return None
        lines = (line.split() for line in done.stdout.decode("ascii", "replace").splitlines())
        return {words[1]: words[0] for words in lines if len(words) == 2}

    @property
    def is_shallow(self) -> bool:
        """Whether some history is cut off."""
        return bool(self._edges)

    @property
    def _edges(self) -> frozenset[str]:
        """The commits whose parents are cut off."""
        with suppress(OSError):
            text = (self.folder / "shallow").read_bytes().decode("ascii", "replace")
            return frozenset(text.split())
        return frozenset()

    async def _is_cut(self, *revs: str) -> bool:
        """Whether the history of these commits, without that of those with `^`, is cut off."""
        edges = self._edges
        if not edges:
            return False
        ends = await self._git("rev-list", "--max-parents=0", *revs)
        found = ends.stdout.decode("ascii", "replace").split()
        return bool(ends.rc) or len(ends.stdout) >= KEEP or not edges.isdisjoint(found)

    async def _changes(self, *words: str, cut: bool = False) -> tuple[Change, ...]:
        """The commits that `git log` lists. With `cut`, what was too much to be read is made up for
        by empty ones, so that somebody notices."""
        done = await self._git(
            "log", "--no-show-signature", "--encoding=UTF-8", _FORMAT, *words, "--"
        )
        text = done.stdout.decode("utf-8", "replace")
        found = [_change(part) for part in text.split("\x01") if part.count("\x00") >= 6]
        if cut and (done.rc or len(done.stdout) >= KEEP):
            return (*found, *[Change("", "")] * (MOST_LATER + 1 - len(found)))
        return tuple(found)

    async def _git(self, *words: str, limit: float = _LOCAL_SECONDS) -> Completed:
        return await self._run("git", f"--git-dir={self.folder}", *words, limit=limit)

    async def _run(self, *argv: str, limit: float = _LOCAL_SECONDS) -> Completed:
        """git in the clone alone: it asks no server, whatever the clone lacks."""
        env = {
            **listing_environment(os.environ, str(self.folder)),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
        }
        return await run(argv, env=env, cwd=self.folder.parent, limit=limit)


_NO_ANSWER: Final = NotKnown("its repository did not answer", "ask again later")


def _change(part: str) -> Change:
    rev, parents, author, made, title, body = part.lstrip("\n").split("\x00")[:6]
    return Change(
        rev, title, body, tuple(parents.split()), author, int(made) if made.isdigit() else None
    )


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    """Wait until no other program works on the clone."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = open_plain(folder.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.2)
        yield
    finally:
        os.close(lock)


def folder_size(folder: Path) -> int:
    """Bytes of all files below it."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # another program may work there
                size += (Path(place) / name).lstat().st_size
    return size


@dataclass(frozen=True, slots=True)
class Kept:
    """A clone in the cache."""

    url: str
    size: int
    """Bytes."""
    fetched: float
    """When, in seconds since the epoch; 0 if it never was, as a fetch was broken off."""


def kept_repositories() -> tuple[Kept, ...]:
    """The clones in the cache, by their URLs."""
    found = []
    for folder in repositories_path().glob("*.git"):
        url, fetched = "", 0.0
        with suppress(OSError):
            url = read_plain(folder / _URL, TEXT_LIMIT).decode("utf-8", "replace")
            fetched = (folder / _FETCHED).stat().st_mtime
        found.append(Kept(url, folder_size(folder), fetched))
    return tuple(sorted(found, key=lambda kept: kept.url))


def clear_repositories() -> None:
    """Remove all clones. Raises OSError."""
    place = repositories_path()
    if place.is_dir():
        shutil.rmtree(place)
