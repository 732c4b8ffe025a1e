"""The agent before and after the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import change_text
from tui.text import counted, plain, short_commit, short_hash, short_store_path
from tui.widgets.live import LivePanel
from tui.words import STYLES

if TYPE_CHECKING:
    from nixfleet_core.facts.package_changes import Change
    from nixfleet_core.vocabulary import StepId
    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher

_FIRST = 3
"""So many changed packages are shown at least; `p` lists all."""
SIDE_ROWS = ("version", "commit", "store", "sha256", "system")

UNCHANGED: Final = "unchanged"
"""Stands for a value that is the same as before."""

_NO_LOOK: Final = "not seen: nobody has looked since the job"

_LABEL = 11
_COLUMN = 20
_ARROW = 3
_CHANGED = "bold $text-accent"

_AWAITED: Final[dict[StepId, str]] = {
    "confirm": "reaching the host again",
    "start": "waiting for the agent",
    "restart": "waiting for the agent",
    "verify": "waiting for the agent",
    "rollback": "going back to what was active",
    "commit": "committing flake.lock",
    "push": "pushing flake.lock",
}
"""What we wait for in a step."""


def snapshot_rows(side: Snapshot, glyphs: Glyphs) -> dict[str, str]:
    """One side of the comparison, as text; a dash stands for what was not seen."""
    return {
        "version": plain(side.version) if side.version else glyphs.missing,
        "commit": short_commit(side.commit, glyphs),
        "store": short_store_path(side.store_path, glyphs),
        "sha256": short_hash(side.sha256, glyphs),
        "system": f"generation {side.generation}"
        if side.generation is not None
        else short_store_path(side.system, glyphs),
    }


def whole_rows(side: Snapshot, glyphs: Glyphs) -> dict[str, str]:
    """The same, with nothing cut."""
    generation = f"generation {side.generation}" if side.generation is not None else ""
    system = ", ".join(part for part in (generation, plain(side.system or "")) if part)
    return {
        **snapshot_rows(side, glyphs),
        "commit": plain(side.commit or glyphs.missing),
        "store": plain(side.store_path or glyphs.missing),
        "sha256": plain(side.sha256 or glyphs.missing),
        "system": system or glyphs.missing,
    }


def both_sides(
    before: Snapshot, after: Snapshot, glyphs: Glyphs, *, whole: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """The rows of both sides. A value that has not changed stands only on the left."""
    rows_of = whole_rows if whole else snapshot_rows
    old, new = rows_of(before, glyphs), rows_of(after, glyphs)
    same = {
        "version": before.version == after.version,
        "commit": before.commit == after.commit,
        "store": before.store_path == after.store_path,
        "sha256": before.sha256 == after.sha256,
        "system": before.system == after.system and before.generation == after.generation,
    }
    if not whole and before.system != after.system and before.generation == after.generation:
        # a switch to what the profile named already: only the paths tell them apart
        for rows, side in ((old, before), (new, after)):
            rows["system"] = short_store_path(side.system, glyphs)
    unchanged = (key for key, value in new.items() if same[key] and value != glyphs.missing)
    return old, new | dict.fromkeys(unchanged, UNCHANGED)


def changes_text(changes: tuple[Change, ...], glyphs: Glyphs) -> Content:
    """Every package that changed, a line each."""
    return Content("\n".join(plain(change_text(change, glyphs.arrow)) for change in changes))


class VersionPanel(LivePanel):
    """Compares both sides row by row. `brief` puts version and commit on one line."""

    def __init__(self, watcher: JobWatcher, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.host = watcher.host
        self._watcher = watcher
        self._glyphs = glyphs
        self.brief = False

    def picture(self) -> Content:
        verdict = self._watcher.verdict
        before = verdict.before if verdict else self._watcher.before or Snapshot()
        after = verdict.after if verdict else Snapshot()
        glyphs = self._glyphs
        old, new = both_sides(before, after, glyphs)
        lines = self._brief(old, new) if self.brief else self._full(old, new)
        if verdict is not None and not self.brief:
            lines = self._whole(*both_sides(before, after, glyphs, whole=True)) or lines
            if after == Snapshot() != before:
                lines.append(Content.assemble((f"{'after':<{_LABEL}}", STYLES["faint"]), _NO_LOOK))
        lines += self._changes(verdict.changes if verdict else (), new["system"] == UNCHANGED)
        return Content("\n").join([*lines, *self._waiting()])

    def full_text(self) -> str:
        """Both sides with whole values, for the clipboard."""
        verdict = self._watcher.verdict
        before = verdict.before if verdict else self._watcher.before or Snapshot()
        sides = {"before": before, "after": verdict.after if verdict else Snapshot()}
        lines = [
            f"{side} {name}: {plain(str(value))}"
            for side, snapshot in sides.items()
            for name in snapshot.__struct_fields__
            if (value := getattr(snapshot, name)) is not None
        ]
        return "\n".join([plain(self._watcher.host), *lines])

    def _full(self, old: dict[str, str], new: dict[str, str]) -> list[Content]:
        arrow = self._glyphs.arrow
        head = f"{'':<{_LABEL}}{'before':<{_COLUMN}}{'':{_ARROW}}after"
        rows = [Content.styled(head, STYLES["faint"])]
        for key, value in old.items():
            changed = new[key] not in (UNCHANGED, self._glyphs.missing)
            rows.append(
                Content.assemble(
                    (f"{key:<{_LABEL}}", STYLES["faint"]),
                    f"{value:<{_COLUMN - 1}} ",
                    (f"{arrow if changed else '':<{_ARROW}}", _CHANGED),
                    (new[key], _CHANGED if changed else STYLES["faint"]),
                )
            )
        return rows

    def _whole(self, old: dict[str, str], new: dict[str, str]) -> list[Content]:
        """The sides one below the other, if there is room for whole paths; else nothing."""
        glyphs, rows = self._glyphs, list[Content]()
        for key, value in old.items():
            same = f", {UNCHANGED}" if new[key] == UNCHANGED else ""
            label = (f"{key:<{_LABEL}}", STYLES["faint"])
            rows.append(Content.assemble(label, value, (same, STYLES["faint"])))
            if new[key] not in (UNCHANGED, glyphs.missing):
                arrow = f"{glyphs.arrow:<{_ARROW}}".rjust(_LABEL)
                rows.append(Content.styled(f"{arrow}{new[key]}", _CHANGED))
        fits = max(row.cell_length for row in rows) <= self.size.width
        return rows if fits and len(rows) + _FIRST < self.size.height else []

    def _brief(self, old: dict[str, str], new: dict[str, str]) -> list[Content]:
        arrow, dot = self._glyphs.arrow, self._glyphs.dot
        pairs = (
            f"{key} {old[key]}, {UNCHANGED}"
            if new[key] == UNCHANGED
            else f"{key} {old[key]} {arrow} {new[key]}"
            for key in ("version", "commit")
        )
        return [Content(f" {dot} ".join(pairs))]

    def _changes(self, changes: tuple[Change, ...], is_same_system: bool) -> list[Content]:
        """The number of changed packages, the first of them, and the key that lists all. If the
        system is the same, only the agent's process is another one."""
        if not changes:
            return []
        room = max(_FIRST, self.size.height - len(SIDE_ROWS) - 2)
        shown = () if self.brief else changes[:room]
        count = counted(len(changes), "package")
        if is_same_system:
            count = "only the running agent"
        where = f" {self._glyphs.dot} p lists them" if len(changes) > len(shown) else ""
        head = (f"{'changed':<{_LABEL}}", STYLES["faint"])
        lines = changes_text(shown, self._glyphs).split("\n") if shown else []
        return [
            Content.assemble(head, f"{count}{where}"),
            *(line.pad_left(_LABEL) for line in lines),
        ]

    def _waiting(self) -> list[Content]:
        """What the verdict waits for, until there is one or it cannot be known."""
        watcher = self._watcher
        if watcher.verdict is not None or watcher.problem:
            return []
        label = (f"{'verdict':<{_LABEL}}", STYLES["faint"])
        if watcher.is_active and (halt := watcher.state.halt) is not None:
            tail = "\nadvice     make room there; steps and log then go on from where they are"
            why = (f"waiting: {plain(halt.why)}", STYLES["warning"])
            return Content.assemble(label, why, tail).split("\n")
        return [Content.assemble(label, self._awaited())]

    def _awaited(self) -> str:
        state = self._watcher.state
        if state.outcome is not None:
            return "asking the host how it ended"
        if state.cancelling is not None:
            later = " once the activation has ended" if state.cancelling.deferred else ""
            return f"cancelling{later}; the agent is started again first"
        if (waiting := state.waiting) is not None:
            return f"waiting for {plain(waiting.words)}"
        current = state.current
        if current is None:
            return "waiting for the job"
        return _AWAITED.get(current.id, "waiting")
