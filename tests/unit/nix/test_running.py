"""What Nix does at each place of its log.

The recordings are of one flake, with three versions of Nix, on a host whose cache is slow. Lines
that only repeat a number, and most of the numbers of a download, are left out of them.

| recording | what happened |
|---|---|
| work | two paths are downloaded and four derivations built, two at a time, by the daemon |
| waits | another Nix builds the same at the same time |
| retries | the cache answers 503 for the files of both paths; the build fails |
| ifd | an evaluation builds two derivations, since it imports from one; a third is built after it |
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.nix.activity import (
    Activity,
    BuildLine,
    Counts,
    DownloadSize,
    Message,
    Phase,
    PlainText,
    StartActivity,
    StartBuild,
    StartCopy,
    StartCounter,
    StartEvaluation,
    StartQuery,
    StartTransfer,
    StartWait,
    StopActivity,
    Tally,
    decode,
)
from nixfleet_core.nix.log_state import LogState
from nixfleet_core.nix.running import Built, Running, derivation_name, package_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")

SAMPLES = Path(__file__).parents[2] / "samples"
VERSIONS = ("2.8.0", "2.26.3", "2.34.8")
HASH = "aja6zd00bn6bryagm78syj2xz14p60p6"
AGENT = f"/nix/store/{HASH}-nixfleet-agent-2.1.0.drv"
GIT = f"/nix/store/{HASH}-git-2.47.2"
CACHE = "https://cache.nixos.org"
NAR = f"{CACHE}/nar/1mam7jgygkw8swrdyvmn3j03nkrncyqzhpiqdwzw718qw94xcaxp.nar.xz"
NARINFO = f"{CACHE}/{HASH}.narinfo"


def replay(recording: str) -> Iterator[Running]:
    """What runs after each line. It is the same object each time."""
    state, place = LogState(), 0
    for line in (SAMPLES / f"nix-{recording}.internal-json").read_bytes().splitlines(keepends=True):
        place += len(line)
        if (activity := decode(line.rstrip(b"\n"))) is not None:
            state.take(activity, place)
        yield state.running


def end_of(recording: str) -> Running:
    *_, running = replay(recording)
    return running


def seen(recording: str, look: Callable[[Running], _T]) -> list[_T]:
    """What a look finds after each line, without repetitions."""
    found: list[_T] = []
    for running in replay(recording):
        if (now := look(running)) not in found[-1:]:
            found.append(now)
    return found


def after(*activities: Activity) -> Running:
    """Each line of this log has ten bytes."""
    running = Running()
    for number, activity in enumerate(activities, 1):
        running.take(activity, 10 * number)
    return running


def is_idle(running: Running) -> bool:
    runs = (running.builds, running.downloads, running.waits, running.queries, running.others)
    left = (running.announced, running._files, running.waiting)
    return not any(runs) and not any(left) and running.fetched == Tally(0, 0)


# Recorded logs.


@pytest.mark.parametrize("version", VERSIONS)
def test_each_build_has_its_phases(version: str) -> None:
    phases: dict[str, list[str]] = {}
    for running in replay(f"{version}-work"):
        for build in running.builds.values():
            known = phases.setdefault(derivation_name(build.drv_path), [])
            if build.phase not in known[-1:]:
                known.append(build.phase)
    work = ["", "unpackPhase", "buildPhase"]
    assert phases == {
        **{f"work-{number}-0.{number}": work for number in range(3)},
        "all-9": ["", "installPhase"],
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_builds_that_ended_are_known_with_their_places(version: str) -> None:
    built = list(end_of(f"{version}-work").built)
    assert [(build.package, build.name) for build in built] == [
        ("work", "work-0-0.0"),
        ("work", "work-1-0.1"),
        ("work", "work-2-0.2"),
        ("all", "all-9"),
    ]
    assert all(0 < build.begin < build.end for build in built)
    assert [build.end for build in built] == sorted(build.end for build in built)
    log = (SAMPLES / f"nix-{version}-work.internal-json").read_bytes()
    for build in built:
        for place, action in ((build.begin, b'"start"'), (build.end, b'"stop"')):
            last = log[:place].splitlines()[-1]
            assert log[:place].endswith(b"\n")
            assert b'"action":' + action in last


@pytest.mark.parametrize("version", VERSIONS)
def test_a_download_counts_its_files_bytes(version: str) -> None:
    largest: dict[str, Tally] = {}
    for running in replay(f"{version}-work"):
        for download in running.downloads.values():
            assert re.fullmatch(r"http://[0-9.:]+", download.source)
            largest[derivation_name(download.what)] = download.bytes
    assert largest == {
        "big-1-1.2.3": Tally(3000324, 3000324),
        "big-2-1.2.3": Tally(6000476, 6000476),
    }


@pytest.mark.parametrize("recording", ["work", "ifd"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_question_to_a_cache_is_no_download(version: str, recording: str) -> None:
    whats = {what for shown in seen(f"{version}-{recording}", _downloads) for what in shown}
    assert {derivation_name(what).partition("-")[0] for what in whats} == (
        {"big"} if recording == "work" else set()
    )
    asked = max(seen(f"{version}-{recording}", lambda running: len(running.queries)))
    assert asked == (0 if recording == "work" else 1)


def _downloads(running: Running) -> tuple[str, ...]:
    return tuple(download.what for download in running.downloads.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_all_bytes_are_counted_until_the_worker_ends(version: str) -> None:
    *fetched, last = seen(f"{version}-work", lambda running: running.fetched)
    assert fetched[-1] == Tally(9000800, 9000800)
    assert last == Tally(0, 0)
    assert [tally.done for tally in fetched] == sorted(tally.done for tally in fetched)
    assert len({tally.done for tally in fetched}) > 10


@pytest.mark.parametrize("recording", ["work", "waits", "retries", "ifd"])
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_runs_at_a_logs_end(version: str, recording: str) -> None:
    assert is_idle(end_of(f"{version}-{recording}"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_build_waits_while_another_nix_builds_the_same(version: str) -> None:
    waits = seen(f"{version}-waits", lambda running: [wait.text for wait in running.waits.values()])
    assert (waits[0], waits[-1]) == ([], [])
    texts = {text for texts in waits for text in texts}
    assert len(texts) > 1
    assert all("waiting for lock on " in text for text in texts)
    assert any("-work-0-0.0'" in text for text in texts)


@pytest.mark.parametrize("recording", ["work", "waits"])
@pytest.mark.parametrize(("version", "most"), [("2.8.0", 6), ("2.26.3", 4), ("2.34.8", 4)])
def test_the_builds_that_have_not_begun_are_counted(
    version: str, most: int, recording: str
) -> None:
    """Nix 2.8 does not name them; its count has the two downloads, too."""
    counts = seen(f"{version}-{recording}", lambda running: running.waiting)
    assert (counts[0], max(counts), counts[-1]) == (0, most, 0)


@pytest.mark.parametrize(
    ("version", "waits"),
    [
        ("2.8.0", [306, 700, 287, 502]),
        ("2.26.3", [257, 319, 628, 636]),
        ("2.34.8", [271, 304, 528, 544]),
    ],
)
def test_a_download_that_is_tried_again_is_seen(version: str, waits: list[int]) -> None:
    retries = end_of(f"{version}-retries").retries
    assert [retry.wait for retry in retries] == waits
    for retry in retries:
        assert "HTTP error" in retry.why
        assert "503" in retry.why
        assert "\n" not in retry.why
    assert [retry.since for retry in retries] == sorted({retry.since for retry in retries})


@pytest.mark.parametrize("version", ["2.26.3", "2.34.8"])
def test_what_an_evaluation_builds_runs_inside_it(version: str) -> None:
    inside = seen(
        f"{version}-ifd",
        lambda running: (
            [derivation_name(build.drv_path) for build in running.builds.values()],
            [other.text for other in running.others.values()][:1],
        ),
    )
    evaluation = ["evaluating derivation 'path:/root/f#ifd'"]
    assert [pair for pair in inside if pair[0]] == [
        (["big-7-1.2.3"], evaluation),
        (["work-7-0.7"], evaluation),
        (["ifd-1"], []),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_evaluation_has_built_stays_known(version: str) -> None:
    names = [build.name for build in end_of(f"{version}-ifd").built]
    assert names == ["big-7-1.2.3", "work-7-0.7", "ifd-1"]


# Invented activities.


def build(number: int, drv_path: str = AGENT, machine: str = "") -> StartBuild:
    return StartBuild(3, "building", number, drv_path, machine)


def copying(number: int, path: str = GIT, source: str = CACHE) -> StartCopy:
    return StartCopy(3, "copying", number, path, source)


def transfer(number: int, parent: int = 0, url: str = NAR) -> StartTransfer:
    return StartTransfer(4, "downloading", number, url, parent)


def other(number: int, text: str = "copying '/c' to the store") -> StartActivity:
    return StartActivity(4, text, number)


def announced(drv_path: str = AGENT) -> Message:
    return Message(3, f"  {drv_path}")


BUILDS = StartCounter(0, "", 90, "builds")
COPIES = StartCounter(0, "", 91, "copies")
WAIT = StartWait(1, "waiting for lock on 'x'", 80)
QUERY = StartQuery(4, "querying info about 'x'", 70)
AGAIN = Message(1, f"warning: unable to download '{NAR}': HTTP error 503; retrying in 300 ms")
ALL = (BUILDS, build(1), copying(2), transfer(3, 2), WAIT, QUERY, other(4), announced(GIT + ".drv"))


def test_builds_run_until_they_stop() -> None:
    labels = {
        number: one.label for number, one in after(build(1), build(2, "x.drv")).builds.items()
    }
    assert labels == {1: b"nixfleet-agent", 2: b"x"}
    assert list(after(build(1), build(2), StopActivity(1)).builds) == [2]
    assert after(build(1), build(1, "x.drv")).builds[1].label == b"x"


def test_a_build_has_its_machine_its_phase_and_its_place() -> None:
    running = after(PlainText(b"x"), build(1, machine="ssh://build2"), Phase(1, "unpackPhase"))
    (one,) = running.builds.values()
    assert (one.drv_path, one.machine, one.phase, one.since) == (
        *(AGENT, "ssh://build2", "unpackPhase", 20),
    )
    running.take(Phase(1, "buildPhase"), 40)
    assert one.phase == "buildPhase"
    running.take(StopActivity(1), 50)
    assert list(running.built) == [Built("nixfleet-agent", "nixfleet-agent-2.1.0", 20, 50)]


@pytest.mark.parametrize(
    "activity",
    [
        StopActivity(7),
        StopActivity(90),
        StopActivity(-1),
        Phase(7, "buildPhase"),
        Phase(2, "buildPhase"),
        Counts(5, 9, 7),
        Counts(5, 9, 1),
        BuildLine(1, "x", post=False),
        BuildLine(7, "x", post=False),
        PlainText(b"  " + AGENT.encode()),
        Message(3, "x"),
        COPIES,
        transfer(7, 70),
        transfer(7, url=NARINFO),
        transfer(7, url=f"{CACHE}/nix-cache-info"),
        other(7, ""),
    ],
    ids=range(16),
)
def test_what_is_unknown_or_asks_a_cache_changes_nothing(activity: Activity) -> None:
    known = (build(1), copying(2), QUERY)
    assert after(*known, activity) == after(*known)


def test_a_copy_without_a_file_counts_its_own_bytes() -> None:
    """So it is with another store, over ssh or in a folder."""
    counted = (copying(1, source="ssh://store"), Counts(10, 40, 1))
    assert after(*counted).downloads[1].bytes == Tally(10, 40)
    assert after(*counted).fetched == Tally(10, 40)
    assert after(*counted, StopActivity(1)).fetched == Tally(10, 10)


def test_a_copy_with_a_file_counts_the_files_bytes() -> None:
    """The file is compressed: the path's own bytes are more."""
    begun = (copying(1), transfer(2, 1), Counts(90, 400, 1), Counts(10, 40, 2))
    assert after(*begun).fetched == Tally(10, 40)
    assert list(after(*begun).downloads) == [1]
    done = (Counts(40, 40, 2), StopActivity(2), Counts(400, 400, 1))
    assert after(*begun, *done).fetched == Tally(40, 40)
    assert after(*begun, *done, StopActivity(1)).fetched == Tally(40, 40)
    assert after(*begun, *done, StopActivity(1))._files == {}


