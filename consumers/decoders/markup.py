"""Plain text of replies that were scraped as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["plain_text"]

# A scraped reply is one HTML fragment from its first character to its last. A reply that merely holds code does not
# start and end so, and one that is nothing but a <div> of code has no paragraph in it.
_FRAGMENT = re.compile(r"\s*<(p|ol|ul|h[1-6]|pre|table|blockquote|div)(?:\s[^<>]*)?>", re.IGNORECASE)
_PROSE = re.compile(r"<(?:p|ol|ul|h[1-6]|pre|table|blockquote)[\s>]|class=\"[^\"]{0,200}markdown", re.IGNORECASE)
# The parser's time grows with the square of some malformed input.
_LONGEST = 200_000
_BREAKS = frozenset(
    ["p", "div", "br", "ul", "ol", "pre", "table", "tr", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr"]
)
_SILENT = frozenset(("script", "style", "button", "svg"))


def plain_text(text: str) -> str:
    """The text of an HTML reply; any other text as it is.

    >>> plain_text("<p>Use <code>a &lt; b</code>.</p><ul><li>one</li><li>two</li></ul>")
    'Use a < b.\\n- one\\n- two'
    >>> plain_text("Use `<p>` for a paragraph.")
    'Use `<p>` for a paragraph.'
    """
    is_fragment = len(text) <= _LONGEST and _FRAGMENT.match(text) and text.rstrip().endswith(">")
    if not is_fragment or "```" in text or not _PROSE.search(text):
        return text
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._silent = 0
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "li":
            self._parts.append("\n- ")
        elif tag in ("td", "th"):
            self._parts.append(" ")
        elif tag in _BREAKS:
            self._parts.append("\n")
        self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKS and tag != "br":
            self._parts.append("\n")
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(data if self._preformatted else re.sub(r"\s+", " ", data))

    def text(self) -> str:
        lines = (line.rstrip() for line in "".join(self._parts).split("\n"))
        return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()
