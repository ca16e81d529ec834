"""A page of HTML that runs nothing and fetches nothing: what every picture of the prover stands in."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; color: #16202c; background: #fff; margin: 2rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem }
p { margin: .3rem 0; max-width: 70rem } ul { margin: .3rem 0; padding-left: 1.2rem } .drawing { overflow-x: auto }
.broken { color: #a11212; font-weight: 600 } .broken li { font-weight: 400 }
.keys span { display: inline-block; margin-right: 1.6rem } .keys svg { vertical-align: middle }
svg text { font: 13px system-ui, sans-serif; fill: #16202c } svg .small { font-size: 11px; fill: #4a5766 }
svg .middle { text-anchor: middle } svg .end { text-anchor: end } svg .strong { font-weight: 600 }
"""


def render_page(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """Give a page.

    Args:
        title: its title and first heading, as text.
        parts: what stands below, as HTML in which whatever is from elsewhere is escaped.
        style: rules of its own, beside those that every picture shares.
    """
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *parts,
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def shorten(text: str, length: int) -> str:
    """Give a text with at most so many characters, the last a mark where some are left out."""
    return text if len(text) <= length else text[: length - 1] + "…"
