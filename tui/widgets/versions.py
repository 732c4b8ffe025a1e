"""The agent before and after, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import change_text
from tui.text import plain, sentence, short_commit, short_hash, short_store_path
from tui.widgets.live import LivePanel
from tui.words import STYLES, tone_sign, verdict_tone

if TYPE_CHECKING:
    from nixfleet_core.facts.package_changes import Change
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.vocabulary import StepId
    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher

_FIRST = 3
"""So many changed packages are shown until the operator asks for all."""

UNCHANGED: Final = "unchanged"
"""Stands for a value that is the same as before."""

_LABEL = 11
_COLUMN = 20

_AWAITED: Final[dict[StepId, str]] = {
    "confirm": "reaching the host again",
    "start": "waiting for the agent",
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


def both_sides(
    before: Snapshot, after: Snapshot, glyphs: Glyphs
) -> tuple[dict[str, str], dict[str, str]]:
    """The rows of both sides. A value that has not changed stands only on the left."""
    old, new = snapshot_rows(before, glyphs), snapshot_rows(after, glyphs)
    same = {
        "version": before.version == after.version,
        "commit": before.commit == after.commit,
        "store": before.store_path == after.store_path,
        "sha256": before.sha256 == after.sha256,
        "system": before.system == after.system and before.generation == after.generation,
    }
    if before.system != after.system and before.generation == after.generation:
        # a switch to what the profile named already: only the paths tell them apart
        for rows, side in ((old, before), (new, after)):
            rows["system"] = short_store_path(side.system, glyphs)
    unchanged = (key for key, value in new.items() if same[key] and value != glyphs.missing)
    return old, new | dict.fromkeys(unchanged, UNCHANGED)


def verdict_text(verdict: Verdict, glyphs: Glyphs, *, brief: bool = False) -> Content:
    """The verdict in one sentence, the advice, what was left behind, and the notes. `brief` omits
    the cause and what helps against what was left, and shows only the first sentence of a note."""
    tone = verdict_tone(verdict.kind)
    parts: list[tuple[str, str]] = [
        (f"{tone_sign(tone, glyphs)} {verdict.kind}", f"bold {STYLES[tone]}"),
        (f"  {sentence(verdict.sentence, glyphs)}", ""),
    ]
    if verdict.cause and not brief:
        parts.append((f"\ncause      {plain(verdict.cause)}", ""))
    if verdict.advice:
        parts.append((f"\nadvice     {sentence(verdict.advice, glyphs)}", "bold"))
    for left in verdict.left:
        parts.append((f"\nleft       {sentence(left.what, glyphs)}", ""))
        if left.help and not brief:
            key = f"{left.key} " if left.key else ""
            parts += [(f"\n{'':<{_LABEL}}{key}", "bold"), (sentence(left.help, glyphs), "")]
    for note in verdict.notes:
        said = note.partition(". ")[0] if brief else note
        parts.append((f"\nnote       {sentence(said, glyphs)}", ""))
    return Content.assemble(*parts)


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
        old, new = both_sides(before, after, self._glyphs)
        lines = self._brief(old, new) if self.brief else self._full(old, new)
        lines += self._changes(verdict.changes if verdict else (), new["system"] == UNCHANGED)
        return Content("\n").join([*lines, self._outcome()])

    def _full(self, old: dict[str, str], new: dict[str, str]) -> list[Content]:
        head = f"{'':<{_LABEL}}{'before':<{_COLUMN}}after"
        rows = [Content.styled(head, STYLES["faint"])]
        for key, value in old.items():
            style = "bold"
            if new[key] in (UNCHANGED, self._glyphs.missing):
                style = STYLES["faint"] if new[key] == UNCHANGED else ""
            rows.append(
                Content.assemble(
                    (f"{key:<{_LABEL}}", STYLES["faint"]),
                    f"{value:<{_COLUMN - 1}} ",
                    (new[key], style),
                )
            )
        return rows

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
        shown = () if self.brief else changes[:_FIRST]
        count = f"{len(changes)} package{'s' * (len(changes) > 1)}"
        if is_same_system:
            count = "only the running agent"
        where = f" {self._glyphs.dot} p lists them" if len(changes) > len(shown) else ""
        head = (f"{'changed':<{_LABEL}}", STYLES["faint"])
        lines = changes_text(shown, self._glyphs).split("\n") if shown else []
        return [
            Content.assemble(head, f"{count}{where}"),
            *(line.pad_left(_LABEL) for line in lines),
        ]

    def _outcome(self) -> Content:
        watcher = self._watcher
        if watcher.verdict is not None:
            return verdict_text(watcher.verdict, self._glyphs, brief=self.brief)
        label = (f"{'verdict':<{_LABEL}}", STYLES["faint"])
        if watcher.is_active and (halt := watcher.state.halt) is not None:
            tail = "\nadvice     make room there; steps and log then go on from where they are"
            return Content.assemble(label, (f"waiting: {plain(halt.why)}", STYLES["warning"]), tail)
        if watcher.problem:
            why = f"not known: {plain(watcher.problem)}"
            return Content.assemble(label, (why, STYLES["bad"]), "\nadvice     R asks again")
        return Content.assemble(label, self._awaited())

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
