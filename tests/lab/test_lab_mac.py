"""The lab's host that is like a Mac: its tools, its shell, and launchd."""

from __future__ import annotations

import plistlib
import re
from typing import TYPE_CHECKING

import pytest

from .darwin.launchd.job import Definition

if TYPE_CHECKING:
    from .fleet import Fleet
    from .host import LabHost

AGENT = "com.nixfleet.agent"
PROFILE = "/nix/var/nix/profiles/default/etc/profile.d/nix-daemon.sh"
JOB = "/Users/markus/job.plist"


@pytest.fixture
def mac(homes: Fleet) -> LabHost:
    """The Mac, for tests that only look."""
    return homes["imac0"]


@pytest.fixture
def fresh_mac(fresh_homes: Fleet) -> LabHost:
    """The Mac, for tests that change it."""
    return fresh_homes["imac0"]


def launchctl(mac: LabHost, words: str, code: int = 0) -> str:
    """The output of launchctl, which must end with that code."""
    done = mac.run(f"launchctl {words}", "markus")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def put_job(mac: LabHost, script: str, **keys: object) -> None:
    """Write JOB, a plist of a job labelled `job`."""
    plist = {"Label": "job", "ProgramArguments": ["/bin/sh", "-c", script], **keys}
    mac.run(f"cat > {JOB}", "markus", stdin=plistlib.dumps(plist).decode())


def await_line(mac: LabHost, path: str) -> str:
    """Open a fifo that a job writes to, and read what it says."""
    return mac.enter(f"timeout 30 cat {path}")


# --- what it looks like


def test_mac_says_that_it_is_a_mac(mac: LabHost) -> None:
    said = mac.run(
        "uname -sm; scutil --get LocalHostName; hostname; sw_vers -productName", "markus"
    )
    assert said.stdout.split("\n") == ["Darwin arm64", "imac0", "imac0.lan", "macOS", ""]


def test_the_login_shell_is_zsh(mac: LabHost) -> None:
    assert mac.run("echo $ZSH_VERSION", "markus").stdout.startswith("5.")
    assert mac.run("id -u", "markus").stdout == "501\n"


@pytest.mark.parametrize(
    "tool",
    [
        *("systemctl", "systemd-run", "loginctl", "journalctl", "runuser", "setpriv", "getent"),
        *("setsid", "timeout", "flock", "sha256sum", "nproc", "python3", "nix", "home-manager"),
    ],
)
def test_tools_that_a_mac_lacks_are_not_found(mac: LabHost, tool: str) -> None:
    everywhere = "PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    assert mac.run(f"{everywhere}; command -v {tool}", "markus").returncode == 1


def test_nix_and_home_manager_come_with_the_profile_script(mac: LabHost) -> None:
    said = mac.run(f". {PROFILE}; nix --version; command -v home-manager", "markus").stdout
    assert re.fullmatch(r"nix \(Nix\) 2\.\S+\n/Users/markus/.nix-profile/bin/home-manager\n", said)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("readlink -f /tmp", "readlink: illegal option -- f"),
        ("date -d now", "date: illegal option -- d"),
        ("date -Is", "date: illegal option -- I"),
        ("stat -c %s /etc/hosts", "stat: illegal option -- c"),
        ("grep -P x /etc/hosts", "grep: illegal option -- P"),
        ("ps -o etimes= -p 1", "ps: etimes: keyword not found"),
        ("ls --color /", "ls: illegal option -- -"),
        ("mv -T /tmp/a /tmp/b", "mv: illegal option -- T"),
    ],
)
def test_options_of_gnu_tools_are_refused(mac: LabHost, command: str, said: str) -> None:
    failed = mac.run(command, "markus")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[0] == said


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("date -u -r 0 +%Y-%m-%dT%H:%M:%SZ", r"1970-01-01T00:00:00Z\n"),
        ("date +%N", r"N\n"),
        ("stat -f '%z %Su' /dev/null", r"0 root\n"),
        ("wc -c < /dev/null", r" +0\n"),
        ("printf a > /tmp/sed; sed -i '' s/a/b/ /tmp/sed; cat /tmp/sed", "b"),
        ("echo | shasum -a 256", r"01ba4719\w{56}  -\n"),
        ("echo abc | head -c 2 | tail -c 1", "b"),
        ("sh -c 'ps -o comm= -p $$; :'", r"/usr/bin/sh\n"),
        ("sh -c 'ps -o etime= -p $$; :'", r"00:0\d\n"),
        ("sh -c 'lsof -a -p $$ -d txt -Fn; :'", r"p\d+\nftxt\nn/usr/bin/sh\nftxt\nn\S+/dyld\n"),
        ("dscl . -read /Users/markus NFSHomeDirectory", "NFSHomeDirectory: /Users/markus\n"),
        ("sysctl -n kern.bootsessionuuid", r"[0-9A-F-]{36}\n"),
        ("ls /proc /run", r"/proc:\nself\nstat\n\n/run:\nlab\n(.|\n)*"),
    ],
)
def test_tools_work_as_on_a_mac(mac: LabHost, command: str, pattern: str) -> None:
    done = mac.run(command, "markus")
    assert re.fullmatch(pattern, done.stdout), done.stdout + done.stderr


