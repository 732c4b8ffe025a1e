"""The vocabulary of causes: which code says which, in which order, and the docs of each."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain, combinations, groupby, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec
import pytest
from seen_hosts import (
    BUILT,
    HEALTHY,
    HOST,
    JOB,
    MADE,
    MOVED_JOB,
    NEW,
    NEW_AGENT,
    OLD,
    OLD_AGENT,
    OTHER,
    PROFILE,
    STALE_JOB,
    UP,
    changed,
    lock,
)

from nixfleet_core.cli.host_line import host_line
from nixfleet_core.errors import NO_ANSWER
from nixfleet_core.facts.checkouts import (
    Absent,
    Broken,
    Follows,
    Missing,
    Pinned,
    Tracked,
    input_state,
)
from nixfleet_core.facts.model import Binary, LastJob, Running, Snapshot, System, Unit
from nixfleet_core.facts.service import Service
from nixfleet_core.job.outcome import Outcome
from nixfleet_core.judge.causes import SKEW, expectation
from nixfleet_core.judge.diagnosis import diagnose
from nixfleet_core.judge.verdict import (
    REASONS,
    ROLLBACK_REASONS,
    Verdict,
    judge,
    no_elevation,
    not_launched,
    refused,
)
from nixfleet_core.log.failure_table import FAILURES
from nixfleet_core.nix.lock import parse_lock
from nixfleet_core.nix.version import parse_version
from nixfleet_core.plan import refusals
from nixfleet_core.plan.model import Options, Plan, Refusal
from nixfleet_core.plan.rules import make_plan
from nixfleet_core.session.conduct import Report
from nixfleet_core.vocabulary import (
    CAUSES,
    CHECK_CAUSES,
    STEP_CAUSES,
    STEP_REASONS,
    WAITS,
    Cause,
    CheckId,
    FoundCause,
    HostCheckId,
    NoAnswer,
    StepId,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[3]
JOB_SCRIPTS = {
    path.stem: path.read_text() for path in (ROOT / "nixfleet_core/scripts/job").glob("*.sh")
}
SERVICE = (ROOT / "nixfleet_core/scripts/lib/service.sh").read_text()
CHECKOUT = (ROOT / "nixfleet_core/scripts/lib/checkout.sh").read_text()

# The rules, in their order. Each is a cause and its facts, as changes of a healthy host; a fact
# that equals the healthy host's is named if the rule needs it.

NEXT_AGENT = Binary(f"/nix/store/{'c' * 32}-nixfleet-agent-2.3.0/bin/nixfleet-agent", "2.3.0")
SEEN: Final = {"installed": NEW_AGENT}
NOT_BUILT: Final = {**SEEN, "expected": NEXT_AGENT}
UNKNOWN_BUILD: Final = {"expected": None}
TO_SWITCH: Final = {"system": PROFILE}
TO_REBOOT: Final = {"system": replace(PROFILE, needs_reboot=True)}
INHIBITED: Final = {"system": replace(PROFILE, inhibitors=("systemd",))}
OF_TEST: Final = {"system": replace(PROFILE, active=None)}
LOCK_BEHIND: Final = {"checkout_lock": lock(OLD), "latest": NEW}


def down(load: str, active: str, sub: str = "", result: str = "success") -> dict[str, Any]:
    return {"unit": Unit(load, active, sub, result), "running": None}


def failed_in(step: str) -> dict[str, Any]:
    return {"last_job": LastJob("failed", step, rc=1)}


RULES: Final[tuple[tuple[FoundCause, dict[str, Any]], ...]] = (
    ("job-running", {"job_running": JOB}),
    ("preflight-platform", {"platform": "unknown"}),
    ("proof-missing", {"unit": None}),
    ("unit-missing", down("not-found", "inactive")),
    ("unit-masked", down("masked", "inactive")),
    ("agent-crash-looping", down("loaded", "activating", "auto-restart", "exit-code")),
    ("start-limit-hit", down("loaded", "failed", "failed", "start-limit-hit")),
    ("agent-down", down("loaded", "inactive", "dead")),
    ("agent-starting", {"unit": replace(UP, waits=True), "running": None}),
    ("proof-missing", {**SEEN, "unit": UP, "running": Running(OLD_AGENT, "other", 7)}),
    ("not-restarted", {**SEEN, "unit": UP, "running": Running(OLD_AGENT, "exe", 7, MADE + 1000)}),
    ("reboot-pending", {**NOT_BUILT, **TO_REBOOT}),
    ("reboot-pending", {**UNKNOWN_BUILD, **TO_REBOOT}),
    ("switch-inhibited", {**NOT_BUILT, **INHIBITED}),
    ("switch-inhibited", {**UNKNOWN_BUILD, **INHIBITED}),
    ("switch-incomplete", {**NOT_BUILT, **TO_SWITCH}),
    ("switch-incomplete", {**UNKNOWN_BUILD, **TO_SWITCH}),
    ("lock-reset", {**NOT_BUILT, **LOCK_BEHIND, "last_job": MOVED_JOB}),
    ("built-elsewhere", {**NOT_BUILT, "other": OTHER, "other_expected": NEW_AGENT}),
    ("job-failed", {**NOT_BUILT, **failed_in("rebuild")}),
    ("switch-incomplete", NOT_BUILT),
    ("lock-broken", {"checkout_lock": None, "checkout_lock_error": "torn"}),
    ("input-missing", {"checkout_lock": lock(NEW, "agent")}),
    ("follows", {**LOCK_BEHIND, "input": "alias"}),
    ("lock-reset", {**LOCK_BEHIND, "last_job": MOVED_JOB}),
    ("stale-fetch", {**LOCK_BEHIND, "last_job": STALE_JOB}),
    ("wrong-branch", {**LOCK_BEHIND, "checkout_branch": "try"}),
    ("job-failed", {**LOCK_BEHIND, **failed_in("pull")}),
    ("nixcfg-behind", {**LOCK_BEHIND, "checkout_behind": 2}),
    ("lock-behind", LOCK_BEHIND),
    (
        "lock-not-built",
        {
            **UNKNOWN_BUILD,
            "proofs": (BUILT,),
            "checkout_lock": lock(NEW),
            "system": HEALTHY.system,
        },
    ),
    ("proof-missing", UNKNOWN_BUILD),
    ("latest-unknown", {"latest": None, "checkout_lock": lock(NEW), "expected": NEW_AGENT}),
)
REMARKS: Final[tuple[tuple[FoundCause, dict[str, Any]], ...]] = (
    ("same-derivation", {"expected": NEW_AGENT, "installed_at": MADE - SKEW - 1}),
    ("pinned", {"checkout_lock": lock(NEW, rev=NEW)}),
    ("lock-not-pushed", {"checkout_ahead": 1}),
    ("reboot-pending", TO_REBOOT),
    ("switch-inhibited", INHIBITED),
    ("switch-incomplete", TO_SWITCH),
    ("other-system", OF_TEST),
    ("current", {}),
)
EVERY: Final = (*RULES, *REMARKS)


def found(facts: dict[str, Any]) -> FoundCause:
    facts = {"latest": NEW, "input": HOST.input, **facts}
    host, latest = replace(HOST, input=facts.pop("input")), facts.pop("latest")
    seen = changed(HEALTHY, **facts)
    return diagnose(seen, expectation(host, seen, latest)).cause


def together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    """Both sets of changes; None if they contradict each other."""
    return {**one, **other} if all(one[key] == other[key] for key in {*one} & {*other}) else None


def first(facts: dict[str, Any]) -> FoundCause:
    """The first rule whose facts are all there."""
    return next(
        cause
        for cause, needed in EVERY
        if all(key in facts and facts[key] == value for key, value in needed.items())
    )


def test_the_first_rule_that_applies_names_the_cause() -> None:
    hosts = [facts for _, facts in EVERY]
    for number in (2, 3):
        for parts in combinations([facts for _, facts in EVERY], number):
            merged: dict[str, Any] | None = {}
            for part in parts:
                merged = together(merged, part) if merged is not None else None
            hosts += [] if merged is None else [merged]
    assert len(hosts) > 3000
    assert [facts for facts in hosts if found(facts) != first(facts)] == []


def test_every_cause_of_a_look_has_its_rule() -> None:
    assert {cause for cause, _ in EVERY} == set(get_args(FoundCause))


# The last job may have worked in another checkout.

ELSEWHERE: Final = "; that was in /else, not in /home/ops/Code/nixcfg"


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({**LOCK_BEHIND, "last_job": STALE_JOB}, "stale-fetch"),
        ({**LOCK_BEHIND, **failed_in("pull")}, "job-failed"),
        ({**NOT_BUILT, **failed_in("rebuild")}, "job-failed"),
    ],
)
def test_a_cause_that_rests_on_another_checkout_says_both(
    facts: dict[str, Any], cause: FoundCause
) -> None:
    for checkout, more in (("/else", ELSEWHERE), ("/home/ops/Code/nixcfg", ""), (None, "")):
        job = replace(facts["last_job"], checkout=checkout)
        seen = changed(
            HEALTHY, **{k: v for k, v in facts.items() if k != "latest"} | {"last_job": job}
        )
        told = diagnose(seen, expectation(HOST, seen, NEW))
        assert (told.cause, told.sentence.endswith(ELSEWHERE)) == (cause, bool(more))
        assert (f", in {checkout}" in str(dict(told.evidence)["last job"])) == bool(checkout)


def test_only_a_job_in_this_checkout_can_have_moved_its_lock() -> None:
    seen = {**LOCK_BEHIND, "last_job": replace(MOVED_JOB, checkout="/else")}
    assert found(seen) == "lock-behind"


def test_what_was_built_from_another_checkout_says_both() -> None:
    other = msgspec.structs.replace(BUILT, checkout="/else")
    seen = changed(HEALTHY, expected=None, proofs=(other,))
    told = diagnose(seen, expectation(HOST, seen, NEW))
    assert (told.cause, told.sentence.endswith(ELSEWHERE)) == ("lock-not-built", True)


# flake.lock: one state of the input, for the plan and the cause.

READY: Final = {
    "tools": frozenset({"git", "nix", "nixos-rebuild", "systemctl", "systemd-run"}),
    "nix": parse_version("nix (Nix) 2.34.8"),
}
DANGLING: Final = parse_lock(
    '{"nodes": {"root": {"inputs": {"nixfleet": ["gone"]}}}, "root": "root", "version": 7}'
)
INPUTS: Final[dict[str, tuple[dict[str, Any], type[object], str, FoundCause]]] = {
    "no lock": ({"checkout_lock": None}, Absent, "has no flake.lock", "proof-missing"),
    "torn": (
        {"checkout_lock": None, "checkout_lock_error": "it is torn"},
        Broken,
        "it is torn",
        "lock-broken",
    ),
    "missing": ({"checkout_lock": lock(NEW, "a")}, Missing, "has no input", "input-missing"),
    "follows nothing": ({"checkout_lock": DANGLING}, Missing, "has no input", "input-missing"),
    "follows": (
        {"checkout_lock": lock(OLD), "input": "alias"},
        Follows,
        "the input follows nixfleet,",
        "follows",
    ),
    "follows, at the latest": ({"input": "alias"}, Follows, "the input follows", "current"),
    "pinned": ({"checkout_lock": lock(NEW, rev=NEW)}, Pinned, "", "pinned"),
    "tracked": ({"checkout_lock": lock(NEW)}, Tracked, "", "current"),
}


@pytest.mark.parametrize(("facts", "state", "why", "cause"), INPUTS.values(), ids=INPUTS)
def test_the_plan_and_the_cause_see_the_same_input(
    facts: dict[str, Any], state: type[object], why: str, cause: FoundCause
) -> None:
    facts = {"input": HOST.input, **facts}
    host = replace(HOST, input=facts.pop("input"))
    seen = changed(HEALTHY, **READY, **facts)
    assert seen.checkout is not None
    assert type(input_state(seen.checkout, host.input)) is state
    told = diagnose(seen, expectation(host, seen, NEW))
    assert told.cause == cause
    made = make_plan(host, seen, Options())
    if not why:
        assert isinstance(made, Plan)
        return
    assert isinstance(made, Refusal)
    assert (made.check, why in made.why) == ("input", True)
    if told.cause in ("lock-broken", "input-missing", "follows"):
        assert told.advice == made.advice


# The words of the scripts.


def in_functions(script: str, prefix: str) -> dict[str, str]:
    """The bodies of the functions that begin so, by the rest of their names."""
    return dict(re.findall(rf"^{prefix}(\w+)\(\) {{\n(.*?)^}}", script, re.MULTILINE | re.DOTALL))


def tokens(names: str, script: str) -> set[str]:
    """The tokens that a script gives to variables whose names end so."""
    return set(re.findall(rf"\b\w*(?i:{names})=([a-z][a-z-]*)", script))


def arguments(function: str, script: str) -> set[str]:
    """The plain tokens that a function is called with."""
    return set(
        re.findall(rf"\b{function}\b(?: \S+)*? ([a-z][a-z-]*)(?: \"|$)", script, re.MULTILINE)
    )


def called(name: str, functions: Mapping[str, str]) -> set[str]:
    """That function, and all those among `functions` that it leads to."""
    found, left = {name}, [name]
    while left:
        calls = re.findall(r"\bnf_(\w+)\b", functions[left.pop()])
        new = {call for call in calls if call in functions} - found
        found |= new
        left.extend(new)
    return found


def said_by_steps() -> set[str]:
    """The reasons of steps, without the check that a failed preflight has for its reason."""
    script = "".join(JOB_SCRIPTS.values())
    said = tokens("reason|lock_fits_why", script) | arguments("nf_fail", script)
    return said | arguments("nf_has_failed", script)


def test_the_vocabulary_lists_the_checks_in_the_order_of_the_preflight() -> None:
    (body,) = in_functions(JOB_SCRIPTS["preflight"], "nf_do_").values()
    assert tuple(re.findall(r"nf_check (\w+)", body)) == get_args(HostCheckId)


def test_the_words_for_checks_cover_exactly_the_reasons_of_the_scripts() -> None:
    script = JOB_SCRIPTS["preflight"] + JOB_SCRIPTS["switch"]
    helpers = in_functions(script + JOB_SCRIPTS["pull"], "nf_")
    said = {}
    for check in in_functions(script, "nf_check_"):
        whole = "".join(helpers[name] for name in called(f"check_{check}", helpers))
        said[check] = tokens("why", whole) | arguments("nf_refuse", whole)
    assert 'nf_refuse "$nf_folder_state"' in script
    folder = in_functions(CHECKOUT, "nf_")["folder"]
    said["checkout"] |= tokens("nf_folder_state", folder) - {"ok"}
    assert re.search(r"why=\$nf_lock_fits_why\b", script)
    said["input"] |= tokens("lock_fits_why", JOB_SCRIPTS["lock"])
    assert "nf_check_unit_state=$(nf_service_state)" in script
    assert 'nf_refuse "$nf_check_unit_state"' in script
    (state,) = in_functions(SERVICE, "nf_service_(?=state)").values()
    said["unit"] |= {*re.findall(r"\becho (\w+)", state)} - {"loaded"}
    assert {(check, why) for check, whys in said.items() for why in whys} == {*refusals.REASONS}


def test_the_words_for_steps_cover_exactly_the_reasons_of_the_scripts() -> None:
    assert {*STEP_REASONS} == said_by_steps()
    assert {*REASONS, *ROLLBACK_REASONS} < {*STEP_REASONS}


def test_no_reason_of_a_step_is_a_check() -> None:
    """Both stand in the same field, and each has its words."""
    assert not {*STEP_REASONS} & {*get_args(HostCheckId)}


def test_the_words_for_waits_cover_exactly_the_waits_of_the_scripts() -> None:
    waits = r'nf_event waiting .*?"reason\\":\\"(\w+)'
    assert {*re.findall(waits, "".join(JOB_SCRIPTS.values()))} == {*WAITS}


def test_each_check_and_each_step_has_its_cause() -> None:
    assert set(CHECK_CAUSES) == set(get_args(CheckId))
    assert set(STEP_CAUSES) == set(get_args(StepId))
    assert set(get_args(NoAnswer)) == NO_ANSWER
    for check, cause in CHECK_CAUSES.items():
        if check == "switch":  # it warns of what the switch will say, and refuses nothing
            assert cause == "switch-inhibited"
            continue
        assert cause == (check if check in NO_ANSWER else f"preflight-{check}")


# Which code says which cause.


def verdicts() -> Iterator[Verdict]:
    """The verdicts of every possible end of a job, and of every reason that a runner can write."""
    old = Running(OLD_AGENT, "exe", 7, MADE + 1000)
    was = changed(HEALTHY, running=old, system=System("/nix/store/1", "/nix/store/1"))
    moved = changed(HEALTHY, running=old, system=PROFILE)
    looks = ((was, HEALTHY), (was, moved), (HEALTHY, HEALTHY), (HEALTHY, None))
    reasons = {"", "something-new", *get_args(CheckId), *said_by_steps()}
    kinds: tuple[Any, ...] = ("done", "failed", "cancelled", "interrupted")
    for (before, after), kind, step, reason in product(
        looks, kinds, (None, *get_args(StepId)), sorted(reasons)
    ):
        for rc, back in ((1, False), (4, False), (100, False), (1, True)):
            outcome = Outcome(kind=kind, failed_step=step, reason=reason, rc=rc, rolled_back=back)
            yield judge(before, after, expectation(HOST, HEALTHY, NEW), outcome)
    yield no_elevation("no", "ops")
    yield not_launched("no")
    for check in get_args(CheckId):
        yield refused(check, "no", "", Snapshot())


def test_the_program_says_every_cause_and_no_other() -> None:
    said: set[str] = {cause for verdict in verdicts() if (cause := verdict.cause)}
    said |= {cause for cause, _ in EVERY} | {row.cause for row in FAILURES}
    said |= {host_line(Report("h", None, busy=busy)).cause for busy in (False, True)}
    assert said == set(get_args(Cause))


def test_no_verdict_names_an_unknown_step() -> None:
    assert not [told.sentence for told in verdicts() if "None" in told.sentence]


SYSTEMD_ONLY: Final = re.compile("systemctl|journal")
LOG: Final = "/Users/ops/Library/Logs/the agent"


@pytest.mark.parametrize("where", [{}, {"domain": "gui/501", "log": LOG}])
def test_no_advice_for_a_mac_names_tools_of_systemd(where: dict[str, str]) -> None:
    service = Service(manager="launchd", file="/Users/ops/agent.plist", **where)
    mac = replace(HEALTHY, platform="home-manager")
    said = []
    for _, rule in EVERY:
        facts = {"latest": NEW, "input": HOST.input, "unit": UP, **rule}
        host, latest = replace(HOST, input=facts.pop("input")), facts.pop("latest")
        facts["unit"] = facts["unit"] and replace(facts["unit"], service=service)
        seen = changed(mac, **facts)
        told = diagnose(seen, expectation(host, seen, latest))
        said += [told.sentence, told.advice]
    assert any(f"tail -n 50 '{LOG}'" in text for text in said) == bool(where)
    said += [service.forgive_words, service.unmask_words, service.reload_words]
    assert [text for text in said if SYSTEMD_ONLY.search(text)] == []


def test_no_general_advice_names_tools_of_systemd() -> None:
    """It is said of all hosts."""
    tables = (CAUSES, STEP_REASONS, refusals.REASONS)
    words = [words for table in tables for words in table.values()]
    said = [text for one in words for text in (one.meaning, one.cure)]
    said += [row.advice for row in FAILURES]
    said += [text for told in verdicts() for text in (told.sentence, told.advice)]
    by_hand = "systemctl restart nixfleet-agent"  # the looked-at host has systemd
    assert {text for text in said if SYSTEMD_ONLY.search(text.replace(by_hand, ""))} == set()


# The docs.


def rows_of_docs() -> list[list[tuple[str, str, str]]]:
    """The tables of causes; a row can name several."""
    tables: list[list[tuple[str, str, str]]] = []
    inside = False
    for line in (ROOT / "docs/why.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| cause | "):
            inside = True
            tables.append([])
        elif not line.startswith("| "):
            inside = inside and line.startswith("|---")
        elif inside:
            causes, meaning, cure = cells
            tables[-1] += [(cause, meaning, cure) for cause in re.findall("`(.*?)`", causes)]
    return tables


def in_order(rules: tuple[tuple[FoundCause, dict[str, Any]], ...]) -> list[str]:
    """The causes; alternatives that follow each other are one row."""
    return [cause for cause, _ in groupby(cause for cause, _ in rules)]


def test_the_docs_list_the_rules_in_the_programs_order() -> None:
    rules, remarks, *others = ([cause for cause, *_ in table] for table in rows_of_docs())
    assert rules == in_order(RULES)
    assert remarks == [cause for cause in in_order(REMARKS) if cause not in rules]
    told = [cause for table in others for cause in table]
    assert told == [cause for cause in get_args(Cause) if cause not in get_args(FoundCause)]


def test_docs_and_program_describe_each_cause_alike() -> None:
    rows = list(chain.from_iterable(rows_of_docs()))
    for cause, words in CAUSES.items():
        its = [(meaning, cure) for one, meaning, cure in rows if one == cause]
        # a cause at several rules has the meaning of each
        assert "; or ".join(meaning for meaning, _ in its) == words.meaning
        assert {cure for _, cure in its} == {words.cure}


def test_the_table_of_causes_is_whole() -> None:
    assert tuple(CAUSES) == get_args(Cause)
