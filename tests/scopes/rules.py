"""The rules of scope, and what breaks them.

1. A function's own variables begin with its name. A `# sets:` line above it names the variables
   that it sets for others. Nobody else reads a variable that no such line names. A function sets
   no variable that nobody reads.
2. A constant of the prelude (`NF_…`) keeps its value.
3. Between two uses of a variable no function is called that overwrites it, except one that
   declares it. Other `NF_…` variables are the script's state: a reader wants the newest value.
4. The code of a signal (`trap`) changes no variable: it can run between any two commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from scopes.flow import (
    Call,
    Choice,
    Fault,
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

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIN: Final = ""
"""Stands for the script's code outside of functions."""

Names = frozenset[str]
NONE: Final[Names] = frozenset()


def check(script: Script) -> list[Fault]:
    """All faults, in the order of their lines."""
    return sorted(_Check(script).faults())


@dataclass(frozen=True, slots=True)
class _Around:
    """The variables still read after a loop, at its head, and after the function."""

    after: Names = NONE
    head: Names = NONE


class _Check:
    def __init__(self, script: Script) -> None:
        self._script = script
        first = min(function.line for function in script.functions.values())
        self._given = _written(script.main, before=first)
        self._functions = {
            MAIN: Function(MAIN, 0, NONE, script.main),
            **script.functions,
        }
        self._reads = {
            node.name
            for function in self._functions.values()
            for node in _nodes(function.body)
            if isinstance(node, Read)
        }
        self._handed = self._find_handed()
        self._writes = self._find_written()
        self._shared = NONE.union(
            _written(script.main), *(function.sets for function in script.functions.values())
        )
        self._found: set[Fault] = set()
        self._had: dict[int, Names] = {}
        """For each call, by identity: what the function around it may have set by then."""
        self._exposed: dict[str, Names] = dict.fromkeys(self._functions, NONE)
        self._find_exposed()

    def faults(self) -> set[Fault]:
        for name in self._reached():
            function = self._functions[name]
            self._check_calls(function)
            if name != MAIN:
                self._check_names(function)
                self._set_before(function, function.body, NONE)
                self._live(function, report=True)
        for trap in self._script.traps:
            self._check_trap(trap)
        return self._found

    def _fault(self, line: int, text: str) -> None:
        self._found.add(Fault(line, text))

    # Who calls whom.

    def _find_handed(self) -> dict[str, Names]:
        """For each function that runs its own arguments: the functions that these can name."""
        runs = {n for n, f in self._functions.items() if any(not c.names for c in _calls(f.body))}
        handed: dict[str, Names] = dict.fromkeys(self._functions, NONE)
        changed = True
        while changed:
            changed = False
            for name, function in self._functions.items():
                for call in _calls(function.body):
                    for callee in call.names & runs:
                        words = call.words & {*self._script.functions}
                        if "$@" in call.words:
                            words |= handed[name]
                            if name not in runs:
                                runs.add(name)
                                changed = True
                        if not words <= handed[callee]:
                            handed[callee] |= words
                            changed = True
        return handed

    def _callees(self, name: str, call: Call) -> Names:
        return call.names or self._handed[name]

    def _find_written(self) -> dict[str, Names]:
        """For each function the variables that it or its callees write, in its own process."""
        found = {name: _written(function.body) for name, function in self._functions.items()}
        changed = True
        while changed:
            changed = False
            for name, function in self._functions.items():
                for call in _calls(function.body, here=True):
                    for callee in self._callees(name, call):
                        if not found[callee] <= found[name]:
                            found[name] |= found[callee]
                            changed = True
        return found

    def _reached(self) -> set[str]:
        """The functions that the script can reach; those of other parts do not matter."""
        found, left = {MAIN}, [MAIN]
        while left:
            name = left.pop()
            for call in _calls(self._functions[name].body):
                new = self._callees(name, call) - found
                found |= new
                left += new
        return found

    def _check_calls(self, function: Function) -> None:
        for node in _nodes(function.body):
            if isinstance(node, Unknown):
                self._fault(node.line, node.why)

    # Rules 1 and 2.

    def _owner(self, variable: str) -> str | None:
        """The function whose name it begins with; the longest such name."""
        fits = [
            name
            for name in self._script.functions
            if variable == name or variable.startswith(f"{name}_")
        ]
        return max(fits, key=len, default=None)

    def _check_names(self, function: Function) -> None:
        for node in _nodes(function.body):
            if isinstance(node, Write):
                self._check_write(function, node)
            elif isinstance(node, Read):
                self._check_read(function, node)

    def _check_read(self, function: Function, read: Read) -> None:
        variable, name = read.name, function.name
        owner = self._owner(variable)
        if owner == name or variable in self._shared or _is_environment(variable):
            return
        whose = f"it is {owner}'s own" if owner else "nobody sets it for others"
        self._fault(read.line, f"{name} reads {variable}: {whose}")

    def _check_write(self, function: Function, write: Write) -> None:
        variable, name = write.name, function.name
        if _is_environment(variable):
            return
        if variable in self._given:
            self._fault(write.line, f"{name} changes {variable}, which the prelude gives")
        elif _is_ours(variable) and variable not in self._reads:
            self._fault(write.line, f"{name} sets {variable}, which nobody reads")
        elif variable not in function.sets and self._owner(variable) != name:
            self._fault(
                write.line,
                f"{name} sets {variable}: begin its name with {name}_, or say `# sets: {variable}`",
            )

    # Rule 3.

    def _find_exposed(self) -> None:
        """For each function the variables that it reads and its callers have set."""
        changed = True
        while changed:
            changed = False
            for name, function in self._functions.items():
                live = self._live(function, report=False)
                live = frozenset(v for v in live if self._owner(v) != name or v in function.sets)
                if live != self._exposed[name]:
                    self._exposed[name] = live
                    changed = True

    def _live(self, function: Function, *, report: bool) -> Names:
        return self._before(function, function.body, NONE, _Around(), report)

    def _before(
        self, function: Function, flow: Flow, after: Names, around: _Around, report: bool
    ) -> Names:
        """The variables that are read before they are set, from here on."""
        match flow:
            case Read(name):
                return after | {name}
            case Write(name):
                return after - {name}
            case Call():
                return self._before_call(function, flow, after, report)
            case Leave("break"):
                return around.after
            case Leave("continue"):
                return around.head
            case Leave():
                return NONE
            case Unknown():
                return after
            case Sequence(parts):
                for part in reversed(parts):
                    after = self._before(function, part, after, around, report)
                return after
            case Choice(parts):
                ways = [self._before(function, part, after, around, report) for part in parts]
                return NONE.union(*ways)
            case Process(inside):
                return after | self._before(function, inside, NONE, _Around(), report)
            case Loop(condition, body):
                return self._before_loop(function, condition, body, after, report)

    def _before_loop(
        self, function: Function, condition: Flow, body: Flow, after: Names, report: bool
    ) -> Names:
        head = NONE
        while True:
            inside = _Around(after, head)
            again = self._before(function, body, head, inside, report)
            new = self._before(function, condition, after | again, inside, report)
            if new == head:
                return head
            head = new

    def _set_before(self, function: Function, flow: Flow, had: Names) -> Names:
        """Note for each call what the function may have set by then; return what it sets in all."""
        match flow:
            case Write(name):
                return had | {name}
            case Call():
                self._had[id(flow)] = had
                callees = self._callees(function.name, flow)
                return had.union(*(self._functions[name].sets for name in callees))
            case Sequence(parts):
                for part in parts:
                    had = self._set_before(function, part, had)
                return had
            case Choice(parts):
                return had.union(*(self._set_before(function, part, had) for part in parts))
            case Process(inside):
                self._set_before(function, inside, had)
                return had
            case Loop(condition, body):
                round_ = Sequence((condition, body))
                return self._set_before(function, round_, self._set_before(function, round_, had))
            case Read() | Unknown() | Leave():
                return had

    def _before_call(self, function: Function, call: Call, after: Names, report: bool) -> Names:
        callees = [self._functions[name] for name in self._callees(function.name, call)]
        if report:
            for callee in callees:
                changed = self._writes[callee.name] - callee.sets
                for variable in filter(_is_ours, changed & after & self._had[id(call)]):
                    self._fault(
                        call.line,
                        f"{callee.name} overwrites {variable}, which {function.name} set and needs",
                    )
        always = callees[0].sets if len(callees) == 1 else NONE
        return (after - always).union(*(self._exposed[callee.name] for callee in callees))

    # Rule 4.

    def _check_trap(self, trap: Flow) -> None:
        written = _written(trap)
        for call in _calls(trap, here=True):
            for callee in call.names:
                written |= self._writes[callee]
        lines = [node.line for node in _nodes(trap) if not isinstance(node, Leave)]
        for variable in written:
            self._fault(min(lines), f"what this trap runs changes {variable}")


def _is_environment(variable: str) -> bool:
    """Also variables for programs that are started here: we cannot choose such names."""
    return variable.isupper() and not variable.startswith("NF_")


def _is_ours(variable: str) -> bool:
    """A function's: neither the script's state nor the environment."""
    return not variable.isupper()


def _nodes(flow: Flow, *, here: bool = False) -> Iterator[Read | Write | Call | Unknown | Leave]:
    """All events; with `here` only those in this process."""
    match flow:
        case Sequence(parts) | Choice(parts):
            for part in parts:
                yield from _nodes(part, here=here)
        case Loop(condition, body):
            yield from _nodes(condition, here=here)
            yield from _nodes(body, here=here)
        case Process(inside):
            if not here:
                yield from _nodes(inside)
        case _:
            yield flow


def _calls(flow: Flow, *, here: bool = False) -> list[Call]:
    return [node for node in _nodes(flow, here=here) if isinstance(node, Call)]


def _written(flow: Flow, *, before: float = inf) -> Names:
    writes = (node for node in _nodes(flow, here=True) if isinstance(node, Write))
    return frozenset(write.name for write in writes if write.line < before)
