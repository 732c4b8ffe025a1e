"""What the keys do: ask the operator first, then start the engine.

Each function is one conversation with the operator. It runs in a worker, so it may wait.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from textual.content import Content

from nixfleet_core.errors import HostError, PasswordRefused, Unreachable
from nixfleet_core.host import HELD
from nixfleet_core.plan.model import Options, Refusal
from nixfleet_core.session.boundary import drawn, one_host
from nixfleet_core.session.conduct import Report, refused_report, reported
from nixfleet_core.session.queue import NotBegun, Queue
from nixfleet_core.transport.answer import CARRIER_FAILED
from nixfleet_core.vocabulary import Advice
from tui.fleet import Seen
from tui.keys import shown_key
from tui.known_debt import debt_in
from tui.remedies import advice_text
from tui.screens.base import Confirm, Notice
from tui.screens.remedy import RemedyNotice
from tui.text import plain
from tui.why_not import AS_LOCKED, FORCE, RESTART, why_not

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from nixfleet_core.facts.model import Facts
    from nixfleet_core.job.outcome import Kind
    from nixfleet_core.judge.verdict import Verdict
    from nixfleet_core.plan.model import Plan
    from nixfleet_core.session.has import SeenHost, Unclear
    from nixfleet_core.vocabulary import Remedy
    from tui.fleet import HostEntry
    from tui.jobs import JobWatcher
    from tui.screens.batch import Batch
    from tui.screens.plan import PlanDialog
    from tui.stage import Stage

    T = TypeVar("T")
    Planned = tuple[Facts, Plan | Refusal]
    Planner = Callable[[Stage, HostEntry, Facts], Awaitable[Planned]]


async def choose(
    app: Stage, entry: HostEntry, hidden: int = 0, *, options: Options = FORCE
) -> None:
    """Open a host: its running job, or the plan for an update, or what is wrong with it."""
    if not await _is_free(app, entry):
        return
    from tui.screens.plan import UpdateDialog

    async def plan_update(app: Stage, entry: HostEntry, seen: Facts) -> Planned:
        return await app.conductor.plan_update(entry.session, seen, options)

    await _confirm_and_start(
        app, entry, plan_update, lambda plan: UpdateDialog(entry, plan, left_alone(hidden))
    )


async def update_as_locked(app: Stage, entry: HostEntry) -> None:
    """Force-update one host as `choose` does, and leave its flake.lock as it is."""
    await choose(app, entry, options=AS_LOCKED)


def left_alone(hidden: int) -> str:
    """Of marked hosts that are not shown: nothing is done to them."""
    if not hidden:
        return ""
    if hidden == 1:
        return "1 marked host is hidden and left alone."
    return f"{hidden} marked hosts are hidden and left alone."


async def update_hosts(app: Stage, entries: Sequence[HostEntry], hidden: int = 0) -> None:
    """Force-update one host as `choose` does, or several after one question that names them all."""
    if len(entries) == 1:
        await choose(app, entries[0], hidden)
    else:
        await _update_several(app, entries, left_alone(hidden))


async def update_stale(app: Stage, entries: Sequence[HostEntry], hidden: int = 0) -> None:
    """Force-update all of these hosts that are stale, after one question that names them. Those
    that are unproven are left out; they can be proven first, and may be stale then. `hidden`: so
    many stale hosts are not shown."""
    while True:
        stale = [entry for entry in entries if entry.state == "stale" and not entry.host.hold]
        aside = _aside(entries, hidden)
        unproven = [entry for entry in entries if _is_to_prove(entry)]
        if stale:
            prove = await _update_several(app, stale, aside, unproven=len(unproven))
        elif unproven:
            question = Confirm("No host is stale", Content(aside), accept="prove them first")
            wanted = await app.push_screen_wait(question)
            prove = bool(wanted)
        else:
            said = "\n".join(part for part in ("No host that is shown is stale.", aside) if part)
            await app.push_screen_wait(Notice("Nothing to update", Content(said)))
            return
        if not prove:
            return
        await _verify_all(app, unproven)


def _is_to_prove(entry: HostEntry) -> bool:
    return entry.state == "unproven" and not entry.host.hold


def _aside(entries: Sequence[HostEntry], hidden: int) -> str:
    """What an update of all stale hosts leaves alone, a line each."""
    held = [entry.label for entry in entries if entry.state == "stale" and entry.host.hold]
    unproven = [entry.label for entry in entries if _is_to_prove(entry)]
    return "\n".join(
        line
        for line in (
            f"held, and left out: {', '.join(held)}" if held else "",
            f"unproven, and left out: {', '.join(unproven)}" if unproven else "",
            f"hidden by the filter, and left alone: {hidden} stale" if hidden else "",
        )
        if line
    )


async def _update_several(
    app: Stage, entries: Sequence[HostEntry], aside: str, *, unproven: int = 0
) -> bool:
    """Ask once for all hosts, and start what is agreed on. True if the operator wants to have the
    `unproven` hosts proven first."""
    from tui.screens.batch import ManyPlansDialog, ProveFirst

    planned = await _plan_several(app, entries, _plan_update, "Nothing to update", aside)
    if not planned:
        return False
    batch = await app.push_screen_wait(ManyPlansDialog(planned, FORCE, aside, unproven))
    if isinstance(batch, ProveFirst):
        return True
    if batch is not None:
        _start_batch(app, entries, batch, "updated")
    return False


async def roll_back_hosts(app: Stage, entries: Sequence[HostEntry], hidden: int = 0) -> None:
    """Take one host back as `roll_back` does, or several, each to what was active before its last
    change, after one question that names them all."""
    if len(entries) == 1:
        await roll_back(app, entries[0])
        return
    from tui.screens.batch import ManyRollbacksDialog

    async def plan_rollback(app: Stage, entry: HostEntry, seen: Facts) -> Planned:
        return await app.conductor.plan_rollback(entry.session, seen, Options(), keep_lock=False)

    aside = left_alone(hidden)
    planned = await _plan_several(app, entries, plan_rollback, "Nothing to roll back", aside)
    if not planned:
        return
    batch = await app.push_screen_wait(ManyRollbacksDialog(planned, aside))
    if batch is not None:
        _start_batch(app, entries, batch, "rolled-back")


async def _plan_several(
    app: Stage, entries: Sequence[HostEntry], planner: Planner, nothing: str, aside: str
) -> dict[HostEntry, Plan | str]:
    """Each host's plan, or why it is left out. Empty if all are: that is then said, under the title
    `nothing`."""
    await asyncio.gather(*(app.fleet.look_if_old(entry, app.tick) for entry in entries))
    made = await asyncio.gather(*(_plan(app, entry, planner) for entry in entries))
    planned = dict(zip(entries, made, strict=True))
    if all(isinstance(answer, str) for answer in made):
        await app.push_screen_wait(Notice(nothing, left_out(planned, aside)))
        return {}
    return planned


def _start_batch(app: Stage, entries: Sequence[HostEntry], batch: Batch, wanted: Kind) -> None:
    """Begin what is agreed on; it goes on by itself."""
    chosen = [entry for entry in entries if entry.name in batch.plans]
    for entry in chosen:
        entry.watcher = entry.report = None
    app.show_many(chosen)
    app.start_batch(_run_batch(app, chosen, batch, wanted))


async def _run_batch(app: Stage, entries: Sequence[HostEntry], batch: Batch, wanted: Kind) -> None:
    """Carry out the plans in turn; the hosts' rows say what becomes of each."""
    with ExitStack() as all_turns:
        turns = {entry.name: all_turns.enter_context(ExitStack()) for entry in entries}
        for entry in entries:
            turns[entry.name].enter_context(entry.waiting(app.tick))

        async def one(entry: HostEntry) -> bool:
            """Whether the host has failed."""
            turns[entry.name].close()
            return not await _ends_as(app, entry, batch.plans[entry.name], wanted)

        found = await batch.queue.run(entries, one, lambda has_failed: has_failed)
    for entry, answer in zip(entries, found, strict=True):
        if isinstance(answer, NotBegun):
            why = f"{answer.failed.name} had failed before"
            entry.report = Report(entry.name, None, not_begun=why)
    app.tick()


