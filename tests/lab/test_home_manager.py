"""Home Manager, on Linux and on the imitated Mac: the same promises, without root."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.scripts.compose import compose

from . import log_sessions
from .by_keys import update_by_keys
from .chaos.scene import Pidfds, command
from .client import QUICK, Client
from .places import held

if TYPE_CHECKING:
    from .client import Answer
    from .fleet import Fleet
    from .host import LabHost
    from .places import Place

STEPS = ["preflight", "stop", "pull", "update", "rebuild", "start", "verify"]


@pytest.fixture
def operator(fresh_homes: Fleet, tmp_path: Path) -> Client:
    """An operator who logs in as the users of the homes, and names no platform or attribute."""
    client = fresh_homes.client(tmp_path / "op")
    client.folder.mkdir()
    client.write_inventory({host: host.user for host in fresh_homes.hosts.values()})
    return client


def force(home: LabHost) -> tuple[str, ...]:
    return ("update", home.name, "--force", *QUICK)


def statuses(answer: Answer) -> dict[str, str]:
    return {step["id"]: step["status"] for step in answer["steps"]}


def attach(client: Client, home: LabHost) -> Answer:
    answer: Answer = json.loads(client.run("attach", home.name, "--json").stdout)
    return answer


def jobs(home: LabHost) -> Path:
    return Path(f"{home.root}{home.platform.home}/.local/state/nixfleet/jobs")


def check_log(client: Client, home: LabHost, answer: Answer) -> None:
    """The client's copy is the host's log, byte for byte."""
    assert answer["job"] is not None
    there = (jobs(home) / answer["job"] / "log").read_bytes()
    assert client.log_of(home, answer["job"]).read_bytes() == there


def check_nothing_left(home: LabHost) -> None:
    """No process of the job, no lock, no unit or job of launchd."""
    with Pidfds(pid for pid in home.processes() if b"run.sh" in command(pid)) as left:
        left.wait(10)
    assert not [pid for pid in home.processes() if b"run.sh" in command(pid)]
    state = Path(f"{home.root}{home.platform.home}/.local/state/nixfleet/run")
    assert not (state / "job").is_symlink()
    if home.name == "imac0":
        for domain in ("gui", "user"):
            print_ = home.run(f"launchctl print {domain}/501/com.nixfleet.job", home.user)
            assert print_.returncode != 0


def test_flakes_need_not_be_on_in_nix_conf(
    fresh_homes: Fleet, home: LabHost, operator: Client
) -> None:
    """home-manager starts Nix without an option for it."""
    fresh_homes.repos.release("2.2.0")
    home.enter("sed -i /experimental-features/d /etc/nix/nix.conf")
    said = home.enter("nix eval --expr 1 2>&1 || true", user=home.user)
    assert "experimental Nix feature 'nix-command' is disabled" in said
    answer = operator.update(home.name, "--force")
    assert (answer["verdict"], answer["after"]["version"]) == ("updated", "2.2.0")
    assert operator.update(home.name)["verdict"] == "current"


def test_an_update_brings_the_new_agent_and_proves_it(
    fresh_homes: Fleet, home: LabHost, operator: Client
) -> None:
    commit = fresh_homes.repos.release("2.2.0")
    answer = operator.update(home.name, "--force")
    assert (answer["verdict"], answer["cause"]) == ("updated", "")
    assert statuses(answer) == dict.fromkeys(STEPS, "ok")
    before, after = answer["before"], answer["after"]
    assert (before["version"], after["version"]) == ("2.1.0", "2.2.0")
    assert after["commit"] == commit
    exe = home.agent_exe()
    assert exe == f"{after['store_path']}/bin/nixfleet-agent"
    assert after["sha256"] == home.enter(f"sha256sum {exe}").split()[0]
    assert (before["generation"], after["generation"]) == (1, 2)
    assert "-home-manager-generation" in (after["system"] or "")
    check_log(operator, home, answer)
    check_nothing_left(home)
    log_file = operator.log_of(home, answer["job"] or "")
    assert log_sessions.names(log_file) == ["home", "news", "home"]
    warnings = log_sessions.ignored_warnings(log_file)
    assert len(warnings) == len(set(warnings))
    if home.name == "hsb1":  # whose daemon does not trust the user
        assert log_file.read_bytes().count(b"gnoring the client-specified") > len(warnings) > 0
    if home.name == "imac0":  # with the settings that only ps shows there
        log = operator.log_of(home, answer["job"] or "").read_text()
        assert "own --check ended with 0; it said:\nuid 501, NIXFLEET_URL=wss://" in log

    again = operator.update(home.name)
    assert (again["verdict"], again["steps"]) == ("current", [])
    pid = home.agent_pid()
    forced = operator.update(home.name, "--force")
    assert forced["verdict"] == "current"
    assert statuses(forced) == dict.fromkeys(STEPS, "ok")
    assert home.agent_pid() != pid


def test_a_home_of_a_flake_that_refuses_a_dirty_tree(
    fresh_homes: Fleet, home: LabHost, operator: Client
) -> None:
    """It is built from a commit of the new lock, to which --commit-lock lets the branch go."""

    def git(words: str) -> str:
        return home.enter(f"cd ~/Code/nixcfg && git {words}", user=home.user)

    repos = fresh_homes.repos
    flake = (repos.path("nixcfg") / "flake.nix").read_text()
    homes = "import ./homes.nix { inherit sh agent chain knobs; }"
    assert homes in flake
    strict = f'builtins.seq (self.rev or (throw "refusing")) ({homes})'
    repos.commit_nixcfg("Refuse dirty trees", files={"flake.nix": flake.replace(homes, strict)})
    repos.release("2.2.0")
    git("pull -q --ff-only")
    head = git("rev-parse HEAD")
    answer = operator.update(home.name, "--force")
    assert (answer["verdict"], answer["after"]["version"]) == ("updated", "2.2.0"), answer
    commit = git(f"rev-parse refs/nixfleet/{answer['job']}")
    assert git(f"rev-parse {commit}^ HEAD") == f"{head}\n{head}"
    assert git(f"diff --name-only HEAD {commit}") == "flake.lock"
    assert git("status --porcelain") == "M flake.lock"
    again = operator.update(home.name, "--force")
    assert again["verdict"] == "current", again
    assert again["after"]["generation"] == answer["after"]["generation"]
    verified = operator.run("verify", home.name)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    repos.release("2.3.0")
    kept = operator.update(home.name, "--force", "--commit-lock")
    assert (kept["verdict"], statuses(kept)["commit"]) == ("updated", "ok"), kept
    assert git("rev-parse HEAD^") == head
    assert git("status --porcelain") == ""
    check_nothing_left(home)


async def test_keys_alone_update_a_home(
    fresh_homes: Fleet,
    home: LabHost,
    operator: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fresh_homes.repos.release("2.2.0")
    verdict = await update_by_keys(home, operator, tmp_path, monkeypatch)
    assert verdict is not None
    assert verdict.kind == "updated"
    assert home.agent_version() == "2.2.0"


@pytest.mark.parametrize("place", ["stop", "rebuild", "activation"])
def test_a_link_that_breaks_loses_no_byte(
    fresh_homes: Fleet, home: LabHost, operator: Client, place: Place
) -> None:
    fresh_homes.repos.release("2.2.0")
    with operator.start(*force(home), "--json") as running:
        with held(home, fresh_homes.repos, running, place):
            assert home.drop_ssh_connections() > 0
            running.wait_for("the job goes on")
        assert running.wait() == 0, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert answer["verdict"] == "updated"
    check_log(operator, home, answer)
    check_nothing_left(home)
    assert home.agent_version() == "2.2.0"


@pytest.mark.parametrize("place", ["stop", "rebuild", "activation"])
def test_the_job_goes_on_without_its_client(
    fresh_homes: Fleet, home: LabHost, operator: Client, place: Place
) -> None:
    fresh_homes.repos.release("2.2.0")
    with (
        operator.start(*force(home)) as running,
        held(home, fresh_homes.repos, running, place),
    ):
        running.signal(signal.SIGKILL)
        running.wait()
    answer = attach(operator, home)
    assert answer["verdict"] == "updated"
    check_log(operator, home, answer)
    check_nothing_left(home)


@pytest.mark.parametrize("whole", [False, True], ids=["runner", "all of it"])
@pytest.mark.parametrize("place", ["pull", "rebuild"])
def test_a_job_that_is_killed_brings_the_agent_back(
    fresh_homes: Fleet, home: LabHost, operator: Client, place: Place, whole: bool
) -> None:
    fresh_homes.repos.release("2.2.0")
    fresh_homes.repos.commit_nixcfg()
    with operator.start(*force(home), "--json") as running:
        with held(home, fresh_homes.repos, running, place):
            switches = [pid for pid in home.processes() if b"home-manager" in command(pid)]
            assert bool(switches) == (place == "rebuild")
            with Pidfds(switches) as left:
                kill_job(home, whole=whole)
                assert left.wait(30) == len(switches), "the killed job's switch goes on"
        assert running.wait() == 1, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("interrupted", "killed")
    assert statuses(answer)[place] == "failed"
    assert statuses(answer)["verify"] == "ok"
    check_log(operator, home, answer)
    check_nothing_left(home)
    assert home.agent_version() == "2.1.0"


def kill_job(home: LabHost, *, whole: bool) -> None:
    """SIGKILL the runner, or all processes of the job."""
    if whole and home.name == "hsb1":
        manager = "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user"
        home.enter(f"{manager} kill -s KILL nixfleet-job.service", "ops")
        return
    # in a job of launchd, the guard and the runner are one process group
    which = "guard" if whole else "main"
    pids = home.enter(f"pgrep -f 'run.sh {which}( |$)'").split()
    assert pids
    if whole:
        group = home.enter(f"ps -o pgid= -p {pids[0]}")
        home.enter(f"pkill -KILL -g {group.strip()}")
    else:
        # of these some are its own short-lived copies, and may have ended
        home.enter(f"kill -KILL {' '.join(pids)} 2> /dev/null || :")


def test_cancel_ends_the_build(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    fresh_homes.repos.release("2.2.0")
    with operator.start(*force(home)) as running:
        with held(home, fresh_homes.repos, running, "rebuild"):
            assert operator.run("cancel", home.name).returncode == 0
            running.wait_for("cancelling")
        assert running.wait() == 7, running.output
    assert home.agent_version() == "2.1.0"
    check_nothing_left(home)


@pytest.mark.parametrize("fault", ["cancelled", "stopped", "killed"])
def test_an_activation_that_has_begun_is_not_cut_off(
    fresh_homes: Fleet, operator: Client, fault: str
) -> None:
    """A user's systemd runs it in the job's own unit. The link through which home-manager started
    it is gone, as when a signal has ended home-manager. A Mac's are among the chaos cases."""
    home = fresh_homes["hsb1"]
    fresh_homes.repos.release("2.2.0")
    with operator.start(*force(home), "--json") as running:
        with held(home, fresh_homes.repos, running, "activation"):
            home.enter("rm -r /tmp/home-manager-build.*", home.user)
            if fault == "cancelled":
                assert operator.run("cancel", home.name).returncode == 0
                running.wait_for("cancelling")
            elif fault == "stopped":
                manager = "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user"
                home.enter(f"{manager} stop --no-block nixfleet-job.service", "ops")
                running.wait_for("cancelling")
            else:
                kill_job(home, whole=False)
                running.wait_for("waiting for the activation to end")
        assert running.wait() == (1 if fault == "killed" else 7), running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert answer["verdict"] == ("interrupted" if fault == "killed" else "cancelled")
    assert home.agent_version() == "2.2.0"
    active = home.enter("readlink .local/state/home-manager/gcroots/current-home", home.user)
    assert answer["after"]["system"] == active
    check_log(operator, home, answer)
    check_nothing_left(home)


