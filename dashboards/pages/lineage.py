"""The card that says what became of a topic since the analysis before, with the turns that prove it."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards.components.cards import card, link
from dashboards.context import PageContext
from dashboards.queries.run import Shown
from dashboards.state import Selection
from monitor.published import Became, became
from monitor.store.atlases import TopicRow
from monitor.wording import clean, quoted

__all__ = ["lineage_card"]

_LONGEST = 240
_WORDS = {"born": "It is new.", "kept": "It is the topic that it was.", "grew": "It has grown."}
#: What an event's turns have in common.
_PROVEN_BY = {
    "born": "Turns that were in no such topic before:",
    "kept": "Turns that were in it before, and still are:",
    "grew": "Turns that were in it before, and still are:",
    "merged": "Turns that came along:",
    "split": "Turns that came from there:",
}


def lineage_card(context: PageContext, selection: Selection, shown: Shown, topic: TopicRow) -> list[Any]:
    """The card; nothing where the atlas says nothing. Without the turns where too few users are in the topic."""
    settings = context.settings
    found = became(
        context.store,
        shown.run.atlas_id,
        [topic],
        least=settings.atlas.min_users,
        redacted=settings.export.redact,
        died=False,
    )
    if not found:
        return []
    quotes = topic.users >= settings.min_users_of_texts
    return [
        card(
            "Since the analysis before",
            *[_event(context, selection, shown, one, quotes) for one in found],
            meaning="What became of the topic, and up to five turns that prove it, the most typical first.",
        )
    ]


def _event(context: PageContext, selection: Selection, shown: Shown, one: Became, quotes: bool) -> Any:
    said: list[Any] = [dmc.Text(_words(context, selection, shown, one), size="sm", fw=500)]
    if quotes and one.examples:
        said.append(dmc.Text(_PROVEN_BY[one.row.event], size="xs", c="dimmed"))
        said += [
            html.Div(html.Span(quoted(some.text, _LONGEST), className="said", dir="auto"), className="line")
            for some in one.examples
        ]
    return html.Div(said, className=f"became {one.row.event}")


def _words(context: PageContext, selection: Selection, shown: Shown, one: Became) -> Any:
    """What became of it; the topic that it is a part of is a link while it lives."""
    source = shown.topic(one.row.other)
    if source is None or one.row.event != "split":
        return _WORDS.get(one.row.event) or clean(one.words)
    return html.Span(
        ["split from ", link(clean(source.label), context.href("/topics", selection, topic=source.topic_id))]
    )
