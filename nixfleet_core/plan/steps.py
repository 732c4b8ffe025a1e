"""The steps of each kind of plan: what runs, as whom, how long and how often. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec.structs import replace

from nixfleet_core.config import DEFAULT_LIMITS
from nixfleet_core.nix.lock import FORGES
from nixfleet_core.nix.version import NixVersion, pin_input_argv, update_input_argv
from nixfleet_core.plan.levels import BUILD_LEVEL, PIN_LEVEL, REPAIR_LEVEL, level_options
from nixfleet_core.plan.model import Options, Step
from nixfleet_core.vocabulary import TITLES

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout
    from nixfleet_core.facts.service import Service
    from nixfleet_core.host import Platform
    from nixfleet_core.nix.lock import Input


def lock_message(flake_input: str, old: str | None, new: str | None) -> str:
    """The message of the lock's commit, as scripts/job/share_lock.sh writes it."""
    moved = f"{old[:7]} -> {new[:7]}" if old and new else "updated"
    return f"flake.lock: {flake_input} {moved}"


FEATURES: Final = ("--extra-experimental-features", "nix-command flakes")


GRACE: Final = 30
"""Seconds that the agent gets to stop before it is killed."""

_PREFLIGHT: Final = Step(
    id="preflight",
    title=TITLES["preflight"],
    argv=("check",),
    run_as="root",
    limit=300,
    tries=3,  # it fetches nixcfg
    weight=2,
)
_PULL: Final = Step(
    id="pull",
    title=TITLES["pull"],
    argv=("git", "merge", "--ff-only", "--no-overwrite-ignore", "FETCH_HEAD"),
    run_as="owner",
    limit=300,
    tries=3,  # another git may be at work
    weight=2,
)
_REPAIR: Final = Step(
    id="repair",
    title=TITLES["repair"],
    argv=("repair-agent",),
    run_as="root",
    limit=4 * 3600,
    weight=2,
)
_BUILD: Final = Step(
    id="build",
    title=TITLES["build"],
    argv=("build-agent",),
    run_as="root",
    limit=4 * 3600,
    tries=3,
    weight=8,
)
_VERIFY: Final = Step(
    id="verify",
    title=TITLES["verify"],
    argv=("prove",),
    run_as="root",
    limit=300,
    weight=2,
)
_ROLLBACK: Final = Step(
    id="rollback",
    title=TITLES["rollback"],
    argv=("switch-back",),
    run_as="root",
    limit=1800,
    weight=4,
)


NEW_LOCK: Final = "<commit of the new lock>"
"""Stands in a shown command for what only the host can know."""


def wants_commit(options: Options) -> bool:
    """Whether flake.lock is to be committed: then the commit is what is built."""
    return options.commit_lock or options.push


def built_flake(checkout: Checkout, options: Options) -> str:
    """What the rebuild is told to build, as scripts/job/from_commit.sh has it: the checkout, or a
    commit of the new flake.lock."""
    if checkout.dirty_trees != "refuses" and not wants_commit(options):
        return checkout.path
    if options.as_locked and checkout.head_lock is None:
        return checkout.path  # HEAD has this flake.lock: the tree is not dirty
    if checkout.unnamed not in (None, "lock"):
        return checkout.path
    folder = checkout.folder.rstrip("/")
    top = checkout.path.removesuffix(f"/{folder}") if folder else checkout.path
    within = f"&dir={quote(folder)}" if folder else ""
    return f"git+file://{quote(top)}?ref=refs/nixfleet/JOB&rev={NEW_LOCK}{within}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an update happens: the platform, the agent's service, and FLAKE#ATTRIBUTE."""

    platform: Platform
    service: Service
    flake: str


def update_steps(
    nix: NixVersion,
    flake_input: Input,
    name: str,
    place: Place,
    options: Options,
    *,
    message: str,
    upstream: str | None,
) -> tuple[Step, ...]:
    """The steps that update the input `name`. `message` and `upstream` (REMOTE/BRANCH) are for the
    commit of flake.lock and its push."""
    chain = (
        _PREFLIGHT,
        _stop(place.service),
        *((_PULL,) if options.pull else ()),
        *(() if options.as_locked else (_update(nix, flake_input, name, options),)),
        *((_REPAIR,) if options.level >= REPAIR_LEVEL else ()),
        *((_BUILD,) if options.level >= BUILD_LEVEL else ()),
        _rebuild(place, options),
        *((_confirm(options.confirm_within),) if options.confirm_within else ()),
        _start(place.service),
        _VERIFY,
        *((_ROLLBACK,) if options.rollback_on_failure or options.confirm_within else ()),
        *_share_steps(message, upstream, options),
    )
    return tuple(replace(step, limit=options.limits.get(step.id, step.limit)) for step in chain)


