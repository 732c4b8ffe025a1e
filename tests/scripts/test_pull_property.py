"""Generated repositories: what the preflight passes, the pull does, and no work is lost."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pytest
from fake_host import JOB, FakeHost, git, make_upstream
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nixfleet_core.job.compile import compile_plan

NAMES: Final = ("a", "b", "d/a", "d/e/b", "with space", "d", "flake.lock")
"""`d` is also a folder: a file can take the place of a folder, and the reverse."""

Change = Literal["edit", "delete", "link", "run"]
Local = Literal[
    "edit", "touch", "delete", "stage", "assume-unchanged", "skip-worktree", "ignored", "folder"
]


@dataclass(frozen=True)
class Story:
    """What is committed first, what upstream changes, and what the user has changed here."""

    first: tuple[str, ...]
    theirs: tuple[tuple[str, Change], ...]
    mine: tuple[tuple[str, Local], ...]
    config: tuple[str, ...] = ()


stories = st.builds(
    Story,
    first=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True).map(tuple),
    theirs=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(("edit", "delete", "link", "run"))),
        min_size=1,
        max_size=4,
    ).map(tuple),
    mine=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(
                (
                    *("edit", "touch", "delete", "stage", "assume-unchanged", "skip-worktree"),
                    *("ignored", "folder"),
                )
            ),
        ),
        max_size=3,
    ).map(tuple),
    config=st.lists(
        st.sampled_from(
            (
                *("pull.rebase=true", "rebase.autoStash=true", "merge.ff=false"),
                *(
                    "core.autocrlf=input",
                    "core.ignoreCase=false",
                    "branch.main.mergeOptions=--squash",
                ),
            )
        ),
        max_size=2,
        unique=True,
    ).map(tuple),
)


def write(folder: Path, name: str, text: str) -> bool:
    """Whether it could be written: a name can be a file and a folder."""
    path = folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_text(text)
    except OSError:
        return False
    return True


def clear(folder: Path, name: str) -> None:
    """Make room for that name."""
    for part in (*reversed(Path(name).parents), Path(name)):
        path = folder / part
        if part == Path(name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif part != Path() and (path.is_symlink() or path.is_file()):
            path.unlink()


def commit_first(up: Path, story: Story) -> None:
    git(up, "rm", "-q", "-r", "--ignore-unmatch", ".")
    for name in story.first:
        clear(up, name)
        write(up, name, f"first {name}\n")
    (up / "flake.nix").write_text("{}\n")
    (up / ".gitignore").write_text("*.ignored\n")
    git(up, "add", "-A", "-f")
    git(up, "commit", "-q", "--allow-empty", "-m", "First")


def commit_theirs(up: Path, story: Story) -> None:
    for name, change in story.theirs:
        path = up / name
        if change == "delete":
            if path.is_file() or path.is_symlink():
                path.unlink()
            continue
        clear(up, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if change == "link":
            path.symlink_to("flake.nix")
        else:
            path.write_text(f"theirs {name}\n")
            path.chmod(0o755 if change == "run" else 0o644)
    git(up, "add", "-A", "-f")
    git(up, "commit", "-q", "--allow-empty", "-m", "Theirs")


def change_here(checkout: Path, story: Story) -> None:
    tracked = set(git(checkout, "ls-files").splitlines())
    for name, change in story.mine:
        path = checkout / name
        match change:
            case "touch" if path.is_file():
                path.touch()
            case "delete" if path.is_file():
                path.unlink()
            # the next check refuses a flake.lock that is no file
            case "folder" if not path.exists() and name != "flake.lock":
                write(checkout, f"{name}/x.ignored", "mine\n")
            case "ignored":
                with (checkout / ".git/info/exclude").open("a") as file:
                    file.write(f"/{name}\n")
                if name not in tracked:
                    write(checkout, name, f"mine {name}\n")
            case "edit" | "stage" | "assume-unchanged" | "skip-worktree":
                if write(checkout, name, f"mine {name}\n") and name in tracked | {name}:
                    if change == "stage":
                        git(checkout, "add", "-f", name)
                    elif change != "edit" and name in tracked:
                        git(checkout, "update-index", f"--{change}", name)
            case _:
                pass


def files(folder: Path) -> dict[str, tuple[object, bool]]:
    """The content of each file outside of .git, and whether it can be run."""
    return {
        str(path.relative_to(folder)): (
            path.readlink() if path.is_symlink() else path.read_bytes(),
            bool(path.lstat().st_mode & 0o100),
        )
        for path in folder.rglob("*")
        if ".git" not in path.relative_to(folder).parts and (path.is_symlink() or path.is_file())
    }


def entries(folder: Path) -> str:
    return git(folder, "ls-files", "--stage", "-v")


MERGE: Final = ("git", "merge", "--quiet", "--ff-only", "--no-overwrite-ignore", "FETCH_HEAD")

_ONLY: Final = """
nf_begin
NF_WHO=owner NF_STEP=pull NF_LIMIT=30 NF_TRIES=1
nf_owner "$NF_ROOT$NF_CHECKOUT" && cd "$NF_ROOT$NF_CHECKOUT"
if nf_check_remote && nf_check_pull; then
  cd /
  if nf_do_pull {words}; then echo pulled; else nf_undo; echo failed; fi
