"""The pull in checkouts as people have them: what the preflight passes works; no work is lost."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import msgspec
import pytest
from fake_host import CHAIN, FakeHost, git, lock_text, make_upstream, tree

from nixfleet_core.job.events import Check

if TYPE_CHECKING:
    from collections.abc import Callable

OK: dict[str, str] = dict.fromkeys(CHAIN, "ok")
one_shell = pytest.mark.parametrize("shell", ["dash"], indirect=True)


@pytest.fixture
def host(tmp_path: Path, shell: tuple[str, ...]) -> FakeHost:
    """A host with an upstream of its own, whose checkout has all of upstream's commits."""
    above = tmp_path / "upstream"
    above.mkdir()
    made = FakeHost(tmp_path / "it's a $(root) é", shell, make_upstream(above))
    made.root.mkdir()
    made.make()
    git(made.checkout, "pull", "-q", "--ff-only")
    # the host's sh, which runs tree.sh
    sh = made.root / "run/wrappers/bin/sh"
    sh.unlink(missing_ok=True)
    sh.write_text(f'#!/bin/sh\nexec {shlex.join(shell)} "$@"\n')
    sh.chmod(0o755)
    return made


def above(host: FakeHost, **files: str | None) -> str:
    """Upstream's next commit; None removes a file. Returns the commit."""
    folder = host.upstream.nixcfg
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        if text is None:
            git(folder, "rm", "-q", "-r", str(path.relative_to(folder)))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "Change")
    return git(folder, "rev-parse", "HEAD")


def level(host: FakeHost) -> None:
    git(host.checkout, "pull", "-q", "--ff-only")


def owners_config(host: FakeHost, text: str) -> None:
    path = Path(f"{host.root}/home/ops/.gitconfig")
    path.write_text(text)
    host.env["GIT_CONFIG_GLOBAL"] = str(path)


def refusal(host: FakeHost) -> tuple[str, str]:
    assert host.steps["preflight"] == "failed", host.log
    (found,) = (e for e in host.events if isinstance(e, Check) and not e.ok)
    assert host.steps["stop"] == "skipped"
    return found.check, found.reason


def pulled(host: FakeHost, commit: str) -> bool:
    """Whether the job worked and HEAD is that commit; nothing of the pull is left."""
    assert host.steps == OK, host.log
    assert not list((host.checkout / ".git").rglob("nixfleet"))
    return git(host.checkout, "rev-parse", "HEAD") == commit


# What the owner's settings add.

SETTINGS = {
    "rebase": "[pull]\nrebase = true\n",
    "rebase and autostash": "[pull]\nrebase = true\n[rebase]\nautoStash = true\n",
    "no fast-forward": "[pull]\nff = false\n[merge]\nff = false\n",
    "merge autostash": "[merge]\nautoStash = true\n",
    "squash": '[branch "main"]\nmergeOptions = --squash\n',
    "no commit": '[branch "main"]\nmergeOptions = --no-ff --no-commit\n',
    "untracked files hidden": "[status]\nshowUntrackedFiles = no\n[diff]\nrelative = true\n",
    "line ends": "[core]\nautocrlf = input\nsafecrlf = warn\n",
    "line ends of Windows": "[core]\nautocrlf = true\n",
    "signing with gpg": "[commit]\ngpgSign = true\n",
    "signing with ssh": "[commit]\ngpgSign = true\n[gpg]\nformat = ssh\n",
    "submodules": "[submodule]\nrecurse = true\n[fetch]\nrecurseSubmodules = true\n",
    "all remotes": "[fetch]\nall = true\nprune = true\n[remote]\npushDefault = nowhere\n",
    "split index": "[core]\nsplitIndex = true\nuntrackedCache = true\n[index]\nversion = 4\n",
}


