"""Each way to become root by itself, with recorded words of hosts."""

from __future__ import annotations

import pytest

from nixfleet_core.errors import NotAllowed
from nixfleet_core.transport.roots import (
    WAYS,
    Doas,
    Heard,
    Next,
    NoNeed,
    OnHost,
    RootLogin,
    Run0,
    Sudo,
    Way,
    last_words,
    words,
)

MARK = b"nixfleet-6b1f09"
READY = b"READY" + MARK + b"\n"
RS = b"[sudo: " + MARK + b"] Password: "
"""sudo-rs's prompt."""
LECTURE = (
    b"\nWe trust you have received the usual lecture from the local System\nAdministrator.\n\n"
)


def hear(way: Way, *chunks: bytes) -> list[Next]:
    """The next action after each of the chunks."""
    return [way.hear(Heard(b"".join(chunks[:end]))) for end in range(1, len(chunks) + 1)]


def test_no_need_goes_on_at_once() -> None:
    assert NoNeed().opening == b""
    assert NoNeed().hear(Heard()) is Next.GO_ON


@pytest.mark.parametrize("kind", [RootLogin, Doas, Run0, Sudo])
def test_each_way_goes_on_when_the_root_shell_is_ready(kind: type[OnHost]) -> None:
    assert kind(MARK).opening == b""
    assert hear(kind(MARK), b"motd\n", b"READY\n", b"READYnixfleet-0\n", READY[:9], READY[9:]) == [
        *[Next.LISTEN] * 4,
        Next.GO_ON,
    ]


@pytest.mark.parametrize("kind", [RootLogin, Doas, Run0])
@pytest.mark.parametrize("said", [MARK, b"[sudo: " + MARK + b"] Password: ", b"doas (ops@csb0): "])
def test_only_sudo_gets_a_password(kind: type[OnHost], said: bytes) -> None:
    assert hear(kind(MARK), said, said) == [Next.LISTEN] * 2


def test_each_way_has_its_own_word() -> None:
    assert [kind.word for kind in WAYS] == [b"LOGIN", b"SUDO", b"DOAS", b"RUN0"]


@pytest.mark.parametrize(
    "prompt",
    [MARK, LECTURE + MARK, RS],
    ids=["sudo", "with the lecture", "sudo-rs"],
)
def test_sudo_gets_the_password_once(prompt: bytes) -> None:
    sudo = Sudo(MARK)
    assert hear(sudo, b"motd\n", b"motd\n" + prompt) == [Next.LISTEN, Next.GIVE_PASSWORD]
    assert sudo.hear(Heard(b"motd\n" + prompt)) is Next.LISTEN
    assert sudo.hear(Heard(b"motd\n" + prompt + b"\n" + READY)) is Next.GO_ON


@pytest.mark.parametrize("end", range(len(b"[sudo: " + MARK), len(RS) - 1))
def test_a_prompt_of_sudo_rs_that_is_not_complete_gets_no_password(end: int) -> None:
    assert hear(Sudo(MARK), RS[:end]) == [Next.LISTEN]


RS_AGAIN = b"\nsudo: Authentication failed, try again.\n" + RS


@pytest.mark.parametrize(
    ("prompt", "again", "said"),
    [
        (MARK, b"Sorry, try again.\n" + MARK, "Sorry, try again."),
        (MARK, b"\nSorry, try again.\n" + MARK, "Sorry, try again."),
        (MARK, b"Listen, burrito brains!\n" + MARK, "Listen, burrito brains!"),
        (MARK, b"Sorry, try again.\n" + MARK + b"\nsudo: timed out\n", "Sorry, try again."),
        (RS, RS_AGAIN, "sudo: Authentication failed, try again."),
    ],
    ids=["sudo", "with an empty line", "an insult", "which ends", "sudo-rs"],
)
def test_sudo_that_asks_the_same_again_says_that_the_password_was_wrong(
    prompt: bytes, again: bytes, said: str
) -> None:
    sudo = Sudo(MARK)
    assert hear(sudo, prompt, again) == [Next.GIVE_PASSWORD, Next.GIVE_ANOTHER]
    assert sudo.said == said


def test_a_wrong_password_is_told_with_what_a_module_says() -> None:
    """sudo prints a module's messages on stdout."""
    sudo = Sudo(MARK)
    sudo.hear(Heard(MARK))
    stdout = b"The account is locked due to 3 failed logins.\n"
    assert sudo.hear(Heard(MARK + b"Sorry, try again.\n" + MARK, stdout)) is Next.GIVE_ANOTHER
    assert sudo.said == "The account is locked due to 3 failed logins. Sorry, try again."


@pytest.mark.parametrize("prompt", [(MARK, MARK), (RS, b"\n" + RS)], ids=["sudo", "sudo-rs"])
def test_a_second_question_at_once_is_no_wrong_password(prompt: tuple[bytes, bytes]) -> None:
    sudo = Sudo(MARK)
    assert sudo.hear(Heard(prompt[0])) is Next.GIVE_PASSWORD
    with pytest.raises(NotAllowed, match="two passwords, one after the other"):
        sudo.hear(Heard(b"".join(prompt)))


EXPIRED = "sudo: Account or password is expired, reset your password and try again"