# --- launchd


def test_the_agent_is_launchds(mac: LabHost) -> None:
    shown = launchctl(mac, f"print gui/501/{AGENT}")
    assert shown.startswith(f"gui/501/{AGENT} = {{\n\tactive count = 1\n\tpath = /Users/markus/")
    assert "\n\tstate = running\n" in shown
    assert f"\n\tpid = {mac.agent_pid()}\n" in shown
    assert "\n\tprogram = /bin/sh\n\targuments = {\n\t\t/bin/sh\n\t\t-c\n\t\t/bin/wait4" in shown
    assert " && exec /bin/bash -c '# Wait for network to be ready" in shown
    assert "\nHEALTH_URL=" in shown
    assert launchctl(mac, "list") == f"PID\tStatus\tLabel\n{mac.agent_pid()}\t0\t{AGENT}\n"
    assert mac.agent_state() == "running"
    assert mac.enter(f"ps -o ppid= -p {mac.agent_pid()}").strip() == mac.enter(
        "systemctl show --property=MainPID --value launchd@501"
    )


def test_verbs_fail_as_launchctls_do(mac: LabHost) -> None:
    nobody = 'Could not find service "nobody" in domain for user gui: 501\n'
    assert launchctl(mac, "print gui/501/nobody", 113) == f"Bad request.\n{nobody}"
    assert launchctl(mac, "kickstart gui/501/nobody", 113) == nobody
    assert launchctl(mac, "list nobody", 113).startswith('Could not find service "nobody"')
    said = launchctl(mac, "bootout gui/501/nobody", 3)
    assert said == "Boot-out failed: 3: No such process\n"
    for plist in (f"/Users/markus/Library/LaunchAgents/{AGENT}.plist", "/none", "/etc/hosts"):
        said = launchctl(mac, f"bootstrap gui/501 {plist}", 5)
        assert said.startswith("Bootstrap failed: 5: Input/output error\n")
    said = launchctl(mac, "print gui/502", 1)
    assert said == "Could not print domain: 1: Operation not permitted\n"


IO_ERROR = (
    "Bootstrap failed: 5: Input/output error\n"
    "Try re-running the command as root for richer errors.\n"
)


def test_gui_domain_is_missing_without_a_login_at_the_screen(fresh_mac: LabHost) -> None:
    fresh_mac.enter("touch /etc/lab-no-gui")
    fresh_mac.reboot()
    assert fresh_mac.agent_state() == "not loaded"
    plist = f"/Users/markus/Library/LaunchAgents/{AGENT}.plist"
    said = launchctl(fresh_mac, f"bootstrap gui/501 {plist}", 125)
    assert said == "Bootstrap failed: 125: Domain does not support specified action\n"
    said = launchctl(fresh_mac, "print gui/501", 125)
    assert said == "Could not print domain: 125: Domain does not support specified action\n"
    assert launchctl(fresh_mac, f"bootstrap user/501 {plist}", 5) == IO_ERROR
    said = launchctl(fresh_mac, f"kickstart gui/501/{AGENT}", 125)
    assert said.startswith(f'Could not kickstart service "{AGENT}": 125: Domain')


@pytest.mark.parametrize(
    ("types", "fits"),
    [
        (None, ["gui"]),
        ("Aqua", ["gui"]),
        ("Background", ["user"]),
        (["Background", "Aqua"], ["gui", "user"]),
    ],
    ids=["none", "aqua", "background", "both"],
)
def test_a_domain_takes_the_plists_of_its_session_type(
    types: str | list[str] | None, fits: list[str]
) -> None:
    plist = {"Label": "job"} | ({} if types is None else {"LimitLoadToSessionType": types})
    assert [kind for kind in ("gui", "user") if Definition(JOB, plist).fits(kind)] == fits


