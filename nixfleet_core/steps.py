"""The steps of each kind of plan: what runs, as whom, how long and how often. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec.structs import replace

from nixfleet_core.nix.lock import FORGES
from nixfleet_core.nix.version import NixVersion, pin_input_argv, update_input_argv
from nixfleet_core.plan import TITLES, Options, Step

if TYPE_CHECKING:
    from nixfleet_core.host import Platform
    from nixfleet_core.nix.lock import Input
    from nixfleet_core.service import Service

FEATURES: Final = ("--extra-experimental-features", "nix-command flakes")

NEGATIVE_TTL: Final = ("--option", "narinfo-cache-negative-ttl", "0")
"""Makes Nix ask binary caches again about paths that they lacked when it last asked."""

POSITIVE_TTL: Final = ("--option", "narinfo-cache-positive-ttl", "0")
"""Makes Nix ask binary caches again also about paths that they said they had."""

GRACE: Final = 30
"""Seconds that the agent gets to stop before it is killed."""

_PREFLIGHT: Final = Step(
    id="preflight",
    title=TITLES["preflight"],
    argv=("check",),
    run_as="root",
    limit=300,
    tries=3,
    weight=2,
)
_PULL: Final = Step(
    id="pull",
    title=TITLES["pull"],
    argv=("git", "pull", "--ff-only"),
    run_as="owner",
    limit=300,
    tries=5,
    weight=2,
)
_VERIFY: Final = Step(
    id="verify",
    title=TITLES["verify"],
    argv=("prove",),
    run_as="root",
    limit=300,
    weight=2,
    always=True,
)
_ROLLBACK: Final = Step(
    id="rollback",
    title=TITLES["rollback"],
    argv=("switch-back",),
    run_as="root",
    limit=1800,
    weight=4,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an update happens: the platform, the agent's service, and CHECKOUT#ATTRIBUTE."""

    platform: Platform
    service: Service
    flake: str


def update_steps(
    nix: NixVersion, flake_input: Input, name: str, place: Place, options: Options
) -> tuple[Step, ...]:
    """The chain of an update of the input `name`."""
    chain = (
        _PREFLIGHT,
        _stop(place.service),
        *((_PULL,) if options.pull else ()),
        _update(nix, flake_input, name, options),
        _rebuild(place, options),
        *((_confirm(options.confirm_within),) if options.confirm_within else ()),
        _start(place.service),
        _VERIFY,
        *((_ROLLBACK,) if options.rollback_on_failure or options.confirm_within else ()),
    )
    return tuple(replace(step, limit=options.limits.get(step.id, step.limit)) for step in chain)


def rollback_steps(service: Service, target: str) -> tuple[Step, ...]:
    """Back to the generation `target`."""
    back = replace(_ROLLBACK, argv=("switch-back", target))
    return (_PREFLIGHT, _stop(service), back, _start(service), _VERIFY)


def _stop(service: Service) -> Step:
    return Step(id="stop", title=TITLES["stop"], argv=service.stop(), run_as="root", limit=GRACE)


def _start(service: Service) -> Step:
    return Step(
        id="start",
        title=TITLES["start"],
        argv=service.start(),
        run_as="root",
        limit=120,
        always=True,
    )


def _update(nix: NixVersion, flake_input: Input, name: str, options: Options) -> Step:
    pinned = pin_url(flake_input, options.input_rev) if options.input_rev else None
    argv = pin_input_argv(name, pinned) if pinned else update_input_argv(nix, name)
    return Step(
        id="update",
        title=TITLES["update"].format(input=name),
        argv=(*argv[:1], *FEATURES, *argv[1:]),
        run_as="owner",
        limit=300,
        tries=5,
        weight=2,
    )


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
            *(POSITIVE_TTL if options.level >= 2 else ()),
            # an old nixos-rebuild-ng keeps only the last --option: the most important one
            *(NEGATIVE_TTL if options.level >= 1 else ()),
        ),
        run_as="owner" if is_home else "root",
        limit=4 * 3600,
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


def pin_url(flake_input: Input, rev: str) -> str | None:
    """The flake URL that names one commit of an input; None for kinds that have no commits."""
    source, kind = flake_input.source, flake_input.kind
    if source.url is None:
        return None
    if kind in FORGES:
        host, path = source.url.removeprefix("https://").split("/", 1)
        owner, repo = path.rsplit("/", 1)
        # GitLab's owner may be a path of groups, which Nix wants as one part
        query = "" if host == FORGES[kind] else f"?host={host}"
        return f"{kind}:{quote(owner, safe='')}/{repo}/{rev}{query}"
    scheme = "" if source.url.startswith("git+") else "git+"
    ref = f"ref={quote(source.ref)}&" if source.ref else ""
    return f"{scheme}{source.url}{'&' if '?' in source.url else '?'}{ref}rev={rev}"
