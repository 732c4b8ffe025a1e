"""Asking for passwords: one question at a time, and each answer is tried once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from fakes import FakeSession

from nixfleet_core.errors import NeedsPassword, NotAllowed, PasswordRefused
from nixfleet_core.host import Host
from nixfleet_core.session.passwords import Passwords
from nixfleet_core.transport.password import Password

RIGHT = "right"


class Session(FakeSession):
    """A host whose sudo counts what it gets, and asks the same again."""

    def __init__(self, name: str) -> None:
        super().__init__(Host(name=name))
        self.secret = Password()
        self.sent: list[str] = []

    def give_password(self, password: str) -> None:
        self.secret.give(password)

    async def look(self) -> str:
        async with self.secret.tried() as value:
            if value is None:
                raise self.secret.need(self.host.name)
            self.sent.append(value)
            await asyncio.sleep(0)
            if value == "ends":
                raise NotAllowed("sudo: 1 incorrect password attempt")
            if value != RIGHT:
                raise NeedsPassword(self.host.name, wrong=True, said="Sorry.")
        self.secret.keep(value)
        return "root"


@dataclass
class Operator:
    answers: dict[str, list[str]]
    asked: list[str] = field(default_factory=list)

    async def answer(self, need: NeedsPassword) -> str | None:
        self.asked.append(str(need))
        await asyncio.sleep(0)
        left = self.answers[need.host]
        return left.pop(0) if left else None


async def test_a_wrong_password_is_tried_once_on_its_host_alone() -> None:
    one, other = Session("csb0"), Session("csb1")
    operator = Operator({"csb0": ["wrong", RIGHT], "csb1": [RIGHT]})
    passwords = Passwords(operator.answer)
    looks = [passwords.run(session, session.look) for session in (one, one, one, other, other)]
    assert await asyncio.gather(*looks) == ["root"] * 5
    assert one.sent == ["wrong", *[RIGHT] * 3]
    assert other.sent == [RIGHT] * 2
    assert sorted(operator.asked) == [
        "sudo on csb0 refused the password (Sorry.)",
        "sudo on csb0 wants a password",
        "sudo on csb1 wants a password",
    ]


async def test_nobody_sends_a_wrong_password_after_the_operator_gave_up() -> None:
    session = Session("csb0")
    passwords = Passwords(Operator({"csb0": ["wrong"]}).answer)
    for _ in range(3):
        with pytest.raises(PasswordRefused, match="refused the password"):
            await passwords.run(session, session.look)
    assert session.sent == ["wrong"]


async def test_a_password_with_which_sudo_ended_is_asked_for_anew() -> None:
    session = Session("csb0")
    operator = Operator({"csb0": ["ends", RIGHT]})
    passwords = Passwords(operator.answer)
    with pytest.raises(NotAllowed, match="1 incorrect"):
        await passwords.run(session, session.look)
    assert await passwords.run(session, session.look) == "root"
    assert session.sent == ["ends", RIGHT]
    assert operator.asked == ["sudo on csb0 wants a password"] * 2
