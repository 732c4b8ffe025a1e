"""shfmt's syntax tree, as far as POSIX sh has it; anything else cannot be decoded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec


class Node(msgspec.Struct, tag_field="Type", rename="pascal"):
    """What has a type and a place."""


class Place(msgspec.Struct, rename="pascal"):
    line: int


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
    stmts: list[Stmt] = []


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


class File(Node, tag=True):
    stmts: list[Stmt] = []


def parse(text: str) -> list[Stmt]:
    """Raises SystemExit without shfmt; CalledProcessError or DecodeError if it is no sh."""
    beside = Path(sys.executable).with_name("shfmt")
    program = str(beside) if beside.exists() else shutil.which("shfmt")
    if program is None:
        raise SystemExit("scopes: no shfmt here; `make .venv/.dev` installs it")
    done = subprocess.run(
        [program, "--language-dialect", "posix", "--to-json"],
        input=text.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=File).stmts
