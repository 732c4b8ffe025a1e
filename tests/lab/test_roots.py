"""Each way to become root, with the real programs: run0, sudo-rs, doas, and sudo with settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .host import PASSWORD

if TYPE_CHECKING:
    from .client import Client
    from .fleet import Fleet
    from .host import LabHost

NO_SUDO = "mv /usr/bin/sudo /root; "
ONLY_RUN0 = NO_SUDO + "mv /usr/bin/doas /root; "
SUDO_RS = "ln -sf sudo-rs /usr/bin/sudo; "

EACH_SUDO = pytest.mark.parametrize(
    ("name", "rs"),
    [("csb0", ""), ("csb1", ""), ("gpc0", ""), ("csb0", SUDO_RS), ("gpc0", SUDO_RS)],
    ids=["sudo-csb0", "sudo-csb1", "sudo-gpc0", "sudo-rs-csb0", "sudo-rs-gpc0"],
)
"""Those that take a password; bookworm has no sudo-rs."""

RULE = """polkit.addRule(function(action, subject) {{
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "ops")
    return polkit.Result.{answer};
}});
"""
FAILLOCK = (
    "auth required pam_faillock.so preauth",
    "auth sufficient pam_unix.so nodelay",
    "auth [default=die] pam_faillock.so authfail",
)
"""It counts every failure, whatever it is, and locks the account after three."""


def stack(*modules: str) -> str:
    """PAM modules that authenticate, and the others as Debian has them."""
    others = ("@include common-account", "@include common-session-noninteractive")
    return "".join(f"{line}\n" for line in (*modules, *others))


def allow(host: LabHost, answer: str) -> None:
    """polkit's answer to ops who asks to start a unit."""
    path = host.root / "etc/polkit-1/rules.d/50-lab.rules"
    path.write_text(RULE.format(answer=answer))
    host.enter("systemctl restart polkit")


def set_pam(host: LabHost, text: str) -> None:
    """The PAM modules of sudo and of sudo-rs."""
    (host.root / "etc/pam.d/sudo").write_text(text)


def set_sudo(host: LabHost, line: str) -> None:
    path = host.root / "etc/sudoers.d/zz"
    path.write_text(f"{line}\n")
    path.chmod(0o440)
    host.enter("visudo -c >/dev/null")


def looks(client: Client, host: LabHost) -> bool:
    """Whether a look as root works, without a terminal."""
    return client.run("verify", host.name).returncode in (0, 3)


def refusal(client: Client, host: LabHost) -> str:
    """What a look as root says that becomes none, in one line."""
    done = client.run("verify", host.name)
    assert done.returncode == 1, done.stdout
    return " ".join((done.stdout + done.stderr).split())


def answered(client: Client, host: LabHost, *passwords: str) -> tuple[int, str]:
    """A look at a terminal, with these passwords; the exit code, and what was shown in one line."""
    with client.at_terminal("verify", host.name) as running:
        seen = 0
        for password in passwords:
            running.wait_for("sudo password on", after=seen)
            seen = len(running.output)
            running.type(f"{password}\n")
        code = running.wait()
    return code, " ".join(running.output.split())


def failures(host: LabHost) -> int:
    """How often PAM says that a password was wrong."""
    return host.enter("journalctl -q --no-pager -o cat").count("authentication failure;")


def locked(host: LabHost) -> int:
    """What pam_faillock has counted."""
    return host.enter("faillock --user pw").count("sudo")


@pytest.fixture
def on(fresh: Fleet, client: Client, name: str) -> LabHost:
    """A host that pw logs in to."""
    client.write_inventory({fresh[name]: "pw"})
    return fresh[name]


# run0


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
def test_run0_works_where_polkit_allows_it(fresh: Fleet, host: LabHost, client: Client) -> None:
    host.enter(ONLY_RUN0)
    allow(host, "YES")
    assert looks(client, host)
    # what calls itself sudo may be a script that runs run0
    host.enter("printf '#!/bin/sh\\nexec run0 \"$@\"\\n' >/usr/bin/sudo; chmod 755 /usr/bin/sudo")
    assert looks(client, host)


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
@pytest.mark.parametrize("answer", ["AUTH_SELF", "AUTH_ADMIN", "NO", ""])
def test_run0_that_would_ask_is_refused_with_the_rule_that_is_missing(
    fresh: Fleet, host: LabHost, client: Client, answer: str
) -> None:
    host.enter(ONLY_RUN0)
    if answer:
        allow(host, answer)
    with client.at_terminal("verify", host.name) as running:
        assert running.wait() == 1
    said = " ".join(running.output.split())
    assert "Failed to start transient service unit" in said
    assert 'subject.user == "ops"' in said
    assert "sudo password on" not in said