def left_out(planned: Mapping[HostEntry, Plan | str], aside: str) -> Content:
    """The hosts that are not updated, each with the reason."""
    lines: list[str | tuple[str, str]] = []
    for entry, why in planned.items():
        lines += [(f"{entry.label}  ", "bold"), (f"left out: {plain(str(why))}\n", "$text-warning")]
    return Content.assemble(*lines, (f"\n{aside}" if aside else "", "bold"))


async def roll_back(app: Stage, entry: HostEntry) -> None:
    """Ask which generation the host should go back to, and do it."""
    if not await _is_free(app, entry):
        return
    from tui.screens.generation import GenerationDialog
    from tui.screens.plan import RollbackDialog

    seen = entry.facts
    assert seen is not None
    ways = await _attempt(
        app, entry, "asking", lambda: app.conductor.ways_back(entry.session, seen)
    )
    if isinstance(ways, Report):
        await _say_not_started(app, entry, ways)
        return
    to: int | None = None
    if ways.options:
        way = await app.push_screen_wait(GenerationDialog(entry.label, ways))
        if way is None:
            return
        to = way.number if way.is_generation else None

    async def plan_rollback(app: Stage, entry: HostEntry, seen: Facts) -> Planned:
        return await app.conductor.plan_rollback(
            entry.session, seen, Options(), keep_lock=False, to=to
        )

    await _confirm_and_start(
        app, entry, plan_rollback, lambda plan: RollbackDialog(entry, plan, app.glyphs)
    )


