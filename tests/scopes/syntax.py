"""shfmt's syntax tree, as far as POSIX sh has it; anything else is a fault."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scopes.flow import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node(msgspec.Struct, tag_field="Type", rename="pascal"):
    """What has a type and a place."""


class Place(msgspec.Struct, rename="pascal"):
    line: int
    offset: int = 0


class Comment(msgspec.Struct, rename="pascal"):
    hash: Place


class Name(msgspec.Struct, rename="pascal"):
    value: str
    pos: Place


class Lit(Node, tag=True):
    value: str
    pos: Place


class SglQuoted(Node, tag=True):
    value: str = ""


class DblQuoted(Node, tag=True):
    parts: list[Part] = []


class Expansion(msgspec.Struct, rename="pascal"):
    op: str
    word: Text | None = None


class ParamExp(Node, tag=True):
    param: Name
    exp: Expansion | None = None


class CmdSubst(Node, tag=True):
    pos: Place
    stmts: list[Stmt] = []
    last: list[Comment] = []


class Word(Node, tag=True):
    parts: list[Part] = []


class BinaryArithm(Node, tag=True):
    op: str
    x: Arithm
    y: Arithm


class UnaryArithm(Node, tag=True):
    op: str
    x: Arithm


class ParenArithm(Node, tag=True):
    x: Arithm


Arithm = Word | BinaryArithm | UnaryArithm | ParenArithm


class ArithmExp(Node, tag=True):
    x: Arithm


Part = Lit | SglQuoted | DblQuoted | ParamExp | CmdSubst | ArithmExp


class Text(msgspec.Struct, rename="pascal"):
    """A word; shfmt names its type in arithmetic only."""

    parts: list[Part] = []


class Assign(msgspec.Struct, rename="pascal"):
    name: Name
    value: Text | None = None


class CallExpr(Node, tag=True):
    pos: Place
    assigns: list[Assign] = []
    args: list[Text] = []


class Block(Node, tag=True):
    stmts: list[Stmt] = []


class Subshell(Node, tag=True):
    stmts: list[Stmt] = []


class Else(msgspec.Struct, rename="pascal"):
    then: list[Stmt] = []
    cond: list[Stmt] = []
    next: Else | None = msgspec.field(default=None, name="Else")


class IfClause(Node, tag=True):
    cond: list[Stmt]
    then: list[Stmt]
    next: Else | None = msgspec.field(default=None, name="Else")


class WhileClause(Node, tag=True):
    cond: list[Stmt]
    do: list[Stmt]


class WordIter(Node, tag=True):
    name: Name
    items: list[Text] = []


class ForClause(Node, tag=True):
    loop: WordIter
    do: list[Stmt]


class CaseItem(msgspec.Struct, rename="pascal"):
    pos: Place
    patterns: list[Text]
    stmts: list[Stmt] = []


class CaseClause(Node, tag=True):
    word: Text
    items: list[CaseItem] = []


class BinaryCmd(Node, tag=True):
    op: str
    x: Stmt
    y: Stmt


class FuncDecl(Node, tag=True):
    name: Name
    body: Stmt


Command = (
    CallExpr
    | Block
    | Subshell
    | IfClause
    | WhileClause
    | ForClause
    | CaseClause
    | BinaryCmd
    | FuncDecl
)


class Redirect(msgspec.Struct, rename="pascal"):
    word: Text | None = None
    hdoc: Text | None = None


class Stmt(msgspec.Struct, rename="pascal"):
    cmd: Command | None = None
    redirs: list[Redirect] = []
    background: bool = False
    comments: list[Comment] = []


class File(Node, tag=True):
    stmts: list[Stmt] = []


class NotPosixError(Exception):
    """The text is no POSIX sh."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def parse(text: str) -> list[Stmt]:
    """Raises SystemExit without shfmt, NotPosixError if the text is no POSIX sh."""
    beside = Path(sys.executable).with_name("shfmt")
    program = str(beside) if beside.exists() else shutil.which("shfmt")
    if program is None:
        raise SystemExit("scopes: no shfmt here; `make .venv/.dev` installs it")
    done = subprocess.run(
        [program, "--language-dialect", "posix", "--to-json"],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        line, _column, words = done.stderr.decode().strip().split(":", 2)
        raise NotPosixError(Fault(int(line), words.strip()))
    try:
        return msgspec.json.decode(done.stdout, type=File).stmts
    except msgspec.DecodeError as error:
        raise NotPosixError(Fault(1, str(error))) from error


def nodes(tree: object) -> Iterator[msgspec.Struct]:
    """All parts of a tree, each before the parts inside of it."""
    if isinstance(tree, list):
        for item in tree:
            yield from nodes(item)
    elif isinstance(tree, msgspec.Struct):
        yield tree
        for name in tree.__struct_fields__:
            yield from nodes(getattr(tree, name))


def plain_text(text: Text) -> str | None:
    """The word, if nothing in it is expanded."""
    found = ""
    for part in text.parts:
        match part:
            case Lit(value) | SglQuoted(value):
                found += value
            case DblQuoted(parts):
                inner = plain_text(Text(parts))
                if inner is None:
                    return None
                found += inner
            case _:
                return None
    return found


def plain_texts(stmts: list[Stmt]) -> dict[str, frozenset[str]]:
    """The possible values of each variable that only gets plain texts."""
    found: dict[str, set[str | None]] = {}
    for node in nodes(stmts):
        if isinstance(node, Assign):
            text = "" if node.value is None else plain_text(node.value)
            found.setdefault(node.name.value, set()).add(text)
    return {
        name: frozenset(text for text in texts if text is not None)
        for name, texts in found.items()
        if None not in texts
    }
