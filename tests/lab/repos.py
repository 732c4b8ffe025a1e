"""The repositories: nixcfg (the hosts' flake), nixfleet (the agent) and other (must not move)."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from .git_server import RepoServer
from .rootfs import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .git_server import Fault, Target

Repo = Literal["nixcfg", "nixfleet", "other"]
REPOS: Final[tuple[Repo, ...]] = ("nixcfg", "nixfleet", "other")
BASE_VERSION: Final = "2.1.0"
Behaviour = Literal["", "stubborn", "mute", "crash", "unwell", "wordless"]
"""How an agent misbehaves: ignores SIGTERM; never ends `--version`; ends at once; fails its own
`--check`; knows no such flag, and starts."""

_HERE: Final = Path(__file__).parent
_GIT_ENV: Final = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_NAME": "lab" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "lab@example.invalid" for who in ("AUTHOR", "COMMITTER")},
}


class Repos:
    """The three repositories in `folder`, served at `address`."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._base: dict[Repo, str] = {}
        self._dates: dict[str, str] = {}
        self.servers: Final[dict[Repo, RepoServer]] = {}
        for repo in REPOS:
            self.git(
                repo, "init", "--quiet", "--initial-branch=main", str(folder / repo), here=True
            )
            self.servers[repo] = RepoServer(folder / repo, address)
        self.commit("other", "other", {"flake.nix": "{ outputs = { self }: { v = 1; }; }\n"})
        self.commit("nixfleet", "Begin", self._templates("nixfleet", "flake.nix"))
        self.release(BASE_VERSION)
        names = sorted(path.name for path in (_HERE / "nixcfg").iterdir())
        self.commit("nixcfg", "Begin", self._templates("nixcfg", *names))

    def url(self, repo: Repo) -> str:
        return self.servers[repo].url

    def path(self, repo: Repo) -> Path:
        """The working tree, for what has no method here."""
        return self._folder / repo

    def git(self, repo: Repo, *words: str, here: bool = False) -> str:
        """Run git in a repository and return what it prints. Raises CalledProcessError."""
        return subprocess.run(
            ["git", *([] if here else ["-C", str(self.path(repo))]), *words],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | _GIT_ENV | self._dates,
        ).stdout.strip()

    def head(self, repo: Repo) -> str:
        return self.git(repo, "rev-parse", "HEAD")

    def commit(self, repo: Repo, message: str, files: Mapping[str, str | bytes]) -> str:
        """Write the files and commit them; return the commit."""
        for name, content in files.items():
            path = self.path(repo) / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git(repo, "add", "--all")
        self.git(repo, "commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.head(repo)

    def release(self, version: str, behaviour: Behaviour = "") -> str:
        """Release an agent: return the commit of nixfleet. `other` gets a commit too, so that an
        update of more than nixfleet shows."""
        old = (self.path("other") / "flake.nix").read_text()
        self.commit("other", f"Beside {version}", {"flake.nix": f"{old}# {version}\n"})
        agent = agent_program(version, behaviour)
        return self.commit(
            "nixfleet", f"Release {version}", {"VERSION": f"{version}\n", "agent": agent}
        )

    def commit_nixcfg(
        self,
        message: str = "Change the lab",
        *,
        fail_build: bool = False,
        fail_switch: int = 0,
        hungry: bool = False,
        slow: float = 0,
        lines: int = 3,
        restart: bool = True,
        session: Literal["gui", "user"] = "gui",
        specialisation: str = "",
        inhibitors: Mapping[str, str] | Sequence[str] = {},
        strict: bool = False,
        files: Mapping[str, str | bytes] | None = None,
    ) -> str:
        """Commit to nixcfg how the next rebuild behaves, and other files; return the commit.

        fail_build   the fourth of five steps fails
        fail_switch  the exit code of switch-to-configuration: 0 1 2 4 100;
                     of Home Manager's activation: any
        hungry       the third step takes all the memory it gets, after its gate
        slow         seconds that the build takes, in even pauses between its lines
        lines        lines of log a step
        restart      Home Manager restarts a changed agent (NixOS never does)
        session      the domain of launchd that the agent of a Mac is for
        specialisation  the name of a system's specialisation
        inhibitors   what NixOS does not exchange while the system runs; paths as it was at first
        strict       a system of NixOS has a configurationRevision, and a dirty tree is refused
        """
        knobs = {
            "fail_build": fail_build,
            "fail_switch": fail_switch,
            "hungry": hungry,
            "slow": slow,
            "lines": lines,
            "restart": restart,
            "session": session,
            "specialisation": specialisation,
            "inhibitors": inhibitors,
            "strict": strict,
        }
        return self.commit(
            "nixcfg", message, {"lab.json": json.dumps(knobs) + "\n", **(files or {})}
        )

    @contextmanager
    def later(self, seconds: int) -> Iterator[None]:
        """Date all commits that far from now."""
        date = f"@{int(time.time()) + seconds} +0000"
        self._dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        yield
        self._dates = {}

    def move(self, repo: Repo, commit: str) -> None:
        """Let main be at that commit."""
        self.git(repo, "checkout", "--quiet", "--force", "-B", "main", commit)

    @contextmanager
    def shallow(self, repo: Repo, edge: str) -> Iterator[None]:
        """Cut the history off before that commit, as in a shallow clone."""
        cut = self.path(repo) / ".git/shallow"
        cut.write_text(f"{edge}\n")
        try:
            yield
        finally:
            cut.unlink()

    def set_fault(self, repo: Repo, *faults: Fault, target: Target = "all") -> None:
        self.servers[repo].set_fault(*faults, target=target)

    def allow_push(self, repo: Repo) -> None:
        """Let anybody push to the branch that is checked out here; its files follow."""
        self.git(repo, "config", "http.receivepack", "true")
        self.git(repo, "config", "receive.denyCurrentBranch", "updateInstead")

    def mark_base(self) -> None:
        """Make this state the base of `reset`."""
        self._base = {repo: self.head(repo) for repo in REPOS}

    def reset(self) -> None:
        for repo, commit in self._base.items():
            self.servers[repo].reset()
            self.move(repo, commit)

    def close(self) -> None:
        for server in self.servers.values():
            server.close()

    def _templates(self, folder: str, *names: str) -> dict[str, str]:
        values = {"@system@": f"{platform.machine()}-linux"}
        values |= {f"@{repo}@": server.url for repo, server in self.servers.items()}
        texts = {name: (_HERE / folder / name).read_text() for name in names}
        for mark, value in values.items():
            texts = {name: text.replace(mark, value) for name, text in texts.items()}
        return texts


def agent_program(version: str, behaviour: Behaviour = "") -> bytes:
    """The agent's program, with version and behaviour written over the placeholders."""
    program = _compiled_agent()
    for mark, value in ((b"@VERSION@", version), (b"@BEHAVES@", behaviour)):
        program = program.replace(mark, value.encode().ljust(len(mark), b"\0"))
    return program


@functools.cache
def _compiled_agent() -> bytes:
    source = _HERE / "nixfleet" / "agent.c"
    program = cache_dir() / f"agent-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        unfinished = program.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        subprocess.run(
            ["cc", "-O1", "-static", "-s", "-o", str(unfinished), str(source)], check=True
        )
        unfinished.rename(program)
    return program.read_bytes()