async def commit_lock(app: Stage, entry: HostEntry) -> None:
    """Ask whether the flake.lock that an update has left should be committed, and do it."""
    if not await _is_free(app, entry):
        return
    from tui.screens.plan import CommitDialog

    async def plan_commit(app: Stage, entry: HostEntry, seen: Facts) -> Planned:
        return await app.conductor.plan_commit(entry.session, seen, Options())

    await _confirm_and_start(app, entry, plan_commit, lambda plan: CommitDialog(entry, plan))


async def restart_agent(app: Stage, entry: HostEntry) -> None:
    """Ask whether the agent should be restarted, and do it."""
    if not await _is_free(app, entry):
        return
    from tui.screens.plan import RestartDialog

    async def plan_restart(app: Stage, entry: HostEntry, seen: Facts) -> Planned:
        return await app.conductor.plan_restart(entry.session, seen, RESTART)

    await _confirm_and_start(app, entry, plan_restart, lambda plan: RestartDialog(entry, plan))


async def show_log(app: Stage, entry: HostEntry) -> None:
    """The log of the running job, or of the last one."""
    if entry.watcher is not None:
        app.show_job(entry.watcher, zoomed=True)
        return
    running = entry.facts.job_running if entry.facts else None
    last = entry.facts.job_last if entry.facts else None
    if running is not None:
        app.show_job(app.follow(entry, running), zoomed=True)
    elif last is not None:
        app.show_past_job(entry, last, zoomed=True)
    else:
        await _show_newest(app, entry)


async def _show_newest(app: Stage, entry: HostEntry) -> None:
    """The log of a job that the last look did not name, or why there is none."""
    try:
        with entry.busy("asking", app.tick), one_host(entry.name):
            job = await entry.session.newest_job()
    except HostError as error:
        app.notify(f"{entry.name}: {error}")
        return
    if job is None:
        app.notify(f"{entry.name} has had no job")
    else:
        app.show_past_job(entry, job, zoomed=True)


async def connect(app: Stage, entry: HostEntry) -> None:
    """Open the host's connection at the terminal, where ssh can ask; then look at the host."""
    if why := why_not("connect", entry):
        app.notify(f"{entry.name}: {why}")
        return
    title = f"Connecting to {plain(entry.host.where)} ..."
    await _lend_terminal(app, entry, title, entry.session.connect_argv)


async def open_shell(app: Stage, entry: HostEntry) -> None:
    """Open the operator's own shell on the host; then look at the host."""
    if why := why_not("shell", entry):
        app.notify(f"{entry.name}: {why}")
        return
    title = f"A shell on {plain(entry.host.where)}. Its end goes back to NixFleet."
    argv = entry.session.terminal_argv(entry.facts)
    # a shell ends with the code of its last command; only ssh's own is a failure
    await _lend_terminal(app, entry, title, argv, least_failure=CARRIER_FAILED)


