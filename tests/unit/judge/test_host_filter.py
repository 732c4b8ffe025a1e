"""The language of the filter: which hosts each text shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixfleet_core.host import Host, parse_address
from nixfleet_core.judge.host_filter import Condition, Filter, Listed
from nixfleet_core.vocabulary import STATES

CSB0 = Listed(Host("csb0", parse_address("ops@cs0:2222"), tags=("cloud", "Prod")), "stale", "2.1.0")
CSB1 = Listed(Host("csb1", parse_address("ops@cs1"), tags=("cloudy",)), "current", "2.10.0")
GPC0 = Listed(Host("gpc0", tags=("home",)), "unproven", "2.1")
IMAC0 = Listed(Host("imac0", parse_address("markus@imac0")), "offline")
FLEET = (CSB0, CSB1, GPC0, IMAC0)


def shown(found: Filter) -> list[str]:
    return [seen.host.name for seen in FLEET if found.shows(seen)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "csb0 csb1 gpc0 imac0"),
        ("  ", "csb0 csb1 gpc0 imac0"),
        ("csb", "csb0 csb1"),
        ("CSB0", "csb0"),
        ("cs0:2222", "csb0"),
        ("local", "gpc0"),
        ("stale", "csb0"),
        ("cloud", "csb0 csb1"),
        ("csb ops", "csb0 csb1"),
        ("csb stale", "csb0"),
        ("csb home", ""),
        ("!csb", "gpc0 imac0"),
        ("!csb !imac", "gpc0"),
        ("!!csb", "csb0 csb1"),
        ("csb !cloudy", "csb0"),
        ("tag:cloud", "csb0"),
        ("TAG:prod", "csb0"),
        ("tag:csb0", ""),
        ("!tag:cloud", "csb1 gpc0 imac0"),
        ("tag:cloud tag:prod", "csb0"),
        ("state:stale", "csb0"),
        ("State:STALE", "csb0"),
        ("state:stal", ""),
        ("!state:stal", "csb0 csb1 gpc0 imac0"),
        ("!state:current !state:offline", "csb0 gpc0"),
        ("version:2.1", "csb0 gpc0"),
        ("version:2", "csb0 csb1 gpc0"),
        ("version:2.", "csb0 csb1 gpc0"),
        ("version:2.1.0", "csb0"),
        ("version:2.10", "csb1"),
        ("version:1", ""),
        ("!version:2.1", "csb1 imac0"),
        ("version:0", ""),
        ("tag:cloud state:stale version:2.1 csb", "csb0"),
        ("os:nixos", ""),
        (":", "csb0"),
    ],
)
def test_a_text_shows_the_hosts_that_all_its_words_allow(text: str, names: str) -> None:
    assert shown(Filter.of(text)) == names.split()


@pytest.mark.parametrize("text", ["!", "!!", "tag:", "!tag:", "state:", "!state:", "version:"])
def test_a_word_that_is_not_complete_asks_nothing_yet(text: str) -> None:
    assert Filter.of(text) == Filter()
    assert shown(Filter.of(f"{text} csb0")) == ["csb0"]


@pytest.mark.parametrize(
    ("tags", "states", "names"),
    [
        ((), (), "csb0 csb1 gpc0 imac0"),
        (("cloud",), (), "csb0"),
        (("CLOUD", "home"), (), "csb0 gpc0"),
        ((), ("stale", "offline"), "csb0 imac0"),
        (("cloud", "home"), ("stale", "current"), "csb0"),
        (("cloud",), ("current",), ""),
    ],
)
def test_options_of_one_kind_mean_one_of_them_and_kinds_must_all_match(
    tags: tuple[str, ...], states: tuple[str, ...], names: str
) -> None:
    assert shown(Filter.choosing(tags=tags, states=states)) == names.split()  # type: ignore[arg-type]


def test_a_filter_names_what_nobody_knows() -> None:
    found = Filter.of("state:stal !state:Down state:stale tag:clod tag:PROD state:")
    assert found.unknown("state", STATES) == ["stal"]
    assert found.unknown("tag", ("cloud", "Prod")) == ["clod"]
    assert found.unknown("version", ()) == []


WORDS = st.one_of(
    st.text(),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(("", "!", "!!", "!!!")),
        st.sampled_from(("", "tag:", "state:", "version:", "Tag:", "x:")),
        st.sampled_from(("", "cloud", "stale", "2.1", "csb", "!", ":", "2.")) | st.text(),
    ),
)
HOSTS = st.sampled_from(FLEET) | st.builds(
    Listed,
    st.builds(Host, st.just("h"), tags=st.lists(st.text(), max_size=3).map(tuple)),
    st.sampled_from(STATES),
    st.none() | st.text(),
)


@given(st.lists(WORDS), HOSTS)
def test_any_text_is_a_filter_that_needs_each_of_its_words(words: list[str], seen: Listed) -> None:
    parts = [part for word in words for part in word.split()]
    expected = all(Filter.of(part).shows(seen) for part in parts)
    assert Filter.of(" ".join(words)).shows(seen) is expected


@given(WORDS, HOSTS)
def test_an_excluded_word_shows_exactly_the_other_hosts(word: str, seen: Listed) -> None:
    word = "".join(word.split())
    plain, excluded = Filter.of(word), Filter.of(f"!{word}")
    if Condition.of(word) is None:
        assert (plain, excluded) == (Filter(), Filter())
    else:
        assert plain.shows(seen) is not excluded.shows(seen)
