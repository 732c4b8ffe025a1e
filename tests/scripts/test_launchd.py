"""The agent under launchd: it is gone when unloaded, and loaded again into its old domain."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.scripts.compose import compose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABEL = "com.nixfleet.agent"
STAND_INS = {
    # the file `domain` names the domain that has the agent; it is empty after a bootout
    "launchctl": """#!/bin/sh
echo "$*" >>"$LAUNCHD/asked"
case $1 in
  print)
    case $2 in gui/501 | user/501) exit 0 ;; esac
    [ "$2" = "$(cat "$LAUNCHD/domain")/com.nixfleet.agent" ] || exit 113
    printf '\\tpid = %s\\n\\tprogram = /old\\n' "$(cat "$LAUNCHD/pid")"
    ;;
  bootout) : >"$LAUNCHD/domain" ;;
  bootstrap) echo "$2" >"$LAUNCHD/domain" ;;
esac
""",
    # the agent ends during the second wait
    "sleep": """#!/bin/sh
echo . >>"$LAUNCHD/slept"
if [ "$(wc -l <"$LAUNCHD/slept")" -eq 2 ]; then kill -KILL "$(cat "$LAUNCHD/pid")"; fi
""",
}


@pytest.fixture
def agent() -> Iterator[subprocess.Popen[str]]:
    """A process that takes its time to end."""
    words = ("sh", "-c", "trap '' TERM; echo up; read -r never")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as started:  # type: ignore[call-overload]
        assert started.stdout.readline() == "up\n"
        reaper = threading.Thread(target=started.wait)
        reaper.start()
        yield started
        started.kill()
        reaper.join()


@pytest.mark.parametrize("domain", ["gui/501", "user/501"])
def test_the_old_agent_is_gone_before_the_new_one_is_loaded(
    tmp_path: Path, shell: tuple[str, ...], agent: subprocess.Popen[str], domain: str
) -> None:
    """Even though each command has a process, too, and launchd is asked in between."""
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "domain").write_text(domain)
    (tmp_path / "pid").write_text(str(agent.pid))
    call = f"""NF_UID=501 NF_UNIT={LABEL} NF_MANAGER=launchd
nf_run() {{ true & nf_quietly_pid=$!; wait; "$@"; }}
nf_launchd_start
if kill -0 {agent.pid} 2>/dev/null; then echo 'it lives still'; else echo gone; fi
"""
    platform = {"NF_PLATFORM_GIVEN": "home-manager"}
    script = compose("service", "launchd", root="", call=call, values=platform)
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = {"PATH": path, "LAUNCHD": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [*shell, "-s"], input=script, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "gone\n", done.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    changed = [line.rpartition(" ")[0] for line in asked if line.startswith("boot")]
    assert changed == ["bootout", f"bootstrap {domain}"]
    assert f"bootout {domain}/{LABEL}" in asked


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


def logs(folder: Path, shell: tuple[str, ...], *, loaded: str = "", plist: str = "") -> list[str]:
    """The files that the agent logs to, by launchd and by its plist."""
    (folder / "loaded").write_text(loaded)
    (folder / "plist").write_text(plist)
    printed = 'case $2 in *agent) [ -s "$LAUNCHD/loaded" ] && cat "$LAUNCHD/loaded" ;; esac'
    for name, text in {"launchctl": printed, "plutil": 'cat "$LAUNCHD/plist"'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    call = f"NF_UID=501 NF_UNIT={LABEL} NF_MANAGER=launchd\nnf_launchd_logs"
    platform = {"NF_PLATFORM_GIVEN": "home-manager"}
    script = compose("service", "launchd", root="", call=call, values=platform)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "LAUNCHD": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        [*shell, "-s"], input=script, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_agents_log_is_where_launchd_writes_it(tmp_path: Path, shell: tuple[str, ...]) -> None:
    loaded = PRINTED.replace("{errors}", "/tmp/agent.err")
    both = ["/tmp/agent.err", "/Users/ops/agent's log"]
    assert logs(tmp_path, shell, loaded=loaded, plist=PLIST) == both
    one = PRINTED.replace("{errors}", "/Users/ops/agent's log")
    assert logs(tmp_path, shell, loaded=one) == ["/Users/ops/agent's log"]


def test_an_unloaded_agents_log_is_where_its_plist_says(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    named = ["/Users/ops/a & b.err", "/Users/ops/a & b.log"]
    assert logs(tmp_path, shell, plist=PLIST) == named
    assert logs(tmp_path, shell, plist="<dict>\n</dict>\n") == []
