"""Takes credentials out of text before it is shown, copied or saved.

What tools print stays in the raw log, which only its owner can read. Commit hashes, narHashes,
store paths and ssh destinations such as git@github.com are no secrets and stay.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REDACTED: Final = "‹redacted›"


def redact(text: str) -> str:
    """Replace every credential in `text` by ‹redacted›, keeping all else."""
    redactor = Redactor()
    return "\n".join(redactor.line(line) for line in text.split("\n"))


class Redactor:
    """Redacts a text that comes line by line; a private key spans lines."""

    def __init__(self) -> None:
        self._key_lines_left = 0

    def line(self, text: str) -> str:
        """Redact one line (without its newline)."""
        if self._key_lines_left:
            text = self._inside_key(text)
        lowered = text.lower()
        for hint, pattern, replacement in _RULES:
            if hint in lowered:
                text = pattern.sub(replacement, text)
        if "private key-----" in lowered:
            text = self._key_begin(text)
        return text

    def _key_begin(self, text: str) -> str:
        begin = _KEY_BEGIN.search(text)
        if begin is None:
            return text
        end = _KEY_END.search(text, begin.end())
        if end is not None:
            return text[: begin.end()] + REDACTED + text[end.start() :]
        self._key_lines_left = _KEY_LINES
        return text[: begin.end()] + (REDACTED if text[begin.end() :].strip() else "")

    def _inside_key(self, text: str) -> str:
        self._key_lines_left -= 1
        end = _KEY_END.search(text)
        if end is not None:
            self._key_lines_left = 0
            return text[end.start() :]
        body = _KEY_BODY.fullmatch(text)
        if body is None or _HEX_HASH.fullmatch(body["body"]):
            return text
        return body["before"] + REDACTED


_VALUE: Final = r"[^\s'\",;\x1b]+"
_WORD_START: Final = r"(?:(?<![A-Za-z0-9])|(?<=[\[;0-9]m))"
"""A word also begins after an escape sequence for a colour, which ends in 'm'."""
_USERINFO: Final = r"[^\s/?#'\"<>\x1b]+(?=@)"


def _rule(hint: str, keep: str, value: str) -> tuple[str, re.Pattern[str], str]:
    """Hide `value` where it follows `keep`; looked for only in lines that hold `hint`."""
    return hint, re.compile(f"({keep}){value}", re.IGNORECASE), rf"\g<1>{REDACTED}"


# Quantifiers that could run over the same text again and again are bounded: lines are hostile.
_RULES: Final[tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    # https://user:token@host, https://token@host; for other schemes only with a password.
    _rule("://", r"(?:https?|ftps?)://", _USERINFO),
    _rule("://", r"://[^\s/?#'\"<>\x1b:@]{0,255}:", _USERINFO),
    # Authorization: Bearer …, also quoted as in JSON; a lone word only at the end.
    _rule(
        "authorization",
        r"authorization['\"]?[ \t]{0,9}[:=][ \t]{0,9}['\"]?"
        r"(?:basic|bearer|token|digest|negotiate|ntlm)[ \t]+",
        r"[^'\"\x1b]+",
    ),
    _rule(
        "authorization",
        r"authorization['\"]?[ \t]{0,9}[:=][ \t]{0,9}['\"]?",
        r"[^\s'\"\x1b]{8,1024}(?=['\"\x1b\r]|$)",
    ),
    _rule(
        "-token",
        r"(?:private|job|x-auth|deploy)-token['\"]?[ \t]{0,9}:[ \t]{0,9}['\"]?",
        _VALUE,
    ),
    _rule("x-api-key", r"x-api-key['\"]?[ \t]{0,9}:[ \t]{0,9}['\"]?", _VALUE),
    _rule("bearer", r"bearer[ \t]{1,9}", r"[a-z0-9._~+/=-]{16,}"),
    # netrc: machine HOST login USER password SECRET, in one line or in several.
    _rule("passw", r"login[ \t]{1,9}\S{1,255}[ \t]{1,9}password[ \t]{1,9}", _VALUE),
    _rule("passw", r"^(?:\S{1,255}> )?[ \t]{0,99}password[ \t]{1,9}", r"\S+(?=[ \t\r]*$)"),
    # NAME_TOKEN=…, ?access_token=…, password=…; not what only refers to a secret ($X, a path).
    *(
        _rule(hint, rf"{hint}['\"]?=['\"]?", r"[^\s'\",;&/$<{\x1b][^\s'\",;&\x1b]{5,}")
        for hint in ("password", "passwd", "passphrase", "secret", "token", "api_key", "apikey")
    ),
    # Nix: access-tokens = github.com=… gitlab.com=OAuth2:…, also as --option access-tokens ….
    (
        "access-tokens",
        re.compile(
            r"(?<=access-tokens)['\"]?(?:[ \t]{0,9}[=:,][ \t]{0,9}|[ \t]{1,9})['\"]?"
            r"[a-z0-9][\w./-]*=[^\s'\"\x1b]+(?:[ \t]{1,9}[a-z0-9][\w./-]*=[^\s'\"\x1b]+)*",
            re.IGNORECASE,
        ),
        lambda match: re.sub(r"(?<=[\w/-])=[^\s'\"\x1b]+", f"={REDACTED}", match[0]),
    ),
    # What services put a recognisable beginning on, wherever it stands.
    *(
        (hint, re.compile(_WORD_START + pattern), REDACTED)
        for hint, pattern in (
            ("gh", r"gh[pousr]_[A-Za-z0-9]{6,}"),
            ("github_pat_", r"github_pat_\w{6,}"),
            ("gl", r"gl(?:pat|dt|ptt|rt)-[\w-]{6,}"),
            ("tskey-", r"tskey-[\w-]{6,}"),
            ("age-secret-key-", r"AGE-SECRET-KEY-[0-9A-Z-]{6,}"),
            ("eyj", r"eyJ[\w-]{8,4096}\.[\w-]{8,4096}\.[\w-]*"),
        )
    ),
)

_KEY_BEGIN: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----")
_KEY_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----")
_KEY_BODY: Final = re.compile(
    r"(?P<before>(?:\S{1,255}> )?[ \t]*)(?P<body>[A-Za-z0-9+/]{20,}={0,2}|[A-Za-z0-9+/]+={1,2})\r?"
)
_HEX_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEY_LINES: Final = 200
"""No private key has more lines than that; a beginning without an end hides no more."""