@pytest.mark.parametrize(
    ("before", "asked", "shown"),
    [
        (b"", b"Verification code: ", "“Verification code”%"),
        (LECTURE, b"Verification code: ", "“Verification code”%"),
        (b"", b"[sudo: " + MARK + b"] Verification code: ", "“Verification code”%"),
        (b"", b"[sudo: input needed] Login as: ", "“[sudo: input needed] Login as”%"),
        (MARK, b"Verification code: ", "“Verification code”%"),
        (
            MARK,
            f"{EXPIRED}\nCurrent password: ".encode(),
            f"“Current password”% ({EXPIRED})",
        ),
        (RS, b"\n[sudo: " + MARK + b"] Current password: ", "“Current password”%"),
    ],
)
def test_another_question_is_shown_and_not_answered(
    before: bytes, asked: bytes, shown: str
) -> None:
    sudo = Sudo(MARK)
    if MARK in before:
        assert sudo.hear(Heard(before)) is Next.GIVE_PASSWORD
    assert sudo.hear(Heard(before + asked)) is Next.LISTEN
    with pytest.raises(NotAllowed) as caught:
        sudo.hear(Heard(before + asked, quiet=True))
    shown = shown.replace("%", ", which cannot be answered here")
    assert str(caught.value) == f"sudo asks {shown}"


@pytest.mark.parametrize("prompt", [MARK, RS], ids=["sudo", "sudo-rs"])
def test_sudo_may_take_its_time_over_the_password(prompt: bytes) -> None:
    sudo = Sudo(MARK)
    assert sudo.hear(Heard(prompt, quiet=True)) is Next.GIVE_PASSWORD
    assert sudo.hear(Heard(prompt, quiet=True)) is Next.LISTEN
    assert sudo.hear(Heard(prompt + b"\n", quiet=True)) is Next.LISTEN


@pytest.mark.parametrize("kind", [Doas, Run0])
def test_a_line_that_is_not_complete_is_a_question_only_with_sudo(kind: type[OnHost]) -> None:
    assert kind(MARK).hear(Heard(b"doas: ", quiet=True)) is Next.LISTEN


def test_one_try_only_is_no_wrong_password() -> None:
    """With passwd_tries=1 sudo does not ask again; nobody knows why it refused but itself."""
    sudo = Sudo(MARK)
    assert sudo.hear(Heard(LECTURE + MARK)) is Next.GIVE_PASSWORD
    with pytest.raises(NotAllowed, match=r"^sudo: 1 incorrect password attempt$"):
        sudo.hear(Heard(LECTURE + MARK + b"sudo: 1 incorrect password attempt\n", over=True))


@pytest.mark.parametrize("kind", WAYS)
def test_a_program_that_keeps_silent_is_named_with_its_last_words(kind: type[OnHost]) -> None:
    for stdout, more in ((b"", ""), (b"Please touch the device.\n", ": Please touch the device.")):
        with pytest.raises(NotAllowed) as caught:
            kind(MARK).hear(Heard(b"", stdout, late=True))
        assert str(caught.value) == f"{kind.name} gave no answer in time{more}"


@pytest.mark.parametrize(
    ("kind", "why", "setting"),
    [
        (Sudo, b"pw is not in the sudoers file.\n", ""),
        (Sudo, b"sudo: sorry, you must have a tty to run sudo\n", "Defaults:USER !requiretty"),
        (Doas, b"doas: Authentication required\n", "permit nopass USER as root"),
        (Run0, b"Interactive authentication required.\n", "manage-units"),
        (RootLogin, b"", ""),
    ],
)
def test_a_refusal_names_the_setting_that_is_missing(
    kind: type[OnHost], why: bytes, setting: str
) -> None:
    with pytest.raises(NotAllowed) as caught:
        kind(MARK).hear(Heard(why, over=True))
    assert str(caught.value) == (why.decode().strip() or "becoming root was refused")
    assert setting in caught.value.setting
    assert bool(setting) == bool(caught.value.setting)


def test_sudo_gets_no_password_when_it_needs_none() -> None:
    assert hear(Sudo(MARK), b"motd\n", READY) == [Next.LISTEN, Next.GO_ON]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"+ exec sudo -k -S -p " + MARK + b" -- /bin/sh", "+ exec sudo -k -S -p  -- /bin/sh"),
        (MARK + b"\n", ""),
        (b"[sudo: " + MARK + b"] Password: \n", "[sudo: ] Password:"),
        (MARK + b"x", "x"),
    ],
)
def test_sudos_prompt_among_other_words_gets_no_password(said: bytes, shown: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        Sudo(MARK).hear(Heard(said))
    assert str(caught.value) == (
        f"sudo's prompt stands among other words, so no password goes there: {shown}"
    )


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (b"ops is not in the sudoers file.\n", "ops is not in the sudoers file."),
        (b"first\n\n  doas: not permitted \n" + MARK + b"\n", "doas: not permitted"),
        (b"caf\xe9\n", "caf\ufffd"),
        (MARK + b"\n \n", ""),
        (b"", ""),
    ],
)
def test_the_last_words_are_the_last_that_say_something(said: bytes, last: str) -> None:
    assert last_words(said, MARK) == last


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            b"pw is not in the sudoers file.\nThis incident has been reported.\n",
            "pw is not in the sudoers file. This incident has been reported.",
        ),
        (b"\n \n", ""),
        (b"x" * 301, "x" * 300 + " …"),
    ],
)
def test_a_refusal_of_several_lines_is_shown_in_one(said: bytes, shown: str) -> None:
    assert words(said, MARK) == shown
