"""Pages of HTML, read: whether they are whole, and whether they run or fetch anything."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

VOID: Final = {"meta", "rect", "path", "circle"}


class Page(HTMLParser):
    """Reads a page: its elements with their attributes, its text, and whether everything that opens closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.opened == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.opened[-1] if self.opened else "", data))


def assert_inert(text: str) -> None:
    """Fail when a page runs something or fetches something."""
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "image", "use", "a"} & {tag for tag, _ in page.elements}
    names = {name for _, told in page.elements for name in told}
    assert not {"href", "src", "xlink:href", "srcset"} & names
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in text
    policy = next(told for tag, told in page.elements if tag == "meta" and "http-equiv" in told)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
