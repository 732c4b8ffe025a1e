"""The words for those who have no hosts."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.host import Host, SshAddress
from nixfleet_core.inventory import load_inventory
from nixfleet_core.session.no_hosts import (
    FlakeSays,
    Searched,
    example_inventory,
    no_hosts_words,
)

FILE = Path("/home/my self/.config/nixfleet/hosts.toml")


def looked(searched: Searched) -> dict[str, str]:
    return dict(no_hosts_words(searched).looked)


def test_each_place_says_why_it_gave_no_host() -> None:
    said = looked(Searched(FILE, has_folder=False, here="gpc0"))
    assert said == {
        str(FILE): "there is no such file, nor its folder: "
        "mkdir -p '/home/my self/.config/nixfleet'",
        "the flake ~/Code/nixcfg": "there is no such folder",
        "this machine, gpc0": "it has no NixFleet agent",
    }
    assert looked(Searched(FILE))[str(FILE)] == "there is no such file"


def test_a_file_without_a_host_is_the_only_place_that_was_asked() -> None:
    said = looked(Searched(FILE, has_file=True, here="gpc0"))
    assert list(said) == [str(FILE)]
    assert "it has no host in it" in said[str(FILE)]


def test_every_answer_of_the_flake_has_words_of_its_own() -> None:
    answers: tuple[FlakeSays, ...] = get_args(FlakeSays)
    said = [
        looked(Searched(FILE, flake=answer, problems=("a", "b")))["the flake ~/Code/nixcfg"]
        for answer in answers
    ]
    assert len(set(said)) == len(answers)
    assert "a b" in said


def test_the_words_as_lines_lead_to_the_example_and_on() -> None:
    words = no_hosts_words(Searched(FILE, user="markus"))
    before, after = list(words.before_example()), list(words.after_example())
    assert before[0] == "Looked for hosts in:"
    assert before[-1] == f"Write into {FILE}, for example:"
    assert words.example == example_inventory("markus")
    assert any(line.startswith("nixfleet demo ") for line in after)
    assert any("README" in line for line in after)


def read(tmp_path: Path, text: str) -> Host:
    path = tmp_path / "hosts.toml"
    path.write_text(text)
    (host,) = load_inventory(path).hosts
    return host


def test_the_example_has_the_operators_own_values(tmp_path: Path) -> None:
    host = read(tmp_path, example_inventory("markus", '/home/m/my "cfg"'))
    assert host == Host(
        "csb0", SshAddress("csb0.example.org", "markus"), checkout='/home/m/my "cfg"'
    )
    assert read(tmp_path, example_inventory()).address == SshAddress("csb0.example.org")


def test_what_is_commented_out_in_the_example_is_right_too(tmp_path: Path) -> None:
    example = example_inventory()
    path = tmp_path / "hosts.toml"
    path.write_text(example.replace("\n# ", "\n"))
    assert [host.where for host in load_inventory(path).hosts] == ["csb0.example.org", "local"]


def test_the_example_fits_the_smallest_terminal() -> None:
    assert max(map(len, example_inventory("markus").splitlines())) <= 54


@pytest.mark.parametrize("user", ["-oProxyCommand=x", "a b", "ü", "a@b", 'a"'])
def test_a_name_that_ssh_would_not_take_is_left_out(tmp_path: Path, user: str) -> None:
    assert read(tmp_path, example_inventory(user)).address == SshAddress("csb0.example.org")


@given(user=st.text(max_size=40), checkout=st.text(max_size=60).map("/".__add__) | st.text())
def test_the_example_is_a_right_inventory_whatever_the_values(
    tmp_path_factory: pytest.TempPathFactory, user: str, checkout: str
) -> None:
    read(tmp_path_factory.mktemp("example"), example_inventory(user, checkout))
