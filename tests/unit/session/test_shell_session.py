"""The session over a shell that answers as the test says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from odd_files import ODD
from seen_hosts import CHECKOUT, HEALTHY

from nixfleet_core.config import Limits
from nixfleet_core.errors import (
    BadAnswer,
    ClientFailed,
    LaunchFailed,
    NoShell,
    NoSuchJob,
    NotAllowed,
    Unreachable,
)
from nixfleet_core.facts.model import Checkout, Facts
from nixfleet_core.host import Host
from nixfleet_core.job.copies import Asked, Copies
from nixfleet_core.job.durations import RECENT, Usual
from nixfleet_core.job.work import BuildTime, BuildTimes
from nixfleet_core.judge.table_state import assess
from nixfleet_core.limits import SAID_LIMIT
from nixfleet_core.nix.git_url import Latest, NotKnown
from nixfleet_core.nix.version import parse_version
from nixfleet_core.plan.model import Options, Plan, Refusal, Step
from nixfleet_core.scripts.compose import part
from nixfleet_core.session.latest_version import Versions
from nixfleet_core.session.protocol import AskLatest, Busy, Commit, Launched
from nixfleet_core.session.shell_session import LAUNCH_TRIES, ShellSession
from nixfleet_core.transport.answer import CARRIER_FAILED, Answer
from nixfleet_core.transport.dialogue import ROOTS_OWN
from nixfleet_core.transport.gate import NoDoor
from nixfleet_core.transport.password import Password

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from nixfleet_core.job.copies import JobCopy
    from nixfleet_core.transport.gate import Door
    from nixfleet_core.transport.shell import Shell

JOB, OTHER = "20261123-004101-ab12", "20261123-004102-cd34"
OLD, NEW = "1" * 40, "2" * 40


def latest_is(commit: Latest) -> AskLatest:
    """Every repository has that latest commit."""

    async def ask(_: Facts) -> Latest:
        return commit

    return ask


OLD_AGENT = f"/nix/store/{'a' * 32}-nixfleet-agent-2.1.0/bin/agent"
NEW_AGENT = f"/nix/store/{'b' * 32}-nixfleet-agent-2.2.0/bin/agent"
PLAN = Plan(
    host="csb0",
    attribute="csb0",
    checkout="/c",
    owner="ops",
    input="nixfleet",
    options=Options(),
    steps=(Step(id="pull", title="Pull", argv=("git", "pull"), run_as="owner", limit=9),),
    tools=(),
)


def records(**values: str) -> bytes:
    """A probe's answer; `unit_load` stands for the key `unit.load`."""
    lines = (
        f"{key.replace('_', '.', 1)} {len(value.encode())}\n{value}\n"
        for key, value in values.items()
    )
    return ("nixfleet-probe 1\n" + "".join(lines) + "end 0\n").encode()


def seen(agent: str, rev: str, system: str, **more: str) -> bytes:
    """The probe's answer of a host where everything is at that agent."""
    nodes = {
        "root": {"inputs": {"nixfleet": "n"}},
        "n": {"locked": {"rev": rev}, "original": {"type": "git", "url": "https://h/r"}},
    }
    values = {
        "hostname": "csb0",
        "platform": "nixos",
        "unit_load": "loaded",
        "unit_active": "active",
        "unit_pid": "7",
        "running_proof": "exe",
        **{f"{which}_path": agent for which in ("running", "installed", "expected")},
        "system_current": system,
        "checkout_path": "/c",
        "checkout_state": "ok",
        "checkout_status": "# branch.oid x",
        "checkout_lock": json.dumps({"nodes": nodes, "root": "root", "version": 7}),
    }
    return records(**{**values, **more})


BEFORE, AFTER = seen(OLD_AGENT, OLD, "/old"), seen(NEW_AGENT, NEW, "/new")


@dataclass(frozen=True)
class Ran:
    call: str
    values: dict[str, str]
    elevated: bool
    limit: float
    script: str = field(default="", repr=False, compare=False)


@dataclass
class FakeShell:
    """Gives each script the next answer, and keeps the script."""

    answers: list[Answer | Exception]
    root: str = ""
    password: Password = field(default_factory=Password)
    ran: list[Ran] = field(default_factory=list)
    door: Door = field(default_factory=NoDoor)

    async def run(self, script: str, *, limit: float, elevate: bool = False) -> Answer:
        prelude = script[: script.rindex(part("trust"))]
        words = shlex.split(prelude, comments=True)
        call = re.search(r"\{\nnf_platform\n(\S+) </dev/null\nexit\n\}\n$", script)
        assert call is not None
        values = dict(word.split("=", 1) for word in words if re.match(r"NF_\w+=", word))
        self.ran.append(Ran(call[1], values, elevate, limit, script))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LOST = Answer(CARRIER_FAILED, b"", "ssh: connect to host h port 22: Connection refused\n", "away")
UNKNOWN_KEY = Answer(CARRIER_FAILED, b"", "Host key verification failed.\r\n", "away")
SLOW = Answer(-15, b"", "", "late")


def says(stdout: bytes, stderr: str = "", rc: int = 0) -> Answer:
    return Answer(rc, stdout, stderr)


@dataclass
class Bench:
    """A session, its shell, and how often the connection was let go."""

    session: ShellSession
    shell: FakeShell
    let_go: list[bool]

    @property
    def copy(self) -> JobCopy:
        return self.session.copies.job("csb0", JOB)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def make(*answers: Answer | Exception, host: Host | None = None) -> Bench:
        shell, dropped = FakeShell(list(answers)), list[bool]()

        async def let_go() -> None:
            dropped.append(True)

        session = ShellSession(
            host=host or Host(name="csb0"),
            shell=cast("Shell", shell),
            copies=Copies(tmp_path),
            let_go=let_go,
        )
        return Bench(session, shell, dropped)

    return make


# Looking.


async def test_a_look_is_one_script_without_root(bench: Callable[..., Bench]) -> None:
    host = Host(name="csb0", platform="nixos", checkout="~/it's", input="fleet")
    made = bench(says(BEFORE), host=host)
    facts = await made.session.probe()
    assert (facts.hostname, facts.platform) == ("csb0", "nixos")
    (ran,) = made.shell.ran
    assert (ran.call, ran.elevated) == ("probe", False)
    assert ran.values == {
        "NF_ROOT": "",
        "NF_PLATFORM_GIVEN": "nixos",
        "NF_CHECKOUT": "~/it's",
        "NF_INPUT": "fleet",
        "NF_ATTRIBUTE": "",
        "NF_CHOSEN": "1",
        "NF_DEEP": "",
        "NF_EVALUATION": "300",
        "NF_NIX_STAMP": "",
        "NF_IDLE": "",
    }


async def test_an_idle_host_proves_itself_without_root(bench: Callable[..., Bench]) -> None:
    made = bench(says(BEFORE), says(AFTER))
    seen_before = await made.session.probe()
    await made.session.prove_idly(seen_before)
    look, idle = made.shell.ran
    assert (look.values["NF_IDLE"], idle.values["NF_IDLE"]) == ("", "1")
    assert (idle.call, idle.elevated, idle.values["NF_DEEP"]) == ("probe", False, "1")
    assert idle.values["NF_ATTRIBUTE"] == "csb0"


PROCESS = "proof\nat 20\nboot b\npid 7\nbegan 4711\nrunning /nix/store/x"
STATE = f"source {'4' * 40}-{'5' * 40}"


async def test_a_verification_leaves_its_proof_here_with_the_locked_commit(
    bench: Callable[..., Bench],
) -> None:
    proof = f"{PROCESS}\nbuilds {NEW_AGENT}\n{STATE}"
    made = bench(says(BEFORE), says(seen(NEW_AGENT, NEW, "/new", proof=proof)), says(BEFORE))
    await made.session.verify(latest_is(NEW))
    (kept,) = (await made.session.probe()).proofs
    assert (kept.builds, kept.commit, kept.pid) == (NEW_AGENT, NEW, 7)