@pytest.mark.parametrize("name", ["csb0"])
@pytest.mark.parametrize("path", ["/usr/bin/run0", "/usr/bin"])
def test_a_run0_that_others_may_write_is_not_used(
    fresh: Fleet, host: LabHost, client: Client, path: str
) -> None:
    host.enter(f"{ONLY_RUN0} chmod g+w {path}")
    allow(host, "YES")
    assert "run0 is not used" in refusal(client, host)


# doas


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("permit ops", "doas: Authentication required"),
        ("permit nopass pw", "doas: Operation not permitted"),
        ("", "doas: doas is not enabled"),
    ],
)
def test_doas_without_nopass_is_refused_with_the_line_that_is_missing(
    fresh: Fleet, host: LabHost, client: Client, rule: str, why: str
) -> None:
    host.enter(NO_SUDO + (f"echo {rule} >/etc/doas.conf" if rule else ""))
    said = refusal(client, host)
    assert why in said
    assert "permit nopass ops as root" in said


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
def test_a_doas_that_calls_itself_sudo_is_used_as_doas(
    fresh: Fleet, host: LabHost, client: Client
) -> None:
    host.enter("echo permit nopass ops >/etc/doas.conf; ln -sf doas /usr/bin/sudo")
    assert looks(client, host)
    host.enter("echo permit ops >/etc/doas.conf")
    assert "permit nopass ops as root" in refusal(client, host)
    # a script, as some systems have; and a copy, with no doas beside it
    host.enter(
        "echo permit nopass ops >/etc/doas.conf; rm /usr/bin/sudo;"
        "printf '#!/bin/sh\\nexec doas \"$@\"\\n' >/usr/bin/sudo; chmod 755 /usr/bin/sudo"
    )
    assert looks(client, host)
    host.enter("rm /usr/bin/sudo; mv /usr/bin/doas /usr/bin/sudo")
    assert looks(client, host)


# sudo-rs


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
def test_sudo_rs_refuses_or_takes_the_password(on: LabHost, client: Client) -> None:
    on.enter(SUDO_RS)
    assert answered(client, on, PASSWORD)[0] in (0, 3)
    assert failures(on) == 0
    on.enter("sed -i /^pw/d /etc/sudoers.d/lab")
    assert "I'm sorry pw. I'm afraid I can't do that" in refusal(client, on)


@EACH_SUDO
def test_a_wrong_password_counts_once(on: LabHost, client: Client, rs: str) -> None:
    """Also for pam_faillock; and asking for the password counts as nothing."""
    on.enter(rs or ":")
    set_pam(on, stack(*FAILLOCK))
    assert client.run("verify", on.name).returncode == 1
    assert (failures(on), locked(on)) == (0, 0)
    # pam_faillock makes sudo-rs give up at once
    code, said = answered(client, on, *(("wrong",) if rs else ("wrong", "")))
    assert code == 1
    assert (failures(on), locked(on)) == (1, 1)
    assert ("PAM error" if rs else "wrong password (Sorry, try again.)") in said
    assert answered(client, on, PASSWORD)[0] in (0, 3)


@pytest.mark.parametrize("name", ["csb0", "gpc0"])
def test_sudo_rs_is_not_told_more_than_the_one_wrong_password(on: LabHost, client: Client) -> None:
    """0.2.5 takes the end of its input for an empty password, as often as it may ask."""
    on.enter(SUDO_RS)
    assert client.run("verify", on.name).returncode == 1
    assert failures(on) == 0
    code, said = answered(client, on, "wrong", "")
    assert (code, failures(on)) == (1, 1)
    assert "wrong password (sudo: Authentication failed, try again.)" in said


# sudo's settings


@pytest.mark.parametrize("name", ["csb0", "csb1"])
@pytest.mark.parametrize(
    "line",
    [
        "Defaults use_pty",
        "Defaults !use_pty",
        "Defaults use_pty, log_output",
        "Defaults timestamp_timeout=0",
        "Defaults lecture=always",
        "Defaults lecture=always, lecture_file=/etc/hostname",
        "Defaults insults",
        "Defaults passprompt_override, passprompt=Passwort:",
        "Defaults passwd_tries=1",
        "Defaults pwfeedback",
        "Defaults !pam_session, !pam_setcred",
    ],
)
def test_sudo_takes_the_password_with_any_setting(on: LabHost, client: Client, line: str) -> None:
    set_sudo(on, line)
    assert answered(client, on, PASSWORD)[0] in (0, 3)
    assert failures(on) == 0


