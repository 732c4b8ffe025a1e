"""launchd: what its description of a job says, and how the agent is loaded and unloaded.

tests/samples/launchctl has launchctl's output by version, as public reports show it.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Mac = Callable[..., subprocess.CompletedProcess[str]]

LABEL: Final = "com.nixfleet.agent"
SAMPLES: Final = Path(__file__).parents[1] / "samples" / "launchctl"
AGENT: Final = "/nix/store/4k9x2c7v1hq0pz8m3n6w5d2j7r1s0b4g-nixfleet-agent-3.1.5/bin/nixfleet-agent"

LAUNCHCTL: Final = """#!/bin/sh
# In $LAUNCHD: `domains` are there, `domain` has the job `label`, and `pid` is its process. `taken`
# counts the bootstraps that still find the label taken. With `pends`, a bootstrap starts nothing;
# with `begins`, the job `new` begins. `described` is the description, or else an old agent's.
cd "$LAUNCHD" || exit
echo "$*" >>asked
case $1 in
  print)
    if grep -qx "$2" domains; then exit 0; fi
    [ "$2" = "$(cat domain)/$(cat label)" ] || exit 113
    if [ -s pid ]; then printf '\\tpid = %s\\n' "$(cat pid)"; fi
    if [ -e described ]; then cat described; else printf '\\tprogram = /old\\n'; fi
    ;;
  bootout) : >domain ;;
  bootstrap)
    if ! grep -qx "$2" domains; then echo 'Bootstrap failed: 125' >&2; exit 125; fi
    left=$(cat taken 2>/dev/null || echo 0)
    if [ "$left" -gt 0 ] || [ -s domain ]; then
      echo "$((left - 1))" >taken
      echo 'Bootstrap failed: 5: Input/output error' >&2
      exit 5
    fi
    echo "$2" >domain
    if [ -e pends ]; then : >pid; else echo 4194305 >pid; fi
    if [ -e begins ]; then : >new/events; fi
    ;;
  kickstart) echo 4194305 >pid ;;
esac
"""
SLEEP: Final = """#!/bin/sh
# The file `end-after` says after how many waits the agent's process ends.
echo . >>"$LAUNCHD/slept"
if [ "$(wc -l <"$LAUNCHD/slept")" -eq "$(cat "$LAUNCHD/end-after" 2>/dev/null || echo 0)" ]; then
  kill -KILL "$(cat "$LAUNCHD/pid")"