def test_a_label_stays_taken_after_its_bootout(fresh_mac: LabHost) -> None:
    """bootout returns before the process has ended, and the label is taken for seconds after it."""
    fresh_mac.enter("mkfifo -m 666 /tmp/said")
    put_job(fresh_mac, "trap '' TERM; echo up > /tmp/said; sleep 60; sleep 60", ExitTimeOut=1)
    launchctl(fresh_mac, f"bootstrap user/501 {JOB}", 5)
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    launchctl(fresh_mac, "kickstart gui/501/job")
    assert await_line(fresh_mac, "/tmp/said") == "up"
    launchctl(fresh_mac, "bootout gui/501/job")
    assert "\tstate = running\n" in launchctl(fresh_mac, "print gui/501/job")
    said = launchctl(fresh_mac, "bootout gui/501/job", 36)
    assert said == "Boot-out failed: 36: Operation now in progress\n"
    assert launchctl(fresh_mac, f"bootstrap gui/501 {JOB}", 5) == IO_ERROR
    done = fresh_mac.run(
        "while launchctl print gui/501/job >/dev/null 2>&1; do sleep 0.1; done; "
        f"launchctl bootstrap gui/501 {JOB}; echo $?; "
        f"until launchctl bootstrap gui/501 {JOB} 2>/dev/null; do sleep 0.1; done",
        "markus",
    )
    assert (done.stdout, done.stderr) == ("5\n", IO_ERROR)


def test_only_macos_26_can_wait_for_the_end_of_a_bootout(fresh_mac: LabHost) -> None:
    put_job(fresh_mac, "exec sleep 60", RunAtLoad=True)
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    launchctl(fresh_mac, "bootout --wait gui/501/job")
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    fresh_mac.enter("echo 15.6.1 > /etc/lab-macos")
    assert fresh_mac.run("sw_vers -productVersion", "markus").stdout == "15.6.1\n"
    assert launchctl(fresh_mac, "bootout --wait gui/501/job", 64).startswith("Usage: launchctl")


def test_a_start_can_pend_until_a_kickstart(fresh_mac: LabHost) -> None:
    fresh_mac.enter("touch /etc/lab-pends /etc/lab-low-power")
    put_job(fresh_mac, "exec sleep 60", RunAtLoad=True, KeepAlive=True)
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    shown = launchctl(fresh_mac, "print gui/501/job")
    for line in (
        *("state = not running", "runs = 0", "last exit code = (never exited)"),
        "pended nondemand spawn = speculative",
    ):
        assert f"\n\t{line}\n" in shown
    launchctl(fresh_mac, "kickstart gui/501/job")
    shown = launchctl(fresh_mac, "print gui/501/job")
    assert "\n\truns = 1\n" in shown
    assert "pended" not in shown
    launchctl(fresh_mac, "kill KILL gui/501/job")
    done = fresh_mac.run(
        "until launchctl print gui/501/job | grep 'pended nondemand spawn'; do sleep 0.1; done",
        "markus",
    )
    assert done.stdout == "\tpended nondemand spawn = inefficient\n"


def test_ps_shows_an_argument_of_several_lines_on_one(mac: LabHost) -> None:
    said = mac.run("sh -c 'ps -ww -o args= -p $$\n:'", "markus").stdout
    assert said == "sh -c ps -ww -o args= -p $$\\012:\n"


def test_an_agent_that_dies_is_started_again(fresh_mac: LabHost) -> None:
    old = fresh_mac.agent_pid()
    with fresh_mac.gate("start") as gate:
        fresh_mac.enter(f"kill -9 {old}")
        gate.wait_reached()
        shown = launchctl(fresh_mac, f"print gui/501/{AGENT}")
        assert "\tstate = spawn scheduled\n" in shown
        assert "\tlast terminating signal = Killed: 9\n" in shown
        gate.open()
    launchctl(fresh_mac, f"kickstart -k gui/501/{AGENT}")
    assert fresh_mac.agent_version() == "2.1.0"


def test_kickstart_starts_the_loaded_program(fresh_mac: LabHost) -> None:
    fresh_mac.enter("mkfifo -m 666 /tmp/said")
    put_job(fresh_mac, "echo first > /tmp/said")
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    put_job(fresh_mac, "echo second > /tmp/said")
    launchctl(fresh_mac, "kickstart gui/501/job")
    assert await_line(fresh_mac, "/tmp/said") == "first"
    launchctl(fresh_mac, "bootout --wait gui/501/job")
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    launchctl(fresh_mac, "kickstart gui/501/job")
    assert await_line(fresh_mac, "/tmp/said") == "second"


@pytest.mark.parametrize(
    ("keep", "code", "again"),
    [
        (False, 1, False),
        (True, 0, True),
        ({"SuccessfulExit": False}, 0, False),
        ({"SuccessfulExit": False}, 3, True),
        ({"SuccessfulExit": False}, -9, True),
        ({"Crashed": True}, 3, False),
        ({"Crashed": True}, -9, True),
    ],
    ids=["never", "always", "success", "failure", "killed", "no-crash", "crash"],
)
def test_launchd_starts_a_job_again_as_its_plist_says(keep: object, code: int, again: bool) -> None:
    assert Definition(JOB, {"Label": "job", "KeepAlive": keep}).again(code) is again


