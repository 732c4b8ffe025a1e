from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.facts.model import (
    Binary,
    Facts,
    LastJob,
    Rebuild,
    Running,
    System,
    Unit,
    version_label,
)
from nixfleet_core.facts.parse import PROBE_LIMIT, ProbeError, parse_probe, read_records
from nixfleet_core.nix.version import NixVersion

AGENT = "/nix/store/aja6zd00bn6bryagm78syj2xz14p60p6-nixfleet-agent-2.1.0"
REV = "1" * 40
LOCK = json.dumps(
    {
        "nodes": {"root": {"inputs": {"nixfleet": "n"}}, "n": {"locked": {"rev": REV}}},
        "root": "root",
        "version": 7,
    }
)


def answer(**records: str | bytes) -> bytes:
    """A probe's answer; `unit_load` stands for the key `unit.load`."""
    data = b"nixfleet-probe 1\n"
    for key, value in records.items():
        raw = value if isinstance(value, bytes) else value.encode()
        data += f"{key.replace('_', '.')} {len(raw)}\n".encode() + raw + b"\n"
    return data + b"end 0\n"


def probe(**records: str | bytes) -> Facts:
    return parse_probe(answer(**records))


def test_reads_values_of_any_bytes() -> None:
    values = {"a": "x\ny 3\nend 0\n", "b": "", "c": "é→"}
    assert read_records(answer(**values)) == values
    assert read_records(answer(a=b"\xff\x01")) == {"a": "\ufffd\x01"}


def test_a_greeting_before_and_noise_after_are_skipped() -> None:
    assert read_records(b"Welcome!\nto csb0\n" + answer(a="1") + b"bye\n") == {"a": "1"}


def test_an_answer_cut_off_anywhere_is_an_error() -> None:
    whole = answer(hostname="csb0", checkout_lock=LOCK)
    for size in range(len(whole) - len(b"end 0\n") + 1):
        with pytest.raises(ProbeError):
            read_records(whole[:size])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "did not answer"),
        (b"bash: not found\n", "did not answer"),
        (b"x nixfleet-probe 1\nend 0\n", "did not answer"),
        (b"nixfleet-probe 2\nend 0\n", "did not answer"),
        (b"nixfleet-probe 1\na\nend 0\n", "'a' has no length"),
        (b"nixfleet-probe 1\na -1\nx\nend 0\n", "'a' has no length"),
        (b"nixfleet-probe 1\na 999999999999\nx\nend 0\n", "'a' has no length"),
        (b"nixfleet-probe 1\na 1\nxy\nend 0\n", "'a' has the wrong length"),
        (b"nixfleet-probe 1\na 99\nx\nend 0\n", "'a' has the wrong length"),
        (b"nixfleet-probe 1\n" + b"x" * PROBE_LIMIT, "more than 4194304 bytes"),
    ],
    ids=range(10),
)
def test_a_malformed_answer_is_an_error(data: bytes, says: str) -> None:
    with pytest.raises(ProbeError, match=says):
        read_records(data)


@given(st.binary(), st.integers(0, 500))
def test_parser_survives_any_answer(noise: bytes, at: int) -> None:
    whole = answer(hostname="h", unit_load="loaded", unit_pid="x", nix="nix (Nix) 2")
    for data in (noise, whole[:at] + noise + whole[at:]):
        try:
            facts = parse_probe(data)
        except ProbeError:
            continue
        assert isinstance(facts, Facts)


def test_unseen_facts_are_missing_and_not_empty() -> None:
    assert probe() == Facts(hostname="", os="", platform="unknown")