@one_shell
@pytest.mark.parametrize("text", SETTINGS.values(), ids=SETTINGS)
def test_owners_settings_do_not_change_the_pull(host: FakeHost, text: str) -> None:
    owners_config(host, f"[user]\nname = t\nemail = t@example.org\n{text}")
    # for the git of this test, too
    git(host.checkout, "config", "include.path", host.env["GIT_CONFIG_GLOBAL"])
    commit = above(host, README="three\n")
    mine = lock_text(host.upstream.old, "5" * 40) + "\n"
    host.lock.write_text(mine)
    (host.checkout / "notes").write_text("draft")
    host.run_job()
    assert pulled(host, commit)
    assert (host.job / "flake.lock.before").read_text() == mine
    assert git(host.checkout, "stash", "list") == ""
    status = git(host.checkout, "status", "--porcelain", "--untracked-files=normal")
    assert status == "M flake.lock\n?? notes"


@one_shell
def test_no_hook_and_no_monitor_of_the_owner_runs(host: FakeHost) -> None:
    hooks = host.checkout / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-merge", "post-checkout", "pre-merge-commit", "reference-transaction"):
        (hooks / name).write_text(f'#!/bin/sh\necho {name} >>"$OLDPWD/ran"; exit 1\n')
        (hooks / name).chmod(0o755)
    monitor = host.root / "monitor"
    monitor.write_text(f"#!/bin/sh\necho monitor >>{quote(str(host.root))}/ran\n")
    monitor.chmod(0o755)
    git(host.checkout, "config", "core.fsmonitor", str(monitor))
    commit = above(host, README="three\n")
    host.run_job()
    assert pulled(host, commit)
    assert not [*host.root.glob("ran"), *host.checkout.glob("ran")]


@one_shell
def test_a_remote_that_only_insteadof_names_is_fetched(host: FakeHost) -> None:
    git(host.checkout, "remote", "set-url", "origin", "https://git.example.org/nixcfg")
    owners_config(
        host, f'[url "{host.upstream.nixcfg}"]\ninsteadOf = https://git.example.org/nixcfg\n'
    )
    commit = above(host, README="three\n")
    host.run_job()
    assert pulled(host, commit)


@one_shell
def test_the_owners_own_ssh_command_is_used_and_never_asks(host: FakeHost) -> None:
    ssh = host.root / "ssh"
    told = quote(str(host.root / "told"))
    ssh.write_text(f'#!/bin/sh\necho "$*" >>{told}\nfor last; do :; done\neval "$last"\n')
    ssh.chmod(0o755)
    git(host.checkout, "remote", "set-url", "origin", f"ssh://git@h{host.upstream.nixcfg}")
    git(host.checkout, "config", "core.sshCommand", f"{quote(str(ssh))} -i deploy")
    git(host.checkout, "config", "ssh.variant", "ssh")
    commit = above(host, README="three\n")
    host.run_job()
    assert pulled(host, commit)
    said = (host.root / "told").read_text()
    assert "-i deploy -o BatchMode=yes" in said


@one_shell
def test_a_wanted_signature_that_is_missing_is_a_refusal(host: FakeHost) -> None:
    owners_config(host, "[merge]\nverifySignatures = true\n")
    above(host, README="three\n")
    host.run_job()
    assert refusal(host) == ("pull", "unsigned")


# Kinds of checkouts.


def shallow(host: FakeHost, place: Path) -> None:
    git(host.root, "clone", "-q", "--depth", "1", f"file://{host.upstream.nixcfg}", str(place))


def partial(host: FakeHost, place: Path) -> None:
    git(host.upstream.nixcfg, "config", "uploadpack.allowFilter", "true")
    url = f"file://{host.upstream.nixcfg}"
    git(host.root, "clone", "-q", "--filter=blob:none", url, str(place))


def linked(host: FakeHost, place: Path) -> None:
    first = host.root / "first"
    git(host.root, "clone", "-q", str(host.upstream.nixcfg), str(first))
    git(first, "checkout", "-q", "--detach")
    git(first, "worktree", "add", "-q", str(place), "main")


def sparse(host: FakeHost, place: Path) -> None:
    git(host.root, "clone", "-q", str(host.upstream.nixcfg), str(place))
    git(place, "sparse-checkout", "set", "--no-cone", "/flake.*")


KINDS = [shallow, partial, linked, sparse]


@one_shell
@pytest.mark.parametrize("make", KINDS)
def test_each_kind_of_checkout_is_pulled(
    host: FakeHost, make: Callable[[FakeHost, Path], None]
) -> None:
    shutil.rmtree(host.checkout)
    make(host, host.checkout)
    commit = above(host, README="three\n", deep__er__file="new\n")
    host.run_job()
    assert host.steps == OK, host.log
    assert git(host.checkout, "rev-parse", "HEAD") == commit
    assert git(host.checkout, "status", "--porcelain") == "M flake.lock"