def test_a_build_that_fails(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    fresh_homes.repos.release("2.2.0")
    fresh_homes.repos.commit_nixcfg(fail_build=True)
    answer = operator.update(home.name, "--force", code=1)
    assert (answer["verdict"], answer["cause"]) == ("failed", "build-failed")
    assert home.agent_version() == "2.1.0"
    check_nothing_left(home)


def test_an_activation_that_fails(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    """The profile has moved, but the activation did not come to the agent."""
    fresh_homes.repos.release("2.2.0")
    fresh_homes.repos.commit_nixcfg(fail_switch=7)
    answer = operator.update(home.name, "--force", code=1)
    assert (answer["verdict"], answer["cause"]) == ("failed", "switch-incomplete")
    assert home.agent_version() == "2.1.0"
    check_nothing_left(home)


def test_back_to_the_generation_before(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    lock = home.enter(f"cat {home.checkout}/flake.lock", home.user)
    fresh_homes.repos.release("2.2.0")
    assert operator.update(home.name, "--force")["verdict"] == "updated"
    done = operator.run("rollback", home.name, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    answer: Answer = json.loads(done.stdout)
    assert answer["verdict"] == "rolled-back"
    assert home.agent_version() == "2.1.0"
    assert home.enter(f"cat {home.checkout}/flake.lock", home.user) == lock


def test_an_unstable_agent_is_named_and_rolled_back(
    fresh_homes: Fleet, home: LabHost, operator: Client
) -> None:
    fresh_homes.repos.release("2.2.0", "crash")
    answer = operator.update(home.name, "--force", code=1)
    assert (answer["verdict"], answer["cause"]) == ("agent-down", "agent-unstable")
    told = json.loads(operator.run("why", home.name, "--json").stdout)
    assert told["cause"] == "agent-crash-looping", told
    assert operator.run("rollback", home.name, "--yes").returncode == 0
    assert home.agent_version() == "2.1.0"
    answer = operator.update(home.name, "--force", "--rollback-on-failure", code=8)
    assert answer["verdict"] == "rolled-back"
    assert home.agent_version() == "2.1.0"
    check_nothing_left(home)


def test_without_lingering_a_guard_watches_over_the_job(
    fresh_homes: Fleet, operator: Client
) -> None:
    home = fresh_homes["hsb1"]
    home.enter("rm /var/lib/systemd/linger/ops")
    fresh_homes.repos.release("2.2.0")
    planned = operator.run("update", "hsb1", "--force", "--dry-run")
    assert "lingering is off for ops" in planned.stdout
    with operator.start(*force(home), "--json") as running:
        with held(home, fresh_homes.repos, running, "rebuild"):
            kill_job(home, whole=False)
            # or the build could reach its activation, which is never cut off
            home.enter(f"until ls /{home.platform.jobs}/*/result; do sleep 0.1; done")
        assert running.wait() == 1, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert answer["verdict"] == "interrupted"
    check_log(operator, home, answer)
    assert operator.update("hsb1", "--force")["verdict"] == "updated"
    check_nothing_left(home)


def test_what_a_job_leaves_behind_does_not_keep_the_next_one_from_starting(
    fresh_homes: Fleet, operator: Client
) -> None:
    """An activation may start something that lives on."""
    home = fresh_homes["hsb1"]
    fresh_homes.repos.release("2.2.0")
    unit = "find /sys/fs/cgroup -path '*nixfleet-job.service/cgroup.procs'"
    with operator.start(*force(home)) as running:
        with held(home, fresh_homes.repos, running, "rebuild"):
            left = "setpriv --reuid=1000 --regid=1000 --clear-groups sleep 600 </dev/null"
            home.enter(f'procs=$({unit}); {left} >/dev/null 2>&1 & echo $! > "$procs"')
        assert running.wait() == 0, running.output
    assert operator.update("hsb1", "--force")["verdict"] == "current"
    check_nothing_left(home)


def test_two_operators_at_once(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    fresh_homes.repos.release("2.2.0")
    with operator.start(*force(home)) as running:
        with held(home, fresh_homes.repos, running, "rebuild"):
            second = operator.run(*force(home))
            assert second.returncode == 6, second.stdout + second.stderr
        assert running.wait() == 0, running.output


def test_an_attribute_that_the_flake_lacks_is_refused(
    fresh_homes: Fleet, home: LabHost, operator: Client
) -> None:
    pid = home.agent_pid()
    operator.write_inventory({home: home.user}, attribute="nobody@nowhere")
    answer = operator.update(home.name, "--force", code=1)
    assert answer["cause"] == "preflight-attribute"
    assert home.agent_pid() == pid


def test_power_lost_in_the_rebuild(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    fresh_homes.repos.release("2.2.0")
    with operator.start(*force(home), "--json") as running:
        with held(home, fresh_homes.repos, running, "rebuild"):
            home.power_off()
        home.boot()
        running.wait_for("the job goes on")
        assert running.wait() == 1, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("interrupted", "killed")
    assert home.agent_version() == "2.1.0"
    check_nothing_left(home)


def test_a_mac_that_reboots_gets_its_agent_back_with_the_login(
    fresh_homes: Fleet, operator: Client
) -> None:
    """The job, too, ends with the boot: launchd has nothing that begins it again."""
    mac = fresh_homes["imac0"]
    fresh_homes.repos.release("2.2.0")
    with operator.start(*force(mac), "--json") as running:
        with held(mac, fresh_homes.repos, running, "rebuild"):
            mac.enter("touch /etc/lab-no-gui")
            mac.power_off()
        mac.boot()
        assert running.wait() == 1, running.output
    answer: Answer = json.loads(running.output.splitlines()[-1])
    assert (answer["verdict"], answer["cause"]) == ("interrupted", "killed")
    assert "when its user logs in at the screen" in answer["advice"]
    check_nothing_left(mac)
    verified: Answer = json.loads(operator.run("verify", "imac0", "--json").stdout)
    assert (verified["verdict"], verified["cause"]) == ("agent-down", "agent-down")
    assert "in at the screen" in verified["advice"]
    mac.enter("rm /etc/lab-no-gui")
    mac.reboot()
    assert mac.agent_version() == "2.1.0"


def test_a_mac_without_a_login_at_its_screen_is_left_alone(
    fresh_homes: Fleet, operator: Client
) -> None:
    """Nothing could load its agent again: the update is refused until somebody logs in."""
    home = fresh_homes["imac0"]
    home.enter("touch /etc/lab-no-gui")
    home.reboot()
    assert home.agent_version() is None
    fresh_homes.repos.release("2.2.0")
    answer: Answer = json.loads(operator.run(*force(home), "--json").stdout)
    assert (answer["verdict"], answer["cause"]) == ("failed", "preflight-unit")
    assert "log in at the screen" in answer["advice"]
    listed = json.loads(operator.run("hosts", home.name, "--json").stdout)
    assert listed["state"] == "down"
    home.enter("rm /etc/lab-no-gui")
    home.reboot()
    assert operator.update(home.name, "--force")["verdict"] == "updated"
    check_nothing_left(home)


LOAD_AGAIN = """NF_MANAGER=launchd NF_UNIT=com.nixfleet.agent NF_RUN=/tmp NF_LOG=/dev/null
nf_say() { :; }
nf_plist_agent() { echo 'another one than the loaded one'; }
nf_run() { true & nf_quietly_pid=$!; wait; "$@"; }
was=$(nf_launchd_pid)
kill -STOP "$was" # it takes no signal: launchd has to kill it in the end
nf_launchd_start
if nf_is_process "$was"; then echo 'the old one lives'; else echo gone; fi
nf_agent_domain
"""


def test_a_mac_loads_an_agent_where_it_was_once_the_old_one_is_gone(fresh_homes: Fleet) -> None:
    """The command that loads it has a process too, and the wait asks launchd for the domain."""
    home = fresh_homes["imac0"]
    values = {"NF_PLATFORM_GIVEN": "home-manager"}
    script = compose("service", "launchd", root="", values=values, call=LOAD_AGAIN)
    done = home.run("exec /bin/sh -s", home.user, stdin=script)
    assert done.stdout == "gone\ngui/501\n", done.stderr
    assert home.run("launchctl print user/501/com.nixfleet.agent", home.user).returncode != 0


def test_a_checkout_that_macos_keeps_from_the_job_is_named(
    fresh_homes: Fleet, operator: Client
) -> None:
    """ssh may read it; the job may not."""
    mac = fresh_homes["imac0"]
    mac.enter("mkdir -p Documents; mv Code/nixcfg Documents/", mac.user)
    mac.enter("systemctl restart launchd@501")
    agent = mac.agent_pid()
    operator.write_inventory({mac: mac.user}, checkout="~/Documents/nixcfg")
    planned = operator.run("update", "imac0", "--force", "--dry-run")
    assert "/Users/markus/Documents/nixcfg is there: move the checkout" in planned.stdout
    answer = operator.update("imac0", "--force", code=1)
    assert (answer["verdict"], answer["cause"]) == ("failed", "preflight-checkout")
    assert "Full Disk Access" in answer["advice"]
    assert mac.agent_pid() == agent


def test_an_optimised_store_hides_no_agent(fresh_homes: Fleet, operator: Client) -> None:
    """lsof tells another name of the program than launchd."""
    mac = fresh_homes["imac0"]
    mac.enter("nix-store --optimise")
    assert mac.agent_version() == "2.1.0", "it waits until what starts it has become the agent"
    lsof = mac.run(f"lsof -a -p {mac.agent_pid()} -d txt -Fn", mac.user).stdout
    assert "\nn/nix/store/.links/" in lsof
    told = json.loads(operator.run("why", "imac0", "--json").stdout)
    assert told["cause"] == "current", told
    fresh_homes.repos.release("2.2.0")
    assert operator.update("imac0", "--force")["verdict"] == "updated"


def test_a_mac_is_kept_awake_for_its_job_and_its_follower_and_no_longer(
    fresh_homes: Fleet, operator: Client
) -> None:
    mac = fresh_homes["imac0"]
    mac.enter("echo 34 > /etc/lab-battery; touch /etc/lab-lid-closed")
    fresh_homes.repos.release("2.2.0")
    planned = operator.run("update", "imac0", "--force", "--dry-run")
    assert "on battery (34 %), lid closed: the host may sleep" in planned.stdout
    with operator.start(*force(mac)) as running:
        with held(mac, fresh_homes.repos, running, "rebuild"):
            watched = mac.enter("pgrep -af '[c]affeinate' | sed -n 's/.* -i -w //p'").split()
            commands = [mac.enter(f"ps -o args= -p {pid}") for pid in watched]
            holding = Pidfds(pid for pid in mac.processes() if b"caffeinate" in command(pid))
        assert running.wait() == 0, running.output
    assert len(commands) == 2
    assert sum("run.sh guard" in words for words in commands) == 1, commands
    with holding:
        assert holding.wait(10) == 2, "the Mac is kept awake after the job"
    check_nothing_left(mac)


def test_why_and_the_list_know_homes(fresh_homes: Fleet, home: LabHost, operator: Client) -> None:
    told = json.loads(operator.run("why", home.name, "--json").stdout)
    assert told["cause"] == "current", told
    commit = fresh_homes.repos.release("2.2.0")
    told = json.loads(operator.run("why", home.name, "--json").stdout)
    assert (told["cause"], commit[:7] in told["sentence"]) == ("lock-behind", True), told
    (line,) = operator.run("hosts", home.name, "--json").stdout.splitlines()
    listed = json.loads(line)
    assert (listed["state"], listed["running"]["version"]) == ("stale", "2.1.0"), listed
