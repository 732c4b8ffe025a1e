"""No text of a host becomes markup of a report, in either format."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from a_report import make_report
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from marked import MARKS, leaked

from nixfleet_core import __version__
from nixfleet_core.judge.coming import Coming, InputCommit
from nixfleet_core.log.characters import FORBIDDEN
from nixfleet_core.report.colours import COLOURS, LINE_LIMIT, plain_text
from nixfleet_core.report.html import POLICY, STYLE, to_html
from nixfleet_core.report.markdown import to_markdown
from nixfleet_core.report.model import Incident, InputChange

HOSTILE = (
    "</pre><script>alert(1)</script>",
    "<img src=https://evil.example/x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1)) <https://evil.example> www.evil.example",
    "@nixos/security #12 owner/repo#3 GH-4",
    "``` ```` ` `` `",
    "\n```\n\n# heading\n\n<b>bold</b>\n",
    " | a | b |\n| --- | --- |\n",
    "\\| <i> \\`x` \\",
    "a|b\\|<i>|\\\\|<u>",
    "**bold** _it_ ~~no~~ &lt;b&gt; &#60;",
    "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[38;2;1;2;3mx\x1b[38;5;9my\x9b5m",
    "\u202eevil\u2066\u200b\x00\x85\u2028next",
    "- - 1. > # setext\n===\n",
    "{{x}} ${x} <!-- --> <?php ?> ]]> <![CDATA[",
    "x" * 100_000,
)

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "h4", "p", "strong"),
    *("code", "ul", "li", "table", "tr", "th", "td", "pre", "span"),
}
ATTRIBUTES = {
    "lang": {"en"},
    "charset": {"utf-8"},
    "http-equiv": {"Content-Security-Policy"},
    "name": {"referrer", "viewport"},
    "content": {POLICY, "no-referrer", "width=device-width, initial-scale=1"},
    "class": {
        *("good", "bad", "line", "error", "number", "bold"),
        *(
            f"{bold}{bright}{name}"
            for bold in ("", "bold ")
            for bright in ("", "bright-")
            for name in COLOURS
        ),
    },
}


class Page(HTMLParser):
    """What a browser finds: tags, attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            assert value in ATTRIBUTES[name], (name, value)
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            assert data == STYLE
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        assert decl == "DOCTYPE html"

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def markdown_tokens(text: str) -> list[str]:
    """What a reader of GitHub's Markdown finds, with HTML and bare links."""
    parsed = MarkdownIt("gfm-like", {"html": True}).parse(text)
    return [one.type for token in parsed for one in (token, *(token.children or ()))]


HARMLESS = {
    *(
        f"{kind}_{end}"
        for end in ("open", "close")
        for kind in (
            *("heading", "paragraph", "bullet_list", "list_item", "strong"),
            *("table", "thead", "tbody", "tr", "th", "td"),
        )
    ),
    *("inline", "text", "code_inline", "fence", "softbreak"),
}


def shape(text: str) -> list[str]:
    """The same without what stands inside of a line."""
    return [kind for kind in markdown_tokens(text) if kind not in ("text", "code_inline")]


def check(text: str, log: str) -> None:
    report = make_report(text, log=log)
    page = to_html(report)
    found = Page(page)
    assert found.open == []
    assert [tag for tag in found.tags if tag != "span"] == [
        tag for tag in Page(to_html(make_report())).tags if tag != "span"
    ]
    plain = to_markdown(report)
    assert set(markdown_tokens(plain)) <= HARMLESS
    assert shape(plain) == shape(to_markdown(make_report()))
    for shown in (page, plain):
        assert FORBIDDEN.search(shown.replace("\n", "")) is None


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_only_text(text: str) -> None:
    check(text, text)


@given(
    st.text(st.sampled_from("`|\\<>&\"'*_[]()!#@:/.-+=~ \n\t\x1b[31m19aé")),
    st.text(st.sampled_from("`|\\<>&\"' \n\x1b[];m0123458x")),
)
def test_no_combination_of_signs_is_markup(text: str, log: str) -> None:
    check(text, log)


@given(st.text(), st.text())
def test_no_text_is_markup(text: str, log: str) -> None:
    check(text, log)


def test_the_page_names_no_address_and_only_its_own_style() -> None:
    page = to_html(make_report())
    assert not re.search(r"url\(|https?:|//|@import|<script|<link|style=|href|src=", page, re.I)
    assert b64encode(sha256(STYLE.encode()).digest()).decode() in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY
    # nothing comes before the policy that it should hold for
    assert page.index("Content-Security-Policy") < page.index("<title>")


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_no_report_has_a_credential(mark: str) -> None:
    report = make_report(f" {mark}", log=f" {mark}")
    for text in (to_html(report), to_markdown(report)):
        assert leaked(text) is None
        assert "‹redacted›" in text


def test_the_markdown_of_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """incident.md is all of it: what is new there should be meant."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    try:
        found = to_markdown(make_report())
    finally:
        monkeypatch.undo()
        time.tzset()
    golden = Path(__file__).with_name("incident.md")
    assert found.replace(__version__, "VERSION") == golden.read_text()


def test_a_downgrade_is_said_in_words() -> None:
    gone = InputCommit("7d0caff" + "0" * 33, "", 1_795_400_000, reverts=True)
    found = Coming(running="1" * 40, target="2" * 40, lost=3, losses=(gone,))
    change = InputChange("nixfleet", "in flake.lock", found)
    report = make_report()
    one = report.hosts[0]
    assert isinstance(one, Incident)
    shown = to_markdown(replace(report, hosts=(replace(one, brought=change, commits=()),)))
    said = "**Commits in flake.lock**: a downgrade: 3 commits of `nixfleet` are gone."
    assert f"### What changed\n\n{said}\n\n" in shown
    assert "| `7d0caff` | 2026-11-23 | – | gone, a revert |\n\nAnd 2 more.\n" in shown


def test_text_is_kept_where_it_means_nothing() -> None:
    shown = to_markdown(make_report(" <b> `x`", log=" <b> ``` x"))
    assert "failed with code 1 `<b>` `` `x` ``" in shown
    assert "````text\n" in shown
    assert "> 8  error: build of agent failed <b> ``` x" in shown
    texts = "".join(Page(to_html(make_report(" <b>", log=" <b>"))).texts)
    assert "failed with code 1 <b>" in texts
    assert "error: build of agent failed <b>" in texts


def test_a_log_line_keeps_its_colours_and_is_cut() -> None:
    page = to_html(make_report(log="\x1b[94mblue\x1b[48;5;3;1mstill" + "x" * 1000))
    assert '<span class="bold red">error:</span> build' in page
    assert '<span class="bright-blue">blue</span><span class="bold bright-blue">still' in page
    assert len(plain_text("x" * 1000)) == LINE_LIMIT + len(" …")
    assert "x" * (LINE_LIMIT + 1) not in page