def test_a_job_that_fails_is_started_again(fresh_mac: LabHost) -> None:
    fresh_mac.enter("mkfifo -m 666 /tmp/said")
    script = "mkdir /tmp/once && exit 1; echo again > /tmp/said; exec sleep 600"
    put_job(fresh_mac, script, KeepAlive={"SuccessfulExit": False}, ThrottleInterval=1)
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    assert await_line(fresh_mac, "/tmp/said") == "again"
    shown = launchctl(fresh_mac, "print gui/501/job")
    assert "\truns = 2\n" in shown
    assert "\tlast exit code = 1\n" in shown


def test_bootout_ends_the_whole_process_group(fresh_mac: LabHost) -> None:
    fresh_mac.enter("mkfifo -m 666 /tmp/said")
    script = "trap '' TERM; sleep 600 & echo $! > /tmp/said; wait; wait"
    put_job(fresh_mac, script, RunAtLoad=True, ExitTimeOut=1)
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    child = await_line(fresh_mac, "/tmp/said")
    assert fresh_mac.enter(f"ps -o comm= -p {child}") == "sleep"
    launchctl(fresh_mac, "bootout --wait gui/501/job")
    assert fresh_mac.enter(f"ps -o comm= -p {child} || true") == ""
    launchctl(fresh_mac, "print gui/501/job", 113)


def test_a_disabled_agent_is_not_loaded(fresh_mac: LabHost) -> None:
    launchctl(fresh_mac, f"disable gui/501/{AGENT}")
    assert f'"{AGENT}" => disabled' in launchctl(fresh_mac, "print-disabled gui/501")
    fresh_mac.reboot()
    assert fresh_mac.agent_state() == "not loaded"
    assert fresh_mac.agent_version() is None
    launchctl(fresh_mac, f"enable gui/501/{AGENT}")
    fresh_mac.reboot()
    assert fresh_mac.agent_version() == "2.1.0"


def test_a_switch_boots_the_agent_out_and_in(fresh_homes: Fleet) -> None:
    """A process in the agent's process group dies with it."""
    mac = fresh_homes["imac0"]
    fresh_homes.repos.release("2.2.0")
    mac.enter(f"cd {mac.checkout}; nix flake update nixfleet", "markus")
    old = mac.agent_pid()
    done = mac.run(f". {PROFILE}; home-manager switch --flake {mac.checkout}#imac0", "markus")
    assert done.returncode == 0, done.stderr
    launchctl(mac, f"kickstart gui/501/{AGENT}")
    assert mac.agent_pid() != old
    assert mac.agent_version() == "2.2.0"
    assert "-nixfleet-agent-2.2.0/" in launchctl(mac, f"print gui/501/{AGENT}")
    assert "2.2.0 started" in mac.enter("tail -n 1 /tmp/nixfleet-agent.log")


# --- what a Mac does beside launchd


def test_a_job_may_not_read_the_folders_that_ssh_may(fresh_mac: LabHost) -> None:
    """They are kept from launchd's jobs from its start on."""
    fresh_mac.enter("mkdir -p Documents Code; echo x | tee Documents/file > Code/file", "markus")
    fresh_mac.reboot()
    fresh_mac.enter("mkfifo -m 666 /tmp/said")
    script = "{ cat ~/Documents/file || echo denied; cat ~/Code/file; } 2>/dev/null | xargs"
    put_job(fresh_mac, f"{script} > /tmp/said", RunAtLoad=True)
    launchctl(fresh_mac, f"bootstrap gui/501 {JOB}")
    assert await_line(fresh_mac, "/tmp/said") == "denied x"
    assert fresh_mac.run("cat ~/Documents/file", "markus").stdout == "x\n"


def test_apples_git_opens_a_dialog_where_its_tools_are_missing(fresh_mac: LabHost) -> None:
    said = fresh_mac.run("/usr/bin/git --version; xcode-select -p", "markus").stdout
    assert re.fullmatch(r"git version \S+\n/Library/Developer/CommandLineTools\n", said)
    fresh_mac.enter("touch /opt/mac/no-tools")
    assert fresh_mac.run("xcode-select -p", "markus").returncode == 2
    fresh_mac.enter("[ ! -e /tmp/dialog-on-screen ]")
    assert fresh_mac.run("/usr/bin/git --version", "markus").returncode == 1
    fresh_mac.enter("[ -e /tmp/dialog-on-screen ]")


def test_lsof_names_a_hard_link_of_an_optimised_store(fresh_mac: LabHost) -> None:
    ask = f"lsof -a -p {fresh_mac.agent_pid()} -d txt -Fn"
    exe = fresh_mac.agent_exe()
    assert fresh_mac.run(ask, "markus").stdout.splitlines()[2] == f"n{exe}"
    fresh_mac.enter(f"mkdir -p /nix/store/.links; ln {exe} /nix/store/.links/0abc")
    said = fresh_mac.run(ask, "markus").stdout
    assert said.splitlines()[2] == "n/nix/store/.links/0abc"
