"""Cards, verdicts and the states that a page can be in: empty, not enough yet, an error."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from monitor.published import not_read
from monitor.store.atlases import ForeignTurns

__all__ = [
    "card",
    "chart",
    "empty",
    "explained",
    "link",
    "not_read_line",
    "number_card",
    "page",
    "table",
    "verdict",
    "with_interval",
]


def page(title: str, question: str, *content: Any) -> Any:
    """A page: what it is called, the question that it answers, and its content."""
    head = dmc.Stack([dmc.Title(title, order=2), dmc.Text(question, c="dimmed", size="sm")], gap=2)
    return dmc.Stack([head, *content], gap="md")


def explained(child: Any, meaning: str, *, wide: bool = False) -> Any:
    """Something with a tooltip that says what it means; `wide` fills its place."""
    whole: Any = {"boxWrapperProps": {"w": "100%", "h": "100%"}} if wide else {}
    events = {"hover": True, "focus": True, "touch": True}
    return dmc.Tooltip(child, label=meaning, multiline=True, w=280, withArrow=True, events=events, **whole)


def card(title: str, *content: Any, meaning: str = "", right: Any = None) -> Any:
    """A card with a title, which explains itself."""
    name = dmc.Text(title, fw=600, size="sm")
    head: Any = explained(html.Span(name, className="explained", tabIndex=0), meaning) if meaning else name
    return dmc.Paper(
        dmc.Stack(
            [dmc.Group([head, right] if right is not None else [head], justify="space-between"), *content], gap="xs"
        ),
        withBorder=True,
        p="md",
        radius="md",
    )


def number_card(title: str, value: str, detail: str, meaning: str, href: str, *, bad: bool = False) -> Any:
    """One number that links to its page."""
    body = dmc.Paper(
        dmc.Stack(
            [
                dmc.Text(title, size="xs", c="dimmed", fw=600),
                dmc.Text(value, className="number bad" if bad else "number"),
                dmc.Text(detail, size="xs", c="dimmed"),
            ],
            gap=2,
        ),
        withBorder=True,
        p="md",
        radius="md",
        className="number-card",
    )
    return explained(dcc.Link(body, href=href, className="plain"), meaning, wide=True)


def verdict(text: str, *, bad: bool = False) -> Any:
    """One sentence that says how it is."""
    return dmc.Text(text, fw=500, className="verdict bad" if bad else "verdict")


def not_read_line(foreign: ForeignTurns) -> list[Any]:
    """The traffic in languages that the encoder does not know, as a line; nothing where there is none."""
    said = not_read(foreign)
    return [dmc.Text(said, size="sm", c="dimmed", className="not-read")] if said else []


def chart(figure: Any, *, id: str | None = None, link: bool = False) -> Any:
    options: Any = {"displayModeBar": False, "responsive": True, "scrollZoom": link}
    more: Any = {"id": id} if id else {}
    return dcc.Graph(figure=figure, config=options, className="chart", **more)


def empty(title: str, text: str, *commands: str) -> Any:
    """Nothing to show yet: why, and what to do."""
    return dmc.Paper(
        dmc.Stack(
            [
                dmc.Text(title, fw=600),
                dmc.Text(text, c="dimmed", size="sm"),
                *[dmc.Code(command, block=True) for command in commands],
            ],
            gap="xs",
            align="flex-start",
        ),
        withBorder=True,
        p="xl",
        radius="md",
        className="empty",
    )


def link(text: str, href: str) -> Any:
    return dcc.Link(text, href=href, className="link")


def with_interval(text: str) -> Any:
    """A number with its interval in brackets, which take a line of their own where there is no room."""
    number, bracket, interval = text.partition(" (")
    return html.Span([f"{number} ", html.Span(f"({interval}")], className="with-interval") if bracket else text


def table(head: list[str], rows: list[list[Any]], *, right: tuple[int, ...] = (), wide: tuple[int, ...] = ()) -> Any:
    """A small table; columns in `right` hold numbers, those in `wide` are left out on a phone."""

    def place(number: int) -> str:
        return " ".join(name for name, places in (("right-cell", right), ("wide-cell", wide)) if number in places)

    return html.Div(
        html.Table(
            [
                html.Thead(html.Tr([html.Th(name, className=place(number)) for number, name in enumerate(head)])),
                html.Tbody(
                    [
                        html.Tr([html.Td(cell, className=place(number)) for number, cell in enumerate(row)])
                        for row in rows
                    ]
                ),
            ],
            className="small-table",
        ),
        className="scrolls",
    )