async def test_what_a_commit_built_is_remembered_when_the_proof_is_gone(
    bench: Callable[..., Bench],
) -> None:
    proof = f"{PROCESS}\nbuilds {NEW_AGENT}\ninput nixfleet\n{STATE}"
    made = bench(says(BEFORE), says(seen(NEW_AGENT, NEW, "/new", proof=proof)), says(BEFORE))
    await made.session.verify(latest_is(NEW))
    made.session.copies.root.joinpath("hosts/csb0/proofs.json").unlink()
    facts = await made.session.probe()
    assert facts.proofs == ()
    assert [(one.commit, one.programs) for one in facts.origins] == [
        (NEW, (NEW_AGENT.removesuffix("/bin/agent"),))
    ]


@pytest.mark.parametrize(
    ("more", "kept"), [("", 0), (f"\nbuilds {NEW_AGENT}\n{STATE}", 1), (f"\nfails 1\n{STATE}", 1)]
)
async def test_an_idle_host_that_had_no_time_leaves_no_proof(
    bench: Callable[..., Bench], more: str, kept: int
) -> None:
    """It is tried after each look: its proofs would drive out all others."""
    idle = seen(NEW_AGENT, NEW, "/new", proof=PROCESS + more)
    made = bench(says(BEFORE), says(idle), says(BEFORE))
    await made.session.prove_idly(await made.session.probe())
    assert len((await made.session.probe()).proofs) == kept


async def test_an_idle_home_whose_names_are_not_told_is_left_alone(
    bench: Callable[..., Bench],
) -> None:
    made = bench(Answer(rc=75, stdout=b"", stderr=""))
    home = replace(HEALTHY, platform="home-manager")
    assert await made.session.prove_idly(home) == home
    assert [(ran.call, ran.values["NF_IDLE"]) for ran in made.shell.ran] == [("attributes", "1")]


async def test_scripts_get_the_limits_of_the_settings(bench: Callable[..., Bench]) -> None:
    made = bench(says(BEFORE), says(AFTER), says(AFTER), says(b"h\n"))
    made.session.limits = Limits(look=77, evaluation=777)
    facts, _ = await made.session.verify(latest_is(NEW))
    await made.session.inspect()
    await made.session.examine(replace(facts, platform="home-manager"))
    assert [(ran.call, ran.limit) for ran in made.shell.ran] == [
        ("probe", 77),
        ("probe_whole", 777 + 120),
        ("doctor", 777 + 120),
        ("attributes", 777 + 120),
    ]
    assert {ran.values["NF_EVALUATION"] for ran in made.shell.ran} == {"777"}


@pytest.mark.parametrize(("options", "seconds"), [({}, 7777), ({"limits": {"rebuild": 60}}, 60)])
def test_the_rebuild_gets_the_time_of_the_settings_unless_the_operator_says_another(
    bench: Callable[..., Bench], options: dict[str, Any], seconds: int
) -> None:
    made = bench()
    made.session.limits = Limits(evaluation=777, rebuild=7777)
    facts = replace(
        HEALTHY,
        tools=frozenset(("git", "nix", "nixos-rebuild", "systemctl", "systemd-run")),
        nix=parse_version("nix (Nix) 2.34.8"),
        checkout=replace(CHECKOUT, owner="ops"),
    )
    plan = made.session.plan(facts, Options(**options))
    assert isinstance(plan, Plan), plan
    rebuild = plan.step("rebuild")
    assert rebuild is not None
    assert (rebuild.limit, plan.options.evaluation) == (seconds, 777)


def nix_said(stamp: str, **more: str) -> Answer:
    """A look at a home, with what nix answered."""
    return says(records(platform="home-manager", nix_stamp=stamp, **more))


WITH_NIX = {"nix": "nix (Nix) 2.31.2", "nix_trusted": "1"}


async def test_what_nix_answered_counts_again_while_its_stamp_stays(
    bench: Callable[..., Bench],
) -> None:
    made = bench(nix_said("one", **WITH_NIX), nix_said("one"), nix_said("one"))
    looks = [await made.session.probe(again=again) for again in (True, True, True)]
    assert [(str(facts.nix), facts.trusted) for facts in looks] == [("Nix 2.31.2", True)] * 3
    assert [ran.values["NF_NIX_STAMP"] for ran in made.shell.ran] == ["", "one", "one"]


async def test_what_another_nix_answers_replaces_it(bench: Callable[..., Bench]) -> None:
    other = {"nix": "nix (Nix) 2.34.8", "nix_trusted": "0"}
    made = bench(nix_said("one", **WITH_NIX), nix_said("two", **other), nix_said("two"))
    looks = [await made.session.probe(again=True) for _ in range(3)]
    assert [(str(facts.nix), facts.trusted) for facts in looks] == [
        *(("Nix 2.31.2", True), ("Nix 2.34.8", False), ("Nix 2.34.8", False)),
    ]


async def test_look_that_the_operator_asked_for_asks_nix(bench: Callable[..., Bench]) -> None:
    made = bench(nix_said("one", **WITH_NIX), nix_said("one", nix="nix (Nix) 2.31.2"))
    assert (await made.session.probe()).trusted is True
    assert (await made.session.probe()).trusted is None, "an answer of before was believed"
    assert [ran.values["NF_NIX_STAMP"] for ran in made.shell.ran] == ["", ""]


@pytest.mark.parametrize(
    "first",
    [
        nix_said("one", nix="nix (Nix) 2.31.2"),
        nix_said("one", nix="", nix_trusted="1"),
        nix_said("", nix="nix (Nix) 2.31.2", nix_trusted="1"),
        says(records(platform="home-manager")),
    ],
)
async def test_nix_that_left_a_question_open_is_asked_again(
    bench: Callable[..., Bench], first: Answer
) -> None:
    made = bench(first, nix_said("one", **WITH_NIX))
    await made.session.probe(again=True)
    assert (await made.session.probe(again=True)).trusted is True
    assert made.shell.ran[1].values["NF_NIX_STAMP"] == ""


async def test_an_inspection_is_one_script_without_root(bench: Callable[..., Bench]) -> None:
    made = bench(says(BEFORE.replace(b"end 0", b"login.shell 3\nzsh\nend 0")))
    health = await made.session.inspect()
    assert (health.facts.hostname, health.shell) == ("csb0", "zsh")
    (ran,) = made.shell.ran
    assert (ran.call, ran.elevated) == ("doctor", False)
    assert ran.values["NF_FOLDERS"].split() == [*ROOTS_OWN.folders]
    assert (ran.values["NF_ROOT_UID"], ran.values["NF_DEEP"]) == ("0", "")


@pytest.mark.parametrize("ask", [ShellSession.probe, ShellSession.inspect])
@pytest.mark.parametrize(
    ("answer", "why", "advice"),
    [
        (LOST, "Connection refused", "nothing listens on that port"),
        (UNKNOWN_KEY, "^Host key verification failed", "nixfleet connect csb0 shows it"),
        (Answer(CARRIER_FAILED, b"", "", "away"), "ssh could not connect", "ssh HOST true"),
        (Answer(CARRIER_FAILED, b"", "", "lost"), "the connection broke", "ssh HOST true"),
        (Answer(137, b"", "Killed\n", "cut"), "its answer broke off: Killed", "by hand"),
        (
            Answer(0, b"", "", "mute", "Menu:\n1) no\n"),
            "runs nothing: Menu: 1\\) no$",
            "hosts.toml",
        ),
        (SLOW, "no answer within", "load"),
        (says(b""), "the probe did not answer", ""),
        (says(b"hi", "zsh: no such option\n", 1), "did not answer.*: zsh: no such option$", ""),
        (says(BEFORE[:-20]), "wrong length|cut off", ""),
    ],
)
async def test_a_host_that_gives_no_facts_is_unreachable(
    bench: Callable[..., Bench],
    ask: Callable[[ShellSession], Awaitable[object]],
    answer: Answer,
    why: str,
    advice: str,
) -> None:
    with pytest.raises(Unreachable, match=why) as caught:
        await ask(bench(answer).session)
    assert advice in caught.value.advice
    assert caught.value.at_terminal == (answer is UNKNOWN_KEY)


