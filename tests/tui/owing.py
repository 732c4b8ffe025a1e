"""What a host owes, for tests of the screens."""

from __future__ import annotations

from typing import Final

from fakes import NEW_SYSTEM, NOW, OLD_SYSTEM

from nixfleet_core.judge.debt import Apart, Boot, Debt, Owing

_DAY: Final = 86_400


def stored(name: str, letter: str = "a") -> str:
    """A path in the store."""
    return f"/nix/store/{letter * 32}-{name}"


OWING: Final = (
    Owing(
        unit="nginx.service",
        since=NOW - 9 * _DAY,
        kind="program",
        old=f"{stored('nginx-1.26.1')}/bin/nginx",
        new=stored("nginx-1.26.2", "b"),
        reason="a switch leaves it alone on purpose (restartIfChanged = false)",
        pay="sudo systemctl restart nginx.service",
    ),
    Owing(
        unit="nixfleet-agent.service",
        since=NOW - 9 * _DAY,
        kind="program",
        old=f"{stored('nixfleet-agent-2.1.0')}/bin/nixfleet-agent",
        new=stored("nixfleet-agent-2.2.0", "b"),
        pay="sudo systemctl restart nixfleet-agent.service",
    ),
    Owing(
        unit="syncthing.service",
        uid=1000,
        since=NOW - 3 * 3600,
        kind="library",
        old=stored("openssl-3.0.13"),
        new=stored("openssl-3.0.14", "b"),
        libraries=3,
        is_deleted=True,
        pay="systemctl --user restart syncthing.service",
    ),
)
DEBT: Final = Debt(
    units=OWING,
    boot=(
        Boot("kernel", stored("linux-6.12.3"), stored("linux-6.12.9", "b")),
        Boot("initrd", f"{OLD_SYSTEM}/initrd", f"{NEW_SYSTEM}/initrd"),
    ),
    apart=Apart(builders=2, containers=5),
    looked=212,
    unseen=4,
)
WORDS: Final = "2 more units run old programs"


def debt_of(text: str) -> Debt:
    """A host that says the same thing everywhere."""
    one = Owing(
        unit=text, uid=7, since=NOW, kind="script", old=text, new=text, reason=text, pay=text
    )
    library = Owing(unit=text, since=NOW, kind="library", old=text, libraries=2, pay=text)
    return Debt(units=(one, library), boot=(Boot("kernel", text, text),), looked=1)