async def _lend_terminal(
    app: Stage, entry: HostEntry, title: str, argv: Sequence[str], *, least_failure: int = 1
) -> None:
    from tui.terminal import run_at_terminal

    await run_at_terminal(app, title, argv, least_failure)
    entry.overtake()  # a look of before may still wait for the connection
    await app.fleet.look(entry, app.tick)


async def verify_hosts(app: Stage, entries: Sequence[HostEntry], hidden: int = 0) -> None:
    """Prove what runs on the hosts, and show what was found."""
    from tui.widgets.live import no_picture
    from tui.widgets.verdict_panel import verdict_text

    said = await _verify_all(app, entries)
    parts: list[Content] = []
    for entry, found in zip(entries, said, strict=True):
        parts.append(Content.styled(f"{entry.label}\n", "bold"))
        if isinstance(found, str):
            parts.append(Content(f"{plain(found)}\n\n"))
        else:
            keys = len(entries) == 1
            text = partial(verdict_text, keys=keys, where="notice", bound=app.keys)
            draw = partial(text, found, app.glyphs)
            parts += [drawn(entry.name, draw, no_picture), Content("\n\n")]
    if hidden:
        parts.append(Content.styled(left_alone(hidden), "bold"))
    names = ", ".join(entry.label for entry in entries)
    title = f"Verify {names}" if len(names) < 50 else f"Verify {len(entries)} hosts"
    body = Content("").join(parts)
    if len(entries) == 1 and not isinstance(said[0], str):
        await _tell(app, entries[0], title, body, said[0].remedies)
    else:
        await app.push_screen_wait(Notice(title, body))


async def ask_for_fix(app: Stage, entries: Sequence[HostEntry], hidden: int = 0) -> None:
    """Ask for a fix until one commit is meant, and show which of the hosts run it."""
    from nixfleet_core.facts.origins import origins_of
    from nixfleet_core.session.has import Unclear, which_have
    from tui.screens.fix import FixDialog, answers_text

    word = await app.push_screen_wait(FixDialog())
    while word:
        app.notify("asking the input's repository ...")
        seen = [_seen_host(entry) for entry in entries]
        known = {
            entry.name: origins_of(entry.facts, entry.host.input)
            for entry in app.fleet.entries.values()
            if entry.facts is not None
        }
        try:
            found = await which_have(seen, word, known, here=app.fleet.latest_source.here)
        except OSError as error:
            why = f"there is no place for the repository: {error}"
            await app.push_screen_wait(Notice("Is my fix in?", Content(plain(why))))
            return
        if isinstance(found, Unclear):
            word = await _ask_which(app, word, found)
            continue
        parts = [answers_text(found, app.glyphs)]
        if hidden:
            parts.append(Content.styled(left_alone(hidden), "bold"))
        await app.push_screen_wait(Notice("Is my fix in?", Content("\n\n").join(parts)))
        return


async def _ask_which(app: Stage, word: str, unclear: Unclear) -> str | None:
    """Let the operator choose one of several commits, or else ask for the fix again."""
    from tui.screens.fix import FixDialog, FoundDialog

    if unclear.found:
        chosen = await app.push_screen_wait(FoundDialog(unclear))
        if chosen is not None:
            return chosen
    return await app.push_screen_wait(FixDialog(word, unclear.why))


def _seen_host(entry: HostEntry) -> SeenHost:
    from nixfleet_core.session.has import SeenHost

    if entry.facts is not None:
        return SeenHost(entry.host, entry.facts)
    why = entry.assessment.why if entry.assessment else "it has not answered yet"
    return SeenHost(entry.host, None, why, entry.advice)