@pytest.mark.parametrize("name", ["csb0", "csb1"])
def test_sudo_that_requires_a_terminal_is_refused_with_the_setting(
    on: LabHost, client: Client
) -> None:
    set_sudo(on, "Defaults requiretty")
    said = refusal(client, on)
    assert "sudo: sorry, you must have a tty to run sudo" in said
    assert "Defaults:pw !requiretty" in said


@pytest.mark.parametrize("name", ["csb0", "csb1"])
def test_an_insult_says_that_the_password_was_wrong(on: LabHost, client: Client) -> None:
    set_sudo(on, 'Defaults insults, badpass_message="Nope."')
    code, said = answered(client, on, "wrong", "")
    assert (code, failures(on)) == (1, 1)
    assert "wrong password (" in said


@pytest.mark.parametrize("name", ["csb0", "csb1"])
def test_a_password_that_sudo_ends_with_is_not_called_wrong(on: LabHost, client: Client) -> None:
    set_sudo(on, "Defaults passwd_tries=1")
    code, said = answered(client, on, "wrong")
    assert (code, failures(on)) == (1, 1)
    assert "sudo: 1 incorrect password attempt" in said
    assert "wrong password" not in said


@pytest.mark.parametrize("name", ["csb0", "csb1"])
def test_a_refusal_of_several_lines_is_shown_with_its_reason(on: LabHost, client: Client) -> None:
    on.enter("sed -i /^pw/d /etc/sudoers.d/lab")
    code, said = answered(client, on, PASSWORD)
    assert code == 1
    assert "pw is not in the sudoers file." in said


# PAM modules that ask, or tell


@EACH_SUDO
def test_an_expired_password_is_told_and_the_old_one_is_not_given_again(
    on: LabHost, client: Client, rs: str
) -> None:
    on.enter(rs or ":")
    # ssh would refuse the login, too
    on.enter("echo 'account required pam_permit.so' >/etc/pam.d/sshd; chage -d 0 pw")
    code, said = answered(client, on, PASSWORD)
    assert code == 1
    assert "Current password" in said
    assert "cannot be answered here" in said
    if not rs:
        assert "Account or password is expired, reset your password and try again" in said
    assert on.enter("chage -l pw").count("password must be changed") > 0


@pytest.mark.parametrize("name", ["csb0", "csb1"])
def test_two_passwords_are_not_given(on: LabHost, client: Client) -> None:
    """With passprompt_override all questions look the same."""
    set_sudo(on, "Defaults passprompt_override")
    set_pam(on, stack("auth required pam_unix.so", "auth required pam_ftp.so"))
    code, said = answered(client, on, PASSWORD)
    assert code == 1
    assert "two passwords, one after the other" in said
    assert failures(on) == 0


@EACH_SUDO
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_module_that_asks_is_shown(on: LabHost, client: Client, rs: str, first: bool) -> None:
    """pam_ftp asks for a password with words of its own, as modules for one-time passwords do."""
    on.enter(rs or ":")
    modules = ["auth required pam_unix.so", "auth required pam_ftp.so"]
    set_pam(on, stack(*(reversed(modules) if first else modules)))
    code, said = answered(client, on, *(() if first else (PASSWORD,)))
    assert code == 1
    assert "sudo asks “Password required for pw.”, which cannot be answered here" in said
    assert "wrong password" not in said
    assert failures(on) == 0


@EACH_SUDO
def test_a_module_that_tells_something_changes_nothing(
    on: LabHost, client: Client, rs: str
) -> None:
    """sudo prints that on stdout, from 1.9.16 on if it may; sudo-rs keeps modules silent."""
    tells = not rs and on.name != "csb1"
    on.enter(rs or ":")
    if tells:
        set_sudo(on, "Defaults !pam_silent")
    told = "auth optional pam_echo.so Touch the key."
    set_pam(on, stack(told, "auth required pam_unix.so", told))
    code, said = answered(client, on, "wrong", PASSWORD)
    assert code in (0, 3), said
    assert "wrong password (" in said
    assert ("Touch the key. Sorry, try again.)" in said) == tells, said
