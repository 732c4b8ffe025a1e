"""A shell script as the check sees it: which variables it reads and writes, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Read:
    """A variable is read."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Write:
    """A variable gets a value, or loses it."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Call:
    """One of these functions is called, with these words if they are plain text.

    Without a name, the function calls a word of its own arguments ("$@").
    """

    names: frozenset[str]
    words: frozenset[str]
    line: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something unknown is called."""

    why: str
    line: int


@dataclass(frozen=True, slots=True)
class Leave:
    """`return` and `exit`, `break`, `continue`."""

    how: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after another."""

    parts: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these."""

    parts: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A condition, and a body that runs while it holds."""

    condition: Flow
    body: Flow


@dataclass(frozen=True, slots=True)
class Process:
    """Runs in its own process: reads our variables, and cannot change them."""

    inside: Flow


Flow = Read | Write | Call | Unknown | Leave | Sequence | Choice | Loop | Process
NOTHING = Sequence(())


@dataclass(frozen=True, slots=True)
class Function:
    """A function; `sets` has the names in the `# sets:` comment above it."""

    name: str
    line: int
    sets: frozenset[str]
    body: Flow


@dataclass(slots=True)
class Script:
    """A whole script. `main` is the code outside of functions, `traps` the code of signals."""

    functions: dict[str, Function] = field(default_factory=dict)
    main: Flow = NOTHING
    traps: list[Flow] = field(default_factory=list)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong in a line of a script."""

    line: int
    text: str
