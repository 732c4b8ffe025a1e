r"""Takes credentials out of text before it is shown, copied or saved.

The raw log keeps what tools print; only its owner can read it. We recognise a credential by what
stands before it (a name such as `password` and a sign, a header, an option, a URL's user
information) or by its own beginning, which many services give to their tokens. To hide too much is
better than to hide too little, but these are no secrets and stay: commit hashes, narHashes, store
paths, derivations' names, caches' public keys, ssh destinations such as git@github.com, and
whatever only refers to a secret (a path, `$NAME`).

It reads what a terminal would show, so colours or control characters inside a credential do not
protect it.

Lines are hostile, so each costs time in proportion to its length at most: every pattern begins with
something of bounded length, takes what follows possessively (`++`) and never gives it back, and a
search that found nothing is either bounded or not repeated. A group is repeated in an atomic group,
never possessively: `re` before Python 3.11.5 then takes too much (python/cpython#106052).
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from nixfleet_core.log.characters import (
    ANY_SGR,
    FORBIDDEN,
    JOINER,
    SEQUENCE,
    bare_text,
    is_line_break,
    is_plain,
    log_colours,
    log_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REDACTED: Final = "‹redacted›"

_Span = tuple[int, int]


def redact(text: str) -> str:
    """Replace every credential in `text` by ‹redacted›, and keep all else."""
    return "\n".join(Redactor().lines(text.split("\n")))


def redact_words(words: Sequence[str]) -> list[str]:
    """Redact the words of a command line; there the word before a credential can reveal it."""
    spans = _merge(_find(" ".join(words)))
    hidden: list[str] = []
    start = 0
    for word in words:
        end = start + len(word)
        inside = [(max(a, start) - start, min(b, end) - start) for a, b in spans]
        hidden.append(redact(_hide(word, [(a, b) for a, b in inside if a < b])))
        start = end + 1
    return hidden


class Redactor:
    """Redacts a text that comes line by line; a private key spans lines."""

    def __init__(self) -> None:
        self._key = _PrivateKey()

    def lines(self, texts: Sequence[str]) -> list[str]:
        """Redact lines that follow one another, as `line` does.

        Most hold no hint of a credential, and that is found out for all at once: ten times as fast.
        """
        return self._lines(texts, bare_text(texts))

    def log_lines(self, lines: list[str]) -> list[str]:
        """Redact lines of a log as tools wrote it; they come as `log_line` gives them."""
        text = bare_text(lines)
        if text is None:
            return self.lines(list(map(log_line, lines)))
        return self._lines(log_colours(lines), text)

    def _lines(self, texts: Sequence[str], bare: str | None) -> list[str]:
        """A colour can stand inside of a credential, so the hints are found in the bare text."""
        if bare is None or self._key.may_go_on(bare):
            return [self.line(text) for text in texts]
        redacted = list(texts)
        for number in _lines_with_hints(bare.lower()):
            redacted[number] = self.line(redacted[number])
        return redacted

    def line(self, text: str) -> str:
        """Redact one line (without its newline)."""
        if is_plain(text):
            return _hide(text, _merge([*self._key.find(text), *_find(text)]))
        seen, broken = _Reading(text, SEQUENCE), _Reading(text, _COLOUR_OR_FORBIDDEN)
        spans = [
            *seen.places([*self._key.find(seen.text), *_find(seen.text)]),
            *broken.places(_find(broken.text)),
        ]
        return _hide(text, _merge(spans))


class _Reading:
    """One way to read a line, and the place of each character in the line itself.

    One reading leaves the sequences out: it is what a terminal shows. The other puts a break for
    each colour and each invisible character: it separates words that only those separate, and it
    keeps the text inside of sequences.
    """

    def __init__(self, line: str, sequence: re.Pattern[str]) -> None:
        breaks = sequence is _COLOUR_OR_FORBIDDEN
        parts: list[str] = []
        self._starts: list[int] = []
        at = 0
        for match in sequence.finditer(line):
            parts.append(line[at : match.start()])
            self._starts.extend(range(at, match.start()))
            if breaks or is_line_break(match[0]):
                parts.append("\n" if is_line_break(match[0]) else "\x1b")
                self._starts.append(match.start())
            at = match.end()
        parts.append(line[at:])
        self._starts.extend(range(at, len(line) + 1))
        self.text = "".join(parts)

    def places(self, spans: Sequence[_Span]) -> Iterator[_Span]:
        return ((self._starts[start], self._starts[end]) for start, end in spans)


_COLOUR_OR_FORBIDDEN: Final = re.compile(f"{ANY_SGR.pattern}|{FORBIDDEN.pattern}|{JOINER.pattern}")


def _merge(spans: list[_Span]) -> list[_Span]:
    """Spans that overlap or touch as one, ascending."""
    merged: list[_Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _hide(text: str, spans: list[_Span]) -> str:
    """Hide the spans. Colours that change inside a span stay: the text after it has them."""
    if not spans:
        return text
    parts: list[str] = []
    at = 0
    for start, end in spans:
        colours = ANY_SGR.findall(text, start, end)
        parts += (text[at:start], REDACTED, *colours)
        at = end
    return "".join((*parts, text[at:]))


# What stands before a credential. All sequences of words and signs have a bounded length.

_NAMES: Final = {
    "pass": r"(?:passw(?:or)?d|passphrase|passcode|(?<=_)pass)",
    "secret": "secret",
    "token": "(?<!unexpected )token",
    "key": r"(?:secret|private|signing|access|api|auth|encryption|master|session|account|storage"
    r"|application|app|shared|service|client)[_-]?(?:access[_-]?)?key",
    "psk": r"(?<![a-z0-9])psk",
    "credential": r"(?<=_)credentials?",
}
"""What the names of credentials have: MQTT_PASSWORD, clientSecret, x-api-key, AccountKey."""
_NO_CREDENTIAL: Final = (
    "files?|paths?|dir|directory|folder|names?|ids?|ur[li]|host|types?|size|len|length|count|min|max"
    "|limit|lifetime|ttl|expir(?:y|es|ation)|age|hash|policy|rotation|based|protected|store|manager"
    "|provider|endpoint|version|format|env|var|command|cmd|program|hook|prompt|required|enabled"
)
_REST: Final = (
    rf"(?:(?>(?:[_-](?!(?:{_NO_CREDENTIAL})(?![a-z0-9]))[a-z0-9]{{1,20}}+){{1,4}})|[0-9]{{1,3}}+)?"
)
"""How a name may go on: GITHUB_TOKEN_PROD, DB_PASSWORD_1, secretAccessKey2; not PASSWORD_FILE."""
_QUOTE: Final = r"\\{0,3}['\"]?"
"""Also escaped, as in JSON within JSON."""
_SIGN: Final = r"[ \t]{0,9}(?::=|=>|:(?!:)|=(?!=))[ \t]{0,9}"
_BUILDER: Final = r"(?:[ \t]{0,99}+(?:[^\s>]{1,255}+(?: \(post\))?)?> )?"
"""The lines of a build begin with its name; those that Nix repeats, with the sign alone."""
_NO_SECRET: Final = (
    rf"(?!{_QUOTE}(?:"
    r"\$[a-z_({]|%[({]|<[\w -]{0,40}>|\{(?:[\s{}'\"]|$)|\[(?:[\s\]'\"]|$)"  # variables, structures
    r"|/(?:run|etc|nix|var|home|root|dev|tmp|usr|opt|srv|mnt|private|proc|users|build)/"
    r"|\.{1,2}/|~/|//"  # paths
    r"|(?:true|false|null|none|nil|yes|no)(?=[\s,;)}\]'\"\\]|$)))"
)
"""The value must not be a mere reference to a secret, or say that there is none."""
_QUOTED: Final = (
    r"\\{1,3}['\"]((?>(?:(?!\\{1,3}['\"])[^'\"\n])+))"
    r"|\"((?>(?:[^\"\\\n]|\\.)+))|'([^'\n]++)"
)
"""A quoted value, even if its end is missing."""
_VALUE: Final = rf"(?:{_QUOTED}|((?>(?:[^\s'\"\\,;&]|[,;](?![\s'\"]|$)|\\(?!['\"]))+)))"
"""A quoted value or a word."""
_START: Final = r"(?<![A-Za-z0-9])"
_BODY: Final = r"[\w-]{6,}+(?>(?:\.[\w-]++)*)"


class _Rule(NamedTuple):
    """Hides what the pattern's groups match, or what those of `inner` do within the match."""

    hints: tuple[str, ...]
    """The rule is tried only on lines that hold one of these, in lower case."""
    pattern: str
    flags: re.RegexFlag = re.NOFLAG
    inner: str | None = None