async def test_a_connection_to_a_mute_login_shell_is_let_go(bench: Callable[..., Bench]) -> None:
    """Or it would keep that login shell after the account has got another."""
    made = bench(Answer(1, b"", "", "mute"), says(BEFORE))
    with pytest.raises(NoShell, match=r"its login shell runs nothing$"):
        await made.session.probe()
    assert len(made.let_go) == 1
    await made.session.probe()
    assert len(made.let_go) == 1


async def test_an_option_that_may_be_why_there_is_no_connection_is_named(
    bench: Callable[..., Bench],
) -> None:
    class Barred(NoDoor):
        async def hindrance(self) -> str:
            return "ssh's configuration sets LocalCommand"

    key = "asks whether it is right$"
    for answer, advice in ((LOST, "sets LocalCommand$"), (SLOW, "load$"), (UNKNOWN_KEY, key)):
        made = bench(answer)
        made.shell.door = Barred()
        with pytest.raises(Unreachable) as caught:
            await made.session.probe()
        assert re.search(advice, caught.value.advice)


async def test_a_plan_looks_as_root_only_at_an_unreadable_checkout(
    bench: Callable[..., Bench],
) -> None:
    facts = Facts(hostname="h", os="", platform="nixos", checkout=Checkout("/c", "ok"))
    made = bench(says(BEFORE))
    assert await made.session.examine(facts) is facts
    assert await made.session.examine(replace(facts, checkout=None))
    assert made.shell.ran == []
    closed = replace(facts, checkout=Checkout("/home/ops/c", "unreadable"))
    assert (await made.session.examine(closed)).hostname == "csb0"
    (ran,) = made.shell.ran
    assert (ran.elevated, ran.values["NF_CHECKOUT"]) == (True, "/home/ops/c")


async def test_a_proof_is_looked_for_as_root(bench: Callable[..., Bench]) -> None:
    made = bench(says(seen(OLD_AGENT, OLD, "/s", hostname="cs0")), says(AFTER))
    facts, verdict = await made.session.verify(latest_is(NEW))
    assert (facts.lock_rev("nixfleet"), verdict.kind) == (NEW, "current")
    plain, deep = made.shell.ran
    assert (plain.elevated, deep.elevated, deep.values["NF_DEEP"]) == (False, True, "1")
    assert (deep.values["NF_CHECKOUT"], deep.values["NF_ATTRIBUTE"]) == ("/c", "cs0")
    assert deep.limit > 5 * plain.limit


@pytest.mark.parametrize("path_state", ["ok", "unreadable"])
@pytest.mark.parametrize(
    ("platform", "why", "advice"),
    [
        (
            "unknown",
            "Debian 12 is not NixOS, and this user has no Home Manager profile",
            "log in as the user whose Home Manager it is, or set `platform` in the inventory",
        ),
        (
            "nix-darwin",
            "nix-darwin manages this Mac, and this user has no Home Manager profile of their own",
            (
                "only an agent of a standalone Home Manager can be updated; for this one run "
                "darwin-rebuild switch, then launchctl kickstart -k"
            ),
        ),
    ],
)
async def test_every_door_says_the_same_of_a_host_that_is_none_of_ours(
    bench: Callable[..., Bench], platform: str, why: str, advice: str, path_state: str
) -> None:
    look = seen(
        OLD_AGENT, OLD, "/old", platform=platform, os="Debian 12", checkout_state=path_state
    )
    made = bench(*[says(look)] * 2)
    facts = await made.session.probe()
    cause = "preflight-platform"
    _, verdict = await made.session.verify(latest_is(NEW))
    assert (verdict.cause, verdict.sentence, verdict.advice) == (cause, why, advice)
    assert verdict.exit_code == 3
    told = await made.session.explain(facts, NEW)
    assert (told.cause, told.sentence, told.cure("csb0")) == (cause, why, advice)
    row = assess(facts, NEW, made.session.host)
    assert row.finding is not None
    assert (row.finding.cause, row.why, row.finding.advice) == (cause, why, advice)
    assert row.state == "unknown"
    assert await made.session.examine(facts) == facts
    back = await made.session.plan_rollback(facts, Options(), keep_lock=False)
    forth = made.session.plan(facts, Options())
    assert back == forth == Refusal("platform", why, advice)
    # it is asked only what needs no root
    assert [(ran.call, ran.elevated) for ran in made.shell.ran] == [("probe", False)] * 2


async def test_why_takes_one_look_as_root(bench: Callable[..., Bench]) -> None:
    made = bench(says(AFTER))
    facts = Facts(hostname="cs0", os="", platform="nixos", checkout=Checkout("/c", "ok"))
    found = await made.session.explain(facts, NEW)
    assert (found.cause, dict(found.evidence)["lock"]) == ("current", NEW)
    (deep,) = made.shell.ran
    assert (deep.elevated, deep.values["NF_DEEP"]) == (True, "why")
    assert (deep.values["NF_CHECKOUT"], deep.values["NF_ATTRIBUTE"]) == ("/c", "cs0")


