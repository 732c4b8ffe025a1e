"""The agent before and after, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from nixfleet_core.facts.model import Snapshot
from nixfleet_core.facts.package_changes import change_text
from tui.remedies import advice_text
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


def verdict_text(
    verdict: Verdict, glyphs: Glyphs, *, brief: bool = False, keys: bool = True
) -> Content:
    """The verdict in one sentence, the advice, what was left behind, and the notes. `brief` omits
    the cause and what helps against what was left, and shows only the first sentence of a note.
    `keys`: the advice has the keys that do what it names."""
    tone = verdict_tone(verdict.kind)
    parts: list[tuple[str, str] | Content] = [
        (f"{tone_sign(tone, glyphs)} {verdict.kind}", f"bold {STYLES[tone]}"),
        (f"  {sentence(verdict.sentence, glyphs)}", ""),
    ]
    if verdict.cause and not brief:
        parts.append((f"\ncause      {plain(verdict.cause)}", ""))
    if verdict.advice:
        said = Content.styled(f"advice     {sentence(verdict.advice, glyphs)}", "bold")
        remedies = verdict.remedies if keys else ()
        parts += [("\n", ""), advice_text(said, remedies, glyphs)]
    for left in verdict.left:
        parts.append((f"\nleft       {sentence(left.what, glyphs)}", ""))
        if left.help and not brief:
            key = f"{left.key} " if left.key else ""
            parts += [(f"\n{'':<{_LABEL}}{key}", "bold"), (sentence(left.help, glyphs), "")]
    for note in verdict.notes:
        words = note.partition(". ")[0] if brief else note
        parts.append((f"\nnote       {sentence(words, glyphs)}", ""))
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
        old, new = snapshot_rows(before, self._glyphs), snapshot_rows(after, self._glyphs)
        lines = self._brief(old, new) if self.brief else self._full(old, new)
        lines += self._changes(verdict.changes if verdict else ())
        return Content("\n").join([*lines, self._outcome()])

    def full_text(self) -> str:
        """Both sides and the verdict with whole values, for the clipboard."""
        verdict = self._watcher.verdict
        before = verdict.before if verdict else self._watcher.before or Snapshot()
        sides = {"before": before, "after": verdict.after if verdict else Snapshot()}
        lines = [
            f"{side} {name}: {plain(str(value))}"
            for side, snapshot in sides.items()
            for name in snapshot.__struct_fields__
            if (value := getattr(snapshot, name)) is not None
        ]
        outcome = (
            self._outcome().plain
            if verdict is None
            else (verdict_text(verdict, self._glyphs, keys=False).plain)
        )
        return "\n".join([plain(self._watcher.host), *lines, outcome])

    def _full(self, old: dict[str, str], new: dict[str, str]) -> list[Content]:
        head = f"{'':<{_LABEL}}{'before':<{_COLUMN}}after"
        rows = [Content.styled(head, STYLES["faint"])]
        for key, value in old.items():
            changed = new[key] not in (value, self._glyphs.missing)
            rows.append(
                Content.assemble(
                    (f"{key:<{_LABEL}}", STYLES["faint"]),
                    f"{value:<{_COLUMN - 1}} ",
                    (new[key], "bold" if changed else ""),
                )
            )
        return rows

    def _brief(self, old: dict[str, str], new: dict[str, str]) -> list[Content]:
        arrow, dot = self._glyphs.arrow, self._glyphs.dot
        pairs = (f"{key} {old[key]} {arrow} {new[key]}" for key in ("version", "commit"))
        return [Content(f" {dot} ".join(pairs))]

    def _changes(self, changes: tuple[Change, ...]) -> list[Content]:
        """The number of changed packages, the first of them, and the key that lists all."""
        if not changes:
            return []
        shown = () if self.brief else changes[:_FIRST]
        count = f"{len(changes)} package{'s' * (len(changes) > 1)}"
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