def test_a_file_that_belongs_to_no_path_is_a_download() -> None:
    url = "https://github.com/NixOS/nixpkgs/archive/1.tar.gz"
    running = after(transfer(1, url=url), Counts(10, 0, 1))
    (download,) = running.downloads.values()
    assert (download.what, download.source, download.bytes) == (url, "", Tally(10, 0))
    assert running.fetched == Tally(10, 10)
    ended = after(transfer(1), Counts(10, 0, 1), StopActivity(1))
    assert (ended.fetched, ended.downloads, ended._files) == (Tally(10, 10), {}, {})


def test_a_file_with_an_unknown_parent_goes_to_no_path() -> None:
    running = after(copying(1), transfer(2, parent=7))
    assert [one.file for one in running.downloads.values()] == [None, None]
    assert running.downloads[2].since == 20


def test_files_without_parents_go_to_the_paths_without_files_in_order() -> None:
    """So it is with Nix 2.8."""
    running = after(copying(1), copying(3), transfer(4), transfer(5), transfer(6))
    files = {number: one.file is not None for number, one in running.downloads.items()}
    assert files == {1: True, 3: True, 6: False}


@pytest.mark.parametrize("source", ["local", "daemon", ""])
def test_a_path_that_is_sent_to_another_machine_is_no_download(source: str) -> None:
    running = after(copying(1, source=source), Counts(10, 40, 1))
    assert (running.downloads, running.fetched) == ({}, Tally(0, 0))
    assert [one.text for one in running.others.values()] == ["copying"]
    assert is_idle(after(copying(1, source=source), StopActivity(1)))