else
  nf_undo
  echo refused
fi"""


class Pulls:
    """A host whose job does no more than to look at the pull, and to pull."""

    def __init__(self, folder: Path) -> None:
        above = folder / "upstream"
        above.mkdir()
        self.host: Final = FakeHost(folder / "host", ("dash",), make_upstream(above))
        self.host.root.mkdir()
        self.host.make()

    def pull(self, *words: str) -> str:
        """`refused`, `pulled` or `failed`; `words` stand for the plan's own command."""
        words = words or (
            "git",
            "merge",
            "--quiet",
            "--ff-only",
            "--no-overwrite-ignore",
            "FETCH_HEAD",
        )
        text = compile_plan(self.host.plan(), JOB, str(self.host.root))
        assert text.count('"nf_enter_$1"') == 1
        text = text.replace('"nf_enter_$1"', _ONLY.format(words=shlex.join(words)))
        for folder in (self.host.job, self.host.run_state):
            shutil.rmtree(folder, ignore_errors=True)
        (self.host.job / "ctl").mkdir(parents=True)
        self.host.run_state.mkdir(parents=True)
        done = subprocess.run(
            ["dash", "-s"], input=text.encode(), env=self.host.env, capture_output=True, check=False
        )
        said = done.stdout.decode().strip()
        assert said in ("refused", "pulled", "failed"), (said, done.stderr)
        return said

    def lay_out(self, story: Story) -> Path:
        up, checkout = self.host.upstream.nixcfg, self.host.checkout
        shutil.rmtree(checkout)
        commit_first(up, story)
        git(self.host.root, "clone", "-q", str(up), str(checkout))
        commit_theirs(up, story)
        change_here(checkout, story)
        for setting in story.config:
            git(checkout, "config", *setting.split("=", 1))
        return checkout


@pytest.fixture(scope="module")
def pulls(tmp_path_factory: pytest.TempPathFactory) -> Pulls:
    return Pulls(tmp_path_factory.mktemp("pulls"))


def by_hand(checkout: Path) -> bool:
    """Whether git itself makes this pull, in a copy."""
    copy = checkout.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(checkout, copy, symlinks=True)
    try:
        git(copy, "fetch", "-q")
        git(
            copy,
            *("-c", "merge.autoStash=false", "-c", "branch.main.mergeOptions="),
            *("merge", "-q", "--ff-only", "--no-overwrite-ignore", "FETCH_HEAD"),
        )
    except subprocess.CalledProcessError:
        return False
    return True


SLOW: Final = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SLOW
@given(story=stories)
@example(Story(("a",), (("a", "run"),), ()))
@example(Story(("d",), (("d/a", "edit"),), (("d", "edit"),)))
@example(Story(("d/a",), (("d", "edit"),), (("d/e/b", "ignored"),)))
@example(Story(("a",), (("b", "edit"),), (("b", "ignored"),)))
def test_what_the_preflight_passes_the_pull_does(pulls: Pulls, story: Story) -> None:
    checkout = pulls.lay_out(story)
    before, staged = files(checkout), entries(checkout)
    would = by_hand(checkout)
    ended = pulls.pull()
    log = pulls.host.log
    assert not (checkout / ".git/nixfleet").exists()
    if ended == "refused":
        assert not would or "upstream has files in the place" in log, log
        assert (files(checkout), entries(checkout)) == (before, staged)
        return
    assert (ended, would) == ("pulled", True), log
    copy = checkout.with_name("copy")
    assert (files(checkout), entries(checkout)) == (files(copy), entries(copy))


@SLOW
@given(story=stories)
def test_a_pull_that_is_cut_short_leaves_everything_as_it_was(pulls: Pulls, story: Story) -> None:
    """git has written the whole tree, and fails then: HEAD stays."""
    checkout = pulls.lay_out(story)
    before, staged = files(checkout), entries(checkout)
    cut_short = 'git read-tree -m -u HEAD "$1"; exit 1'
    ended = pulls.pull("sh", "-c", cut_short, "sh", "FETCH_HEAD")
    assert ended == "refused" or (ended == "failed") == has_more(checkout), pulls.host.log
    assert (files(checkout), entries(checkout)) == (before, staged)


def has_more(checkout: Path) -> bool:
    """Whether upstream has a commit that HEAD lacks."""
    return git(checkout, "rev-list", "HEAD..FETCH_HEAD") != ""