async def test_verify_and_why_name_the_version_of_the_latest_commit(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = "3" * 40

    async def said(_: Versions, host: Host, facts: Facts, latest: Latest) -> str:
        assert (host.name, latest) == ("csb0", later)
        return "9.9.9"

    monkeypatch.setattr(Versions, "of", said)
    made = bench(says(AFTER), says(AFTER), says(AFTER))
    facts, verdict = await made.session.verify(latest_is(later))
    assert f"latest is {later[:7]} (9.9.9)" in verdict.sentence
    found = await made.session.explain(facts, later)
    assert dict(found.evidence)["latest version"] == "9.9.9"


async def test_incoming_commits_are_read_and_noise_is_not(bench: Callable[..., Bench]) -> None:
    checkout = Checkout("/c", "ok", upstream="origin/main")
    facts = Facts(hostname="h", os="", platform="nixos", uid=1000, checkout=checkout)
    out = f"motd\n{OLD} Fix it\n{NEW} \n{'x' * 40} no\n\x1b]0;{'x' * 36} no\n".encode()
    made = bench(says(out), says(b""))
    assert await made.session.incoming(facts) == (Commit(OLD, "Fix it"), Commit(NEW, ""))
    await made.session.incoming(replace(facts, uid=0))
    assert [ran.elevated for ran in made.shell.ran] == [False, True]
    for without in (None, replace(checkout, upstream=None), replace(checkout, state="missing")):
        assert await made.session.incoming(replace(facts, checkout=without)) == ()


# Restart debt.


OLD_WEB = f"/nix/store/{'c' * 32}-web-1.0"
SEEN_DEBT = "\n".join(
    (
        f"unit\tweb.service\t{OLD_WEB}/bin/web\tloaded\t-",
        f"process\t7\tweb.service\t5\there\t{OLD_WEB}/bin/web\t-\t1",
        f"old\t{OLD_WEB}",
        f"older\t{OLD_WEB}",
        "looked\t9\t2",
    )
)


def owed(**more: str) -> Answer:
    return says(records(platform="nixos", debt=SEEN_DEBT, **more))


@pytest.mark.parametrize(
    ("platform", "as_root", "elevated"),
    [("nixos", True, True), ("nixos", False, False), ("home-manager", True, False)],
)
async def test_debt_is_asked_as_root_only_where_a_system_is_looked_at(
    bench: Callable[..., Bench], platform: str, as_root: bool, elevated: bool
) -> None:
    made = bench(says(records(hostname="h", platform=platform)), owed())
    debt = await made.session.debt(as_root=as_root)
    assert [one.unit for one in debt.units] == ["web.service"]
    assert (debt.looked, debt.unseen, debt.is_known) == (9, 2, True)
    assert [(ran.call, ran.elevated) for ran in made.shell.ran] == [
        ("probe", False),
        ("debt", elevated),
    ]


async def test_there_is_no_debt_to_see_while_a_job_runs(bench: Callable[..., Bench]) -> None:
    made = bench(says(BEFORE), says(records(platform="nixos", job_running=JOB)))
    debt = await made.session.debt()
    assert (debt.not_seen, debt.is_known, debt.is_some) == (("job",), False, False)


async def test_a_host_of_no_kind_is_not_asked_for_debt(bench: Callable[..., Bench]) -> None:
    made = bench(says(records(hostname="h", platform="unknown")))
    assert (await made.session.debt()).not_seen == ("platform",)
    assert [ran.call for ran in made.shell.ran] == ["probe"]


@pytest.mark.parametrize("answer", [says(b""), says(records(debt=SEEN_DEBT)[:-20]), SLOW, LOST])
async def test_a_look_for_debt_that_breaks_off_is_no_answer(
    bench: Callable[..., Bench], answer: Answer
) -> None:
    with pytest.raises(Unreachable):
        await bench(says(BEFORE), answer).session.debt()


async def test_only_a_verification_also_looks_for_debt(bench: Callable[..., Bench]) -> None:
    deep = seen(NEW_AGENT, NEW, "/new", debt=SEEN_DEBT)
    made = bench(says(BEFORE), says(deep), says(BEFORE), says(BEFORE), says(BEFORE))
    facts, verdict = await made.session.verify(latest_is(NEW))
    assert facts.old_units is not None
    assert (
        "1 more unit runs old programs: web.service. `nixfleet debt` says how each is paid"
        in verdict.notes
    )
    before = await made.session.probe()
    await made.session.prove_idly(before)
    await made.session.explain(before, NEW)
    holds = {ran.call: part("old_units") in ran.script for ran in made.shell.ran}
    assert holds == {"probe_whole": True, "probe": False}
    asked = [ran.call for ran in made.shell.ran]
    assert asked == ["probe", "probe_whole", "probe", "probe", "probe"]


# Starting.


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _seconds: real(0))


async def test_a_launch_hands_over_plan_and_script_as_root(bench: Callable[..., Bench]) -> None:
    made = bench(says(f"motd\n@nf launched {JOB}\n".encode()))
    assert await made.session.launch(PLAN, JOB) == Launched(JOB)
    (ran,) = made.shell.ran
    assert (ran.call, ran.elevated, ran.values["NF_ID"]) == ("launch", True, JOB)
    assert msgspec.json.decode(ran.values["NF_PLAN"], type=Plan) == PLAN
    assert "\n  nf_step pull owner 9 1 git pull\n" in ran.values["NF_RUN_SH"]


async def test_a_launch_whose_link_breaks_is_repeated_with_the_same_id(
    bench: Callable[..., Bench], no_pause: None
) -> None:
    made = bench(LOST, SLOW, says(f"@nf launched {JOB}\n".encode()))
    assert await made.session.launch(PLAN, JOB) == Launched(JOB)
    assert [ran.values["NF_ID"] for ran in made.shell.ran] == [JOB] * 3
    assert len(made.let_go) == 2


async def test_a_launch_is_not_repeated_for_ever(
    bench: Callable[..., Bench], no_pause: None
) -> None:
    made = bench(*[LOST] * 9)
    with pytest.raises(Unreachable):
        await made.session.launch(PLAN, JOB)
    assert len(made.shell.ran) == LAUNCH_TRIES


async def test_another_job_is_named(bench: Callable[..., Bench]) -> None:
    made = bench(says(f"@nf busy {OTHER}\n".encode()))
    assert await made.session.launch(PLAN, JOB) == Busy(OTHER)


@pytest.mark.parametrize(
    ("out", "err", "why"),
    [
        (b"@nf failed\n", "Failed to connect to bus\n", "Failed to connect to bus"),
        (b"@nf failed\n", "", "did not say"),
        (b"", "sh: 1: oops", "sh: 1: oops"),
        (b"@nf busy ../../x\n", "", "did not say"),
        (b"@nf busy \x1b]0;x\n", "", "did not say"),
        (b"@nf launched\n", "", "did not say"),
        (f"@nf launched {JOB}\n@nf failed\n".encode(), "", "did not say"),
    ],
)
async def test_a_launch_that_failed_says_why(
    bench: Callable[..., Bench], out: bytes, err: str, why: str
) -> None:
    with pytest.raises(LaunchFailed, match=why):
        await bench(says(out, err)).session.launch(PLAN, JOB)


# Going back.


def past(*jobs: str) -> Answer:
    lines = "".join(f"@nf job {job}\n\n\n" for job in jobs)
    return says(f"{lines}@nf running \n".encode())


def generations(*jobs: tuple[str, str, bytes], lock: str = "lock") -> Answer:
    """The host is at its second generation; the jobs have found those systems active."""
    lines = "@nf now /nix/store/now /nix/store/now 2\n@nf generation 2 /nix/store/now -\n"
    lines += "@nf generation 1 /nix/store/a -\n"
    for job, system, plan in jobs:
        lines += f"@nf job {job}\n{plan.decode()}\n@nf back {job} {system} {system} - - {lock}\n"
    return says(lines.encode())


NOW_SEEN = seen(OLD_AGENT, OLD, "/nix/store/now", system_profile="/nix/store/now",
                tools="systemctl systemd-run")  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "keep", "to", "target", "lock_from"),
    [
        (generations((OTHER, "/nix/store/a", b"")), False, None, "/nix/store/a", OTHER),
        (generations((OTHER, "/nix/store/a", b"")), True, None, "/nix/store/a", None),
        (generations((OTHER, "/nix/store/a", b""), lock="-"), False, None, "/nix/store/a", None),
        (generations((OTHER, "/nix/store/b", b"")), False, 1, "/nix/store/a", None),
        (generations(), False, None, "/nix/store/a", None),
    ],
)
async def test_rollback_goes_to_before_the_last_job_or_to_the_chosen_generation(
    bench: Callable[..., Bench],
    answer: Answer,
    keep: bool,
    to: int | None,
    target: str,
    lock_from: str | None,
) -> None:
    made = bench(says(NOW_SEEN), DENIED, answer)
    facts = await made.session.probe()
    plan = await made.session.plan_rollback(facts, Options(), keep_lock=keep, to=to)
    assert isinstance(plan, Plan), plan
    assert (plan.target, plan.lock_from) == (target, lock_from)
    assert [(ran.call, ran.elevated) for ran in made.shell.ran[1:]] == [
        ("generations", False),
        ("generations", True),
    ]


@pytest.mark.parametrize(
    ("path", "lock_from", "warned"), [("/c", JOB, False), ("/elsewhere", None, True)]
)
async def test_rollback_restores_flake_lock_only_in_its_own_checkout(
    bench: Callable[..., Bench], path: str, lock_from: str | None, warned: bool
) -> None:
    asked = msgspec.json.encode(Asked(plan=msgspec.structs.replace(PLAN, checkout=path)))
    made = bench(says(NOW_SEEN), generations((JOB, "/nix/store/b", asked)))
    plan = await made.session.plan_rollback(await made.session.probe(), Options(), keep_lock=False)
    assert isinstance(plan, Plan), plan
    assert (plan.lock_from, bool(plan.warnings)) == (lock_from, warned)
    assert not warned or path in plan.warnings[0]