@one_shell
def test_a_partial_clone_needs_no_network_after_the_preflight(host: FakeHost) -> None:
    shutil.rmtree(host.checkout)
    partial(host, host.checkout)
    commit = above(host, README="three\n")
    away = host.upstream.nixcfg.with_name("gone")
    leave = f"mv {quote(str(host.upstream.nixcfg))} {quote(str(away))}"
    host.on("systemctl", f'case $1 in stop) {leave} ;; esac\ndefault "$@"')
    host.run_job()
    assert pulled(host, commit)


@one_shell
@pytest.mark.parametrize("default", ["sha1", "sha256"])
def test_a_repository_may_have_another_hash_than_gits_default(host: FakeHost, default: str) -> None:
    other = {"sha1": "sha256", "sha256": "sha1"}[default]
    host.env["GIT_DEFAULT_HASH"] = default
    source = host.root / "source"
    git(host.root, "init", "-q", "-b", "main", f"--object-format={other}", str(source))
    for path in host.checkout.glob("[!.]*"):
        shutil.copy(path, source)
    git(source, "add", "-A")
    git(source, "commit", "-q", "-m", "First")
    shutil.rmtree(host.checkout)
    git(host.root, "clone", "-q", str(source), str(host.checkout))
    (source / "README").write_text("three\n")
    git(source, "commit", "-q", "-a", "-m", "Change")
    host.run_job()
    assert pulled(host, git(source, "rev-parse", "HEAD"))


@one_shell
def test_a_submodule_out_of_reach_does_not_matter(host: FakeHost, tmp_path: Path) -> None:
    allow = ("-c", "protocol.file.allow=always")
    source, up = tmp_path / "private", host.upstream.nixcfg
    git(tmp_path, "init", "-q", "-b", "main", str(source))

    def bump(text: str) -> None:
        (source / "a").write_text(text)
        git(source, "add", ".")
        git(source, "commit", "-q", "-m", text)

    bump("one")
    git(up, *allow, "submodule", "--quiet", "add", f"file://{source}", "private")
    git(up, "commit", "-q", "-a", "-m", "Submodule")
    level(host)
    git(host.checkout, *allow, "submodule", "--quiet", "update", "--init")
    bump("two")
    git(up / "private", *allow, "pull", "-q", "--ff-only")
    git(up, "commit", "-q", "-a", "-m", "Submodule moved")
    source.rename(tmp_path / "gone")
    owners_config(host, "[protocol.file]\nallow = always\n[submodule]\nrecurse = true\n")
    host.run_job()
    assert pulled(host, git(up, "rev-parse", "HEAD"))


@one_shell
def test_a_branch_on_nothing_is_a_refusal(host: FakeHost) -> None:
    git(host.checkout, "config", "branch.main.merge", "refs/heads/unborn")
    host.run_job()
    assert refusal(host) == ("remote", "fetch")
    assert "couldn't find remote ref refs/heads/unborn" in host.log


@one_shell
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("checkout", "-q", "--detach"), "detached"),
        (("branch", "--unset-upstream"), "no-upstream"),
    ],
)
def test_a_checkout_without_an_upstream_is_a_refusal(
    host: FakeHost, words: tuple[str, ...], reason: str
) -> None:
    git(host.checkout, *words)
    host.run_job()
    assert refusal(host) == ("remote", reason)


# Work that the pull would overwrite.


def kept(host: FakeHost) -> dict[str, object]:
    return {k: v for k, v in tree(host.checkout).items() if not k.startswith(".git/")}


def assume(flag: str) -> Callable[[FakeHost], None]:
    def spoil(host: FakeHost) -> None:
        above(host, **{"secrets.nix": "{ }\n"})
        level(host)
        above(host, **{"secrets.nix": "{ a = 1; }\n"})
        (host.checkout / "secrets.nix").write_text("{ mine = 1; }\n")
        git(host.checkout, "update-index", f"--{flag}", "secrets.nix")

    return spoil