def test_the_size_that_nix_expects_counts_if_it_is_larger() -> None:
    begun = (BUILDS, copying(1), Counts(10, 40, 1))
    assert after(*begun, DownloadSize(90, 100)).fetched == Tally(10, 100)
    assert after(*begun, DownloadSize(90, 100), DownloadSize(90, 5)).fetched == Tally(10, 40)
    assert after(*begun, Counts(50, 40, 1)).fetched == Tally(50, 50)


def test_waits_queries_and_others_run_until_they_stop() -> None:
    begun = (WAIT, QUERY, other(1), StartEvaluation(4, "evaluating", 2, "c#a"))
    running = after(*begun)
    assert [one.text for one in running.waits.values()] == [WAIT.text]
    assert running.queries == {70}
    assert [(one.text, one.since) for one in running.others.values()] == [
        *(("copying '/c' to the store", 30), ("evaluating", 40)),
    ]
    assert is_idle(after(*begun, *(StopActivity(number) for number in (1, 2, 70, 80))))


def test_announced_derivations_are_known_until_they_begin() -> None:
    names = (announced(), announced(f"{GIT}.drv"))
    assert list(after(*names, BUILDS).announced) == [AGENT, f"{GIT}.drv"]
    assert list(after(*names, BUILDS, build(1)).announced) == [f"{GIT}.drv"]
    assert after(*names, BUILDS, Counts(0, 5, 90), build(1)).waiting == 1
    next_one = (StopActivity(90), StartCounter(0, "", 95, "builds"), Counts(0, 5, 95))
    assert after(*names, BUILDS, *next_one).waiting == 5
    assert after(BUILDS, Counts(1, 5, 90), build(1)).waiting == 3
    assert after(BUILDS, Counts(5, 5, 90), build(1)).waiting == 0