async def cancel_job(app: Stage, watcher: JobWatcher) -> None:
    """Ask, then ask the host to stop the job."""
    entry = app.fleet.entries[watcher.host]
    leave = app.keys.shown(Confirm, "dialog.leave", app.glyphs)
    body = Content(
        f"The job {plain(watcher.job)} on {entry.label} is asked to stop. "
        "It starts the agent again before it ends.\n\n"
        f"{leave} leaves it alone. {shown_key(app.quit_keys[0], app.glyphs)} then quits NixFleet, "
        "and the job goes on."
    )
    question = Confirm(
        f"Cancel the job on {entry.name}?", body, accept="cancel the job", changes="ends a job"
    )
    if not await app.push_screen_wait(question):
        return
    try:
        await app.conductor.cancel(entry.session, watcher.job)
    except PasswordRefused:
        return
    except HostError as error:
        helps = Advice("")
        if isinstance(error, Unreachable):
            helps = Advice(error.advice, error.remedies)
        await _explain(app, entry, f"{entry.name}: not cancelled", str(error), helps)


async def _is_free(app: Stage, entry: HostEntry) -> bool:
    """Whether a job can be planned for the host; if not, show its job, or say what is wrong."""
    if not (entry.is_followed or entry.is_at_work):
        await app.fleet.look_if_old(entry, app.tick)
    if not (why := entry.not_free):
        return True
    if entry.watcher is not None and entry.is_followed:
        app.show_job(entry.watcher)
    elif entry.is_at_work:
        app.notify(f"{entry.name}: {why}")
    elif entry.facts is None:
        await _say_offline(app, entry)
    elif entry.facts.job_running is not None:
        app.show_job(app.follow(entry, entry.facts.job_running))
    return False


async def _confirm_and_start(
    app: Stage,
    entry: HostEntry,
    planner: Planner,
    dialog: Callable[[Plan], PlanDialog],
) -> None:
    """Show the plan, or why there is none; start it if the operator agrees."""
    made = await _make_plan(app, entry, planner)
    if isinstance(made, Report):
        await _say_not_started(app, entry, made)
        return
    plan = await app.push_screen_wait(dialog(made))
    if plan is None:
        return
    started = await _start(app, entry, plan)
    if isinstance(started, Report):
        await _say_not_started(app, entry, started)
    else:
        app.show_job(started)


async def _start(app: Stage, entry: HostEntry, plan: Plan) -> JobWatcher | Report:
    """Launch the plan and follow the job; or return why no job was started."""
    job = app.new_job_id()
    report = await _attempt(
        app, entry, "starting", lambda: app.conductor.launch(entry.session, plan, job)
    )
    return report or app.follow(entry, job, plan=plan, before=entry.snapshot())


async def _start_quietly(app: Stage, entry: HostEntry, plan: Plan) -> JobWatcher | None:
    """Start one host of many; its row says what goes wrong."""
    entry.watcher = None
    started = await _start(app, entry, plan)
    if isinstance(started, Report):
        if started.busy and started.job is not None:
            app.follow(entry, started.job)
            app.notify(f"{entry.name}: another job is running; following that one")
        app.tick()
        return None
    return started


async def _ends_as(app: Stage, entry: HostEntry, plan: Plan, wanted: Kind) -> bool:
    """Carry out the plan of one host of many. Return whether it ends as wanted."""
    watcher = await _start_quietly(app, entry, plan)
    if watcher is None:
        return False
    await watcher.ended.wait()
    return watcher.report is not None and not watcher.report.has_failed(wanted)


async def _attempt(
    app: Stage, entry: HostEntry, doing: str, act: Callable[[], Awaitable[T]]
) -> T | Report:
    """The result of `act`. The entry shows what goes on, and keeps the report of a failure."""
    entry.report = None
    with entry.busy(doing, app.tick):
        found = await reported(entry.host, act)
    if isinstance(found, Report):
        entry.report = found
    return found


async def _verify_all(app: Stage, entries: Sequence[HostEntry]) -> list[Verdict | str]:
    """The verdict on each, or what went wrong. A held host is verified only alone."""

    async def one(entry: HostEntry) -> Verdict | str:
        if entry.host.hold and len(entries) > 1:
            return f"left out: {HELD}"
        return await _verify(app, entry)

    found = await Queue().run(entries, one, lambda _: False)
    return [answer for answer in found if not isinstance(answer, NotBegun)]