_compiled: Final = functools.cache(re.compile)
"""Most rules are never tried; compiling all of them took most of a command's start."""


def _context(hints: tuple[str, ...], pattern: str, inner: str | None = None) -> _Rule:
    return _Rule(hints, pattern, re.IGNORECASE | re.MULTILINE, inner)


def _token(hint: str, pattern: str, start: str = _START) -> _Rule:
    return _Rule((hint,), f"{start}({pattern})")


_GITLAB: Final = "agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|rtr|soat|wt"
"""The kinds of its tokens."""


# What tokens look like: from the services' own documentation and the rules of gitleaks.
_RULES: Final = (
    # https://user:token@host, https://token@host; for other schemes only with a password.
    _context(("://",), r"(?:https?|ftps?)://([^\s/?#'\"<>]+)(?=@)"),
    _context(("://",), r"://[^\s/?#'\"<>:@]{0,255}+:([^\s/?#'\"<>]+)(?=@)"),
    # Authorization: Bearer …, also quoted as in JSON; a lone word only at the end.
    _context(
        ("authorization",),
        rf"authorization{_QUOTE}{_SIGN}{_QUOTE}"
        r"(?:(?:basic|bearer|token|digest|negotiate|ntlm|apikey|aws4-hmac-sha256)[ \t]++"
        r"([^'\"\n]++)|([^\s'\"]{8,}+)(?=['\"\n]|$)|[^\s'\"]++)",
    ),
    _context(("bearer",), r"bearer[ \t]{1,9}([a-z0-9._~+/=-]{16,}+)"),
    _context(("cookie",), rf"(?<![\w-])(?:set-)?cookie2?{_QUOTE}{_SIGN}(?:{_QUOTED}|([^'\"\n]++))"),
    # NAME=value, "name": "value", name: value; an unquoted YAML value reaches to the line's end.
    *(
        _context((hint,), rf"{name}{_REST}{_QUOTE}{_SIGN}{_NO_SECRET}{_VALUE}")
        for hint, name in _NAMES.items()
    ),
    *(
        _context(
            (hint,),
            rf"^{_BUILDER}[ \t]{{0,99}}(?:-[ \t])?[\w.-]{{0,64}}{name}{_REST}:[ \t]{{1,9}}(?!['\"])"
            rf"{_NO_SECRET}(\S.*)",
        )
        for hint, name in _NAMES.items()
    ),
    # --token x, --db-password x; curl --user user:password
    *(
        _context(
            (hint,),
            rf"(?<![\w-])--?(?:[a-z0-9]{{1,20}}-){{0,4}}{name}{_QUOTE},?[ \t]{{1,9}}"
            rf"(?!-){_NO_SECRET}{_VALUE}",
        )
        for hint, name in (*_NAMES.items(), ("pass", "pass"))
    ),
    _context(
        ("curl",),
        r"(?<![\w-])(?:-[a-z]{0,8}u|--(?:proxy-)?user)['\"]?,?[ \t=]{0,9}"
        r"(?:'[^:'\n]{0,255}+:([^'\n]++)|\"[^:\"\n]{0,255}+:([^\"\n]++)"
        r"|[^\s:'\"]{0,255}+:([^\s'\"]++))",
    ),
    _context(("curl",), rf"(?<![\w-])(?:-b|--cookie)['\"]?,?[ \t=]{{1,9}}{_VALUE}"),
    # netrc: machine HOST login USER password SECRET, in one line or in several, and in any order.
    _context(
        ("machine",),
        r"machine[ \t]{1,9}\S{1,255}+(?:[ \t]{1,9}(?:login|account)[ \t]{1,9}\S{1,255}+){0,2}"
        r"[ \t]{1,9}password[ \t]{1,9}([^\s'\",;]++)",
    ),
    _context(("passw",), r"login[ \t]{1,9}\S{1,255}+[ \t]{1,9}password[ \t]{1,9}([^\s'\",;]++)"),
    _context(
        ("passw",),
        rf"(?:^{_BUILDER}[ \t]{{0,99}}|[ \t]{{2}})password[ \t]{{1,9}}(\S++)(?=[ \t]*+$)",
    ),
    # AWS: a table or a space may stand between name and key.
    _context(("access",), r"secret[_-]?access[_-]?key[^\w\n]{1,9}([a-z0-9/+]{40})(?![a-z0-9/+])"),
    # Signed URLs, sessions in cookies, webhooks.
    _context(
        ("sig", "key=", "jwt=", "auth=", "hmac="),
        r"[?&](?:sig|(?:x-(?:amz|goog)-)?signature|key|jwt|auth|hmac)=([^\s&'\"#]++)",
    ),
    _context(("_session=",), r"_session=([\w%.-]{16,}+)"),
    _context(
        ("hook",),
        r"(?:hooks\.slack\.com/[a-z]{1,20}|discord(?:app)?\.com/api/webhooks)/([\w/-]{8,}+)",
    ),
    # Nix: access-tokens = github.com=… gitlab.com=OAuth2:…, also as --option access-tokens ….
    _context(
        ("access-tokens",),
        rf"(?<=access-tokens){_QUOTE}(?:[ \t]{{0,9}}[=:,][ \t]{{0,9}}|[ \t]{{1,9}}){_QUOTE}"
        r"[a-z0-9][\w./-]*+=[^\s'\"]++(?>(?:[ \t]{1,9}[a-z0-9][\w./-]*+=[^\s'\"]++)*)",
        inner=r"(?<=[\w/-])=([^\s'\"]++)",
    ),
    # The same in JSON: {"github.com":"…"}.
    _context(
        ("access-tokens",),
        r'"[a-z0-9-]{1,63}+(?>(?:\.[a-z0-9-]{1,63}+){1,5})(?:/[\w./-]{0,99}+)?":[ ]?"([^"\n]++)"',
    ),
    # Nix's signing keys, NAME-1:BASE64 of 64 bytes. A public key has 32, a hash's name is that of
    # its algorithm; a signature looks the same, but stands behind `Sig: `.
    _context(
        ("==",),
        r"(?<![\w.+-])(?<!sig: )(?!(?:md5|sha1|sha256|sha512):)[\w.+-]{1,100}+:"
        r"([A-Za-z0-9+/]{86}==)(?![A-Za-z0-9+/=])",
    ),
    _context(("authtoken",), r"authtoken[ \t]{1,9}([^\s'\"-][^\s'\"]*+)"),
    _context(("age-secret-key-",), rf"{_START}(age-secret-key-[0-9a-z-]{{6,}}+)"),
    # Tokens with a recognisable beginning, wherever they stand.
    _token("gh", rf"gh[pousr]_{_BODY}"),
    _token("github_pat_", rf"github_pat_{_BODY}"),
    _Rule(
        tuple(f"gl{kind}-" for kind in _GITLAB.split("|")), rf"{_START}(gl(?:{_GITLAB})-{_BODY})"
    ),
    _token("gr1348941", r"GR1348941[\w-]{15,}+"),
    _Rule(("glsa_", "glc_"), rf"{_START}(gl(?:sa|c)_\w{{20,}}+)"),
    _token("xox", r"xox[abeoprs][.-][A-Za-z0-9][\w.-]{9,}+"),
    _token("xapp-", r"xapp-[0-9]-[\w-]{9,}+"),
    _token(
        "sk-", r"sk-(?:(?:admin|ant|or|proj|svcacct)-[\w-]{16,}+|[A-Za-z0-9]{20,}+)", r"(?<![\w-])"
    ),
    _token("npm_", r"npm_[A-Za-z0-9]{30,}+"),
    _token("pypi-age", r"pypi-AgE[\w-]{16,}+"),
    _token("dckr_", r"dckr_[a-z]{1,4}_[\w-]{6,}+"),
    _token("hv", r"hv[bsr]\.[\w-]{20,}+"),
    _token(
        "s.",
        r"s\.(?=[A-Za-z]{0,23}[0-9])(?=[A-Z0-9]{0,23}[a-z])(?=[a-z0-9]{0,23}[A-Z])"
        r"[A-Za-z0-9]{24}(?![\w./-])",
        r"(?<![\w./-])",
    ),
    _token("aiza", r"AIza[\w-]{30,}+"),
    _token("ya29.", r"ya29\.[\w-]{20,}+"),
    _token("gocspx-", r"GOCSPX-[\w-]{20,}+"),
    _token("1//0", r"1//0[\w-]{30,}+"),
    _token("k_", r"[rs]k_(?:live|prod|test)_[A-Za-z0-9]{10,}+"),
    _token("whsec_", r"whsec_[A-Za-z0-9+/=]{16,}+"),
    _token("absk", r"ABSK[A-Za-z0-9+/]{60,}+={0,2}"),
    _token("bedrock-api-key-", r"bedrock-api-key-[\w+/=-]{16,}+"),
    _token("hf_", r"hf_[A-Za-z0-9]{30,}+"),
    _token("_v1_", r"do[opr]_v1_[a-f0-9]{40,}+"),
    _token("sg.", r"SG\.[\w-]{16,}+\.[\w-]{16,}+"),
    _token("tskey-", rf"tskey-{_BODY}"),
    _token("eyj", r"eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w.-]*+", r"(?<![\w-])"),
)


