"""The watch-lists on the page of words: all of them in a table, and some from near."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards.components.cards import card, empty, link, table, verdict, with_interval
from dashboards.components.texts import around, with_hits
from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.watch_lists import watch_days
from dashboards.queries.watch_lists import Counted, HitText, count_lists, look_closer
from dashboards.state import Selection
from monitor.records import Window
from monitor.store.watch_lists import Hits
from monitor.wording import counted, cut, days_of, share, times

__all__ = ["watch_list_cards"]

_PATH = "/words"
#: So many lists are counted, and so many drawn: each is some looks at the texts of the days.
_LISTS, _NEAR = 40, 4
_EXAMPLES, _EXAMPLES_ALONE = 3, 12
#: Characters of what a list looks for.
_LISTED = 120
_NO_LIST = (
    "A watch-list holds phrases and patterns that you want to hear of, whoever says them. Write it into offmap.toml: it is "
    "looked for in all that is stored, so it has a history at once, and an alert tells when it rises."
)
_HOW = '[analysis]\nwatch_lists = [{name = "refund", phrases = ["money back"], patterns = ["refund(s|ed)?"]}]'


def watch_list_cards(context: PageContext, selection: Selection, current: Window, reference: Window) -> list[Any]:
    """A table of the lists and a card for the first of them, or of the one that the address names; how to set one otherwise."""
    lists = context.settings.analysis.watch_lists
    if not lists:
        return [empty("No watch-list is set", _NO_LIST, _HOW)]
    store, settings = context.store, context.settings
    asked = selection.query.get("list")
    one = next((one for one in lists if one.name == asked), None)
    found = count_lists(store, settings, [one] if one else lists[:_LISTS], current, reference)
    content: list[Any] = []
    if asked and one is None:
        content.append(dmc.Alert("There is no such watch-list in the settings; these are all.", color="orange"))
    if one:
        content.append(dmc.Group([link("← all watch-lists", context.href(_PATH, selection))]))
    content.append(_table_of(context, selection, found, current, reference, more=0 if one else len(lists) - _LISTS))
    near = [
        _near(context, each, current, reference, _EXAMPLES_ALONE if one else _EXAMPLES)
        for each in [each for each in found if each.counts is not None][:_NEAR]
    ]
    content.append(dmc.SimpleGrid(near, cols={"base": 1, "md": 1 if one else 2}))
    return content


def _table_of(
    context: PageContext, selection: Selection, found: list[Counted], current: Window, reference: Window, *, more: int
) -> Any:
    trends = [(one.one.name, one.counts.trend) for one in found if one.counts]
    rising = [name for name, trend in trends if trend and trend.rises]
    said = (
        f"{counted(len(rising), 'watch-list rises', 'watch-lists rise')}: {', '.join(cut(name, 60) for name in rising[:5])}."
        if rising
        else "No watch-list rises for sure."
    )
    head = ["watch-list", "turns", "conversations", "users", "share", "before", "change, 90%"]
    rows = [_cells(context, selection, one) for one in found]
    return card(
        "Watch-lists",
        verdict(said, bad=bool(rising)),
        table(head, rows, right=(1, 2, 3, 4, 5, 6), wide=(1, 2, 3)),
        *(dmc.Text(cut(one.error, 300), size="xs", c="orange") for one in found if one.error),
        *([dmc.Text(f"And {more} more: offmap watchlist counts them.", size="xs", c="dimmed")] if more > 0 else []),
        meaning="Conversations in which a user says something of the list, and how many times as often as before. ▲ and ▼ mark "
        "what surely changed: the 90% interval holds no 1. Of all traffic.",
        right=dmc.Text(f"{days_of(current)}, against {days_of(reference)}", size="xs", c="dimmed"),
    )


def _cells(context: PageContext, selection: Selection, one: Counted) -> list[Any]:
    if one.counts is None:
        return [cut(one.one.name, 60), *["–"] * 6]
    name = link(cut(one.one.name, 60), context.href(_PATH, selection, list=one.one.name))
    now, before, trend = one.counts.now, one.counts.before, one.counts.trend
    mark = "" if trend is None else "▲ " if trend.rises else "▼ " if trend.falls else ""
    return [
        html.Span([mark, name]),
        f"{now.turns:,}",
        f"{now.conversations:,}",
        f"{now.users:,}",
        _share(now),
        _share(before),
        "–" if trend is None else with_interval(times(trend.ratio, trend.low, trend.high)),
    ]


def _share(hits: Hits) -> str:
    return share(hits.conversations / hits.of_conversations) if hits.of_conversations else "–"


def _numbers(hits: Hits) -> str:
    return f"{counted(hits.turns, 'turn')} in {counted(hits.conversations, 'conversation')} of {counted(hits.users, 'user')}."


def _near(context: PageContext, one: Counted, current: Window, reference: Window, examples: int) -> Any:
    found = look_closer(context.store, context.settings, one, current, reference, examples=examples)
    least = context.settings.min_users_of_texts
    if found.few:
        said: list[Any] = [
            dmc.Text(
                f"Fewer than {least} users said it in these days, so nothing of it is shown.", size="sm", c="dimmed"
            )
        ]
    else:
        said = [_example(example) for example in found.examples]
    listed = ", ".join((*(f"“{phrase}”" for phrase in one.one.phrases), *one.one.patterns))
    redacted = "redacted" if context.settings.export.redact else "as they were written"
    return card(
        cut(one.one.name, 60),
        dmc.Text(cut(listed, _LISTED), size="xs", c="dimmed"),
        *([dmc.Text(_numbers(one.counts.now), size="sm")] if one.counts else []),
        timeline(
            context,
            watch_days(found.days, current.start.date()),
            [datetime.combine(day, time()) for day, _ in found.days],
        ),
        *said,
        meaning="Turns a day that are on the list; the last days are coloured. Below, what users said, the latest of each, "
        f"with the hits marked; {redacted}.",
    )


def _example(example: HitText) -> Any:
    text, hits = around(example.text, example.spans)
    return html.Div(
        [
            html.Span(f"{example.created_at:%-d %b}", className="who"),
            html.Span(with_hits(text, hits), className="said", dir="auto"),
        ],
        className="line",
    )
