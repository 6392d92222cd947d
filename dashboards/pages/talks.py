"""The card of conversations that the pages of a gap and of a topic share, and its paging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from dashboards.components.cards import card
from dashboards.components.texts import conversations
from dashboards.context import PageContext
from dashboards.queries.conversations import talks_of_topic
from dashboards.queries.run import LEVELS, Shown
from dashboards.state import Selection
from monitor.store.atlases import TopicRow
from monitor.wording import counted

__all__ = ["register", "talks_card"]


def talks_card(context: PageContext, selection: Selection, shown: Shown, topic: TopicRow) -> Any:
    """The latest turns of a topic with what was said around them; a reason instead where too few users are in it."""
    if topic.users < (least := context.settings.min_users_of_texts):
        why = f"Fewer than {least} users asked this, so nothing of what they said is shown."
        return card("Conversations", dmc.Text(why, size="sm", c="dimmed"))
    level = LEVELS[topic.level]
    found = talks_of_topic(context.store, context.settings, shown.run.atlas_id, level, topic.topic_id, selection.filter)
    redacted = "redacted" if context.settings.export.redact else "as they were written"
    return card(
        "Conversations",
        html.Div(conversations(found.talks, _why(context, selection)), id="talks"),
        dcc.Store(
            id="talk-topic",
            data={
                "atlas": shown.run.atlas_id,
                "level": level,
                "id": topic.topic_id,
                "search": selection.search(),  # of a gap that is a part of its topic it says more than the address
            },
        ),
        dmc.Pagination(id="talk-page", total=min(found.pages, 100), value=1, size="sm"),
        meaning=f"The turns of this topic, the latest first, with the messages before them; {redacted}.",
        right=dmc.Text(counted(found.total, "turn"), size="xs", c="dimmed"),
    )


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("talks", "children"),
        Input("talk-page", "value"),
        State("talk-topic", "data"),
        prevent_initial_call=True,
    )
    def turn_page(number: int, topic: dict[str, str]) -> Any:
        found = talks_of_topic(
            context.store,
            context.settings,
            topic["atlas"],
            topic["level"],
            topic["id"],
            Selection.parse(topic["search"]).filter,
            number - 1,
        )
        return conversations(found.talks, _why(context, Selection.parse(topic["search"])))


def _why(context: PageContext, selection: Selection) -> Callable[[int], str]:
    return lambda key: context.href("/why", selection, turn=str(key))
