"""Each way to become root by itself, with recorded words of hosts."""

from __future__ import annotations

import pytest

from nixfleet_core.errors import NotAllowed
from nixfleet_core.transport.roots import (
    Doas,
    Heard,
    Next,
    NoNeed,
    OnHost,
    RootLogin,
    Sudo,
    Way,
    last_words,
)

MARK = b"nixfleet-6b1f09"
READY = b"READY" + MARK + b"\n"
LECTURE = (
    b"\nWe trust you have received the usual lecture from the local System\nAdministrator.\n\n"
)


def hear(way: Way, *chunks: bytes) -> list[Next]:
    """The next action after each of the chunks."""
    return [way.hear(Heard(b"".join(chunks[:end]))) for end in range(1, len(chunks) + 1)]


def test_no_need_goes_on_at_once() -> None:
    assert NoNeed().opening == b""
    assert NoNeed().hear(Heard()) is Next.GO_ON


@pytest.mark.parametrize("kind", [RootLogin, Doas, Sudo])
def test_each_way_goes_on_when_the_root_shell_is_ready(kind: type[OnHost]) -> None:
    assert kind(MARK).opening == b""
    assert hear(kind(MARK), b"motd\n", b"READY\n", b"READYnixfleet-0\n", READY[:9], READY[9:]) == [
        *[Next.LISTEN] * 4,
        Next.GO_ON,
    ]


@pytest.mark.parametrize("kind", [RootLogin, Doas])
@pytest.mark.parametrize("said", [MARK, b"[sudo: " + MARK + b"] Password: ", b"doas (ops@csb0): "])
def test_only_sudo_gets_a_password(kind: type[OnHost], said: bytes) -> None:
    assert hear(kind(MARK), said, said) == [Next.LISTEN] * 2


def test_each_way_has_its_own_announcement() -> None:
    announced = [kind(MARK).announcement for kind in (RootLogin, Sudo, Doas)]
    assert announced == [b"LOGIN" + MARK, b"SUDO" + MARK, b"DOAS" + MARK]


@pytest.mark.parametrize(
    "prompt",
    [MARK, LECTURE + MARK, b"[sudo: " + MARK + b"] Password: ", b"[sudo: " + MARK + b"] "],
    ids=["sudo", "with the lecture", "sudo-rs", "sudo-rs, which begins"],
)
def test_sudo_gets_the_password_once(prompt: bytes) -> None:
    sudo = Sudo(MARK)
    assert hear(sudo, b"motd\n", b"motd\n" + prompt) == [Next.LISTEN, Next.GIVE_PASSWORD]
    assert sudo.hear(Heard(b"motd\n" + prompt)) is Next.LISTEN
    assert sudo.hear(Heard(b"motd\n" + prompt + b"\n" + READY)) is Next.GO_ON


@pytest.mark.parametrize(
    "again",
    [b"\nSorry, try again.\n" + MARK, b"Sorry, try again.\n" + MARK + b"\nsudo: timed out\n"],
)
def test_sudo_that_asks_again_says_that_the_password_was_wrong(again: bytes) -> None:
    assert hear(Sudo(MARK), MARK, again) == [Next.GIVE_PASSWORD, Next.GIVE_ANOTHER]


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