@pytest.mark.parametrize(
    "text",
    [
        AGENT,
        f" {AGENT}",
        f"   {AGENT}",
        f"  {AGENT} ",
        f"  {AGENT}\n",
        f"  {AGENT}\n  {AGENT}",
        f"x\n  {AGENT}",
        f"  {AGENT}.bak",
        f"  {AGENT}/x.drv",
        f"  {GIT}",
        f"  /nix/store/{HASH}.drv",
        f"  /nix/store/{HASH[1:]}-x.drv",
        f"  /nix/store/{HASH.upper()}-x.drv",
        f"  /nix/store/{HASH}-.drv",
        f"  {HASH}-x.drv",
        f"  ssh://{AGENT}",
        "these 4 derivations will be built:",
    ],
)
def test_only_the_list_of_builds_announces_one(text: str) -> None:
    assert after(Message(3, text)).announced == {}


@pytest.mark.parametrize(
    ("text", "why", "wait"),
    [
        ("x; retrying in 300 ms", "x", 300),
        ("x; retrying in 528 ms (attempt 2/3)", "x", 528),
        ("x; retrying from offset 4096 in 0 ms", "x", 0),
        ("x; retrying from offset 4096 in 999999999 ms (attempt 2/5)", "x", 999_999_999),
        ("x\n\nresponse body:\n\nno; retrying in 300 ms", "x", 300),
        ("x; retrying in 1 ms; retrying in 2 ms", "x; retrying in 1 ms", 2),
        ("; retrying in 300 ms", "", 300),
    ],
)
def test_the_end_of_a_message_says_when_a_download_is_tried_again(
    text: str, why: str, wait: int
) -> None:
    (retry,) = after(Message(1, text)).retries
    assert (retry.why, retry.wait, retry.since) == (why, wait, 10)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "retrying in 300 ms",
        "x; retrying in 300 ms\n",
        "x; retrying in 300 ms.",
        "x; retrying in 300 ms (a) (b)",
        "x; retrying in 300 ms (",
        "x; retrying in 300 s",
        "x; retrying in -300 ms",
        "x; retrying in 3e2 ms",
        "x; retrying in 1234567890 ms",
        "x; retrying from offset  in 300 ms",
        "x\n\nresponse body:\n\n; retrying in 300 ms\n\nbye",
        "x; Retrying in 300 ms",
    ],
)
def test_no_other_message_is_a_retry(text: str) -> None:
    assert not after(Message(1, text)).retries