async def _verify(app: Stage, entry: HostEntry) -> Verdict | str:
    """Verify one host; return the verdict, or what went wrong."""
    asked = entry.ask()
    with entry.busy("verifying", app.tick):
        report = await app.conductor.verify(entry.session)
    if report.declined:
        return "not verified: no password was given"
    if report.facts is None or report.verdict is None:
        return f"not verified: {report.verdict.sentence if report.verdict else ''}"
    entry.learn(asked, Seen(app.clock(), report.facts), report.verdict)
    entry.learn_debt(asked, debt_in(report.facts, app.clock()))
    return report.verdict


async def _plan_update(app: Stage, entry: HostEntry, seen: Facts) -> Planned:
    return await app.conductor.plan_update(entry.session, seen, FORCE)


async def _make_plan(app: Stage, entry: HostEntry, planner: Planner) -> Plan | Report:
    """Look as closely as a plan needs, and make it; or return why there is none."""
    seen = entry.facts
    assert seen is not None
    asked = entry.ask()
    found = await _attempt(app, entry, "planning", lambda: planner(app, entry, seen))
    if isinstance(found, Report):
        return found
    facts, made = found
    entry.learn(asked, Seen(entry.seen_at, facts, entry.problem, entry.advice))
    if isinstance(made, Refusal):
        entry.report = refused_report(entry.host, facts, made)
        return entry.report
    return made


async def _plan(app: Stage, entry: HostEntry, planner: Planner) -> Plan | str:
    """The plan of a host of several, or why there is none."""
    if entry.left_out:
        return entry.left_out
    plan = await _make_plan(app, entry, planner)
    return entry.hindrance if isinstance(plan, Report) else plan


async def _say_not_started(app: Stage, entry: HostEntry, report: Report) -> None:
    """Say why no job was started; offer the one that runs."""
    verdict = report.verdict
    if report.declined:
        app.notify(f"{entry.name}: nothing was started")
    elif verdict is not None:
        title = f"{entry.name}: nothing was started"
        helps = Advice(verdict.advice, verdict.remedies)
        await _explain(app, entry, title, verdict.sentence, helps)
    elif report.job is not None:
        await _offer_attach(app, entry, report.job)


async def _offer_attach(app: Stage, entry: HostEntry, job: str) -> None:
    body = Content(f"The job {plain(job)} runs on {entry.label} already; only one can.")
    question = Confirm(f"{entry.name} is busy", body, accept="show that job")
    if await app.push_screen_wait(question):
        app.show_job(app.follow(entry, job))


async def _say_offline(app: Stage, entry: HostEntry) -> None:
    found = entry.assessment
    why = found.why if found else "it has not answered"
    answers = found is not None and found.state == "error"
    title = f"{entry.name}: an error" if answers else f"{entry.name} cannot be reached"
    await _explain(app, entry, title, why, Advice(entry.advice, entry.remedies))


async def _explain(app: Stage, entry: HostEntry, title: str, why: str, helps: Advice) -> None:
    """Tell what is wrong with a host, and below it what to do."""
    said = Content.styled(plain(helps.text), "bold")
    what = advice_text(said, helps.remedies, app.glyphs, "notice", app.keys)
    await _tell(app, entry, title, Content.assemble(plain(why), "\n\n", what), helps.remedies)


async def _tell(
    app: Stage, entry: HostEntry, title: str, body: Content, remedies: Sequence[Remedy]
) -> None:
    """Tell what the operator must read of a host, and do the remedy whose key is pressed there."""
    chosen = await app.push_screen_wait(RemedyNotice(title, body, remedies))
    match chosen:
        case "update" | "attach":
            await choose(app, entry)
        case "restart":
            await restart_agent(app, entry)
        case "as-locked":
            await update_as_locked(app, entry)
        case "rollback":
            await roll_back(app, entry)
        case "commit":
            await commit_lock(app, entry)
        case "verify":
            await verify_hosts(app, [entry])
        case "log":
            await show_log(app, entry)
        case "connect":
            await connect(app, entry)
        case "refresh":
            await app.fleet.look(entry, app.tick)
        case None:
            pass