def test_reads_the_host() -> None:
    facts = probe(
        hostname="csb0",
        os="NixOS 25.11",
        platform="nixos",
        machine="x86_64",
        user="ops",
        uid="1000",
        elevated="1",
        now="1784356753",
        boot="b-1",
        tools="git nix",
        nix="nix (Nix) 2.31.2",
        disk_free="1024",
        memory_free="2048",
        job_running="20261123-004101-ab12",
        job_last="20261122-004101-ab12",
        switch_running="1",
    )
    assert facts == Facts(
        hostname="csb0",
        os="NixOS 25.11",
        platform="nixos",
        machine="x86_64",
        user="ops",
        uid=1000,
        elevated=True,
        now=1784356753,
        boot="b-1",
        tools=frozenset({"git", "nix"}),
        nix=NixVersion("nix", (2, 31), "2.31.2"),
        disk_free_kib=1024,
        memory_free_kib=2048,
        job_running="20261123-004101-ab12",
        job_last="20261122-004101-ab12",
        switch_running=True,
    )


@pytest.mark.parametrize("bad", ["", "x", "1.5", "0x1", "9" * 30, "１"])
def test_malformed_numbers_count_as_missing(bad: str) -> None:
    facts = probe(uid=bad, now=bad, disk_free=bad, running_path="/x", running_started=bad)
    assert (facts.uid, facts.now, facts.disk_free_kib) == (-1, 0, None)
    assert facts.running is not None
    assert facts.running.started is None


@pytest.mark.parametrize("bad", ["-1", "253402300800", "9" * 18])
def test_times_outside_the_calendar_count_as_missing(bad: str) -> None:
    facts = probe(now=bad, running_path="/x", running_started=bad)
    assert facts.now == 0
    assert facts.running is not None
    assert facts.running.started is None


@pytest.mark.parametrize(
    ("load", "exists"), [("loaded", True), ("not-found", False), ("masked", False), ("", False)]
)
def test_a_unit_exists_when_it_can_be_started(load: str, *, exists: bool) -> None:
    unit = probe(unit_load=load).unit
    assert unit is not None
    assert unit.exists is exists


def test_reads_the_unit() -> None:
    facts = probe(
        unit_load="loaded",
        unit_active="active",
        unit_sub="running",
        unit_result="success",
        unit_pid="42",
        unit_restarts="3",
    )
    assert facts.unit == Unit("loaded", "active", "running", "success", 42, 3)
    assert facts.unit.is_up
    for down in (Unit("loaded", "active"), Unit("loaded", "activating", pid=42)):
        assert not down.is_up


@pytest.mark.parametrize("proof", ["exe", "script", "other", "claimed"])
def test_reads_the_running_agent(proof: str) -> None:
    facts = probe(
        unit_pid="42",
        running_path=f"{AGENT}/bin/nixfleet-agent",
        running_proof=proof,
        running_started="1784356753",
        running_sha256="a" * 64,
    )
    binary = Binary(f"{AGENT}/bin/nixfleet-agent", "2.1.0", "a" * 64)
    assert facts.running == Running(binary, proof, 42, 1784356753)  # type: ignore[arg-type]


def test_an_unknown_kind_of_proof_is_a_claim() -> None:
    running = probe(running_path="/x", running_proof="certain").running
    assert running is not None
    assert running.proof == "claimed"


def test_a_version_comes_from_the_store_path_alone() -> None:
    facts = probe(installed_path=f"{AGENT}/bin/nixfleet-agent", installed_said="9.9.9")
    assert facts.installed is not None
    assert facts.installed.version == "2.1.0"


def test_a_wrapper_is_run_by_itself_and_by_what_it_starts() -> None:
    inner = AGENT.replace("agent-", "agent-unwrapped-")
    facts = probe(installed_path=f"{AGENT}/bin/a", installed_starts=f"{inner} /nix/store/x")
    assert facts.installed is not None
    assert facts.installed.starts == (inner, "/nix/store/x")
    runs = (f"{AGENT}/bin/.a-wrapped", f"{inner}/bin/a", f"{inner}x/bin/a", "/usr/bin/a")
    assert [facts.installed.is_run_by(Binary(path)) for path in runs] == [True, True, False, False]