def renamed(host: FakeHost) -> None:
    above(host, **{"secrets.nix": "".join(f"line {n}\n" for n in range(40))})
    level(host)
    git(host.upstream.nixcfg, "mv", "secrets.nix", "other.nix")
    above(host)
    with (host.checkout / "secrets.nix").open("a") as file:
        file.write("mine\n")


def untracked(host: FakeHost) -> None:
    above(host, **{"secrets.nix": "theirs\n"})
    (host.checkout / "secrets.nix").write_text("mine\n")


def ignored(host: FakeHost) -> None:
    above(host, **{".gitignore": "secrets.nix\n"})
    level(host)
    above(host, **{"secrets.nix": "theirs\n"})
    (host.checkout / "secrets.nix").write_text("mine\n")


def file_for_folder(host: FakeHost) -> None:
    above(host, **{".gitignore": "secrets.nix\n"})
    level(host)
    above(host, **{"secrets.nix/deep": "theirs\n"})
    (host.checkout / "secrets.nix").write_text("mine\n")


def folder_for_file(host: FakeHost) -> None:
    above(host, **{".gitignore": "*.key\n"})
    level(host)
    above(host, **{"secrets.nix": "theirs\n"})
    (host.checkout / "secrets.nix").mkdir()
    (host.checkout / "secrets.nix/a.key").write_text("mine\n")


def link_for_folder(host: FakeHost) -> None:
    above(host, **{"secrets.nix/deep": "theirs\n"})
    (host.root / "elsewhere").mkdir()
    (host.checkout / "secrets.nix").symlink_to(host.root / "elsewhere")


def staged(host: FakeHost) -> None:
    above(host, **{"secrets.nix": "theirs\n"})
    (host.checkout / "secrets.nix").write_text("mine\n")
    git(host.checkout, "add", "secrets.nix")


OVERWRITTEN = {
    "assume-unchanged": assume("assume-unchanged"),
    "skip-worktree": assume("skip-worktree"),
    "renamed": renamed,
    "untracked": untracked,
    "ignored": ignored,
    "an ignored file for a folder": file_for_folder,
    "a folder for a file": folder_for_file,
    "a link for a folder": link_for_folder,
    "staged": staged,
}


@pytest.mark.parametrize("spoil", OVERWRITTEN.values(), ids=OVERWRITTEN)
def test_work_in_the_way_is_named_and_stays(
    host: FakeHost, spoil: Callable[[FakeHost], None]
) -> None:
    spoil(host)
    before = kept(host)
    host.run_job()
    assert refusal(host) == ("pull", "collision")
    assert "secrets.nix" in host.log
    assert kept(host) == before
    assert not (host.checkout / ".git/nixfleet").exists()


@one_shell
def test_work_of_the_second_in_which_the_index_was_written_is_seen(host: FakeHost) -> None:
    """Its size and times are those in the index: git knows by the index's own time that it must
    read the file."""
    above(host, README="three\n")
    readme = host.checkout / "README"
    at = 1_700_000_000
    git(host.checkout, "config", "core.trustctime", "false")
    git(host.checkout, "config", "core.checkStat", "minimal")
    os.utime(readme, (at, at))
    git(host.checkout, "update-index", "--refresh")
    readme.write_text("own\n")
    for path in (readme, host.checkout / ".git/index"):
        os.utime(path, (at, at))
    host.run_job()
    assert refusal(host) == ("pull", "collision")
    assert readme.read_text() == "own\n"


@one_shell
def test_a_name_that_another_git_holds_is_waited_for(host: FakeHost) -> None:
    above(host, README="three\n")
    (host.checkout / ".git/index.lock").touch()
    host.run_job()
    assert refusal(host) == ("pull", "git-busy")
    assert (host.checkout / ".git/index.lock").exists()


# Filters.


def filtered(host: FakeHost, smudge: str) -> str:
    """secrets.nix goes through a filter that must work."""
    above(host, **{".gitattributes": "secrets.nix filter=crypt\n", "secrets.nix": "one\n"})
    level(host)
    git(host.checkout, "config", "filter.crypt.required", "true")
    git(host.checkout, "config", "filter.crypt.clean", "cat")
    git(host.checkout, "config", "filter.crypt.smudge", smudge)
    return above(host, **{"secrets.nix": "two\n", "README": "three\n", "added/file": "new\n"})


