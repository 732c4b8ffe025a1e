"""A report as one HTML file that runs nothing and asks nobody for anything. Pure.

Every text is escaped, no attribute has a text from outside, and a content security policy allows
only the one style sheet in the file.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Final

from nixfleet_core.report.blocks import Bullets, Heading, LogText, Paragraph, Table, Value
from nixfleet_core.report.colours import COLOURS, pieces
from nixfleet_core.report.layout import lay_out
from nixfleet_core.report.words import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixfleet_core.report.blocks import Block, Inline, Line
    from nixfleet_core.report.colours import Piece
    from nixfleet_core.report.model import IncidentReport, LogLine

_LIGHT: Final = (
    *("#24292f", "#b3261e", "#1a6b34", "#7a5200", "#0b57a4", "#8a2f8f", "#0f6b73", "#57606a"),
)
_DARK: Final = (
    *("#8b949e", "#ff8b81", "#6fd08c", "#e3b84c", "#79b8ff", "#e29bea", "#63d3de", "#d0d7de"),
)


def _colours(values: tuple[str, ...]) -> str:
    pairs = zip(COLOURS, values, strict=True)
    return "".join(f".{name},.bright-{name}{{color:{value}}}" for name, value in pairs)


STYLE: Final = f"""
:root{{color-scheme:light dark;--text:#1f2328;--faint:#59636e;--line:#d1d9e0;--box:#f6f8fa;
--good:#1a6b34;--bad:#b3261e}}
body{{margin:2rem auto;max-width:76rem;padding:0 1rem;color:var(--text);background:Canvas;
font:1rem/1.5 system-ui,sans-serif}}
h1,h2,h3,h4{{line-height:1.25;overflow-wrap:anywhere}}
h2{{margin-top:3rem;border-bottom:1px solid var(--line)}}
h4{{color:var(--faint);font-weight:normal;margin-bottom:.3rem}}
table{{border-collapse:collapse;margin:1rem 0;max-width:100%}}
th,td{{border:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top;
overflow-wrap:anywhere}}
th{{background:var(--box)}}
code,pre{{font:.875rem/1.45 ui-monospace,monospace}}
code,td,th,li,p{{unicode-bidi:isolate}}
pre{{background:var(--box);border:1px solid var(--line);padding:.6rem;white-space:pre-wrap;
overflow-wrap:anywhere}}
.number{{color:var(--faint);user-select:none}}
.line,.error{{display:inline-block;box-sizing:border-box;width:100%;padding-left:.6rem}}
.error{{border-left:.25rem solid var(--bad);padding-left:.35rem}}
.good{{color:var(--good)}}.bad{{color:var(--bad)}}.bold{{font-weight:bold}}
{_colours(_LIGHT)}
@media (prefers-color-scheme:dark){{
:root{{--text:#e6edf3;--faint:#9198a1;--line:#3d444d;--box:#161b22;--good:#6fd08c;--bad:#ff8b81}}
{_colours(_DARK)}
}}
@media print{{
:root{{color-scheme:light}}
body{{margin:0;max-width:none}}h2{{break-before:page}}h3,h4{{break-after:avoid}}
tr{{break-inside:avoid}}
}}
"""
"""The style sheet. It names no file, no font and no address."""

POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""What a browser may load: only this style sheet."""

_HEAD: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
"""


def to_html(report: IncidentReport) -> str:
    """The whole page."""
    title = "Incident report"
    body = "\n".join(part for block in lay_out(report) for part in _block(block))
    return (
        f"{_HEAD}<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(level=level, words=words):
            yield f"<h{level}>{_line(words)}</h{level}>"
        case Paragraph(label=label, words=words, tone=tone):
            named = f"<strong>{_text(label)}:</strong> " if label else ""
            classed = f' class="{tone}"' if tone else ""
            yield f"<p{classed}>{named}{_line(words)}</p>"
        case Bullets(items=items):
            yield f"<ul>{''.join(f'<li>{_line(item)}</li>' for item in items)}</ul>"
        case Table(head=head, rows=rows):
            yield "<table>"
            if head:
                yield f"<tr>{''.join(f'<th>{_text(name)}</th>' for name in head)}</tr>"
            for row in rows:
                kinds = ["td" if head else "th", *["td"] * (len(row) - 1)]
                cells = zip(kinds, row, strict=True)
                yield f"<tr>{''.join(f'<{k}>{_inline(c)}</{k}>' for k, c in cells)}</tr>"
            yield "</table>"
        case LogText(lines=lines):
            yield "<pre>{}</pre>".format("\n".join(map(_log_line, lines)))


def _line(words: Line) -> str:
    return "".join(map(_inline, words))


def _inline(text: Inline) -> str:
    return f"<code>{_text(text.text)}</code>" if isinstance(text, Value) else _text(text)


def _text(text: str) -> str:
    return escape(shown(text))


def _log_line(line: LogLine) -> str:
    kind = "error" if line.is_error else "line"
    sign = "&gt;" if line.is_error else " "
    text = "".join(map(_piece, pieces(line.text)))
    return f'<span class="{kind}"><span class="number">{sign} {line.number} </span>{text}</span>'


def _piece(piece: Piece) -> str:
    classes = " ".join((*(("bold",) if piece.bold else ()), *filter(None, (piece.colour,))))
    text = escape(piece.text)
    return f'<span class="{classes}">{text}</span>' if classes else text
