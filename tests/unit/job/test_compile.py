from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nixfleet_core.ids import check_job_id, is_job_id, new_job_id
from nixfleet_core.job.compile import compile_plan, step_lines
from nixfleet_core.log.failures import ranked_patterns
from nixfleet_core.plan.model import BUSY_WAIT, Options, Plan, Step

ID = "20261123-004101-ab12"


def step(*argv: str, **changes: Any) -> Step:
    values: dict[str, Any] = {"id": "pull", "title": "Pull", "run_as": "owner", "limit": 30}
    return Step(argv=argv, **{**values, **changes})


def plan(*steps: Step, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "host": "csb0",
        "attribute": "csb0",
        "checkout": "/home/ops/it's mine",
        "owner": "ops",
        "input": "nixfleet",
        "options": Options(),
        "tools": ("git", "nix"),
    }
    return Plan(steps=steps, **{**values, **changes})


def assigned(made: Plan, root: str = "") -> dict[str, str]:
    script = compile_plan(made, ID, root)
    prelude = script[: script.index("\nset -u\numask")]
    return dict(word.split("=", 1) for word in shlex.split(prelude, comments=True) if "=" in word)


def test_ids_are_different_utc_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    ids = {new_job_id() for _ in range(50)}
    assert len(ids) > 45
    assert all(is_job_id(made) for made in ids)
    made = datetime.strptime(min(ids)[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "text",
    ["", "../../etc", f"{ID}/", f"{ID}\n", ID[:-1], f"{ID}0", ID.upper(), "20261123-004101-ab-1",
     "٢0261123-004101-ab12", "20261123_004101_ab12", "99999999-999999-ffff", "20261123-004160-ab12",
     "20260229-004101-ab12", "00010101-000000-0000", "21070101-000000-0000"],
)  # fmt: skip
def test_a_malformed_id_is_refused(text: str) -> None:
    assert not is_job_id(text)
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        check_job_id(text)
    with pytest.raises(ValueError, match="no job id"):
        compile_plan(plan(), text)


def test_an_id_is_returned() -> None:
    assert check_job_id(ID) == ID


def test_each_step_is_one_line_with_quoted_words() -> None:
    lines = step_lines(plan(step("git", "pull", "a b", "$(x)", tries=5), step("x", id="start")))
    assert lines == (
        "nf_step pull owner 30 5 git pull 'a b' '$(x)'",
        "nf_step start owner 30 1 x",
    )
    assert shlex.split(lines[0])[5:] == ["git", "pull", "a b", "$(x)"]


def test_the_hosts_paths_lie_under_its_root() -> None:
    made = plan(step("nixos-rebuild", "--flake", "/c#a", "git+file:///r"))
    assert shlex.split(step_lines(made, "/s b")[0])[5:] == [
        *("nixos-rebuild", "--flake", "/s b/c#a", "git+file:///r"),
    ]


def test_the_script_has_the_values_of_the_plan() -> None:
    found = assigned(plan(restore_lock="12 34", options=Options(stable=9)), "/root of it")
    assert found == found | {
        "NF_ROOT": "/root of it",
        "NF_ID": ID,
        "NF_CHECKOUT": "/home/ops/it's mine",
        "NF_INPUT": "nixfleet",
        "NF_ATTRIBUTE": "csb0",
        "NF_PLATFORM_GIVEN": "nixos",
        "NF_TOOLS": "git nix",
        "NF_PULL": "1",
        "NF_RESTORE_LOCK": "12 34",
        "NF_WANT_REV": "",
        "NF_WAIT": str(BUSY_WAIT),
        "NF_GO_ON": "",
        "NF_STABLE": "9",
        "NF_RETRY_AFTER": "8",
    }
    assert found["NF_FAILURES"] == ranked_patterns()


def test_the_script_knows_the_options() -> None:
    options = Options(pull=False, now=True, input_rev="a" * 40, evaluation=777)
    found = assigned(plan(options=options))
    assert (found["NF_PULL"], found["NF_WAIT"], found["NF_WANT_REV"]) == ("", "0", "a" * 40)
    assert found["NF_EVALUATION"] == "777"


@pytest.mark.parametrize(
    ("force", "now", "goes"), [(1, 0, "1"), (1, 1, ""), (0, 0, ""), (0, 1, "")]
)
def test_only_a_forced_update_that_waits_goes_on_during_a_rebuild(
    force: bool, now: bool, goes: str
) -> None:
    found = assigned(plan(options=Options(force=force, now=now)))
    assert (found["NF_GO_ON"], found["NF_FORCED"]) == (goes, "1" if force else "")


def test_the_steps_come_last() -> None:
    made = plan(step("git", "pull"))
    end = compile_plan(made, ID)[-80:]
    assert end.endswith(
        'nf_plan() {\n  nf_step pull owner 30 1 git pull\n}\n"nf_enter_$1"\nexit\n}\n'
    )