def _share_steps(message: str, upstream: str | None, options: Options) -> tuple[Step, ...]:
    """The steps after the proof. git's hooks do not run: they expect a person at the keyboard."""
    if not wants_commit(options):
        return ()
    commit = Step(
        id="commit",
        title=TITLES["commit"],
        argv=(
            # the branch goes to the commit that was built; the command is for a tree that was built
            "fast-forward",
            *("git", "-c", "core.hooksPath=/dev/null", "commit", "--quiet"),
            *("--message", message, "--", "flake.lock"),
        ),
        run_as="owner",
        limit=60,
    )
    if not options.push or upstream is None:
        return (commit,)
    remote, _, branch = upstream.partition("/")
    push = Step(
        id="push",
        title=TITLES["push"],
        argv=(
            *("git", "push", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"),
            *(remote, f"HEAD:refs/heads/{branch}"),
        ),
        run_as="owner",
        limit=120,
        tries=3,
    )
    return commit, push


def rollback_steps(
    service: Service, system: str, profile: str, number: int | None
) -> tuple[Step, ...]:
    """Back to `system`, with `profile`, the generation of that number, in the profile."""
    generation = (str(number),) if number is not None else ()
    back = replace(_ROLLBACK, argv=("switch-back", system, profile, *generation))
    return (_PREFLIGHT, _stop(service), back, _start(service), _VERIFY)


def commit_steps(message: str, upstream: str | None, options: Options) -> tuple[Step, ...]:
    """A new proof, and then the commit of flake.lock. The agent is left alone."""
    return (_PREFLIGHT, _VERIFY, *_share_steps(message, upstream, options))


def restart_steps(service: Service) -> tuple[Step, ...]:
    """The agent is restarted, in one go, and proven."""
    restart = Step(
        id="restart",
        title=TITLES["restart"],
        argv=service.restart(),
        run_as="root",
        limit=120,
    )
    return (_PREFLIGHT, restart, _VERIFY)


def _stop(service: Service) -> Step:
    return Step(id="stop", title=TITLES["stop"], argv=service.stop(), run_as="root", limit=GRACE)


def _start(service: Service) -> Step:
    return Step(
        id="start",
        title=TITLES["start"],
        argv=service.start(),
        run_as="root",
        limit=120,
    )


def _update(nix: NixVersion, flake_input: Input, name: str, options: Options) -> Step:
    return Step(
        id="update",
        title=TITLES["update"].format(input=name),
        argv=_update_argv(nix, flake_input, name, options),
        run_as="owner",
        limit=300,
        tries=5,
        weight=2,
    )


def _update_argv(
    nix: NixVersion, flake_input: Input, name: str, options: Options
) -> tuple[str, ...]:
    pinned = pin_url(flake_input, options.input_rev) if options.input_rev else None
    argv = pin_input_argv(name, pinned) if pinned else update_input_argv(nix, name)
    argv = (*argv[:1], *FEATURES, *argv[1:])
    if options.input_rev is None and pins(flake_input, options):
        # the host asks which commit that is when it gets there; the command is for one who may not
        return ("pin-latest", *argv)
    return argv


def _rebuild(place: Place, options: Options) -> Step:
    is_home = place.platform == "home-manager"
    return Step(
        id="rebuild",
        title=TITLES["rebuild"],
        argv=(
            *("home-manager" if is_home else "nixos-rebuild", "switch", "--flake", place.flake),
            *("--log-format", "internal-json"),
            *(("--cores", str(options.cores)) if options.cores is not None else ()),
            *(
                ("-j" if is_home else "--max-jobs", str(options.max_jobs))
                if options.max_jobs is not None
                else ()
            ),
            *level_options(options.level, place.platform),
        ),
        run_as="owner" if is_home else "root",
        limit=DEFAULT_LIMITS.rebuild,
        tries=3,
        weight=20,
    )


def _confirm(seconds: int) -> Step:
    return Step(
        id="confirm",
        title=TITLES["confirm"],
        argv=("wait-for-operator", str(seconds)),
        run_as="root",
        limit=seconds,
    )


def has_commits(flake_input: Input) -> bool:
    """Whether the input can be locked to a commit."""
    return flake_input.source.url is not None


def pins(flake_input: Input, options: Options) -> bool:
    """Whether the step that updates the input locks it to one commit by its URL."""
    if options.as_locked:
        return False
    return options.input_rev is not None or (
        options.level >= PIN_LEVEL and has_commits(flake_input)
    )


def pin_url(flake_input: Input, rev: str) -> str | None:
    """The flake URL that names one commit of an input; None for kinds that have no commits."""
    source, kind = flake_input.source, flake_input.kind
    if source.url is None:
        return None
    if kind in FORGES:
        host, path = source.url.removeprefix("https://").split("/", 1)
        owner, repo = path.rsplit("/", 1)
        # GitLab's owner may be a path of groups; Nix wants it as one part
        query = "&".join((*(() if host == FORGES[kind] else (f"host={host}",)), *source.query))
        return f"{kind}:{quote(owner, safe='')}/{repo}/{rev}{'?' if query else ''}{query}"
    scheme = "" if source.url.startswith("git+") else "git+"
    ref = (f"ref={quote(source.ref)}",) if source.ref else ()
    query = "&".join((*ref, *source.query, f"rev={rev}"))
    return f"{scheme}{source.url}?{query}"