@one_shell
def test_a_required_filter_that_is_missing_is_found_before_the_stop(host: FakeHost) -> None:
    filtered(host, "no-such-filter")
    before = kept(host)
    host.run_job()
    assert refusal(host) == ("pull", "files")
    assert "no-such-filter" in host.log
    assert kept(host) == before


def half_way(host: FakeHost, then: str) -> dict[str, object]:
    """The filter works in the rehearsal, and does `then` in the pull. Returns the tree before."""
    filtered(host, f"case $PWD in */.git/*) cat ;; *) {then} ;; esac")
    (host.checkout / "notes").write_text("draft")
    (host.checkout / "added").mkdir()
    return kept(host)


def index(host: FakeHost) -> str:
    return git(host.checkout, "ls-files", "--stage", "-v")


@pytest.mark.parametrize("then", ["exit 1", "head -c 2; exit 1"])
def test_a_pull_that_fails_half_way_is_put_back(host: FakeHost, then: str) -> None:
    before = half_way(host, then)
    staged = index(host)
    head = git(host.checkout, "rev-parse", "HEAD")
    host.run_job()
    assert (host.steps["preflight"], host.steps["pull"]) == ("ok", "failed"), host.log
    assert host.steps["start"] == "ok"
    assert kept(host) == before
    assert (index(host), git(host.checkout, "rev-parse", "HEAD")) == (staged, head)
    assert git(host.checkout, "status", "--porcelain") == "?? notes"
    assert not (host.checkout / ".git/nixfleet").exists()


def kill_git(host: FakeHost) -> str:
    """A filter that is git's own process first: git runs it through a shell."""
    script = host.root / "killer"
    script.write_text(
        '#!/bin/sh\nhead -c 2\nparent=$PPID\nwhile [ "$(cat /proc/$parent/comm)" != git ]; do\n'
        "  parent=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$parent/status)\ndone\nkill -KILL $parent\n"
    )
    script.chmod(0o755)
    return quote(str(script))


@one_shell
def test_a_git_that_was_killed_leaves_no_lock(host: FakeHost) -> None:
    before = half_way(host, kill_git(host))
    host.write_job()
    host.start_job().communicate(timeout=60)
    assert host.steps["pull"] == "failed", host.log
    assert kept(host) == before
    assert not (host.checkout / ".git/index.lock").exists()
    git(host.checkout, "config", "filter.crypt.smudge", "cat")
    shutil.rmtree(host.job)
    host.run_job()
    assert pulled(host, git(host.upstream.nixcfg, "rev-parse", "HEAD"))


def killed(host: FakeHost) -> None:
    """A job whose processes were all killed in the pull, as by a power cut."""
    hold = host.root / "hold"
    os.mkfifo(hold)
    smudge = f"case $PWD in */.git/*) cat ;; *) head -c 2; cat {quote(str(hold))} ;; esac"
    git(host.checkout, "config", "filter.crypt.smudge", smudge)
    host.write_job()
    job = host.start_job()
    with hold.open("wb"):  # opens once the filter reads it
        subprocess.run(["pkill", "-KILL", "-s", str(job.pid)], check=True)
    job.communicate()


@one_shell
@pytest.mark.needs("pkill")
def test_a_runner_that_was_killed_in_the_pull_is_put_back_by_its_other_unit(host: FakeHost) -> None:
    before = half_way(host, "cat")
    killed(host)
    assert (host.checkout / ".git/index.lock").exists()
    host.run_job(command="finish")
    assert host.result["outcome"] == "interrupted"
    assert kept(host) == before
    assert git(host.checkout, "status", "--porcelain") == "?? notes"
    assert not (host.checkout / ".git/index.lock").exists()


@one_shell
@pytest.mark.needs("pkill")
def test_a_pull_that_a_power_cut_ended_is_put_back_by_the_next_update(host: FakeHost) -> None:
    half_way(host, "cat")
    killed(host)
    shutil.rmtree(host.job)
    shutil.rmtree(host.run_state)
    git(host.checkout, "config", "filter.crypt.smudge", "cat")
    host.run_job()
    assert pulled(host, git(host.upstream.nixcfg, "rev-parse", "HEAD"))
    assert (host.checkout / "notes").read_text() == "draft"


