"""What people wrote, as text: never markup, redacted as the settings say, without invisible characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from monitor.wording import clean

__all__ = ["Line", "Talk", "around", "conversations", "with_hits"]

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """One message. `marked` is the one that the conversation is shown for; `hits` are where watch-lists have it, as half-open
    ranges of the characters of its visible line."""

    who: str
    text: str
    marked: bool = False
    hits: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Talk:
    """Part of one conversation. `key` is that of the turn that it is shown for."""

    title: str
    lines: tuple[Line, ...]
    key: int | None = None


def _conversation(talk: Talk, why: Callable[[int], str] | None) -> Any:
    lines = [
        html.Div(
            [html.Span(line.who, className="who"), html.Span(_shown(line), className="said", dir="auto")],
            className=f"line {line.who}{' marked' if line.marked else ''}",
        )
        for line in talk.lines
    ]
    title: Any = dmc.Text(talk.title, size="xs", c="dimmed")
    if why is not None and talk.key is not None:
        asked = dcc.Link(
            "why?", href=why(talk.key), className="link", title="what makes this near to the eval set, or far"
        )
        title = dmc.Group([title, dmc.Text(asked, size="xs")], justify="space-between", wrap="nowrap")
    return dmc.Paper(
        [html.Div(title, className="talk-title"), *lines],
        withBorder=True,
        p="sm",
        radius="md",
        className="talk",
    )


def conversations(talks: Sequence[Talk], why: Callable[[int], str] | None = None) -> Any:
    """`why` gives the address of the page that says of a turn what makes it near or far."""
    return dmc.Stack([_conversation(talk, why) for talk in talks], gap="xs")


def with_hits(line: str, hits: Sequence[tuple[int, int]]) -> list[Any]:
    """The line as parts for the browser, with its hits marked; they are in order and apart from each other."""
    parts: list[Any] = []
    at = 0
    for start, end in hits:
        start, end = max(start, at), min(end, len(line))
        if start < end:
            parts += [line[at:start], html.Mark(line[start:end])]
            at = end
    return [part for part in (*parts, line[at:]) if part != ""]


def around(
    line: str, hits: Sequence[tuple[int, int]], *, before: int = 60, length: int = 240
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A part of a long line in which the first hit stands, and the hits in that part.

    >>> around("x" * 100 + " voucher " + "y" * 300, ((101, 108),), before=5, length=20)
    ('…xxxx voucher yyyyyyy…', ((6, 13),))
    """
    if len(line) <= length:
        return line, tuple(hits)
    start = max(0, min((hits[0][0] if hits else 0) - before, len(line) - length))
    end = start + length
    front = "…" if start else ""
    shift = len(front) - start
    inside = [(max(one, start), min(other, end)) for one, other in hits if one < end and other > start]
    text = front + line[start:end] + ("…" if end < len(line) else "")
    return text, tuple((one + shift, other + shift) for one, other in inside)


def _shown(line: Line) -> list[Any]:
    text = clean(line.text)
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return with_hits(cut, [(start, min(end, _LONGEST)) for start, end in line.hits if start < _LONGEST])
