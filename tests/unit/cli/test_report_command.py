"""`nixfleet report`: what it prints and saves, and how it ends."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from fakes import JOB, OFFLINE
from marked import SECRET

from nixfleet_core.errors import NoSuchJob, NotAllowed

if TYPE_CHECKING:
    from pathlib import Path

    from fake_fleet import Fleet


@pytest.fixture(autouse=True)
def _folders(fleet: Fleet, tmp_path: Path) -> None:
    for name, session in fleet.sessions.items():
        session.folder = tmp_path / "copies" / name
        session.folder.mkdir(parents=True)


def test_the_report_of_one_host_is_markdown(fleet: Fleet) -> None:
    folder = fleet.sessions["csb0"].folder
    (folder / "log.txt").write_text(f"first\nerror: \x1b[31mtoken ghp_{SECRET}\n")
    result = fleet.run("report", "csb0")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("# Incident report: `csb0`\n\n**Made**: ")
    assert "\n| Host | Verdict |" not in result.stdout
    assert "\n**Verdict**: updated: new\n" in result.stdout
    assert "\n> 2  error: token ‹redacted›\n```\n" in result.stdout
    assert not any(call.startswith(("launch", "cancel")) for call in fleet.sessions["csb0"].calls)


def test_the_report_of_several_hosts_begins_with_a_table(fleet: Fleet) -> None:
    fleet.sessions["csb1"].says["probe"] = OFFLINE
    fleet.sessions["csb1"].says["newest_job"] = OFFLINE
    result = fleet.run("report", "csb0", "csb1")
    assert result.exit_code == 5
    assert result.stderr == "csb1: No route to host\n  → is the host up, and the VPN?\n"
    table, _, hosts = result.stdout.partition("\n## `csb0`\n")
    assert table.startswith("# Incident report: 2 hosts\n")
    assert f"\n| `csb0` | updated | – | `?` | `{JOB}` | 1970-01-01 " in table
    assert "\n| `csb1` | nothing to tell | No route to host | – |" in table
    assert "\n## `csb1`\n\n**Nothing to tell**: No route to host\n" in hosts


def test_files_are_new_and_closed_to_others(fleet: Fleet, tmp_path: Path) -> None:
    page, text = tmp_path / "x.html", tmp_path / "x.md"
    result = fleet.run("report", "csb0", "-o", str(page), "-o", str(text))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"saved to {page}\nsaved to {text}\n"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert text.read_text().startswith("# Incident report")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (page, text)} == {0o600}
    printed = fleet.run("report", "csb0").stdout.splitlines()
    saved = text.read_text().splitlines()
    assert [line for line in printed if "**Made**" not in line] == [
        line for line in saved if "**Made**" not in line
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("csb0", "-o", "x.txt"), "the name must end in .md or .html"),
        (("csb0", "-o", "report"), "the name must end in .md or .html"),
        (("csb0", "-o", "{there}"), "is there already; nothing was written: choose another name"),
        (("csb0", "-o", "{link}"), "is there already"),
        (("csb0", "csb1", "--job", JOB), "--job is a job of one host"),
        (("csb0", "--job", "latest"), "job"),
        ((), "name the hosts to report on"),
        (("nobody",), "nobody"),
    ],
)
def test_a_wrong_command_line_asks_nobody(
    fleet: Fleet, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    there, link = tmp_path / "there.md", tmp_path / "link.html"
    there.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere.html")
    result = fleet.run("report", *(word.format(there=there, link=link) for word in words))
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert all(session.calls == [] for session in fleet.sessions.values())
    assert there.read_text() == "mine"
    assert not (tmp_path / "elsewhere.html").exists()


def test_a_file_that_cannot_be_written_is_an_error(fleet: Fleet, tmp_path: Path) -> None:
    result = fleet.run("report", "csb0", "-o", str(tmp_path / "no" / "x.md"))
    assert result.exit_code == 1
    assert "not saved: " in result.stderr
    assert "No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("says", "code", "why"),
    [
        ({"newest_job": None}, 1, "csb0 has had no job"),
        ({"fetch_plan": NoSuchJob("the host has no job x")}, 1, "the host has no job x"),
        ({"fetch_plan": NotAllowed("no sudo")}, 1, "log in as the one who started the job"),
        ({"fetch_plan": OFFLINE}, 5, "No route to host"),
    ],
)
def test_without_anything_to_tell_nothing_is_written(
    fleet: Fleet, tmp_path: Path, says: dict[str, object], code: int, why: str
) -> None:
    fleet.sessions["csb0"].says |= says
    target = tmp_path / "x.md"
    result = fleet.run("report", "csb0", "-o", str(target))
    assert (result.exit_code, result.stdout) == (code, "")
    assert why in result.stderr
    assert not target.exists()


def test_the_copy_of_a_host_that_is_away_is_told_and_said(fleet: Fleet) -> None:
    fleet.sessions["csb0"].says["probe"] = OFFLINE
    result = fleet.run("report", "csb0")
    assert result.exit_code == 0
    assert "csb0: The host does not answer (No route to host): " in result.stderr
    assert "\n- The host does not answer (No route to host): " in result.stdout