fi
"""
RUNNER: Final = f"""NF_UID=501 NF_UNIT={LABEL} NF_MANAGER=launchd
NF_RUN=$LAUNCHD/run NF_LOG=$LAUNCHD/log HOME=$LAUNCHD
nf_run() {{ true & nf_quietly_pid=$!; wait; "$@"; }}
nf_say() {{ echo "$*" >>"$NF_LOG"; }}
"""


@pytest.fixture
def mac(tmp_path: Path, shell: tuple[str, ...]) -> Mac:
    """Run a call on a Mac whose launchd is the stand-in above. The state is in `tmp_path`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tmp_path / "run").mkdir()
    for name, text in (
        ("launchctl", LAUNCHCTL),
        ("sleep", SLEEP),
        ("plutil", "#!/bin/sh\nexit 1\n"),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "domains").write_text("gui/501\nuser/501\n")
    (tmp_path / "domain").touch()
    (tmp_path / "pid").touch()
    (tmp_path / "label").write_text(LABEL)

    def run(call: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        platform = {"NF_PLATFORM_GIVEN": "home-manager"}
        parts = ("service", "launchd", "preflight", "launch")
        script = compose(*parts, root="", call=RUNNER + call, values=platform)
        return subprocess.run(
            [*shell, "-c", script],
            input=stdin,
            env={
                "PATH": f"{tools}:{os.environ['PATH']}",
                "LAUNCHD": str(tmp_path),
                "HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def put_plist(home: Path, text: str) -> None:
    plist = home / "Library/LaunchAgents" / f"{LABEL}.plist"
    plist.parent.mkdir(parents=True, exist_ok=True)
    plist.write_text(text)


def session(types: str) -> str:
    """A plist for these types of sessions."""
    key = f"<key>LimitLoadToSessionType</key>{types}" if types else ""
    return f"<plist><dict><key>Label</key><string>{LABEL}</string>{key}</dict></plist>\n"


BACKGROUND: Final = session("<string>Background</string>")


def changes(home: Path) -> list[str]:
    """What launchctl was asked to change, without the plist's path."""
    asked = [line.split() for line in (home / "asked").read_text().splitlines()]
    return [" ".join(words[:2]) for words in asked if words[0] != "print"]


# Its description of a job.


@pytest.mark.parametrize(
    ("sample", "pid", "state", "pended"),
    [
        ("running", "4711", "running", ""),
        ("running-new", "4711", "running", ""),
        ("user-domain", "812", "running", ""),
        ("xpcproxy", "4712", "xpcproxy", ""),
        ("crash-loop", "", "spawn scheduled", ""),
        ("ex-config", "", "spawn scheduled", ""),
        ("pended", "", "not running", "speculative"),
        ("pended-low-power", "", "not running", "inefficient"),
    ],
)
def test_each_version_of_the_description_is_read(
    mac: Mac, sample: str, pid: str, state: str, pended: str
) -> None:
    """A coalition has a state of its own, and an argument of several lines looks like anything."""
    call = """printed=$(cat); say() { printf '%s\\n' "$printed" | "$@"; }
pended=$(say nf_value 'pended nondemand spawn')
printf '%s,' "$(say nf_pid_value)" "$(say nf_value state)" "$pended"
say nf_agent_paths"""
    text = (SAMPLES / f"print-{sample}.txt").read_text()
    hostile = text.replace("\t\t-c\n", "\t\t-c\n\tpid = 1\n\tstate = odd\n", 1)
    for printed in (text, hostile):
        done = mac(f"{call}\n", printed)
        assert done.stdout == f"{pid},{state},{pended},{AGENT}\n", done.stderr


# The session types of a plist.


@pytest.mark.parametrize(
    ("types", "domains"),
    [
        ("", ["gui/501"]),
        ("<string>Aqua</string>", ["gui/501"]),
        ("<string>Background</string>", ["user/501"]),
        (
            "<array>\n<string>Background</string>\n<string>Aqua</string>\n</array>",
            ["gui/501", "user/501"],
        ),
        ("<array><string>LoginWindow</string></array><string>Aqua</string>", []),
    ],
    ids=["none", "aqua", "background", "both", "login window"],
)
def test_the_plist_says_which_domain_takes_it(
    mac: Mac, tmp_path: Path, types: str, domains: list[str]
) -> None:
    put_plist(tmp_path, session(types))
    for there in (["gui/501", "user/501"], ["gui/501"], ["user/501"], []):
        (tmp_path / "domains").write_text("".join(f"{domain}\n" for domain in there))
        fitting = [domain for domain in domains if domain in there]
        assert mac("nf_agent_target\n").stdout.split() == fitting[:1]
        for was in fitting:
            assert mac(f"nf_agent_target {was}\n").stdout.split() == [was]


def test_the_agent_in_a_plist_of_several_lines_is_found(mac: Mac, tmp_path: Path) -> None:
    put_plist(tmp_path, (SAMPLES / "plutil-xml1.txt").read_text())
    assert mac("nf_plist_agent\n").stdout == f"{AGENT}\n"
    put_plist(tmp_path, f"<string>exec /bin/bash -c 'exec {AGENT}'</string>\n")
    assert mac("nf_plist_agent\n").stdout == f"{AGENT}\n"


# Loading and unloading.


@pytest.fixture
def agent(tmp_path: Path, mac: Mac) -> Iterator[subprocess.Popen[str]]:
    """A process that takes its time to end."""
    words = ("sh", "-c", "trap '' TERM; echo up; read -r never")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as started:  # type: ignore[call-overload]
        assert started.stdout.readline() == "up\n"
        reaper = threading.Thread(target=started.wait)
        reaper.start()
        (tmp_path / "pid").write_text(str(started.pid))
        yield started
        started.kill()
        reaper.join()


@pytest.mark.parametrize(("domain", "plist"), [("gui/501", session("")), ("user/501", BACKGROUND)])
def test_the_old_agent_is_gone_before_the_new_one_is_loaded(
    tmp_path: Path, mac: Mac, agent: subprocess.Popen[str], domain: str, plist: str
) -> None:
    """Even though each command has a process, too, and launchd is asked in between."""
    put_plist(tmp_path, plist)
    (tmp_path / "domain").write_text(domain)
    (tmp_path / "end-after").write_text("2")
    done = mac(
        "nf_launchd_start\n"
        f"if kill -0 {agent.pid} 2>/dev/null; then echo 'it lives still'; else echo gone; fi\n"
    )
    assert done.stdout == "gone\n", done.stderr
    assert changes(tmp_path) == [f"bootout {domain}/{LABEL}", f"bootstrap {domain}"]


@pytest.mark.parametrize(
    ("plist", "domain"),
    [(session("<array><string>Aqua</string><string>Background</string></array>"), "user/501"),
     (session(""), "gui/501")],
    ids=["where it was", "its plist has changed"],
)  # fmt: skip
def test_it_goes_back_where_it_was_if_its_plist_allows_it(
    tmp_path: Path, mac: Mac, plist: str, domain: str
) -> None:
    """The start is another step than the stop, and may be another process."""
    put_plist(tmp_path, plist)
    (tmp_path / "domain").write_text("user/501")
    assert mac("nf_launchd_unload\n").returncode == 0
    assert mac("nf_launchd_start\n").returncode == 0
    assert changes(tmp_path) == [f"bootout user/501/{LABEL}", f"bootstrap {domain}"]


def test_a_label_that_is_still_taken_is_tried_again(tmp_path: Path, mac: Mac) -> None:
    put_plist(tmp_path, session(""))
    (tmp_path / "taken").write_text("4")
    assert mac("nf_launchd_start\n").returncode == 0
    assert changes(tmp_path) == ["bootstrap gui/501"] * 5


def test_a_label_that_stays_taken_fails_in_the_end(tmp_path: Path, mac: Mac) -> None:
    put_plist(tmp_path, session(""))
    (tmp_path / "taken").write_text("100")
    assert mac("nf_launchd_start\n").returncode == 5
    assert changes(tmp_path) == ["bootstrap gui/501"] * 15
    assert "Bootstrap failed: 5: Input/output error" in (tmp_path / "log").read_text()


def test_an_agent_that_was_loaded_but_not_started_is_started(tmp_path: Path, mac: Mac) -> None:
    put_plist(tmp_path, BACKGROUND)
    (tmp_path / "pends").touch()
    assert mac("nf_launchd_start\n").returncode == 0
    assert changes(tmp_path) == ["bootstrap user/501", f"kickstart user/501/{LABEL}"]


def test_without_a_domain_that_takes_it_nothing_is_loaded(tmp_path: Path, mac: Mac) -> None:
    put_plist(tmp_path, session(""))
    (tmp_path / "domains").write_text("user/501\n")
    assert mac("nf_launchd_start\n").returncode == 1
    assert changes(tmp_path) == []
    assert "has no domain that takes" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("types", "there", "refused"),
    [
        ("", "gui/501\nuser/501\n", ""),
        ("", "user/501\n", "no-session"),
        ("<string>Background</string>", "user/501\n", ""),
        ("<string>Background</string>", "gui/501\n", "no-session"),
        ("", "", "no-session"),
    ],
    ids=["gui", "gui is missing", "user", "user is missing", "none"],
)
def test_a_job_that_could_not_load_the_agent_again_stops_before_it_unloads_it(
    tmp_path: Path, mac: Mac, types: str, there: str, refused: str
) -> None:
    """The plan has seen it, too, but somebody may have logged out since."""
    put_plist(tmp_path, session(types))
    (tmp_path / "domains").write_text(there)
    done = mac("nf_check_why=''; nf_check_unit; echo \"$? $nf_check_why\"\n")
    assert done.stdout == f"{1 if refused else 0} {refused}\n", done.stderr
    assert changes(tmp_path) == []


# The job of an update.

JOB: Final = "com.nixfleet.job"
LAUNCH: Final = """NF_CARRIER=launchd NF_STATE=$NF_RUN NF_JOB=$LAUNCHD/new
NF_USER=ops NF_STATE_HOME=$LAUNCHD NF_NICE=5
(start_launchd); echo "$?"
"""


@pytest.fixture
def launching(tmp_path: Path, mac: Mac) -> Path:
    """What the Mac has of a job that is about to be launched, `new`, and of an older one, `old`."""
    (tmp_path / "label").write_text(JOB)
    for job in ("new", "old"):
        (tmp_path / job).mkdir()
        (tmp_path / job / "run.sh").touch()
    (tmp_path / "described").write_text(f"\tpath = {tmp_path}/old/job.plist\n")
    return tmp_path


def test_a_job_that_does_not_begin_is_unloaded(launching: Path, mac: Mac) -> None:
    """Its folder is removed next: launchd must not start it after that."""
    assert mac(LAUNCH).stdout.splitlines()[-1] == "1"
    assert [words for words in changes(launching) if not words.startswith("kickstart")] == [
        *("bootstrap gui/501", f"bootout gui/501/{JOB}"),
        *("bootstrap user/501", f"bootout user/501/{JOB}"),
    ]
    assert "<string>Background</string>" in (launching / "new/job.plist").read_text()


@pytest.mark.parametrize("left", ["result", "nothing"])
def test_a_job_that_has_ended_or_lost_its_files_makes_room(
    launching: Path, mac: Mac, left: str
) -> None:
    (launching / "begins").touch()
    (launching / "domain").write_text("user/501")
    if left == "result":
        (launching / "old/result").touch()
    else:
        (launching / "old/run.sh").unlink()
    assert mac(LAUNCH).stdout == "0\n"
    assert changes(launching)[:2] == [f"bootout user/501/{JOB}", "bootstrap gui/501"]
    assert "Background" not in (launching / "new/job.plist").read_text()


def test_a_job_with_work_to_do_stays_and_gets_a_process(launching: Path, mac: Mac) -> None:
    (launching / "domain").write_text("gui/501")
    assert mac(LAUNCH).stdout == "1\n"
    assert changes(launching) == [f"kickstart gui/501/{JOB}"]


PRINTED = """gui/501/com.nixfleet.agent = {
	state = running
	arguments = {
		/bin/sh
		stdout path = /tmp/an argument
	}

	stdout path = /Users/ops/agent's log
	stderr path = {errors}
	environment = {
		stderr path => /tmp/nested
	}
}
"""
PLIST = """<dict>
	<key>ProgramArguments</key>
	<array>
		<string>&lt;key&gt;StandardErrorPath&lt;/key&gt;
	<string>/tmp/no</string>
	</array>
	<key>StandardErrorPath</key>
	<string>/Users/ops/a &amp; b.err</string>
	<key>StandardOutPath</key>
	<string>/Users/ops/a &amp; b.log</string>
</dict>
"""


def logs(mac: Mac) -> list[str]:
    """The files that the agent logs to, by launchd and by its plist."""
    done = mac("nf_launchd_logs\n")
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_agents_log_is_where_launchd_writes_it(tmp_path: Path, mac: Mac) -> None:
    put_plist(tmp_path, PLIST)
    (tmp_path / "domain").write_text("gui/501")
    (tmp_path / "described").write_text(PRINTED.replace("{errors}", "/tmp/agent.err"))
    assert logs(mac) == ["/tmp/agent.err", "/Users/ops/agent's log"]
    (tmp_path / "described").write_text(PRINTED.replace("{errors}", "/Users/ops/agent's log"))
    assert logs(mac) == ["/Users/ops/agent's log"]


def test_an_unloaded_agents_log_is_where_its_plist_says(tmp_path: Path, mac: Mac) -> None:
    put_plist(tmp_path, PLIST)
    assert logs(mac) == ["/Users/ops/a & b.err", "/Users/ops/a & b.log"]
    put_plist(tmp_path, "<dict>\n</dict>\n")
    assert logs(mac) == []