def test_a_builder_cannot_announce_or_retry() -> None:
    lines = (f"  {AGENT}", AGAIN.text)
    running = after(build(1), *(BuildLine(1, line, post=False) for line in lines))
    assert (running.announced, list(running.retries)) == ({}, [])


def test_the_next_worker_forgets_the_one_before() -> None:
    second = (announced(), StartCounter(0, "", 95, "builds"))
    running = after(*ALL, Counts(3, 9, 90), Counts(5, 9, 3), *second)
    assert (running.builds, running.downloads, running.waits, running._files) == ({}, {}, {}, {})
    assert list(running.announced) == [f"{GIT}.drv", AGENT]
    assert (running.waiting, running.fetched) == (0, Tally(0, 0))
    running.take(Counts(1, 9, 90), 200)
    assert running.waiting == 0
    running.take(Counts(1, 9, 95), 210)
    assert running.waiting == 2


def test_a_worker_that_ends_leaves_what_is_not_its_own() -> None:
    running = after(*ALL, StopActivity(90))
    assert (running.builds, running.downloads, running.waits) == ({}, {}, {})
    assert running.announced == {}
    assert (list(running.others), running.queries) == ([4], {70})


def test_a_copy_between_machines_begins_no_worker() -> None:
    assert after(*ALL, COPIES, StopActivity(91)) == after(*ALL)


def test_after_another_process_began_nothing_runs() -> None:
    running = after(*ALL, AGAIN, StopActivity(1))
    running.forget()
    assert is_idle(running)
    assert not running.retries
    assert [one.name for one in running.built] == ["nixfleet-agent-2.1.0"]


BEGIN: dict[str, Callable[[int], Activity]] = {
    "builds": build,
    "downloads": copying,
    "waits": lambda number: StartWait(1, "waiting", number),
    "others": other,
    "_files": transfer,
    "queries": lambda number: StartQuery(4, "querying", number),
    "announced": lambda number: announced(f"/nix/store/{HASH}-{number}.drv"),
    "retries": lambda number: Message(1, f"x; retrying in {number} ms"),
}


