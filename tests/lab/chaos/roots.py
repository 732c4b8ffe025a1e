"""Updates through each way to become root, and what a wrong password costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..host import PASSWORD
from ..repos import BASE_VERSION
from .case import Case
from .scene import read_answer

if TYPE_CHECKING:
    from ..client import Answer
    from .scene import Scene

_NO_SUDO: Final = "mv /usr/bin/sudo /root; "
_PASSWORD: Final = (
    f"echo ops:{PASSWORD} | chpasswd; sed -i 's/^ops .*/ops ALL=(ALL) ALL/' /etc/sudoers.d/lab; "
)
_POLKIT: Final = """polkit.addRule(function(action, subject) {
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "ops")
    return polkit.Result.YES;
});
"""
_FAILLOCK: Final = """auth required pam_faillock.so preauth
auth sufficient pam_unix.so
auth [default=die] pam_faillock.so authfail
@include common-account
@include common-session-noninteractive
"""


def _count(scene: Scene, text: str) -> int:
    """How often the host's journal says so."""
    return scene.host.enter("journalctl -q --no-pager -o cat").count(text)


def _run0(scene: Scene) -> Answer:
    scene.host.enter(_NO_SUDO + "mv /usr/bin/doas /root; systemctl restart polkit")
    (scene.host.root / "etc/polkit-1/rules.d/50-lab.rules").write_text(_POLKIT)
    with scene.update() as running:
        answer = scene.answer(running)
    scene.prove("journal: {} sessions of run0", _count(scene, "(systemd-run0:session): session op"))
    return answer


def _doas_as_sudo(scene: Scene) -> Answer:
    scene.host.enter("echo permit nopass ops >/etc/doas.conf; mv /usr/bin/doas /usr/bin/sudo")
    with scene.update() as running:
        answer = scene.answer(running)
    scene.prove("journal: {} commands of doas", _count(scene, "ops ran command /bin/sh"))
    return answer


def _sudo_rs(scene: Scene) -> Answer:
    scene.host.enter(_PASSWORD + "ln -sf sudo-rs /usr/bin/sudo")
    with scene.update_at_terminal() as running:
        running.wait_for("sudo password")
        running.type(f"{PASSWORD}\n")
        assert running.wait() == 0, running.output
    assert running.output.count("sudo password") == 1
    scene.prove("the password was asked for once", PASSWORD not in running.output)
    return read_answer(running.output)


def _wrong(scene: Scene) -> Answer:
    """A wrong password, then none: nothing was touched, and one attempt was counted. It ends
    before sudo could count the end of its input."""
    scene.host.enter(_PASSWORD)
    (scene.host.root / "etc/pam.d/sudo").write_text(_FAILLOCK)
    pid = scene.host.agent_pid()
    with scene.update_at_terminal() as running:
        running.wait_for("sudo password")
        running.type("wrong\n")
        running.wait_for("wrong password")
        running.type("\n")
        assert running.wait() == 1, running.output
    assert scene.host.agent_pid() == pid
    logged = _count(scene, "authentication failure;")
    counted = scene.host.enter("faillock --user ops").count("sudo")
    scene.prove(f"journal: {logged} authentication failure; faillock: {counted}", logged == 1)
    assert counted == 1
    return read_answer(running.output)


def _wrong_again(scene: Scene) -> Answer:
    """The operator corrects the password: it is tried, the wrong one is not."""
    scene.host.enter(_PASSWORD)
    (scene.host.root / "etc/pam.d/sudo").write_text(_FAILLOCK)
    with scene.update_at_terminal() as running:
        running.wait_for("sudo password")
        running.type("wrong\n")
        running.wait_for("wrong password")
        running.type(f"{PASSWORD}\n")
        assert running.wait() == 0, running.output
    logged = _count(scene, "authentication failure;")
    scene.prove(f"journal: {logged} authentication failure", logged == 1)
    return read_answer(running.output)


CASES: Final = (
    Case(name="update through run0", play=_run0, host="csb0"),
    Case(name="update through a doas that is called sudo", play=_doas_as_sudo, host="gpc0"),
    Case(name="update through sudo-rs with a password", play=_sudo_rs, host="csb0"),
    Case(name="wrong password, then the right one", play=_wrong_again),
    Case(
        name="wrong sudo password",
        play=_wrong,
        verdict="failed",
        cause="preflight-elevation",
        agent=BASE_VERSION,
        lock="old",
    ),
)
