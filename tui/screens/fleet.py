"""The first screen: all hosts, and the selected one's details."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from nixfleet_core.ids import job_time
from nixfleet_core.session.boundary import drawn
from tui.details import checkout_state, host_details, last_look, running_since
from tui.fleet import STATE_ORDER
from tui.fleet_columns import SPARE, chosen_columns
from tui.host_facts import Jobs, host_sections, sections_text
from tui.messages import AskForFix, LookAtAll, RollBackHosts, UpdateHosts, UpdateStale, VerifyHosts
from tui.screens.host_page import CURE, LOOK, HostPage, host_key, menu_key
from tui.stage import stage
from tui.text import ago, built_from, short_commit
from tui.widgets.filter_bar import FilterBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.line_text import LineText
from tui.widgets.row_table import Cell, Row, RowTable
from tui.widgets.titled import TitledScroll
from tui.words import state_tone, tone_sign

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from textual.app import ComposeResult

    from nixfleet_core.facts.model import Facts
    from tui.fleet import Fleet, HostEntry
    from tui.glyphs import Glyphs
    from tui.words import Tone

_AGES_EVERY: Final = 10
"""Seconds."""


def state_cell(entry: HostEntry, glyphs: Glyphs, turn: int) -> Cell:
    """Sign and word; `turn` turns the spinner."""
    spinner = glyphs.spinner[turn % len(glyphs.spinner)]
    if entry.watcher is not None and entry.is_followed:
        number, count = entry.watcher.state.position
        return Cell(f"{spinner} {number}/{count}" if count else f"{spinner} asking", "busy")
    if entry.doing:
        return Cell(f"{spinner} {entry.doing}", "busy")
    found = entry.assessment
    if found is None:
        return Cell(f"{glyphs.unknown} unknown", "faint")
    tone = state_tone(found.state)
    return Cell(f"{tone_sign(tone, glyphs)} {found.state}", tone)


def host_row(
    entry: HostEntry, latest: str | None, glyphs: Glyphs, turn: int, now: float | None
) -> Row:
    """The row of one host; if it cannot be shown, its name, and that it cannot. With `now` it has
    the cells of the columns in `SPARE`, too."""
    broken = {"host": Cell(entry.name), "state": Cell("error", "bad")}

    def cells() -> dict[str, Cell]:
        found = _cells(entry, latest, glyphs, turn)
        if now is not None and entry.facts is not None:
            found |= _more_cells(entry, entry.facts, glyphs, now)
        return found

    return Row(entry.name, drawn(entry.name, cells, lambda _: broken))


class HostRows:
    """The rows of all hosts. A row is made again only if something that it shows has changed: a
    fleet of a thousand costs no more than the hosts of it that something is done with."""

    def __init__(self, entries: Collection[HostEntry], glyphs: Glyphs) -> None:
        self._entries = tuple(entries)
        self._places = {entry: place for place, entry in enumerate(self._entries)}
        self._glyphs = glyphs
        self._aged = -inf
        self._made: dict[str, tuple[tuple[object, ...], Row]] = {}
        """Each row, and what it was made from."""

    def rows(
        self,
        entries: Iterable[HostEntry],
        latest: Mapping[str, str],
        marked: Collection[str],
        turn: int,
        now: float | None,
    ) -> list[Row]:
        """`now` if the table may have columns of `SPARE`; the ages in them are up to
        `_AGES_EVERY` seconds old, and rows take turns at being made again for them."""
        return [
            self._row(entry, latest.get(entry.name), turn, now, marked=entry.name in marked)
            for entry in entries
        ]

    def aged(self, now: float) -> list[HostEntry]:
        """The hosts whose turn for new ages has come since the last call."""
        last, self._aged = self._aged, int(now)
        seconds = range(int(max(last, self._aged - _AGES_EVERY)) + 1, self._aged + 1)
        return [
            entry
            for second in seconds
            for entry in self._entries[-second % _AGES_EVERY :: _AGES_EVERY]
        ]

    def _row(
        self, entry: HostEntry, latest: str | None, turn: int, now: float | None, *, marked: bool
    ) -> Row:
        age = None if now is None else (int(now) + self._places[entry]) // _AGES_EVERY
        shown = (entry.changes, latest, age, _motion(entry, turn))
        before, row = self._made.get(entry.name, (None, None))
        if row is None or before != shown:
            row = host_row(entry, latest, self._glyphs, turn, now)
        if row.marked != marked:
            row = Row(row.key, row.cells, marked)
        self._made[entry.name] = (shown, row)
        return row


def _motion(entry: HostEntry, turn: int) -> tuple[object, ...]:
    """What a row shows of what is being done with the host."""
    if not entry.moves:
        return ()
    place = entry.watcher.state.position if entry.watcher is not None else None
    return turn, place


def _cells(entry: HostEntry, latest: str | None, glyphs: Glyphs, turn: int) -> dict[str, Cell]:
    facts = entry.facts
    running = facts.running.binary.version if facts and facts.running else None
    installed = facts.installed.version if facts and facts.installed else None
    state = state_cell(entry, glyphs, turn)
    tones = _stale_tones(entry) if state.tone == "warning" else ("normal", "normal")
    return {
        "host": Cell(entry.name),
        "where": Cell(entry.host.listed_where, "faint"),
        "running": Cell(running or glyphs.missing, tones[0]),
        "installed": Cell(installed or glyphs.missing, tones[1]),
        "latest": Cell(latest or glyphs.missing),
        "state": state,
    }


def _more_cells(entry: HostEntry, facts: Facts, glyphs: Glyphs, now: float) -> dict[str, Cell]:
    """The cells of the columns in `SPARE`."""
    checkout, job, since = facts.checkout, facts.job_last, running_since(facts, now - entry.seen_at)
    dirty = checkout is not None and (checkout.state != "ok" or bool(checkout.dirty))
    found = entry.assessment
    return {
        "built": Cell(built_from(found.running_commit if found else None, glyphs, now)),
        "commit": Cell(short_commit(facts.lock_rev(entry.host.input), glyphs)),
        "checkout": Cell(
            checkout_state(checkout) if checkout is not None else glyphs.missing,
            "warning" if dirty else "normal",
        ),
        "started": Cell(ago(since) if since is not None else glyphs.missing),
        "job": Cell(ago(now - job_time(job)) if job is not None else glyphs.missing),
    }


def _state_rank(entry: HostEntry) -> float:
    found = entry.assessment
    return STATE_ORDER.index(found.state) if found else len(STATE_ORDER)


def _started_rank(entry: HostEntry) -> float:
    """The agent that was started last comes first."""
    since = running_since(entry.facts, -entry.seen_at) if entry.facts is not None else None
    return since if since is not None else inf


def _job_rank(entry: HostEntry) -> float:
    """The host whose last job is the newest comes first."""
    job = entry.facts.job_last if entry.facts is not None else None
    return -job_time(job) if job is not None else inf


_RANKS: Final[dict[str, Callable[[HostEntry], float]]] = {
    "state": _state_rank,
    "started": _started_rank,
    "job": _job_rank,
}
"""What orders the columns whose words do not."""


def _stale_tones(entry: HostEntry) -> tuple[Tone, Tone]:
    """The tones of what runs and of what is installed: of a stale host at least one is old. What
    runs is, if it is not what is installed; else what is installed is, and with an old flake.lock
    in any case."""
    facts = entry.facts
    if facts is None or facts.running is None or facts.installed is None:
        return "normal", "normal"
    lags = not facts.installed.is_run_by(facts.running.binary)
    locked = facts.lock_rev(entry.host.input)
    is_locked_old = None not in (locked, entry.latest) and locked != entry.latest
    return (
        "warning" if lags else "normal",
        "warning" if is_locked_old or not lags else "normal",
    )


class _Parts(Container):
    """Holds table and details, which cover all of it: no paint looks for rows of its own."""

    BLANK = True


class FleetScreen(HostPage):
    """Table and details; probes everything once on mount."""

    BINDINGS: ClassVar[list[BindingType]] = [
        host_key("fleet", "choose"),
        Binding(
            "u",
            "update",
            "update",
            id="fleet.update",
            tooltip="Force-update the marked hosts that are shown, else this one",
            group=CURE,
        ),
        menu_key("fleet"),
        Binding(
            "U",
            "update_stale",
            "Update all stale",
            show=False,
            id="fleet.update-stale",
            tooltip="Force-update every stale host that is shown; asks first",
        ),
        host_key("fleet", "details"),
        host_key("fleet", "log"),
        host_key("fleet", "debt", show=False),
        host_key("fleet", "journal", show=False),
        host_key("fleet", "verify"),
        Binding(
            "V",
            "verify_unproven",
            "Verify all unproven hosts",
            show=False,
            id="fleet.verify-unproven",
            tooltip="Prove what runs on every unproven host that is shown; changes nothing",
        ),
        Binding(
            "i",
            "ask_for_fix",
            "Is my fix in?",
            show=False,
            id="fleet.fix",
            tooltip="Say which of the marked hosts, else of those that are shown, run a fix",
        ),
        host_key("fleet", "rollback"),
        host_key("fleet", "commit"),
        host_key("fleet", "restart", show=False),
        host_key("fleet", "as-locked", show=False),
        host_key("fleet", "history"),
        Binding(
            "slash",
            "filter",
            "filter",
            id="fleet.filter",
            tooltip="Show some hosts only: words, !word, tag:, state:, version:",
        ),
        Binding("space", "mark", "mark", id="fleet.mark", tooltip="Mark or unmark this host"),
        Binding("ctrl+a", "mark_all", "Mark all shown, or none", show=False, id="fleet.mark-all"),
        Binding(
            *("R", "refresh", "refresh"),
            id="fleet.refresh",
            tooltip="Look at all hosts again",
            group=LOOK,
        ),
        host_key("fleet", "connect"),
        host_key("fleet", "shell", show=False),
        Binding(
            "y",
            "copy",
            "Copy everything that is known of this host",
            show=False,
            id="fleet.copy",
        ),
        Binding("s", "sort(1)", "Sort by the next column", show=False, id="fleet.sort"),
        Binding("S", "reverse", "Reverse the order", show=False, id="fleet.reverse"),
        Binding("escape", "clear", "Clear filter and marks", show=False, id="fleet.clear"),
    ]
    BINDING_GROUP_TITLE = "Fleet"
    AUTO_FOCUS = "RowTable"

    def __init__(self, fleet: Fleet, columns: Sequence[str] = ()) -> None:
        """`columns`: those that the operator has named; empty: all."""
        super().__init__()
        self._fleet = fleet
        self._columns = chosen_columns(columns)
        self._rows = HostRows(fleet.entries.values(), stage(self).glyphs)
        self._marked: set[str] = set()
        self._sort: str | None = None
        self._reverse = False
        self._turn = 0
        """How far spinners had turned when they were shown for the last time."""
        self._shown: dict[str, HostEntry] = {}
        """The hosts that the filter lets through, by name."""
        self._orders: dict[str, float | str] = {}
        """What each host is sorted by."""
        self._latest: Mapping[str, str] = {}
        """The latest for each host, as the rows say it."""
        self._labels: dict[str, str] = {}
        """What some keys do now, by the id of their binding."""

    def compose_page(self) -> ComposeResult:
        glyphs = stage(self).glyphs
        yield Static(id="title", markup=False)
        with _Parts(id="fleet"):
            with Vertical(id="hosts") as box:
                box.border_title = Content("Hosts")
                yield RowTable(self._columns, glyphs, id="host-table")
            with TitledScroll(id="details", can_focus=False):
                yield LineText(id="details-text")
        yield FilterBar()
        yield KeyBar(self._key_label)

    def on_mount(self) -> None:
        self.show_on_ticks(self.update_changed)
        self.show_each_second(self.update_ages)
        self.watch(self.query_one(RowTable), "selected", self._show_selected, init=False)
        self.update_hosts(None)

    def on_screen_resume(self) -> None:
        self.update_hosts(None)

    def on_resize(self) -> None:
        self._update_title()

    @on(RowTable.Resized)
    def update_hosts(self, _: object) -> None:
        """Show all hosts as they are known now: their order, or which of them are shown, may be
        another one."""
        self._fleet.news()
        self._turn, self._latest = stage(self).turn, self._fleet.overview.latest
        bar, entries = self._filter_bar, self._fleet.entries
        self._shown = {name: entry for name, entry in entries.items() if self._passes(entry)}
        if bar.display:
            bar.tell(len(self._shown), len(entries), self.tags)
        table = self.query_one(RowTable)
        before = table.selected
        table.show(self._sorted(self._rows_of(self._shown.values())))
        self._update_title()
        if table.selected == before:
            self._show_selected()

    def update_changed(self, _: object) -> None:
        """Show what has changed since the last time; called a few times a second while something
        does. Hosts that have not changed cost nothing."""
        turned, self._turn = self._turn != stage(self).turn, stage(self).turn
        news = self._fleet.news()
        changed = news | self._fleet.moving if turned else news
        rows = self._rows_of(entry for entry in changed if entry.name in self._shown)
        is_other_list = (
            self._latest is not self._fleet.overview.latest
            or any(self._passes(entry) != (entry.name in self._shown) for entry in news)
            or any(self._orders.get(row.key) != self._order(row) for row in rows)
        )
        if is_other_list:
            self.update_hosts(None)
            return
        self.query_one(RowTable).change(rows)
        if news:
            self._update_title()
        if self.host_entry in news:
            self._show_selected()

    def update_ages(self) -> None:
        """Show how old things are by now. A part that says the same as before is not painted
        again."""
        table = self.query_one(RowTable)
        if table.may_have(SPARE):
            aged = self._rows.aged(stage(self).clock())
            table.change(self._rows_of(entry for entry in aged if entry.name in self._shown))
        self._update_title()
        self._update_details()

    def _rows_of(self, entries: Iterable[HostEntry]) -> list[Row]:
        now = stage(self).clock() if self.query_one(RowTable).may_have(SPARE) else None
        return self._rows.rows(entries, self._latest, self._marked, self._turn, now)

    def _passes(self, entry: HostEntry) -> bool:
        """Whether the filter lets the host through."""
        bar = self._filter_bar
        return not bar.is_on or bar.filter.shows(entry.listed)

    def _show_selected(self) -> None:
        self._update_details()
        self._update_keys()

    def _key_label(self, binding: Binding) -> str:
        return self._labels.get(binding.id or "", binding.description)

    def _update_keys(self) -> None:
        """enter is for the host under the cursor, `u` for the marked ones."""
        self.update_commit_key()
        labels = {}
        if (entry := self.host_entry) is not None:
            labels["fleet.choose"] = _chosen_part(entry)
        if marked := len(self._marked) - self._hidden():
            labels["fleet.update"] = f"update {marked} marked"
        if labels != self._labels:
            self._labels = labels
            self.query_one(KeyBar).show(layout=False)

    def _update_details(self) -> None:
        entry = self.host_entry
        app, box = stage(self), self.query_one("#details", TitledScroll)
        title, age, content = "", "", Content("The filter shows no host.")
        if entry is not None:
            title, age = entry.label, last_look(entry, app.clock())
            content = host_details(entry, app.glyphs, app.clock(), app.keys)
        elif not self._fleet.entries:
            content = Content()
        box.show_titles(Content(title), Content(age))
        text = self.query_one(LineText)
        text.show(content, least=box.scrollable_content_region.height)

    async def do(self, name: str, entry: HostEntry) -> None:
        """Do it to that host alone: others are marked, and the list may have changed meanwhile."""
        self.ask_for_one(name, entry)

    @on(RowTable.Chosen)
    def _row_chosen(self) -> None:
        self.action_choose()

    def action_update(self) -> None:
        """Update the marked hosts, or the one under the cursor."""
        if entries := self._targets():
            self.post_message(UpdateHosts(entries, self._hidden()))

    def action_update_stale(self) -> None:
        """Update what is stale among the hosts that are shown."""
        shown = list(self._shown.values())
        stale = sum(entry.state == "stale" for entry in self._fleet.entries.values())
        hidden = stale - sum(entry.state == "stale" for entry in shown)
        self.post_message(UpdateStale(shown, hidden))

    def action_roll_back(self) -> None:
        if entries := self._targets():
            self.post_message(RollBackHosts(entries, self._hidden()))

    def action_verify(self) -> None:
        if entries := self._targets():
            self.post_message(VerifyHosts(entries, self._hidden()))

    def action_ask_for_fix(self) -> None:
        shown = list(self._shown.values())
        marked = [entry for entry in shown if entry.name in self._marked]
        self.post_message(AskForFix(marked or shown, self._hidden()))

    def action_verify_unproven(self) -> None:
        shown = self._shown.values()
        entries = [entry for entry in shown if entry.state == "unproven" and not entry.host.hold]
        if entries:
            self.post_message(VerifyHosts(entries))
        elif self._filter_bar.is_on:
            self.notify("No host that is shown is unproven.")
        else:
            self.notify("No host is unproven.")

    def action_copy(self) -> None:
        """Copy what the host's own screen shows, as far as it is known here."""
        if (entry := self.host_entry) is not None:
            app = stage(self)
            made = app.fleet.latest_time(entry.latest) if entry.latest else None
            key = app.keys.shown(FleetScreen, "fleet.details", app.glyphs) or "the host's screen"
            jobs = Jobs(why=f"{key} asks for them")
            sections = host_sections(entry, jobs, made, app.glyphs, app.clock())
            app.copy(sections_text(entry.name, sections), f"all that is known of {entry.label}")

    def action_refresh(self) -> None:
        self.post_message(LookAtAll())

    def action_mark(self) -> None:
        entry = self.host_entry
        if entry is not None:
            self._marked ^= {entry.name}
            self.query_one(RowTable).action_move(1)
            self.update_hosts(None)

    def action_mark_all(self) -> None:
        shown = self._shown.keys()
        self._marked = self._marked - shown if shown <= self._marked else self._marked | shown
        self.update_hosts(None)

    def action_filter(self) -> None:
        self._filter_bar.edit()

    @on(FilterBar.Changed)
    def _filter_changed(self) -> None:
        self.update_hosts(None)

    @on(FilterBar.Left)
    def _leave_filter(self) -> None:
        self.query_one(RowTable).focus()

    @property
    def names(self) -> list[str]:
        return list(self._fleet.entries)

    @property
    def tags(self) -> list[str]:
        return sorted({tag for entry in self._fleet.entries.values() for tag in entry.host.tags})

    def go_to(self, name: str) -> None:
        """Put the cursor on a host, which the filter may hide."""
        if name not in self.query_one(RowTable).keys:
            self.filter_by("")
        self.query_one(RowTable).go_to(name)

    def filter_by(self, text: str) -> None:
        """Show the hosts that match that text only."""
        self._filter_bar.set(text)
        self.update_hosts(None)

    def action_clear(self) -> None:
        """Clear the filter first, the marks next."""
        if self._filter_bar.display:
            self._filter_bar.action_clear()
        else:
            self._marked.clear()
            self.update_hosts(None)

    @on(RowTable.HeaderClicked)
    def _sort_by_header(self, message: RowTable.HeaderClicked) -> None:
        if self._sort == message.column:
            self._reverse = not self._reverse
        self._sort_by(message.column)

    def action_sort(self, step: int) -> None:
        """Sort by the next column; after the last, the inventory's order."""
        order = [None, *(column.key for column in self._columns)]
        self._sort_by(order[(order.index(self._sort) + step) % len(order)])

    def action_reverse(self) -> None:
        self._reverse = not self._reverse
        self._sort_by(self._sort)

    def _sort_by(self, column: str | None) -> None:
        self._sort = column
        glyphs = stage(self).glyphs
        sign = glyphs.down if self._reverse else glyphs.up
        self.query_one(RowTable).set_titles(
            {c.key: f"{c.title} {sign}" if c.key == column else c.title for c in self._columns}
        )
        self.update_hosts(None)

    def _sorted(self, rows: list[Row]) -> list[Row]:
        self._orders = {row.key: order for row in rows if (order := self._order(row)) is not None}
        if self._sort is not None:
            rows = sorted(rows, key=lambda row: self._orders[row.key])
        return rows[::-1] if self._reverse else rows

    def _order(self, row: Row) -> float | str | None:
        """What a host is sorted by; None if they stand in the inventory's order."""
        if self._sort is None:
            return None
        rank = _RANKS.get(self._sort)
        return rank(self._shown[row.key]) if rank is not None else row.text(self._sort)

    @property
    def _filter_bar(self) -> FilterBar:
        return self.query_one(FilterBar)

    @property
    def host_entry(self) -> HostEntry | None:
        """The host under the cursor."""
        key = self.query_one(RowTable).selected
        return self._fleet.entries[key] if key is not None else None

    def _targets(self) -> list[HostEntry]:
        """The marked hosts that are shown, else the one under the cursor."""
        marked = [entry for name, entry in self._shown.items() if name in self._marked]
        selected = self.host_entry
        return marked or ([selected] if selected else [])

    def _hidden(self) -> int:
        """So many marked hosts does the filter hide. They stay marked, and no key acts on them."""
        return sum(name not in self._shown for name in self._marked)

    def _update_title(self) -> None:
        app = stage(self)
        dot = f" {app.glyphs.dot} "
        overview = self._fleet.overview
        counts = dot.join(f"{count} {state}" for state, count in overview.counts)
        if overview.asking:
            counts = dot.join(part for part in (counts, f"asking {overview.asking}") if part)
        if self._marked:
            counts += f"{dot}{len(self._marked)} marked"
            if hidden := self._hidden():
                counts += f", {hidden} of them hidden"
        left = Content.assemble((" NixFleet", "bold"), f"   {counts}")
        width = self.size.width or app.size.width
        for right in self._latest_words():
            gap = width - left.cell_length - len(right)
            if gap > 0:
                left = Content.assemble(left, " " * gap, right)
                break
        self.set_title(left)

    def _latest_words(self) -> tuple[str, ...]:
        """The latest commit, with and without its age, if all hosts follow the same one."""
        rev = self._fleet.overview.common
        if rev is None:
            return ()
        app = stage(self)
        text = f"nixfleet latest {short_commit(rev, app.glyphs)}"
        made = self._fleet.latest_time(rev)
        return (f"{text}, {ago(app.clock() - made)} ", f"{text} ") if made else (f"{text} ",)


def _chosen_part(entry: HostEntry) -> str:
    """What enter opens of a host."""
    if entry.is_followed:
        return "job"
    if entry.facts is None:
        return "why"
    return "job" if entry.facts.job_running is not None else "plan"