@pytest.mark.parametrize(
    ("answer", "to", "why"), [(b"", None, "no earlier job"), (b"", 7, "no generation 7")]
)
async def test_rollback_without_that_generation_is_refused(
    bench: Callable[..., Bench], answer: bytes, to: int | None, why: str
) -> None:
    made = bench(says(BEFORE), says(answer))
    facts = await made.session.probe()
    refusal = await made.session.plan_rollback(facts, Options(), keep_lock=False, to=to)
    assert isinstance(refusal, Refusal)
    assert (refusal.check, why in refusal.why) == ("target", True)


async def test_the_history_of_an_absent_host_comes_from_the_copies(
    bench: Callable[..., Bench],
) -> None:
    made = bench(says(past(JOB).stdout), LOST)
    assert [(line.job, line.outcome) for line in await made.session.jobs()] == [
        (JOB, "interrupted")
    ]
    made.session.copies.job("csb0", OTHER).write("plan.json", b"damaged")
    made.copy.write("result", b'{"outcome":"done"}')
    assert [(line.job, line.outcome) for line in await made.session.jobs()] == [
        (OTHER, "interrupted"),
        (JOB, "done"),
    ]


@pytest.mark.parametrize("name", ["plan.json", "result"])
@pytest.mark.parametrize("what", ODD)
async def test_an_odd_copy_is_named_in_the_history_and_spoils_no_other(
    bench: Callable[..., Bench], what: str, name: str
) -> None:
    made = bench(LOST)
    made.copy.prepare()
    ODD[what](made.copy.path / name)
    made.session.copies.job("csb0", OTHER).write("result", b'{"outcome":"done"}')
    good, odd = await made.session.jobs()
    assert (good.job, good.outcome, good.unreadable) == (OTHER, "done", "")
    assert (odd.job, odd.outcome) == (JOB, "unreadable")
    assert odd.unreadable == f"{made.copy.path / name}: it is {what}"


@pytest.mark.parametrize("what", [*ODD, "a file"])
async def test_a_copy_that_is_no_folder_is_named_in_the_history(
    bench: Callable[..., Bench], what: str
) -> None:
    made = bench(LOST)
    made.copy.path.parent.mkdir(parents=True)
    (ODD | {"a file": Path.touch})[what](made.copy.path)
    (line,) = await made.session.jobs()
    assert line.outcome == ("interrupted" if what == "a folder" else "unreadable")
    assert what == "a folder" or str(made.copy.path) in line.unreadable


async def test_a_huge_plan_is_not_read_into_memory(bench: Callable[..., Bench]) -> None:
    made = bench(LOST)
    made.copy.write("plan.json", b"")
    os.truncate(made.copy.path / "plan.json", 10**12)  # takes no room
    (line,) = await made.session.jobs()
    assert "plan.json: it is larger than" in line.unreadable


@pytest.mark.parametrize("what", ODD)
async def test_the_job_of_an_odd_copy_is_not_shown_and_its_path_is_named(
    bench: Callable[..., Bench], what: str
) -> None:
    made = bench()
    made.copy.prepare()
    ODD[what](made.copy.path / "plan.json")
    with pytest.raises(ClientFailed) as caught:
        await made.session.fetch_plan(JOB)
    assert str(caught.value) == f"{made.copy.path}/plan.json cannot be read: it is {what}"