@one_shell
def test_work_that_was_done_since_a_broken_pull_is_left_alone(host: FakeHost) -> None:
    readme = host.checkout / "README"
    half_way(host, f"echo mine >{quote(str(readme))}; exit 1")
    host.run_job()
    assert host.steps["pull"] == "failed"
    assert readme.read_text() == "mine\n"
    assert "left alone: README" in host.log


# Who may write.


@one_shell
@pytest.mark.needs("root")
def test_files_of_root_that_git_never_touches_do_not_matter(host: FakeHost) -> None:
    above(host, **{".gitignore": "result\nstate\n"})
    level(host)
    commit = above(host, README="three\n")
    give_to_user(host)
    (host.checkout / "result").symlink_to("/nix/store/x")
    (host.checkout / "state").mkdir()
    (host.checkout / "state/file").touch()
    host.run_job()
    assert host.steps == OK, host.log
    assert (host.checkout / ".git/refs/heads/main").read_text().strip() == commit


@one_shell
@pytest.mark.needs("root")
def test_a_folder_of_root_that_the_pull_changes_is_a_refusal(host: FakeHost) -> None:
    above(host, deep__file="one\n")
    level(host)
    above(host, deep__file="two\n")
    give_to_user(host)
    os.chown(host.checkout / "deep", 0, 0)
    host.run_job()
    assert refusal(host) == ("pull", "not-writable")
    assert "deep" in host.log


@one_shell
@pytest.mark.needs("root")
def test_files_of_root_in_the_repository_are_a_refusal(host: FakeHost) -> None:
    give_to_user(host)
    (host.checkout / ".git/objects/left-behind").touch()
    host.run_job()
    assert refusal(host) == ("checkout", "root-owned")


def give_to_user(host: FakeHost) -> None:
    """The checkout belongs to nobody, and root runs the job."""
    folders = [host.checkout, host.upstream.nixcfg, Path(host.upstream.nixfleet[7:])]
    subprocess.run(["chown", "-Rh", "65534:65534", *folders, host.state], check=True)
    for folder in [*host.root.parents, host.root, host.root / "tmp", host.state]:
        if folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    host.state.chmod(0o777)


# A flake in a folder of the repository.


@pytest.fixture
def below(host: FakeHost) -> FakeHost:
    """The flake lies in nix/."""
    up = host.upstream.nixcfg
    (up / "nix").mkdir()
    for name in ("flake.nix", "flake.lock"):
        git(up, "mv", name, f"nix/{name}")
    above(host)
    level(host)
    return host


@pytest.mark.parametrize("keep", [True, False])
def test_a_dirty_lock_in_a_folder_makes_way(below: FakeHost, keep: bool) -> None:
    host = below
    mine = lock_text(host.upstream.new, "5" * 40)
    (host.upstream.nixcfg / "nix/flake.lock").write_text(lock_text(host.upstream.old, "6" * 40))
    commit = above(host)
    lock = host.checkout / "nix/flake.lock"
    lock.write_text(mine)
    cksum = subprocess.run(["cksum"], input=mine, capture_output=True, text=True).stdout.strip()
    plan = host.plan() if keep else host.plan(lines={"update": ("false",)})
    plan = msgspec.structs.replace(plan, checkout=f"{plan.checkout}/nix", restore_lock=cksum)
    host.run_job(plan)
    assert (host.steps["pull"], host.steps["update"]) == ("ok", "ok" if keep else "failed"), (
        host.log
    )
    assert git(host.checkout, "rev-parse", "HEAD") == commit
    assert lock.read_text() == (lock_text(host.upstream.new) if keep else mine)


@one_shell
def test_a_flake_that_git_does_not_track_is_a_refusal(host: FakeHost) -> None:
    folder = host.checkout / "nix"
    folder.mkdir()
    for name in ("flake.nix", "flake.lock"):
        shutil.copy(host.checkout / name, folder)
    plan = host.plan()
    host.run_job(msgspec.structs.replace(plan, checkout=f"{plan.checkout}/nix"))
    assert refusal(host) == ("checkout", "untracked")