_BY_HINT: Final = tuple(
    (hint, tuple(rule for rule in _RULES if hint in rule.hints))
    for hint in dict.fromkeys(hint for rule in _RULES for hint in rule.hints)
)


_STORE_PATH: Final = re.compile(r"/nix/store/[0-9a-df-np-sv-z]{32}-[A-Za-z0-9._+-]{1,211}+")
"""Everybody on the host can read it. A name may have `?` and `=`, but so has a URL's query."""


def _find(text: str) -> list[_Span]:
    """All credentials in one line, except private keys. A store path's name holds none."""
    spans = _find_anywhere(text)
    if not spans or "/nix/store/" not in text:
        return spans
    paths = [match.span() for match in _STORE_PATH.finditer(text)]
    starts = [start for start, _ in paths]

    def is_in_a_path(span: _Span) -> bool:
        at = bisect_right(starts, span[0]) - 1
        return at >= 0 and span[1] <= paths[at][1]

    return [span for span in spans if not is_in_a_path(span)]


def _find_anywhere(text: str) -> list[_Span]:
    lowered = text.lower()
    spans: list[_Span] = []
    for rules in [rules for hint, rules in _BY_HINT if hint in lowered]:
        for rule in rules:
            for match in _compiled(rule.pattern, rule.flags).finditer(text):
                if rule.inner is None:
                    spans += _groups(match, 0)
                else:
                    for part in _compiled(rule.inner).finditer(match[0]):
                        spans += _groups(part, match.start())
    return spans