async def test_a_plan_that_finds_no_room_here_names_its_path(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nixfleet_core.job.copies.write_whole", full)
    made = bench(says(b"@nf plan\n{}"))
    with pytest.raises(
        ClientFailed, match=f"{made.copy.path}/plan.json cannot be written here: No"
    ):
        await made.session.fetch_plan(JOB)


PULLED = b"".join(
    (
        b'{"event":"step-start","step":"pull","at":990,"log":0}\n',
        b'{"event":"step-end","step":"pull","at":1000,"status":"ok","log":0}\n',
        b'{"event":"job-end","at":1030,"outcome":"done"}\n',
    )
)


def keep(copy: JobCopy, *built: BuildTime, plan: Plan = PLAN) -> None:
    """A job that pulled in 10 seconds, and was done 30 seconds later."""
    copy.write("plan.json", b'{"format":1,"plan":%s}' % msgspec.json.encode(plan))
    copy.write("events", PULLED)
    copy.keep_built(BuildTimes(built))


@pytest.mark.parametrize("name", ["events", "plan.json", "builds.json"])
@pytest.mark.parametrize("what", ODD)
def test_the_usual_times_are_read_past_odd_copies(
    bench: Callable[..., Bench], what: str, name: str
) -> None:
    made = bench()
    keep(made.copy, BuildTime("git-2", "git", 5))
    (made.copy.path / name).unlink()
    ODD[what](made.copy.path / name)
    keep(made.session.copies.job("csb0", OTHER), BuildTime("gcc-13", "gcc", 9))
    usual = made.session.usual(PLAN)
    assert (usual.steps, usual.builds) == ({"pull": 10}, {"gcc": 9})
    assert usual.rest == ({"pull": 40} if name == "builds.json" else {})


async def test_a_rollback_is_judged_by_its_target_system(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    back = msgspec.structs.replace(PLAN, goal="rollback", target="/old")
    made.copy.write("plan.json", b'{"format":1,"plan":%s}' % msgspec.json.encode(back))
    proof = seen(OLD_AGENT, OLD, "/old", system_profile="/old")
    leave(made, start("rollback"), end("rollback", "ok"), before=AFTER, after=proof, latest=None)
    verdict = await made.session.verdict(JOB, latest_is(None))
    assert (verdict.kind, verdict.cause) == ("rolled-back", "")
    leave(made, start("rollback"), end("rollback", "ok"), before=proof, after=AFTER, latest=None)
    assert (await made.session.verdict(JOB, latest_is(None))).cause == "switch-incomplete"


@pytest.mark.parametrize(
    ("ran", "before", "again"),
    [
        (True, AFTER, True),
        (False, AFTER, False),
        (False, seen(OLD_AGENT, OLD, "/new"), True),
        (False, seen(OLD_AGENT, OLD, "/new", running_proof="claimed"), False),
    ],
)
async def test_again_is_said_only_of_what_is_known_to_have_run(
    bench: Callable[..., Bench], ran: bool, before: bytes, again: bool
) -> None:
    made = bench()
    back = msgspec.structs.replace(PLAN, goal="rollback", target="/old", target_ran=ran)
    made.copy.write("plan.json", b'{"format":1,"plan":%s}' % msgspec.json.encode(back))
    after = seen(OLD_AGENT, OLD, "/old", system_profile="/old")
    leave(made, start("rollback"), end("rollback", "ok"), before=before, after=after, latest=None)
    sentence = (await made.session.verdict(JOB, latest_is(None))).sentence
    assert ("runs again" in sentence, "not known to have run" in sentence) == (again, not again)


@pytest.mark.parametrize(
    ("profile", "cause"),
    [("/old", ""), ("/staged", "switch-incomplete"), ("/new", "switch-incomplete")],
)
async def test_an_update_that_went_back_is_judged_by_what_was_before_it(
    bench: Callable[..., Bench], profile: str, cause: str
) -> None:
    """Before it, /half was in the profile, and had not become active."""
    made = bench()
    made.copy.write("plan.json", b'{"format":1,"plan":%s}' % msgspec.json.encode(PLAN))
    before = seen(OLD_AGENT, OLD, "/old", system_profile="/half", back_profile="/old")
    after = seen(OLD_AGENT, OLD, "/old", system_profile=profile)
    ended = (start("verify"), end("verify", "failed"), start("rollback"), end("rollback", "ok"))
    leave(made, *ended, outcome="failed", before=before, after=after, latest=None)
    verdict = await made.session.verdict(JOB, latest_is(OLD))
    assert verdict.cause == cause, verdict
    assert verdict.kind == ("stale" if cause else "rolled-back")


async def test_a_rollback_whose_activation_failed_says_what_runs_and_what_the_profile_names(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    back = msgspec.structs.replace(PLAN, goal="rollback", target="/old")
    made.copy.write("plan.json", b'{"format":1,"plan":%s}' % msgspec.json.encode(back))
    before = seen(NEW_AGENT, NEW, "/new", system_profile="/new")
    after = seen(NEW_AGENT, NEW, "/new", system_profile="/old", system_link="system-7-link")
    failed = (start("rollback"), end("rollback", "failed", rc=4))
    leave(made, *failed, outcome="failed", before=before, after=after, latest=None)
    verdict = await made.session.verdict(JOB, latest_is(None))
    assert (verdict.kind, verdict.cause) == ("failed", "rollback-failed")
    assert "the rollback should end at /old, but /new runs" in verdict.sentence
    assert verdict.left[0].what == "/new is active, as before; the profile names generation 7, /old"
    assert verdict.left[0].help == "nixfleet rollback csb0 tries again"


# An existing job.

PLAN_JSON = b'{"format":1,"at":5,"uid":0,"from":"","plan":%s}\n' % msgspec.json.encode(PLAN)
DENIED = says(b"@nf denied\n")


async def test_a_plan_is_fetched_once(bench: Callable[..., Bench]) -> None:
    made = bench(says(b"motd\n@nf plan\n" + PLAN_JSON))
    assert await made.session.fetch_plan(JOB) == PLAN
    assert await made.session.fetch_plan(JOB) == PLAN
    assert [(ran.call, ran.elevated) for ran in made.shell.ran] == [("plan", False)]


async def test_the_plan_of_another_user_is_read_as_root(bench: Callable[..., Bench]) -> None:
    made = bench(DENIED, says(b"@nf plan\n" + PLAN_JSON))
    assert await made.session.fetch_plan(JOB) == PLAN
    assert [ran.elevated for ran in made.shell.ran] == [False, True]


@pytest.mark.parametrize(
    "out",
    [
        b"@nf missing\n",
        b"",
        *(b"@nf plan\n" + bad for bad in (b"", b"{}", PLAN_JSON[:-9], b"\xff")),
    ],
)
async def test_a_missing_or_malformed_plan_is_no_job(
    bench: Callable[..., Bench], out: bytes
) -> None:
    made = bench(says(out))
    with pytest.raises(NoSuchJob, match=JOB):
        await made.session.fetch_plan(JOB)
    if not out.startswith(b"@nf plan"):
        assert made.session.copies.jobs("csb0") == ()


@pytest.mark.parametrize("job", ["../x", "", "latest"])
async def test_a_malformed_job_id_is_refused(
    bench: Callable[..., Bench], faults: list[Exception], job: str
) -> None:
    made = bench()
    with pytest.raises(BadAnswer, match="no job id"):
        made.session.files(job)
    with pytest.raises(BadAnswer, match="no job id"):
        await made.session.fetch_plan(job)


@pytest.mark.parametrize(
    ("answers", "elevated"),
    [
        ([says(b"@nf ok\n")], [False]),
        ([says(b"@nf over\n")], [False]),
        ([DENIED, says(b"@nf ok\n")], [False, True]),
    ],
)
async def test_cancel_becomes_root_only_when_needed(
    bench: Callable[..., Bench], answers: list[Answer], elevated: list[bool]
) -> None:
    made = bench(*answers)
    await made.session.cancel(JOB)
    assert [(ran.call, ran.elevated) for ran in made.shell.ran] == [
        ("cancel", root) for root in elevated
    ]


@pytest.mark.parametrize("answers", [[DENIED, DENIED], [says(b"", "sh: oops\n", 2)]])
async def test_a_job_that_cannot_be_cancelled(
    bench: Callable[..., Bench], answers: list[Answer]
) -> None:
    with pytest.raises(NotAllowed, match=f"{JOB} cannot be cancelled|oops"):
        await bench(*answers).session.cancel(JOB)


@pytest.mark.parametrize(
    ("answer", "known", "newest"),
    [
        (records(job_running=JOB, job_last=OTHER), True, JOB),
        (records(job_last=JOB), True, JOB),
        (records(), True, OTHER),
        (records(), False, None),
        (records(job_running="../../etc/passwd"), False, None),
        (LOST, True, OTHER),
        (says(records(hostname="csb0")), False, None),
    ],
)
async def test_the_newest_job(
    bench: Callable[..., Bench], answer: Any, known: bool, newest: str | None
) -> None:
    made = bench(answer if isinstance(answer, Answer) else says(answer))
    if known:
        made.session.copies.job("csb0", "20250101-000000-0000").prepare()
        made.session.copies.job("csb0", OTHER).prepare()
    assert await made.session.newest_job() == newest


@pytest.mark.parametrize("ask", [ShellSession.newest_job, ShellSession.jobs])
@pytest.mark.parametrize("answer", [LOST, UNKNOWN_KEY, Answer(1, b"", "", "mute")])
async def test_no_known_job_of_a_host_that_is_away_is_an_error(
    bench: Callable[..., Bench],
    ask: Callable[[ShellSession], Awaitable[object]],
    answer: Answer,
) -> None:
    with pytest.raises(Unreachable) as plain:
        await bench(answer).session.probe()
    with pytest.raises(Unreachable) as caught:
        await ask(bench(answer).session)
    error, known = caught.value, plain.value
    assert str(error) == f"no job is known here, and the host cannot be asked: {known}"
    assert (error.advice, error.cause) == (known.advice, known.cause)
    assert error.at_terminal == known.at_terminal


# The files of an ended job.


def start(step: str, log: int = 0) -> str:
    return json.dumps({"event": "step-start", "step": step, "at": 1, "log": log})


def end(step: str, status: str, log: int = 0, **more: Any) -> str:
    return json.dumps(
        {"event": "step-end", "step": step, "at": 2, "status": status, "log": log, **more}
    )


def leave(
    made: Bench,
    *events: str,
    outcome: str | None = "done",
    log: bytes = b"",
    before: bytes | None = BEFORE,
    after: bytes | None = AFTER,
    latest: str | None = NEW,
) -> None:
    files = {
        "log": log,
        "events": "".join(f"{event}\n" for event in events).encode(),
        "before": before,
        "after": after,
        "latest": f"{latest}\n".encode() if latest else None,
        "result": json.dumps({"outcome": outcome}).encode() if outcome else None,
    }
    for name, data in files.items():
        if data is not None:
            made.copy.write(name, data)


async def test_a_job_that_worked(bench: Callable[..., Bench]) -> None:
    made = bench()
    leave(made, start("pull"), end("pull", "ok"))
    verdict = await made.session.verdict(JOB, latest_is(None))
    assert (verdict.kind, verdict.before.version, verdict.after.version) == (
        *("updated", "2.1.0", "2.2.0"),
    )
    assert (verdict.before.commit, verdict.after.commit) == (OLD, NEW)


@pytest.mark.parametrize(("after", "version"), [(AFTER, "2.2.0"), (b"?", None), (None, None)])
async def test_what_the_look_at_a_jobs_end_saw(
    bench: Callable[..., Bench], after: bytes | None, version: str | None
) -> None:
    made = bench()
    leave(made, after=after)
    facts = made.session.facts_after(JOB)
    running = facts.running if facts is not None else None
    assert (running.binary.version if running is not None else None) == version


async def test_the_verdict_of_a_cancelled_job_says_what_it_left(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    after = seen(OLD_AGENT, NEW, "/new", system_profile="/new", system_link="system-8-link")
    before = seen(OLD_AGENT, OLD, "/old", system_profile="/old", system_link="system-7-link")
    leave(made, start("rebuild"), end("rebuild", "cancelled"), outcome="cancelled",
          before=before, after=after)  # fmt: skip
    left = (await made.session.verdict(JOB, latest_is(None))).left
    assert [(one.what, one.key) for one in left] == [
        ("flake.lock has nixfleet at 2222222, it was at 1111111", "b"),
        ("generation 8 is new, and active already", "b"),
        ("the agent runs as before: 2.1.0 (aaaaaaaa…)", ""),
    ]
    leave(made, start("rebuild"), end("rebuild", "ok"), before=before, after=after)
    assert (await made.session.verdict(JOB, latest_is(None))).left == ()


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (b"\x1b[1;31mExisting file '/h/it's a' would be clobbered\x1b[0m\n", "/h/it's a"),
        (b"Existing file '/h/a.old' would be clobbered by backing up '/h/a'\n", "/h/a.old"),
        (b"Existing file '/h/a' is in the way of '/nix/store/x/a'\n", "/h/a"),
        (
            b"Existing file '/h/z' is in the way of '/s/z', will be moved to '/h/z.old'\n"
            + b"".join(b"Existing file '/h/%s' would be clobbered\n" % x for x in (b"a", b"b")),
            "/h/a and 1 more",
        ),
    ],
)
async def test_the_verdict_names_the_first_file_in_home_managers_way(
    bench: Callable[..., Bench], said: bytes, named: str
) -> None:
    made = bench()
    failed = end("rebuild", "failed", len(said), rc=1)
    leave(made, start("rebuild"), failed, log=said, outcome="failed")
    verdict = await made.session.verdict(JOB, latest_is(None))
    assert verdict.cause == "file-in-the-way"
    assert verdict.sentence.endswith(f"a file that it has not made: {named}"), verdict.sentence


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ('"ok":true', "its own --check agrees"),
        ('"ok":false,"reason":"failed"', "its own --check fails"),
    ],
)
async def test_the_verdict_tells_the_agents_own_check_beside_the_proof(
    bench: Callable[..., Bench], answer: str, note: str
) -> None:
    made = bench()
    asked = f'{{"event":"check","at":5,"check":"agent",{answer}}}'
    leave(made, start("verify"), asked, end("verify", "ok"))
    verdict = await made.session.verdict(JOB, latest_is(None))
    assert (verdict.kind, note in verdict.sentence) == ("updated", True)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"no route to fleet.example.org", ["no route to fleet.example.org"]),
        (b"\x1b[31mno route\x1b[0m\n  to [bold]x[/]\n", ["no route to [bold]x[/]"]),
        (b"\x1b]0;title\x07\xffno route\xe2\x80\xae", ["\ufffdno route"]),
        (b"NIXFLEET_TOKEN=s3cret-marked: refused", ["NIXFLEET_TOKEN=‹redacted› refused"]),
        (b"x" * 9000, ["x" * SAID_LIMIT + " \u2026"]),
        (b"\n", []),
    ],
)
async def test_the_verdict_notes_what_the_agents_own_check_printed(
    bench: Callable[..., Bench], printed: bytes, shown: list[str]
) -> None:
    made = bench()
    begin, end_ = len(b"before\n"), len(b"before\n") + len(printed)
    told = f'"reason":"failed","said":{begin},"log":{end_}'
    asked = f'{{"event":"check","at":5,"check":"agent","ok":false,{told}}}'
    log = b"before\n" + printed + b"after\n"
    leave(made, start("verify"), asked, end("verify", "ok"), log=log)
    said = [note for note in await notes(made) if "--check" in note]
    assert said == [f"The agent's own --check said: {words}" for words in shown]


