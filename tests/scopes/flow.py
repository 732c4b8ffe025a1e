"""What the check needs of a shell script: which variables it reads and writes, in which order."""

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
    """One of these functions is called, with these words where they are plain text.

    With no name it is one of the words that the function itself was called with ("$@").
    """

    names: frozenset[str]
    words: frozenset[str]
    line: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something is called, and it cannot be said what."""

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
    """A condition, and a body that runs as often as that holds."""

    condition: Flow
    body: Flow


@dataclass(frozen=True, slots=True)
class Process:
    """Runs in a process of its own: reads our variables, and cannot change them."""

    inside: Flow


Flow = Read | Write | Call | Unknown | Leave | Sequence | Choice | Loop | Process
NOTHING = Sequence(())


@dataclass(frozen=True, slots=True)
class Function:
    """A function; `sets` is what the comment above it says that it sets for others."""

    name: str
    line: int
    sets: frozenset[str]
    body: Flow


@dataclass(slots=True)
class Script:
    """A whole script. `main` is what runs beside the functions, `traps` what signals run."""

    functions: dict[str, Function] = field(default_factory=dict)
    main: Flow = NOTHING
    traps: list[Flow] = field(default_factory=list)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong in a line of a script."""

    line: int
    text: str