def _lines_with_hints(lowered: str) -> set[int]:
    """The numbers of the lines, in lower case, on which a rule has to be tried."""
    ends: list[int] = []
    found: set[int] = set()
    for search in _hint_searches():
        match = search(lowered, 0)
        while match is not None:
            if not ends:
                ends = [end.start() for end in re.finditer(r"\n|\Z", lowered)]
            number = bisect_left(ends, match.start())
            found.add(number)
            match = search(lowered, ends[number])
    return found


_RARE: Final = ("_", "=", "z", "//", "y", "k", "v", "g", "x")
"""What is rare in a log, about in this order, and shared by several hints."""


@functools.cache
def _hint_searches() -> list[Callable[[str, int], re.Match[str] | None]]:
    """Each finds the next of some hints from a place on.

    Hints that share something rare are found in one go. A pattern begins with what they share: then
    `re` passes over text without it as fast as memory allows.
    """
    hints = [hint for hint, _ in _BY_HINT]
    hints = [hint for hint in hints if not any(one in hint for one in hints if one != hint)]
    groups: dict[str, list[str]] = {}
    for hint in hints:
        groups.setdefault(next((rare for rare in _RARE if rare in hint), hint), []).append(hint)
    return [re.compile(_any_of(group, shared)).search for shared, group in groups.items()]