@pytest.mark.parametrize("place", ["", ',"said":7,"log":4000', ',"said":4000,"log":7'])
async def test_words_of_the_agents_check_that_are_not_in_the_log_are_no_note(
    bench: Callable[..., Bench], place: str
) -> None:
    made = bench()
    asked = f'{{"event":"check","at":5,"check":"agent","ok":true{place}}}'
    leave(made, start("verify"), asked, end("verify", "ok"), log=b"before\n")
    assert not [note for note in await notes(made) if "--check" in note]


async def notes(made: Bench) -> tuple[str, ...]:
    return (await made.session.verdict(JOB, latest_is(None))).notes


@pytest.mark.parametrize(
    ("reason", "printed", "shown"),
    [
        ("missing", "csb0\ngpc0\n", ": it has csb0, gpc0"),
        ("evaluation", "error:\n  error: no\n  at /c/f.nix:1:2:\n", ": no (at /c/f.nix:1:2)"),
        (
            "dirty",
            "error: no\n  at /c/f.nix:1:2:\npreflight: these:\na.nix\nb/c.nix\n",
            ": no (at /c/f.nix:1:2); changed: a.nix, b/c.nix",
        ),
        ("evaluation", "error: NIXFLEET_TOKEN=s3cret\n", ": NIXFLEET_TOKEN=‹redacted›"),
    ],
)
async def test_a_refused_configuration_shows_the_names_or_nixs_own_error(
    bench: Callable[..., Bench], reason: str, printed: str, shown: str
) -> None:
    made = bench()
    place = f'"said":7,"log":{7 + len(printed)}'
    told = f'"check":"attribute","ok":false,"reason":"{reason}",{place}'
    refused = end("preflight", "failed", reason="attribute")
    log = b"before\n" + printed.encode() + b"after: error: x\n"
    check = f'{{"event":"check","at":5,{told}}}'
    leave(made, start("preflight"), check, refused, outcome="failed", log=log)
    assert (await made.session.verdict(JOB, latest_is(None))).sentence.endswith(shown)


@pytest.mark.parametrize(
    ("answer", "noted"),
    [('"ok":true,"reason":"busy"', True), ('"ok":true,"reason":""', False), ('"ok":true', False)],
)
async def test_the_verdict_notes_a_rebuild_that_a_forced_update_ignored(
    bench: Callable[..., Bench], answer: str, noted: bool
) -> None:
    made = bench()
    asked = f'{{"event":"check","at":5,"check":"idle",{answer}}}'
    leave(made, start("verify"), asked, end("verify", "ok"))
    notes = (await made.session.verdict(JOB, latest_is(None))).notes
    assert any("the forced update went on" in note for note in notes) == noted


