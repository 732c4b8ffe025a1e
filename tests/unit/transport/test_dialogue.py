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
    opening = Dialogue(RootPrograms(("/a", "/usr/bin"), 7)).opening
    assert b"\nNF_FOLDERS='/a /usr/bin'\nNF_ROOT_UID=7\n" in opening
    assert b"\nNF_SAFE_PATH=/a:/usr/bin:/run/current-system/sw/bin:/bin\n" in opening


def test_the_client_leaves_a_shell_that_echoes_its_input(dialogue: Dialogue) -> None:
    for heard in (Heard(stderr=dialogue.opening), Heard(stdout=b"x" + dialogue.opening)):
        with pytest.raises(NotAllowed, match="repeats its input"):
            dialogue.hear(heard)


@pytest.mark.parametrize(
    ("way", "asked"),
    [
        (b"", Next.LISTEN),
        (b"LOGINMARK\n", Next.LISTEN),
        (b"DOASMARK\n", Next.LISTEN),
        (b"SUDOMARK\n", Next.GIVE_PASSWORD),
        (b"motd\nSUDOMARK\nlecture\n", Next.GIVE_PASSWORD),
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
    assert dialogue.hear(said(dialogue, way + b"MARK\n")) is Next.LISTEN
    assert dialogue.hear(said(dialogue, b"SUDOMARK\nREADYMARK\n")) is Next.GO_ON
    other = dialogue.hear(said(dialogue, b"lecture\nMARK"))
    assert (other is Next.GIVE_PASSWORD) == (way == b"SUDO")


def test_a_shell_that_is_ready_has_announced_a_way(dialogue: Dialogue) -> None:
    assert dialogue.hear(said(dialogue, b"READYMARK\n")) is Next.LISTEN
    assert dialogue.hear(said(dialogue, b"DOASMARK\nREADYMARK\n", over=True)) is Next.GO_ON


@pytest.mark.parametrize("way", [b"", b"LOGINMARK\n", b"SUDOMARK\n", b"DOASMARK\n"])
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"first\n\n  doas: Operation not permitted \n\n", "doas: Operation not permitted"),
        (b"", "becoming root was refused"),
    ],
)
def test_an_end_without_a_root_shell_says_why(
    dialogue: Dialogue, way: bytes, words: bytes, why: str
) -> None:
    with pytest.raises(NotAllowed) as caught:
        dialogue.hear(said(dialogue, way + words, over=True))
    assert str(caught.value) == why


def test_a_prompt_is_answered_even_at_the_end_of_output(dialogue: Dialogue) -> None:
    heard = said(dialogue, b"SUDOMARK\nMARK", over=True)
    assert dialogue.hear(heard) is Next.GIVE_PASSWORD
