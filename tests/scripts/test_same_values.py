"""What Python and sh both know is the same: names, keys, limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from nixfleet_core.facts import parse
from nixfleet_core.facts.checkouts import ISOLATED, is_isolated
from nixfleet_core.facts.generations import GENERATIONS_LIMIT
from nixfleet_core.facts.package_changes import CHANGES_LIMIT
from nixfleet_core.facts.service import AGENT_LABEL, AGENT_UNIT
from nixfleet_core.job.copies import JobCopy
from nixfleet_core.job.events import AGENT_CHECK, IDLE_CHECK
from nixfleet_core.judge import debt
from nixfleet_core.nix.lock import FORGES
from nixfleet_core.plan import rules
from nixfleet_core.plan.refusals import refusal_words
from nixfleet_core.scripts.compose import part
from nixfleet_core.session import follow, link, shell_session
from nixfleet_core.vocabulary import StepId

JOB = Path(shell_session.__file__).parents[1] / "scripts/job"
RUNNER = "".join(path.read_text() for path in sorted(JOB.glob("*.sh")))
PROBE = part("probe") + part("explain") + part("old_units")


def found(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text, re.MULTILINE))


def test_each_step_has_a_function() -> None:
    assert found(r"^nf_do_(\w+)\(\)", RUNNER) == {*get_args(StepId)}


def test_each_check_has_words_and_they_are_of_no_other() -> None:
    checks = found(r"^nf_check_(\w+)\(\)", RUNNER)
    assert checks == found(r"\bnf_check (\w+)", RUNNER) - {"NAME"}
    words = {check: refusal_words(check, "") for check in checks}
    assert refusal_words("no such check", "") not in words.values()
    assert len({*words.values()}) == len(words)
    assert IDLE_CHECK in checks
    assert found(r'"check\\?":\\?"(\w+)', RUNNER) == {AGENT_CHECK}


def test_each_key_of_a_look_is_written_and_read() -> None:
    put = r'\bput(?:_some|_path)? "?((?:\$1\.)?[a-z][a-z0-9.-]*)'
    written = {key.replace("$1", "{which}") for key in found(put, PROBE)}
    # of both checkouts, and of each program, the same is asked
    written = {re.sub(r"^(checkout|other)\.", "", key) for key in written}
    program = r"^(installed|expected)\.(path|sha256|starts)$"
    written = {re.sub(program, r"{which}.\2", key) for key in written}
    source = Path(parse.__file__).read_text()
    asked = found(r'records(?:\.get\(|\[)f?"([^"]+)"', source)
    asked |= found(r'wanted = \("([^"]+)"', source)  # not for the facts, but for the next look
    assert asked | found(r'"([^" ]+)" (?:not )?in records\b', source) == written


def test_what_is_longer_is_cut_off_where_the_reader_does() -> None:
    limits = found(r'\.status "\$\(printf .* cut_off (\d+)\)"', PROBE)
    assert limits == {str(parse._LIMITS["status"])}
    assert found(r"^NF_CHANGES_SIZE=(\d+)$", RUNNER) == {str(CHANGES_LIMIT)}
    assert found(r"head -c (\d+)$", part("attributes")) == {str(shell_session._ATTRIBUTES_LIMIT)}
    assert found(r" log .* -n (\d+) ", part("incoming")) == {str(shell_session._INCOMING_LIMIT)}


def test_the_agents_service_has_one_name() -> None:
    names = found(r"\bNF_UNIT=([a-z.-]+)", part("platform"))
    assert names == {AGENT_UNIT, AGENT_LABEL}


def test_what_a_plan_needs_is_looked_for() -> None:
    (looked_for,) = found(r"^  for probe_tools_tool in ([^;]*); do$", PROBE)
    needed = {"git", "nix", *rules._SWITCH.values(), *sum(rules._MANAGER_TOOLS.values(), ())}
    assert needed <= {*looked_for.split()}


def test_the_agents_own_repository_is_known_by_its_path() -> None:
    assert f"{ISOLATED}) probe_dir=$(isolated_checkout)" in PROBE
    paths = found(r'echo "(\$\w+/\S+/repo)"', PROBE)
    assert len(paths) == 2
    assert all(map(is_isolated, paths))


def test_forges_have_the_same_servers() -> None:
    (forges,) = found(r"^  forges = \{ (.*) \};$", part("common"))
    assert dict(re.findall(r'(\w+) = "([\w.]+)";', forges)) == FORGES


def test_what_is_sent_of_a_job_is_kept() -> None:
    sent = part("follow")
    assert found(r"\bwhole ([a-z.]+)", sent) == follow._KEPT
    files = JobCopy(Path("/job")).files
    streamed = {files.log.name, files.events.name}
    assert found(r'\bsend (\w+) "\$NF_JOB/\1"', sent) == streamed


@pytest.mark.parametrize(
    "pauses", ["follow_pause=0.25 follow_beat=20", "follow_pause=1 follow_beat=5"]
)
def test_the_heart_beats_before_silence_is_shown(pauses: str) -> None:
    assert pauses in part("follow")
    pause, beat = (float(word.partition("=")[2]) for word in pauses.split())
    assert pause * beat < link.QUIET < link.SILENT


def test_as_many_generations_are_listed_as_are_read() -> None:
    assert found(r"^GENERATIONS_MOST=(\d+)$", part("generations")) == {str(GENERATIONS_LIMIT)}


def test_our_units_and_an_activation_have_the_same_names() -> None:
    platform = part("platform")
    ours = {*found(r"^NF_(?:JOB|FINISH)_UNIT=(\S+)$", platform)}
    assert ours == {*debt._OURS}
    assert found(r"^NF_SWITCH_UNIT=(\S+)$", platform) == {debt._ACTIVATION}
