"""What bash 3.2, which is /bin/sh on a Mac, does not have, or reads wrongly.

A script must be POSIX sh, which shfmt decides; so this names only what looks like POSIX sh:

1. Builtins of a later bash, options of builtins, variables, and words in printf's format.
2. `$( )`, where bash 3.2 looks for the closing bracket without reading the commands: a case's
   pattern needs its "(", and a here-document may hold anything.
3. A comment in "$( )", where an apostrophe begins a quotation.

It looks into scripts inside of a script, too: `sh -c TEXT` and `trap TEXT`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from scopes import syntax
from scopes.flow import Fault
from scopes.syntax import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILTINS: Final = frozenset(
    ("mapfile", "readarray", "coproc", "declare", "typeset", "local", "shopt", "[[")
)
"""Of bash alone. Some are older than 4, but not what later versions made of them (`declare -A`)."""

_OPTIONS: Final = {
    "printf": re.compile("-v"),
    "read": re.compile("-[a-zA-Z]*[aideNntu]"),
    "wait": re.compile("-[fnp]"),
    "[": re.compile("-[vR]"),
    "test": re.compile("-[vR]"),
    "unset": re.compile("-n"),
    "export": re.compile("-[fn]"),
}
"""First words that bash alone knows; those of later versions are among them."""

_FORMAT: Final = re.compile(r"\\[uU][0-9a-fA-F]|%\([^)]*\)T")
_VARIABLES: Final = frozenset(
    ("BASHPID", "BASH_ARGV0", "EPOCHREALTIME", "EPOCHSECONDS", "MAPFILE", "COPROC", "SRANDOM")
)


def later(text: str) -> list[Fault]:
    """What bash 3.2 would not do as later shells do; or the first thing that is no POSIX sh."""
    try:
        stmts = syntax.parse(text)
    except syntax.NotPosixError as error:
        return [error.fault]
    return sorted(_Look(text.encode(), stmts).faults())


class _Look:
    def __init__(self, text: bytes, stmts: list[syntax.Stmt]) -> None:
        self._text = text
        self._stmts = stmts
        self._texts = syntax.plain_texts(stmts)

    def faults(self) -> Iterator[Fault]:
        for node in syntax.nodes(self._stmts):
            match node:
                case syntax.CallExpr(pos, _, [_, *_] as args):
                    yield from self._call(args, pos.line)
                case syntax.ParamExp(syntax.Name(name, pos)) if name in _VARIABLES:
                    yield Fault(pos.line, f"bash 3.2 has no ${name}")
                case syntax.Word(parts) | syntax.Text(parts):
                    yield from self._word(parts)
                case syntax.CmdSubst():
                    yield from self._substitution(node)
                case syntax.DblQuoted(parts):
                    yield from self._quoted(parts)

    def _call(self, args: list[syntax.Text], line: int) -> Iterator[Fault]:
        words = [plain_text(word) for word in args]
        if words[0] == "command":
            words, args = words[1:], args[1:]
        name, first = [*words, None, None][:2]
        if name in _BUILTINS:
            yield Fault(line, f"{name} is no command of POSIX sh")
        if name in _OPTIONS and first is not None and _OPTIONS[name].fullmatch(first):
            yield Fault(line, f"{name} {first} is not in POSIX sh")
        if name == "printf" and first is not None and (found := _FORMAT.search(first)):
            yield Fault(line, f"bash 3.2's printf has no {found[0]}")
        for script in self._inner(args, words):
            for fault in later(script):
                yield Fault(line, f"in what {name} runs, line {fault.line}: {fault.text}")

    def _inner(self, args: list[syntax.Text], words: list[str | None]) -> Iterator[str]:
        """The scripts that this command hands to a shell, as far as they are plain text."""
        if words[0] == "trap" and words[1] not in (None, "-"):
            yield words[1]
        for at in range(len(words) - 2):
            if words[at] in ("sh", "/bin/sh") and words[at + 1] == "-c":
                yield from self._values(args[at + 2])

    def _values(self, word: syntax.Text) -> frozenset[str]:
        match word.parts:
            case [syntax.DblQuoted([syntax.ParamExp(syntax.Name(name))])]:
                return self._texts.get(name, frozenset())
        text = plain_text(word)
        return frozenset() if text is None else frozenset((text,))

    def _word(self, parts: list[syntax.Part]) -> Iterator[Fault]:
        for part, after in pairwise(parts):
            match part, after:
                case syntax.Lit(value, pos), syntax.SglQuoted() if value.endswith("$"):
                    yield Fault(pos.line, "$'…' is not in every POSIX sh")

    def _substitution(self, found: syntax.CmdSubst) -> Iterator[Fault]:
        if not self._text.startswith(b"$(", found.pos.offset):
            return  # backquotes
        for node in syntax.nodes(found.stmts):
            match node:
                case syntax.CaseItem(pos):
                    if not self._text[: pos.offset].rstrip().endswith(b"("):
                        yield Fault(pos.line, 'a case in $( ) needs "(" before its pattern')
                case syntax.Redirect(_, syntax.Text()):
                    yield Fault(found.pos.line, "a here-document in $( )")

    def _quoted(self, parts: list[syntax.Part]) -> Iterator[Fault]:
        for node in syntax.nodes(parts):
            if isinstance(node, syntax.Comment):
                yield Fault(node.hash.line, 'a comment in "$( )"')
