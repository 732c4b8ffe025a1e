"""The report on a hostile job, in a real browser: it runs nothing, and asks nobody for anything."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from .browser import counting_server, open_page

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client
    from .fleet import Fleet

SECRET: Final = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
PLACE: Final = 'echo "setting up /etc..."\n'


def hostile_lines(server: str) -> tuple[str, ...]:
    """What a page does if it takes a log for markup."""
    ran = "document.title='it ran'"
    return (
        f"error: </span></pre><script>{ran};fetch('{server}/script')</script>",
        f'error: <img src="{server}/image" onerror="{ran}">',
        f"error: <link rel=stylesheet href={server}/style><iframe src={server}/frame></iframe>",
        f'error: "><svg/onload={ran}> <meta http-equiv=refresh content="0;url={server}/refresh">',
        f"error: \x1b]0;title\x07\x1b[2J\x1b[31m<b>red</b> https://ops:{SECRET}@git.example.org/x",
    )


def test_a_hostile_log_stays_text_in_a_real_browser(
    fresh: Fleet, client: Client, tmp_path: Path
) -> None:
    csb0, page = fresh["csb0"], tmp_path / "report.html"
    with counting_server() as (server, asked):
        lines = hostile_lines(server)
        # the browser and the server see what a page does that takes them for markup
        raw = tmp_path / "raw.html"
        raw.write_text("<!DOCTYPE html><title>log</title><pre><span>" + "\n".join(lines[:3]))
        assert "<title>it ran</title>" in open_page(raw, tmp_path / "profile")
        assert {"/script", "/image", "/style", "/frame"} <= set(asked)
        asked.clear()

        switch = (fresh.repos.path("nixcfg") / "switch-to-configuration.sh").read_text()
        assert switch.count(PLACE) == 1
        prints = "".join(f"printf '%s\\n' {shlex.quote(line)} >&2\n" for line in lines)
        fresh.repos.commit_nixcfg(
            f"<script>fetch('{server}/title')</script>",
            fail_switch=4,
            files={"switch-to-configuration.sh": switch.replace(PLACE, PLACE + prints)},
        )
        fresh.repos.release("2.2.0")
        assert client.run("update", csb0.name, "--force", "--yes").returncode == 4
        done = client.run("report", csb0.name, "-o", str(page))
        assert done.returncode == 0, done.stderr
        shown = open_page(page, tmp_path / "profile")
        assert asked == []
    assert "<title>Incident report</title>" in shown
    assert "&lt;script&gt;document.title='it ran'" in shown
    assert SECRET not in shown
    assert SECRET not in page.read_text()
    assert SECRET.encode() in b"".join(path.read_bytes() for path in client.folder.rglob("log"))