@pytest.mark.parametrize(
    ("pid", "program", "known"),
    [("4711", "nixos-rebuild", True), ("0", "x", False), ("-1", "x", False), ("x", "x", False),
     ("1", "", False), ("1", "a b", False), ("1", "[@click=app.quit]", False)],
)  # fmt: skip
def test_a_rebuild_has_a_process_and_a_plain_name(pid: str, program: str, known: bool) -> None:
    found = probe(busy_pid=pid, busy_program=program, busy_of="root").rebuild
    assert found == (Rebuild(4711, "nixos-rebuild") if known else None)


def test_a_rebuild_is_the_agents_or_anothers_and_may_be_a_unit() -> None:
    unit = {"busy_program": "nixos-upgrade"}
    assert probe(**unit, busy_of="root").rebuild == Rebuild(None, "nixos-upgrade")
    assert probe(**unit, busy_of="user").rebuild == Rebuild(None, "nixos-upgrade", is_claimed=True)
    for of in ({}, {"busy_of": "agent"}):  # older looks know no other
        assert probe(**unit, **of).rebuild == Rebuild(None, "nixos-upgrade", is_agents=True)


@pytest.mark.parametrize("sha", ["", "a" * 63, "A" * 64, "a" * 64 + "\n", "x" * 64])
def test_a_hash_is_64_hex_digits(sha: str) -> None:
    facts = probe(expected_path=AGENT, expected_sha256=sha)
    assert facts.expected == Binary(AGENT, "2.1.0")


@pytest.mark.parametrize(
    ("path", "label"),
    [
        (AGENT, "2.1.0"),
        (f"{AGENT}/bin/nixfleet-agent", "2.1.0"),
        (AGENT.replace("2.1.0", "v3.1.5-dirty"), "3.1.5-dirty"),
        (AGENT.replace("-2.1.0", ""), None),
        (AGENT.replace("nixfleet-agent", "bash"), None),
        ("/usr/bin/nixfleet-agent-2.1.0", None),
    ],
)
def test_a_label_is_a_store_paths_version(path: str, label: str | None) -> None:
    assert version_label(path) == label


def test_programs_are_compared_by_their_store_path() -> None:
    assert Binary(f"{AGENT}/bin/a").identity == Binary(f"{AGENT}/libexec/b").identity == AGENT
    assert Binary("/usr/bin/a").identity == "/usr/bin/a"
    assert Binary("/usr/bin/a").store_path is None


@pytest.mark.parametrize(
    ("link", "generation"),
    [
        ("system-412-link", 412),
        ("/x/home-manager-7-link", 7),
        ("system", None),
        ("-9-linked", None),
    ],
)
def test_a_generation_is_read_from_the_profiles_link(link: str, generation: int | None) -> None:
    facts = probe(system_current="/c", system_profile="/p", system_link=link)
    assert facts.system == System("/c", "/p", generation)


HASH = "0" * 40
STATUS = f"""\
# branch.oid {REV}
# branch.head main
# branch.upstream origin/main
# branch.ab +0 -1
# stash 3
1 .M N... 100644 100644 100644 {HASH} {HASH} flake.lock
2 R. N... 100644 100644 100644 {HASH} {HASH} R100 new name\told name
u UU N... 100644 100644 100644 100644 {HASH} {HASH} {HASH} both
? a b
! ignored
"""


def test_reads_the_checkout() -> None:
    checkout = probe(
        checkout_path="/home/ops/nixcfg",
        checkout_state="ok",
        checkout_owner="ops",
        checkout_status=STATUS,
        checkout_lock=LOCK,
    ).checkout
    assert checkout is not None
    assert (checkout.path, checkout.state, checkout.owner) == ("/home/ops/nixcfg", "ok", "ops")
    assert (checkout.branch, checkout.upstream, checkout.head) == ("main", "origin/main", REV)
    assert (checkout.ahead, checkout.behind) == (0, 1)
    assert checkout.dirty == ("flake.lock", "new name", "both", "a b")
    assert checkout.lock is not None
    assert (checkout.lock.names(), checkout.lock_error) == (("nixfleet",), None)


