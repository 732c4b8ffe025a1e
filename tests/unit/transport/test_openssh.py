"""What the OpenSSH client is asked, and what an older one would say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nixfleet_core.transport.openssh import (
    SESSION,
    as_words,
    ask_settings,
    in_the_way,
    not_held,
    session_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD_SSH = """#!/bin/sh
# as OpenSSH: the first unknown option ends it
echo "$*" >>{folder}/asked
for word do
  case $word in
    {unknown}=*)
      name=$(printf '%s' "${{word%%=*}}" | tr A-Z a-z)
      echo "command-line: line 0: Bad configuration option: $name" >&2
      exit 255 ;;
  esac
done
"""


@pytest.fixture(autouse=True)
def _asks_anew() -> Iterator[None]:
    session_options.cache_clear()
    yield
    session_options.cache_clear()


def old_client(folder: Path, monkeypatch: pytest.MonkeyPatch, unknown: str) -> None:
    (folder / "ssh").write_text(OLD_SSH.format(folder=folder, unknown=unknown))
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.needs("ssh")
def test_this_client_knows_every_option() -> None:
    """The tests' machines have OpenSSH 8.7 or later."""
    assert session_options() == SESSION


@pytest.mark.parametrize(
    ("unknown", "lacks"),
    [
        ("nothing", set()),
        (
            "SessionType=* | StdinNull=* | ForkAfterAuthentication",
            {"SessionType", "StdinNull", "ForkAfterAuthentication"},
        ),
        ("RemoteCommand", {"RemoteCommand"}),
    ],
)
def test_an_older_client_is_given_no_option_that_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str, lacks: set[str]
) -> None:
    old_client(tmp_path, monkeypatch, unknown)
    names = {option.partition("=")[0] for option in session_options()}
    assert names == {option.partition("=")[0] for option in SESSION} - lacks
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 1 + len(lacks)
    session_options()
    assert (tmp_path / "asked").read_text().splitlines() == asked


def test_the_client_is_asked_without_the_operators_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could have lines that run commands, or that it cannot read."""
    old_client(tmp_path, monkeypatch, "nothing")
    session_options()
    assert (tmp_path / "asked").read_text().startswith("-F /dev/null -G -o RemoteCommand=none -o ")


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexit 3\n"])
def test_a_client_that_does_not_say_is_given_all_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    if script is not None:
        (tmp_path / "ssh").write_text(script)
        (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert session_options() == SESSION


def test_no_option_replaces_the_operators_ignore_unknown() -> None:
    """`IgnoreUnknown UseKeychain` is what lets a Mac's configuration work with other clients."""
    assert not any(option.startswith("IgnoreUnknown") for option in SESSION)


INTERACTIVE = """
Host *
  RemoteCommand tmux new -A -s main
  RequestTTY force
  SessionType subsystem
  StdinNull yes
  ForkAfterAuthentication yes
  PermitLocalCommand yes
  LocalCommand echo connected
  LocalForward 8080 127.0.0.1:80
  RemoteForward 9090 127.0.0.1:90
  DynamicForward 1080
  Tunnel yes
  ExitOnForwardFailure yes
  ForwardAgent yes
  ForwardX11 yes
  VisualHostKey yes
  ConnectionAttempts 9
"""
HELD = {
    "remotecommand": None,
    "requesttty": "false",
    "sessiontype": "default",
    "stdinnull": "no",
    "forkafterauthentication": "no",
    "permitlocalcommand": "no",
    "localforward": None,
    "remoteforward": None,
    "dynamicforward": None,
    "tunnel": "false",
    "forwardagent": "no",
    "forwardx11": "no",
    "visualhostkey": "no",
    "connectionattempts": "1",
}


@pytest.mark.needs("ssh")
async def test_our_options_hold_whatever_the_operators_say(tmp_path: Path) -> None:
    """As ssh itself says."""
    config = tmp_path / "config"
    config.write_text(INTERACTIVE)
    theirs = await ask_settings(("-F", str(config)), "h")
    ours = await ask_settings(("-F", str(config), *as_words(SESSION)), "h")
    assert {name: ours.get(name) for name in HELD} == HELD
    assert [name for name in HELD if theirs.get(name) == HELD[name]] == []


@pytest.mark.needs("ssh")
async def test_an_option_that_does_not_hold_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(INTERACTIVE)
    file = ("-F", str(config))
    assert not_held(await ask_settings((*file, *as_words(SESSION)), "h")) == ()
    less = [one for one in SESSION if not one.startswith(("StdinNull", "RemoteCommand"))]
    named = not_held(await ask_settings((*file, *as_words(less)), "h"))
    assert named == ("RemoteCommand", "StdinNull")


@pytest.mark.needs("ssh")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("PermitLocalCommand yes\nLocalCommand echo hi", ()),
        ("LocalForward 8080 127.0.0.1:80\nExitOnForwardFailure yes", ()),
        (
            "ClearAllForwardings no\nLocalForward 8080 127.0.0.1:80\nDynamicForward 1080",
            ("LocalForward", "DynamicForward"),
        ),
        ("RequestTTY force\nRemoteCommand tmux\nStdinNull yes", ()),
    ],
)
async def test_a_jumps_option_that_breaks_the_way_is_named(
    tmp_path: Path, text: str, names: tuple[str, ...]
) -> None:
    (tmp_path / "config").write_text(text)
    options = ("-F", str(tmp_path / "config"), "-W", "localhost:22")
    assert in_the_way(await ask_settings(options, "ssh://ops@h:2222")) == names


@pytest.mark.needs("ssh")
async def test_a_configuration_that_ssh_refuses_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Nonsense yes\n")
    assert await ask_settings(("-F", str(tmp_path / "config")), "h") == {}
    assert await ask_settings(("-F", str(tmp_path / "none")), "h") == {}