@pytest.mark.parametrize(
    ("what", "first", "last"),
    [
        *(("builds", 904, 4999), ("downloads", 904, 4999), ("waits", 904, 4999)),
        *(("others", 904, 4999), ("_files", 904, 4999)),
    ],
)
def test_of_too_many_the_oldest_are_forgotten(what: str, first: int, last: int) -> None:
    kept = list(getattr(after(*map(BEGIN[what], range(5000))), what))
    assert (kept[0], kept[-1], len(kept)) == (first, last, 4096)


def test_too_many_questions_and_names_are_not_kept() -> None:
    assert after(*map(BEGIN["queries"], range(5000))).queries == set(range(4096))
    named = after(*map(BEGIN["announced"], range(5000)), BUILDS, Counts(0, 6000, 90))
    assert len(named.announced) == 4096
    assert named.waiting == 6000


def test_the_last_of_many_builds_and_retries_are_kept() -> None:
    ended = [one for number in range(9000) for one in (build(number), StopActivity(number))]
    built = after(*ended).built
    assert (len(built), built[-1].end) == (8192, 180_000)
    retries = after(*map(BEGIN["retries"], range(100))).retries
    assert [retry.wait for retry in retries] == list(range(84, 100))


@pytest.mark.parametrize(
    "activity",
    [
        build(1, "d" * 9999, "m" * 9999),
        copying(1, "p" * 9999, "http://" + "s" * 9999),
        transfer(1, url="u" * 9999),
        StartWait(1, "w" * 9999, 1),
        other(1, "o" * 9999),
        announced(f"/nix/store/{HASH}-{'n' * 9999}.drv"),
        Message(1, "r" * 9999 + "; retrying in 1 ms"),
    ],
    ids=range(7),
)
def test_long_text_costs_little_memory(activity: Activity) -> None:
    running = after(activity, Phase(1, "f" * 9999))
    assert 500 < len(repr(running)) < 4096


@pytest.mark.parametrize(
    ("drv_path", "name"),
    [
        (AGENT, b"nixfleet-agent"),
        (f"/nix/store/{HASH}-lab-step-1.drv", b"lab-step"),
        (f"/nix/store/{HASH}-lab-smp-fail.drv", b"lab-smp-fail"),
        (f"/nix/store/{HASH}-gcc-wrapper-13.2.0.drv", b"gcc-wrapper"),
        ("/nix/store/.drv", b"unnamed"),
        ("", b"unnamed"),
        ("\ud800.drv", b"?"),
        ("n" * 1000, b"n" * 211),
    ],
)
def test_a_build_is_called_as_nix_calls_it(drv_path: str, name: bytes) -> None:
    assert package_name(drv_path) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [(AGENT, "nixfleet-agent-2.1.0"), (GIT, "git-2.47.2"), ("x.drv", "x"), ("", "unnamed")],
)
def test_a_path_is_shown_by_its_name(path: str, name: str) -> None:
    assert derivation_name(path) == name


ids = st.integers(0, 5)
texts = st.sampled_from(("", "x", NAR, NARINFO, AGENT, f"  {AGENT}", AGAIN.text))
activities: st.SearchStrategy[Activity] = st.one_of(
    st.builds(build, ids, texts, texts),
    st.builds(copying, ids, texts, texts),
    st.builds(transfer, ids, ids, texts),
    st.builds(other, ids, texts),
    st.builds(StartEvaluation, ids, texts, ids, texts),
    st.builds(StartQuery, ids, texts, ids),
    st.builds(StartWait, ids, texts, ids),
    st.builds(StartCounter, ids, texts, ids, st.sampled_from(("builds", "copies"))),
    st.builds(StopActivity, ids),
    st.builds(Counts, ids, ids, ids),
    st.builds(Phase, ids, texts),
    st.builds(DownloadSize, ids, ids),
    st.builds(BuildLine, ids, texts, st.booleans()),
    st.builds(Message, ids, texts),
)


@given(st.lists(activities, max_size=60))
def test_any_activities_can_be_taken_and_forgotten(taken: list[Activity]) -> None:
    running = Running()
    for place, activity in enumerate(taken):
        running.take(activity, place)
        fetched = running.fetched
        assert 0 <= fetched.done <= fetched.expected
        assert running.waiting >= 0
    assert all(one.begin <= one.end for one in running.built)
    running.forget()
    assert is_idle(running)
