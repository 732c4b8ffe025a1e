"""The levels of force, and what each adds to a rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nixfleet_core.host import Platform

LEVELS: Final[tuple[int, ...]] = (0, 1, 2, 3, 4, 5, 6, 7)
"""The force levels. Each does what those below it do, and more."""

LEVEL_NOTES: Final[dict[int, str]] = {
    0: "believes what binary caches said before. Enough where the agent was merely not restarted; "
    "costs nothing more",
    1: "asks caches again about what they lacked. For a new agent that was built here because the "
    "cache got it late; costs one question for each path that was missing",
    2: "asks caches again about everything. For a cache that has lost or replaced what it had; "
    "costs one question for each path, which takes minutes on a slow line",
    3: "locks the input to the commit that git names. For a forge whose API refuses or lags, and "
    "fetches that keep an old commit; costs nothing more",
    4: "evaluates without the evaluation cache. For a 'cached failed attribute' that should work; "
    "costs one full evaluation",
    5: "builds what a cache cannot deliver whole. For a cache that answers with errors or damaged "
    "files; costs the builds of what is missing",
    6: "builds the agent itself here, from its source. For a cached agent that is not what its "
    "source builds; costs its build, and stops if the agent in the store differs",
    7: "checks the agent's files and repairs them. For a damaged disk or a store that was tampered "
    "with; costs reading them, and fetching or building what is damaged",
}
"""What each level adds, when it helps, and what it costs."""

NEGATIVE_TTL: Final = ("--option", "narinfo-cache-negative-ttl", "0")
"""Makes Nix ask binary caches again about paths that they lacked when it last asked."""

POSITIVE_TTL: Final = ("--option", "narinfo-cache-positive-ttl", "0")
"""Makes Nix ask binary caches again also about paths that they said they had."""

EVALUATION: Final = ("--option", "eval-cache", "false")
"""Makes Nix evaluate anew, even if it remembers how the last evaluation ended."""

PIN_LEVEL: Final = 3

BUILD_LEVEL: Final = 6

REPAIR_LEVEL: Final = 7
"""The levels from which on a step changes, or is added."""


def level_options(level: int, platform: Platform) -> tuple[str, ...]:
    """What a level adds to `nixos-rebuild switch` or `home-manager switch`.

    home-manager refuses `--fallback`. An old nixos-rebuild-ng keeps only the last --option, so the
    most important option comes last.
    """
    fallback = ("--fallback",) if platform == "nixos" else ("--option", "fallback", "true")
    return (
        *(fallback if level >= 5 else ()),
        *(EVALUATION if level >= 4 else ()),
        *(POSITIVE_TTL if level >= 2 else ()),
        *(NEGATIVE_TTL if level >= 1 else ()),
    )
