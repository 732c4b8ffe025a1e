"""How a job ended: the verdict, its reason, and the next key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui.keys import AS_BUILT
from tui.remedies import advice_text, remedy_key, remedy_of
from tui.stage import stage
from tui.text import plain, sentence
from tui.widgets.live import LivePanel
from tui.widgets.log_view import LogView
from tui.words import STYLES, next_action, tone_sign, verdict_tone

if TYPE_CHECKING:
    from nixfleet_core.judge.verdict import Verdict
    from tui.glyphs import Glyphs
    from tui.jobs import JobWatcher
    from tui.keys import Keys
    from tui.remedies import Where

_LABEL = 11
_GAP = 4
"""Cells between the verdict and the key, if both stand on one line."""


def verdict_text(
    verdict: Verdict,
    glyphs: Glyphs,
    *,
    brief: bool = False,
    keys: bool = True,
    where: Where = "fleet",
    bound: Keys = AS_BUILT,
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
        parts += [("\n", ""), advice_text(said, remedies, glyphs, where, bound)]
    for left in verdict.left:
        parts.append((f"\nleft       {sentence(left.what, glyphs)}", ""))
        if left.help and not brief:
            remedy = remedy_of(left.key)
            key = remedy_key(remedy, glyphs, where, bound) if remedy is not None else ""
            parts += [
                (f"\n{'':<{_LABEL}}{f'{key} ' if key else ''}", "bold"),
                (sentence(left.help, glyphs), ""),
            ]
    for note in verdict.notes:
        words = note.partition(". ")[0] if brief else note
        parts.append((f"\nnote       {sentence(words, glyphs)}", ""))
    return Content.assemble(*parts)


class VerdictPanel(LivePanel):
    """All over the width, in the verdict's colour; it is there from the job's end on."""

    def __init__(self, watcher: JobWatcher, glyphs: Glyphs) -> None:
        super().__init__(id="verdict-panel")
        self.host = watcher.host
        self._watcher = watcher
        self._glyphs = glyphs
        self.brief = False

    @property
    def is_due(self) -> bool:
        """Whether there is something to tell."""
        return self._watcher.verdict is not None or bool(self._watcher.problem)

    @property
    def tone(self) -> str:
        verdict = self._watcher.verdict
        return verdict_tone(verdict.kind) if verdict is not None else "bad"

    def full_text(self) -> str:
        """The whole verdict, or why there is none, for the clipboard."""
        verdict = self._watcher.verdict
        if verdict is None:
            return plain(self._watcher.problem) or "there is no verdict yet"
        bound = stage(self).keys
        return verdict_text(verdict, self._glyphs, keys=False, where="update", bound=bound).plain

    def picture(self) -> Content:
        verdict, glyphs = self._watcher.verdict, self._glyphs
        if verdict is None:
            why = Content.styled(
                f"{glyphs.bad} no verdict  {plain(self._watcher.problem)}", STYLES["bad"]
            )
            again = self._key("update.again")
            return Content.assemble(why, (f"\n{again}", "bold"), " asks again") if again else why
        text = verdict_text(
            verdict, glyphs, brief=self.brief, where="update", bound=stage(self).keys
        )
        if verdict.remedies or (not self.brief and any(left.key for left in verdict.left)):
            return text  # it names the keys
        name, does = next_action(verdict)
        if not (key := self._key(name)):
            return text
        hint = Content.assemble((key, "bold $text-accent"), f" {sentence(does, glyphs)}")
        gap = self.size.width - text.cell_length - hint.cell_length
        if "\n" in text.plain or gap < _GAP:
            return Content("\n").join([text, hint])
        return Content.assemble(text, " " * gap, hint)

    def _key(self, name: str) -> str:
        """The key of a binding of this screen or of its log; empty if it has none."""
        owner = LogView if name.startswith("log.") else type(self.screen)
        return stage(self).keys.shown(owner, name, self._glyphs)
