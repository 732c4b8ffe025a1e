"""What a plan has to know of a Mac: its power, and the folders that macOS keeps from a job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nixfleet_core.vocabulary import CAUSES

if TYPE_CHECKING:
    from nixfleet_core.facts.model import Checkout, Facts

_KEPT_FOLDERS: Final = re.compile(
    r"/Users/[^/]+/(Documents|Desktop|Downloads|Library/Mobile Documents)(/|$)", re.IGNORECASE
)
"""macOS asks at the screen before a program may read these, and a job has nobody to ask."""


def is_kept_by_macos(facts: Facts, checkout: Checkout) -> bool:
    """Whether the checkout lies where the job may not read it."""
    is_mac = facts.unit is not None and facts.unit.service.manager == "launchd"
    return is_mac and _KEPT_FOLDERS.match(checkout.path) is not None


def mac_warnings(facts: Facts, checkout: Checkout) -> list[str]:
    """What may go wrong on this Mac; nothing for other hosts."""
    found = []
    if is_kept_by_macos(facts, checkout):
        denied = CAUSES["folder-denied"]
        found.append(f"{denied.meaning}, and {checkout.path} is there: {denied.cure}")
    if facts.on_battery:
        found.append(battery_warning(facts))
    return found


def battery_warning(facts: Facts) -> str:
    """The job keeps a Mac from falling asleep by itself, but a closed lid lets it sleep."""
    charge = "" if facts.charge is None else f" ({facts.charge} %)"
    lid = ", lid closed: the host may sleep" if facts.lid_closed else ": the host may run out of it"
    return f"on battery{charge}{lid} in the middle of the update; connect it to power"