def test_a_checkout_on_no_branch_without_upstream() -> None:
    status = f"# branch.oid {REV}\n# branch.head (detached)\n"
    checkout = probe(checkout_path="/x", checkout_state="ok", checkout_status=status).checkout
    assert checkout is not None
    assert (checkout.state, checkout.branch, checkout.upstream) == ("ok", None, None)
    assert checkout.dirty == ()


def test_a_repository_without_a_commit_is_said_to_be_that() -> None:
    status = "# branch.oid (initial)\n# branch.head main\n"
    checkout = probe(checkout_path="/x", checkout_state="ok", checkout_status=status).checkout
    assert checkout is not None
    assert (checkout.state, checkout.head) == ("no-commit", None)


def test_a_checkout_of_unknown_state_is_unreadable() -> None:
    checkout = probe(checkout_path="/x", checkout_state="odd").checkout
    assert checkout is not None
    assert checkout.state == "unreadable"


def test_a_broken_flake_lock_is_reported_and_breaks_nothing_else() -> None:
    facts = probe(checkout_path="/x", checkout_state="ok", checkout_lock=LOCK[:-5])
    assert facts.checkout is not None
    assert facts.checkout.lock is None
    assert "cannot be read" in (facts.checkout.lock_error or "")
    assert facts.lock_rev("nixfleet") is None


def test_reads_the_inputs_commit_in_flake_lock() -> None:
    facts = probe(checkout_path="/x", checkout_state="ok", checkout_lock=LOCK)
    assert facts.lock_rev("nixfleet") == REV
    assert facts.lock_rev("other") is None
    assert probe().lock_rev("nixfleet") is None


# What explains an old agent.


def test_reads_the_checkout_beside_ours() -> None:
    facts = probe(
        checkout_path="/a",
        other_path="/b",
        other_state="ok",
        other_status=STATUS,
        other_lock=LOCK,
        other_expected_path=f"{AGENT}/bin/agent",
    )
    assert facts.other is not None
    assert facts.checkout is not None
    assert (facts.checkout.path, facts.checkout.lock) == ("/a", None)
    assert (facts.other.path, facts.other.state, facts.other.head) == ("/b", "ok", REV)
    assert facts.other.lock is not None
    assert facts.other_expected == Binary(f"{AGENT}/bin/agent", "2.1.0")


@pytest.mark.parametrize(
    ("text", "branch"),
    [
        ("ref: refs/remotes/origin/main", "main"),
        ("ref: refs/remotes/up/feature/x\n", "feature/x"),
        (REV, None),
        ("", None),
    ],
)
def test_reads_the_remotes_own_branch(text: str, branch: str | None) -> None:
    checkout = probe(checkout_path="/x", checkout_default=text).checkout
    assert checkout is not None
    assert checkout.default_branch == branch


def test_reads_the_last_job() -> None:
    result = '{"format":1,"outcome":"failed","failed":"update","rc":65,"reason":"stale","ended":7}'
    job = probe(job_result=result, job_latest=f"{REV}\n", job_said="fatal: no\nmore").last_job
    assert job == LastJob("failed", "update", "stale", 65, REV, "fatal: no / more")


@pytest.mark.parametrize("bad", ["", "[]", '{"rc":"x"}', "{", "[" * 4096, '{"outcome":7}'])
def test_a_malformed_result_is_no_job(bad: str) -> None:
    assert probe(job_result=bad).last_job is None


def test_reads_the_booted_system_and_the_programs_install_time() -> None:
    facts = probe(
        system_booted="/nix/store/b",
        system_init="differs",
        installed_at="1784356753",
        journal="x" * 9000,
        checkout_path="/x",
        checkout_incoming="main",
    )
    assert facts.system == System(booted="/nix/store/b", needs_reboot=True)
    assert (facts.installed_at, facts.journal) == (1784356753, "x" * 500)
    assert facts.checkout is not None
    assert facts.checkout.incoming is None
