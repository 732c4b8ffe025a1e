"""Takes addresses out of text that people paste into bug reports. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

HIDDEN: Final = "‹address›"

_NAMED: Final = re.compile(r"\b([Cc]onnect to host|[Rr]esolve host(?:name)?:?) ([^\s:,]{1,253})")
"""As ssh and curl name a server."""
_USER_AT: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,20}")
_URL: Final = re.compile(r"\b([a-z][a-z0-9+]{0,20}://)[^\s'\"]+")
_FOUR: Final = re.compile(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b")
_SIX: Final = re.compile(r"(?<![\w:])[0-9A-Fa-f:]{2,45}(?:%\w{1,20})?(?![\w:])")


def hide_addresses(text: str, given: Collection[str]) -> str:
    """Replace every server, URL and IP address by ‹address›, unless it is one of `given`."""

    def hide(match: re.Match[str]) -> str:
        return match[0] if match[0] in given else HIDDEN

    def hide_name(match: re.Match[str]) -> str:
        return match[0] if match[2] in given else f"{match[1]} {HIDDEN}"

    def hide_six(match: re.Match[str]) -> str:
        return hide(match) if _is_ip(match[0]) or _is_ip(match[0].removesuffix(":")) else match[0]

    text = _URL.sub(rf"\1{HIDDEN}", text)
    text = _NAMED.sub(hide_name, text)
    text = _FOUR.sub(hide, _USER_AT.sub(hide, text))
    return _SIX.sub(hide_six, text)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