async def test_the_latest_commit_of_the_host_comes_before_the_clients(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    leave(made)
    assert (await made.session.verdict(JOB, latest_is(OLD))).kind == "updated"
    leave(made, latest=OLD)
    assert (await made.session.verdict(JOB, latest_is(NEW))).cause == "lock-behind"


async def test_verdict_without_a_latest_commit_proves_nothing(bench: Callable[..., Bench]) -> None:
    made = bench()
    leave(made, latest=None)
    assert (await made.session.verdict(JOB, latest_is(None))).cause == "latest-unknown"
    assert (await made.session.verdict(JOB, latest_is(NEW))).kind == "updated"


async def test_a_job_that_left_flake_lock_alone_is_measured_against_its_commit(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    newest = "3" * 40
    made.copy.write("plan.json", msgspec.json.encode({"plan": PLAN}))
    leave(made, latest=None)
    assert (await made.session.verdict(JOB, latest_is(newest))).cause == "lock-behind"
    locked = msgspec.structs.replace(PLAN, options=Options(as_locked=True))
    made.copy.write("plan.json", msgspec.json.encode({"plan": locked}))
    verdict = await made.session.verdict(JOB, latest_is(newest))
    assert verdict.kind == "updated"
    assert f"the latest commit of nixfleet is {newest[:7]}" in verdict.notes[0]


async def test_a_proof_can_be_measured_against_the_locked_commit(
    bench: Callable[..., Bench],
) -> None:
    made = bench(says(AFTER), says(AFTER))
    _, verdict = await made.session.verify(latest_is("3" * 40), as_locked=True)
    assert (verdict.kind, verdict.cause) == ("current", "")


async def test_an_input_that_only_nix_may_fetch_is_proven_without_its_latest_commit(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    leave(
        made,
        '{"event":"check","at":1,"check":"input","ok":true,"reason":"refused"}',
        latest=None,
    )
    for answer in (None, NotKnown("the client may not ask", "give it a token")):
        verdict = await made.session.verdict(JOB, latest_is(answer))
        assert verdict.kind == "updated"
        assert "nixfleet could not be asked: its repository refuses git" in verdict.sentence
    # the operator's own credentials may open it
    assert (await made.session.verdict(JOB, latest_is(NEW))).kind == "updated"
    assert (await made.session.verdict(JOB, latest_is(OLD))).cause == "lock-behind"


async def test_the_failed_steps_own_words_name_the_cause(bench: Callable[..., Bench]) -> None:
    noise = b"error: writing to file: No space left on device\n"
    said = b"fatal: Not possible to fast-forward, aborting.\n"
    made = bench()
    leave(
        made,
        *(start("preflight"), end("preflight", "ok", len(noise))),
        start("pull", len(noise)),
        end("pull", "failed", len(noise + said), rc=128),
        end("update", "skipped", len(noise + said)),
        outcome="failed",
        log=noise + said + noise,
        after=BEFORE,
    )
    verdict = await made.session.verdict(JOB, latest_is(NEW))
    assert (verdict.kind, verdict.cause) == ("failed", "diverged")


async def test_the_verdict_tells_the_changes_that_the_host_kept(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    leave(made)
    made.copy.write("changes", "glibc: 1 → 2, \x1b[31;1m+1.0 KiB\x1b[0m\n".encode())
    agent, glibc = (await made.session.verdict(JOB, latest_is(NEW))).changes
    assert (agent.name, agent.before, agent.after) == ("nixfleet-agent", "2.1.0", "2.2.0")
    assert (glibc.name, glibc.size) == ("glibc", 1024)


@pytest.mark.parametrize(
    ("steps", "note", "cause"),
    [
        ([("commit", "ok", "")], "committed, but not pushed", ""),
        ([("commit", "ok", ""), ("push", "ok", "")], "committed and pushed", ""),
        ([("commit", "ok", ""), ("push", "failed", "refused")], "not committed", "push-refused"),
        ([("commit", "ok", ""), ("push", "failed", "others")], "not pushed", "push-failed"),
        ([("commit", "failed", "signing"), ("push", "skipped", "")], "not committed",
         "commit-failed"),
        ([("commit", "skipped", "")], "not committed", ""),
    ],
    ids=["committed", "pushed", "refused", "others", "no name", "skipped"],
)  # fmt: skip
async def test_the_verdict_tells_what_became_of_flake_lock(
    bench: Callable[..., Bench], steps: list[tuple[str, str, str]], note: str, cause: str
) -> None:
    made = bench()
    nodes = {"root": {"inputs": {"nixfleet": "n"}}, "n": {"locked": {"rev": OLD}}}
    head = json.dumps({"nodes": nodes, "root": "root", "version": 7})
    after = seen(NEW_AGENT, NEW, "/new", **{"checkout_head-lock": head})
    leave(made, *(end(step, how, reason=why) for step, how, why in steps), after=after)
    verdict = await made.session.verdict(JOB, latest_is(NEW))
    assert (verdict.kind, verdict.cause) == ("updated", cause)
    assert note in verdict.notes[0].partition(":")[0] + verdict.notes[0].partition(".")[0]


async def test_a_refusal_names_the_check(bench: Callable[..., Bench]) -> None:
    made = bench()
    check = '{"event":"check","check":"pull","at":1,"ok":false,"reason":"diverged"}'
    leave(
        made,
        start("preflight"),
        check,
        end("preflight", "failed", rc=1, reason="pull"),
        outcome="failed",
        after=None,
    )
    verdict = await made.session.verdict(JOB, latest_is(NEW))
    assert (verdict.kind, verdict.cause) == ("failed", "preflight-pull")
    assert "diverged" in verdict.sentence


@pytest.mark.parametrize("outcome", ["interrupted", None, "something new"])
async def test_a_job_without_a_result_was_interrupted_in_its_last_step(
    bench: Callable[..., Bench], outcome: str | None
) -> None:
    made = bench()
    leave(made, start("pull"), end("pull", "ok"), start("rebuild"), outcome=outcome, after=None)
    verdict = await made.session.verdict(JOB, latest_is(NEW))
    assert verdict.kind == "interrupted"
    assert "step rebuild" in verdict.sentence


@pytest.mark.parametrize("size", [10**15, 10**9, 5])
async def test_offsets_beyond_the_log_cause_no_error(
    bench: Callable[..., Bench], size: int
) -> None:
    made = bench()
    begin = min(size, 10**15)
    leave(
        made,
        start("pull", begin),
        end("pull", "failed", size, rc=1),
        outcome="failed",
        log=b"x\n",
        after=BEFORE,
    )
    assert (await made.session.verdict(JOB, latest_is(NEW))).cause == "pull-failed"


@pytest.mark.parametrize("damage", [b"", b"\xff", b"nixfleet-probe 1\nx", b"x" * 5_000_000])
async def test_a_damaged_look_counts_as_missing(bench: Callable[..., Bench], damage: bytes) -> None:
    made = bench()
    leave(made, after=damage)
    assert (await made.session.verdict(JOB, latest_is(NEW))).cause == "proof-missing"


async def test_a_damaged_result_is_no_success(bench: Callable[..., Bench]) -> None:
    made = bench()
    leave(made)
    made.copy.write("result", b'{"outcome":')
    assert (await made.session.verdict(JOB, latest_is(NEW))).kind == "interrupted"


def test_the_usual_times_of_steps_come_from_followed_jobs(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    assert made.session.usual(PLAN) == Usual()
    for number in range(RECENT + 5):
        copy = made.session.copies.job("csb0", f"20261123-0041{number:02}-ab12")
        began = f'{{"event":"step-start","step":"pull","at":{900 if number < 5 else 990},"log":0}}'
        ended = '{"event":"step-end","step":"pull","at":1000,"status":"ok","log":0}'
        copy.write("events", f"{began}\n{ended}\n".encode())
    made.session.copies.job("csb0", JOB).prepare()  # this job has no events yet
    assert made.session.usual(PLAN) == Usual({"pull": 10})
    assert made.shell.ran == []


def test_the_usual_rest_and_builds_come_from_jobs_with_the_same_steps_that_were_done(
    bench: Callable[..., Bench],
) -> None:
    made = bench()
    first, second, third = (
        made.session.copies.job("csb0", f"20261123-00410{number}-ab12") for number in range(3)
    )
    keep(first, BuildTime("gcc-13", "gcc", 900), BuildTime("git-2.46", "git", 8))
    assert made.session.usual(PLAN) == Usual({"pull": 10}, {}, {"gcc": 900, "git": 8})
    keep(second, BuildTime("git-2.47", "git", 9))
    usual = Usual({"pull": 10}, {"pull": 40}, {"gcc": 900, "git": 9})
    assert made.session.usual(PLAN) == usual
    keep(third, plan=msgspec.structs.replace(PLAN, steps=(*PLAN.steps, *PLAN.steps)))
    assert made.session.usual(PLAN) == usual
    assert made.session.usual(msgspec.structs.replace(PLAN, steps=())).rest == {}
    assert made.shell.ran == []


async def test_only_the_shell_gets_the_password(bench: Callable[..., Bench]) -> None:
    made = bench()
    made.session.give_password("secret")
    async with made.shell.password.tried() as password:
        assert password == "secret"