def _any_of(hints: list[str], shared: str) -> str:
    """A pattern for hints that all have that text. What it finds begins within the hint."""
    if len(hints) == 1:
        return re.escape(hints[0])
    parts = [hint.partition(shared) for hint in hints]
    behind = re.escape("".join(sorted({before[-1] for before, _, _ in parts if before})))
    middle = re.escape(shared)
    begun = [f"(?<={re.escape(b)}{middle}){re.escape(after)}" for b, _, after in parts if b]
    whole = [re.escape(after) for before, _, after in parts if not before]
    # one look behind tells of most places that no hint is there
    ways = [f"(?<=[{behind}]{middle})(?:{'|'.join(begun)})"] if begun else []
    return f"{middle}(?:{'|'.join([*whole, *ways])})"


def _groups(match: re.Match[str], offset: int) -> Iterator[_Span]:
    for number in range(1, match.re.groups + 1):
        start, end = match.span(number)
        if start >= 0:
            yield offset + start, offset + end


class _PrivateKey:
    """Private keys in PEM, PGP's, SSH2's and PuTTY's: the lines between their first and their last
    line."""

    def __init__(self) -> None:
        self._lines_left = 0
        self._in_body = False

    def may_go_on(self, text: str) -> bool:
        """Whether a key goes on in the text, or may begin there."""
        return bool(self._lines_left) or "PRIVATE KEY" in text or "Private-Lines: " in text

    def find(self, text: str) -> list[_Span]:
        """The parts of the next line that belong to a key."""
        if not self.may_go_on(text):
            return []
        spans: list[_Span] = []
        at = 0
        if self._lines_left:
            self._lines_left -= 1
            end = _KEY_END.search(text)
            if end is None:
                return self._body(text)
            self._lines_left = 0
            at = end.end()
            spans += self._body(text[: end.start()])
        while (begin := _KEY_BEGIN.search(text, at)) is not None:
            end = _KEY_END.search(text, begin.end())
            at = end.end() if end is not None else len(text)
            stop = end.start() if end is not None else at
            if text[begin.end() : stop].strip():
                spans.append((begin.end(), stop))
            if end is None:
                self._lines_left, self._in_body = _KEY_LINES, False
        return spans

    def _body(self, text: str) -> list[_Span]:
        """The line's part of the key, if it has one: a log can have other lines between them."""
        body = _KEY_BODY.fullmatch(text)
        self._in_body = (
            body is not None
            and _HEX_HASH.fullmatch(body["body"]) is None
            and (self._in_body or _KEY_LINE.fullmatch(body["body"]) is not None)
        )
        return [body.span("body")] if body is not None and self._in_body else []


_KEY_BEGIN: Final = re.compile(
    r"-----?[ ]?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?[ ]?-----?|Private-Lines: [0-9]{1,3}"
)
_KEY_END: Final = re.compile(
    r"-----?[ ]?END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?[ ]?-----?|Private-MAC: "
)
_KEY_BODY: Final = re.compile(rf"{_BUILDER}[ \t]*+(?P<body>[A-Za-z0-9+/]++={{0,2}})[ \t\r]*+")
_KEY_LINE: Final = re.compile(r"[A-Za-z0-9+/]{20,}={0,2}|[A-Za-z0-9+/]+={1,2}")
"""A part this long is no word. A shorter part belongs to a key only behind another one."""
_HEX_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEY_LINES: Final = 200
"""No private key has more lines. A beginning without an end hides this many lines at most."""
