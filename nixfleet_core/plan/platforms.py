"""Whether a host is one that we can look after: NixOS, or a home of Home Manager. Every door asks
this rule first; without it, whatever else such a host lacks would seem to be the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixfleet_core.plan.model import Refusal
from nixfleet_core.vocabulary import CAUSES

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Facts
    from nixfleet_core.host import Platform


def platform_of(facts: Facts) -> Platform | Refusal:
    """The host's platform, or why there is nothing here that we could look after."""
    match facts.platform:
        case "nixos" | "home-manager":
            return facts.platform
        case "nix-darwin":
            return Refusal(
                "platform",
                "nix-darwin manages this Mac, and this user has no Home Manager profile of their "
                "own",
                "only an agent of a standalone Home Manager can be updated; for this one run "
                "darwin-rebuild switch, then launchctl kickstart -k",
            )
        case _:
            return Refusal(
                "platform",
                f"{facts.os or 'the host'} is not NixOS, and this user has no Home Manager profile",
                CAUSES["preflight-platform"].cure,
            )
