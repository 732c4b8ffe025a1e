"""From a script's text to its flow (`scopes.flow`).

A call that cannot be resolved is a fault: the check could not see what it does.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from scopes import syntax
from scopes.flow import (
    NOTHING,
    Call,
    Choice,
    Flow,
    Function,
    Leave,
    Loop,
    Process,
    Read,
    Script,
    Sequence,
    Unknown,
    Write,
)
from scopes.syntax import Stmt, Text, plain_text, plain_texts

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SETS: Final = "# sets:"
_LEAVES: Final = ("return", "exit", "break", "continue")
_KEEPING: Final = ("export", "readonly", "read", "unset", ":", ".", "set", "exec", "trap")
"""Builtins before which an assignment stays in the shell. `read` is none, but sets its words."""


def read_script(text: str) -> Script:
    """Raises NotPosixError."""
    stmts = syntax.parse(text)
    return _Reader(text.splitlines(), stmts).script


class _Reader:
    def __init__(self, lines: list[str], stmts: list[Stmt]) -> None:
        self.script = Script()
        self._lines = lines
        self._names = frozenset(
            node.name.value for node in syntax.nodes(stmts) if isinstance(node, syntax.FuncDecl)
        )
        self._texts = plain_texts(stmts)
        self.script.main = self._all(stmts)

    # Commands.

    def _all(self, stmts: list[Stmt]) -> Flow:
        return Sequence(tuple(self._stmt(stmt) for stmt in stmts))

    def _stmt(self, stmt: Stmt) -> Flow:
        redirected = [
            self._text(text)
            for redirect in stmt.redirs
            for text in (redirect.word, redirect.hdoc)
            if text is not None
        ]
        command = self._command(stmt.cmd) if stmt.cmd is not None else NOTHING
        flow = Sequence((*redirected, command))
        return Process(flow) if stmt.background else flow

    def _command(self, command: syntax.Command) -> Flow:
        match command:
            case syntax.CallExpr():
                return self._simple(command)
            case syntax.Block(stmts):
                return self._all(stmts)
            case syntax.Subshell(stmts):
                return Process(self._all(stmts))
            case syntax.BinaryCmd("|", x, y):
                # some shells run the last one themselves, others do not
                last = self._stmt(y)
                return Sequence((Process(self._stmt(x)), Choice((last, Process(last)))))
            case syntax.BinaryCmd(_, x, y):
                return Sequence((self._stmt(x), Choice((self._stmt(y), NOTHING))))
            case syntax.IfClause(cond, then, other) | syntax.Else(then, cond, other):
                return self._if(cond, then, other)
            case syntax.WhileClause(cond, do):
                return Loop(self._all(cond), self._all(do))
            case syntax.ForClause(loop, do):
                items = tuple(self._text(item) for item in loop.items)
                each = Write(loop.name.value, loop.name.pos.line)
                return Sequence((*items, Loop(NOTHING, Sequence((each, self._all(do))))))
            case syntax.CaseClause(word, cases):
                return self._case(word, cases)
            case syntax.FuncDecl(name, body):
                sets = self._declared_sets(name.pos.line)
                self.script.functions[name.value] = Function(
                    name.value, name.pos.line, sets, self._stmt(body)
                )
                return NOTHING

    def _if(self, cond: list[Stmt], then: list[Stmt], other: syntax.Else | None) -> Flow:
        if other is None:
            rest: Flow = NOTHING
        elif other.cond:
            rest = self._if(other.cond, other.then, other.next)
        else:
            rest = self._all(other.then)
        return Sequence((self._all(cond), Choice((self._all(then), rest))))

    def _case(self, word: Text, cases: list[syntax.CaseItem]) -> Flow:
        patterns = [self._text(pattern) for case in cases for pattern in case.patterns]
        ways = [self._all(case.stmts) for case in cases]
        if not any(plain_text(pattern) == "*" for case in cases for pattern in case.patterns):
            ways.append(NOTHING)
        return Sequence((self._text(word), *patterns, Choice(tuple(ways))))

    def _declared_sets(self, line: int) -> frozenset[str]:
        """The names after `# sets:` in the comment above."""
        said: list[str] = []
        at = line - 2
        while at >= 0 and self._lines[at].startswith("#"):
            said.insert(0, self._lines[at])
            at -= 1
        begins = next((n for n, text in enumerate(said) if text.startswith(_SETS)), len(said))
        names: set[str] = set()
        for text in said[begins:]:
            # brackets may explain a name
            plain = re.sub(r"\([^()]*\)", "", text.removeprefix(_SETS))
            names.update(word for word in _NAME.findall(plain) if "_" in word or word.isupper())
        return frozenset(names)

    # Simple commands.

    def _simple(self, call: syntax.CallExpr) -> Flow:
        line = call.pos.line
        words = [self._text(word) for word in call.args]
        values: list[Flow] = []
        writes: list[Flow] = []
        for assign in call.assigns:
            values.append(NOTHING if assign.value is None else self._text(assign.value))
            writes.append(Write(assign.name.value, assign.name.pos.line))
        if not call.args:
            return Sequence(tuple(itertools.chain(*zip(values, writes, strict=True))))
        plain = [plain_text(word) for word in call.args]
        does = self._do(call.args, plain, line)
        # an assignment before a program lasts for the program; before a function it may stay
        first = plain[0]
        stays = isinstance(does, Call) or (first in _KEEPING and first != "read")
        return Sequence((*values, *words, *(writes if stays else ()), does))

    def _do(self, args: list[Text], plain: list[str | None], line: int) -> Flow:
        match plain[0]:
            case None:
                return self._unnamed(args, line)
            case "exec" | "command":
                return NOTHING  # these run only programs
            case "read":
                return _writes([word for word in plain[1:] if word], line)
            case "unset" if "-f" not in plain:
                return _writes([word for word in plain[1:] if word], line)
            case "export" | "readonly":
                return self._export(args[1:], line)
            case "trap":
                return self._trap(args, plain, line)
            case "eval":
                return Unknown("what eval runs cannot be known here", line)
            case str() as name if name in _LEAVES:
                return Leave(name)
            case str() as name if name in self._names:
                words = frozenset(word for word in plain[1:] if word is not None)
                given = words | ({"$@"} if _passes_on(args) else set())
                return Call(frozenset((name,)), given, line)
            case str() as name if "_" in name and self._has_kin(name):
                return Unknown(f"there is no function {name} in this script", line)
        return NOTHING

    def _unnamed(self, args: list[Text], line: int) -> Flow:
        """A command whose name is composed: "$@", "nf_do_$STEP", or $EXEC program."""
        match args[0].parts:
            case [syntax.DblQuoted([syntax.ParamExp(syntax.Name("@"))])]:
                return Call(frozenset(), frozenset(), line)
            case [syntax.DblQuoted([syntax.Lit(prefix), syntax.ParamExp()])]:
                names = frozenset(name for name in self._names if name.startswith(prefix))
                if names:
                    return Call(names, frozenset(), line)
            case [syntax.ParamExp(syntax.Name(name))] if len(args) > 1:
                if self._texts.get(name, {name}) <= {"", "exec"}:
                    return self._do(args[1:], [plain_text(word) for word in args[1:]], line)
        return Unknown("what this calls cannot be known here", line)

    def _has_kin(self, name: str) -> bool:
        """Whether it looks like one of our functions: some begin with the same word."""
        kin = name.partition("_")[0] + "_"
        return any(other.startswith(kin) for other in self._names)

    def _export(self, args: list[Text], line: int) -> Flow:
        flows: list[Flow] = []
        for arg in args:
            match arg.parts:
                case [syntax.Lit(text), *_] if "=" in text:
                    flows.append(Write(text.partition("=")[0], line))
                case [syntax.Lit(text)] if _NAME.fullmatch(text):
                    flows.append(Read(text, line))
        return Sequence(tuple(flows))

    def _trap(self, args: list[Text], plain: list[str | None], line: int) -> Flow:
        if len(args) < 2 or plain[1] in ("-", ""):
            return NOTHING
        if plain[1] is None:
            return Unknown("what this trap runs cannot be known here", line)
        flow = self._all(syntax.parse("\n" * (line - 1) + plain[1]))
        if plain[2:] != ["EXIT"]:
            self.script.traps.append(flow)
        return Process(flow)

    # Words.

    def _text(self, text: Text) -> Flow:
        return self._parts(text.parts)

    def _parts(self, parts: list[syntax.Part]) -> Flow:
        return Sequence(tuple(self._part(part) for part in parts))

    def _part(self, part: syntax.Part) -> Flow:
        match part:
            case syntax.DblQuoted(parts):
                return self._parts(parts)
            case syntax.CmdSubst(_, stmts):
                return Process(self._all(stmts))
            case syntax.ArithmExp(x):
                return self._arithmetic(x)
            case syntax.ParamExp(name, expansion):
                return self._parameter(name, expansion)
            case _:
                return NOTHING

    def _parameter(self, name: syntax.Name, expansion: syntax.Expansion | None) -> Flow:
        flows: list[Flow] = []
        if _NAME.fullmatch(name.value):
            flows.append(Read(name.value, name.pos.line))
        if expansion is not None and expansion.word is not None:
            flows.append(Choice((self._text(expansion.word), NOTHING)))
            if expansion.op in ("=", ":="):
                flows.append(Choice((Write(name.value, name.pos.line), NOTHING)))
        return Sequence(tuple(flows))

    def _arithmetic(self, x: syntax.Arithm) -> Flow:
        match x:
            case syntax.BinaryArithm(op, left, right):
                both = (self._arithmetic(left), self._arithmetic(right))
                if op.endswith("=") and op not in ("==", "!=", "<=", ">="):
                    written = tuple(Write(r.name, r.line) for r in _reads(both[0]))
                    return Sequence((*both, *written))
                return Sequence(both)
            case syntax.UnaryArithm(_, inner) | syntax.ParenArithm(inner):
                return self._arithmetic(inner)
            case syntax.Word([syntax.Lit(text, pos)]) if _NAME.fullmatch(text):
                return Read(text, pos.line)
            case syntax.Word(parts):
                return self._parts(parts)


def _reads(flow: Flow) -> tuple[Read, ...]:
    return (flow,) if isinstance(flow, Read) else ()


def _writes(words: list[str], line: int) -> Flow:
    return Sequence(tuple(Write(word, line) for word in words if _NAME.fullmatch(word)))


def _passes_on(args: list[Text]) -> bool:
    """Whether the function's own words are among these."""
    return any(
        isinstance(part, syntax.DblQuoted)
        and any(isinstance(p, syntax.ParamExp) and p.param.value == "@" for p in part.parts)
        for arg in args
        for part in arg.parts
    )
