"""The opening of the dialogue, and how the answer tells the host's way to root."""

from __future__ import annotations

import pytest

from nixfleet_core.errors import NotAllowed
from nixfleet_core.transport.dialogue import Dialogue, RootPrograms
from nixfleet_core.transport.roots import Heard, Next


@pytest.fixture
def dialogue() -> Dialogue:
    return Dialogue()


def said(dialogue: Dialogue, words: bytes, *, over: bool = False) -> Heard:
    return Heard(words.replace(b"MARK", dialogue.mark), over=over)


def test_the_opening_never_holds_the_whole_mark(dialogue: Dialogue) -> None:
    assert dialogue.mark not in dialogue.opening
    assert all(half.encode() in dialogue.opening for half in dialogue.halves)


def test_each_dialogue_has_its_own_mark() -> None:
    assert Dialogue().mark != Dialogue().mark


def test_the_opening_names_the_trusted_programs() -> None:
    opening = Dialogue(RootPrograms(("/a", "/usr/bin"), ("/b",), 7)).opening
    assert b"\nNF_FOLDERS='/a /usr/bin'\nNF_RUN0_FOLDERS=/b\nNF_ROOT_UID=7\n" in opening
    assert b"\nNF_SAFE_PATH=/a:/usr/bin:/run/current-system/sw/bin:/bin\n" in opening


def test_the_client_leaves_a_shell_that_echoes_its_input(dialogue: Dialogue) -> None:
    for heard in (Heard(stderr=dialogue.opening), Heard(stdout=b"x" + dialogue.opening)):
        with pytest.raises(NotAllowed, match="repeats its input"):
            dialogue.hear(heard)


@pytest.mark.parametrize(
    ("way", "asked"),
    [
        (b"", Next.LISTEN),
        (b"LOGINMARK 77\n", Next.LISTEN),
        (b"DOASMARK 77\n", Next.LISTEN),
        (b"SUDOMARK 77\n", Next.GIVE_PASSWORD),
        (b"motd\nSUDOMARK 77\nlecture\n", Next.GIVE_PASSWORD),
        (b"SUDO\n", Next.LISTEN),
        (b"SUDOnixfleet-\n", Next.LISTEN),
    ],
)
def test_the_password_goes_out_only_after_the_host_took_sudo(
    dialogue: Dialogue, way: bytes, asked: Next
) -> None:
    assert dialogue.hear(said(dialogue, way)) is Next.LISTEN
    assert dialogue.hear(said(dialogue, way + b"MARK")) is asked


@pytest.mark.parametrize("way", [b"LOGIN", b"SUDO", b"DOAS"])
def test_the_announced_way_stays(dialogue: Dialogue, way: bytes) -> None:
    """Only the end of long output is kept, so the announcement may be gone."""
    assert dialogue.hear(said(dialogue, way + b"MARK 77\n")) is Next.LISTEN
    assert dialogue.hear(said(dialogue, b"SUDOMARK 77\nREADYMARK\n")) is Next.GO_ON
    other = dialogue.hear(said(dialogue, b"lecture\nMARK"))
    assert (other is Next.GIVE_PASSWORD) == (way == b"SUDO")


def test_a_shell_that_is_ready_has_announced_a_way(dialogue: Dialogue) -> None:
    assert dialogue.hear(said(dialogue, b"READYMARK\n")) is Next.LISTEN
    assert dialogue.hear(said(dialogue, b"DOASMARK 77\nREADYMARK\n", over=True)) is Next.GO_ON


@pytest.mark.parametrize("way", [b"", b"LOGINMARK 77\n", b"SUDOMARK 77\n", b"DOASMARK 77\n"])
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"first\n\n  doas: no \n\n", ("doas: no", "first doas: no")),
        (b"", ("becoming root was refused",) * 2),
    ],
)
def test_an_end_without_a_root_shell_says_why(
    dialogue: Dialogue, way: bytes, words: bytes, why: tuple[str, str]
) -> None:
    """Before a way is announced, it is the last line: start-up files may have said the others."""
    with pytest.raises(NotAllowed) as caught:
        dialogue.hear(said(dialogue, way + words, over=True))
    assert str(caught.value) == why[way != b""]


def test_a_prompt_is_answered_even_at_the_end_of_output(dialogue: Dialogue) -> None:
    heard = said(dialogue, b"SUDOMARK 77\nMARK", over=True)
    assert dialogue.hear(heard) is Next.GIVE_PASSWORD


@pytest.mark.parametrize(
    ("announced", "process"),
    [(b"", None), (b"SUDOMARK 1234\n", 1234), (b"SUDOMARK 12", None), (b"SUDOMARK 0\n", None)],
)
def test_the_announcement_names_the_process(
    dialogue: Dialogue, announced: bytes, process: int | None
) -> None:
    assert dialogue.hear(said(dialogue, b"motd\n" + announced)) is Next.LISTEN
    assert dialogue.process == process


def test_words_before_the_announcement_are_not_sudos(dialogue: Dialogue) -> None:
    """The account's start-up files say them, and a silent shell is no silent sudo."""
    heard = said(dialogue, b"motd: ")._replace(stdout=b"welcome\n", quiet=True)
    assert dialogue.hear(heard) is Next.LISTEN
    assert dialogue.hear(heard._replace(late=True)) is Next.LISTEN
    asked = said(dialogue, b"motd: \nSUDOMARK 77\n")._replace(stdout=b"welcome\n", quiet=True)
    assert dialogue.hear(asked) is Next.LISTEN
    with pytest.raises(NotAllowed, match=r"^sudo gave no answer in time: Touch the key\.$"):
        dialogue.hear(asked._replace(stdout=b"welcome\nTouch the key.\n", late=True))
    again = said(dialogue, b"SUDOMARK 77\nMARK")
    assert dialogue.hear(again) is Next.GIVE_PASSWORD
    assert dialogue.hear(said(dialogue, b"SUDOMARK 77\nMARKno\nMARK")) is Next.GIVE_ANOTHER
    assert dialogue.said == "no"
