"""Topics over time and what rises and falls: cards of the page of topics, and a sentence for the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc

from dashboards.components.cards import card, chart, link, table, verdict, with_interval
from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.ratios import Ratio, ratio_dots
from dashboards.figures.topics import share_lines, spanned
from dashboards.queries.movement import Moves, moves
from dashboards.queries.run import Shown
from dashboards.queries.topics import shares_over_time
from dashboards.state import Selection
from monitor.drift.topic_trends import TopicTrend
from monitor.records import Window
from monitor.store.atlases import TopicRow
from monitor.store.drift import DriftRow
from monitor.store.statistics import Filter
from monitor.wording import clean, counted, cut, days_of, share, times

__all__ = ["moved_card", "moving_card", "moving_line", "over_time_card"]

_MIDDLE = 1
#: Of sure ones so many are listed; where there are fewer, the largest others fill the card up to `_LEAST`.
_MOST, _LEAST = 10, 6
_NAMED = 3
#: Lines of a chart that can be told apart.
_LINES = 5


def moving_card(context: PageContext, selection: Selection, shown: Shown) -> Any:
    """What rises and falls among the middle topics."""
    found = moves(context.store, context.settings, shown, _MIDDLE, context.clock)
    title, meaning = "Rising and falling", _meaning(context)
    if not found.found:
        why = "The days before have no hour of the week in common with the last ones: this needs longer traffic."
        return card(title, dmc.Text(why, size="sm", c="dimmed"), meaning=meaning)
    sure = [one for one in found.found if one.movement.sure]
    listed = _listed(found.found)
    rows = [
        [
            link(clean(one.topic.label), context.href("/topics", selection, topic=one.topic.topic_id)),
            share(one.movement.now / one.movement.of_now),
            share(one.movement.before / one.movement.of_before),
            with_interval(times(one.movement.trend.ratio, one.movement.trend.low, one.movement.trend.high)),
        ]
        for one in listed
    ]
    more = len(sure) - _MOST
    return card(
        title,
        verdict(_said(sure)),
        dmc.SimpleGrid(
            [
                chart(ratio_dots([_ratio(one) for one in listed])),
                table(["topic", "now", "before", "change, 90%"], rows, right=(1, 2, 3)),
            ],
            cols={"base": 1, "md": 2},
        ),
        *([dmc.Text(f"And {more} more: offmap trends lists them.", size="xs", c="dimmed")] if more > 0 else []),
        meaning=meaning,
        right=dmc.Text(_windows(found), size="xs", c="dimmed"),
    )


def moving_line(context: PageContext, shown: Shown, topic: TopicRow) -> list[Any]:
    """How one topic moved, as a sentence; nothing where nothing can be compared."""
    found = moves(context.store, context.settings, shown, topic.level, context.clock)
    one = found.of(topic.topic_id)
    if one is None:
        return []
    moved = one.movement
    change = times(moved.trend.ratio, moved.trend.low, moved.trend.high)
    shares = f"{share(moved.now / moved.of_now)} of the conversations, {share(moved.before / moved.of_before)} before"
    how = (
        "It did not move by more than chance"
        if not moved.sure
        else "It rises by more than chance"
        if moved.trend.ratio > 1
        else "It falls by more than chance"
    )
    text = f"{how}: {shares}; {change}, like weekdays and hours compared. {_windows(found)}."
    return [dmc.Text(text, size="sm", c="dimmed", className="moving")]


def over_time_card(context: PageContext, selection: Selection, shown: Shown, largest: Sequence[TopicRow]) -> Any:
    """Shares of the largest topics by hour, day or week; days without what weekdays do, or as they were."""
    as_it_was = selection.query.get("weekdays") == "in"
    zone = context.settings.analysis.time_zone
    found = shares_over_time(context.store, shown, largest, selection.filter, zone, as_it_was=as_it_was)
    meaning = f"Shares of the {len(largest)} largest topics, by {found.unit}."
    switch: list[Any] = []
    if found.without_weekdays:
        meaning += f" What weekdays do is taken out ({zone}): each day is drawn as an average weekday."
        switch = [
            "weekdays taken out · ",
            link("as it was", context.href("/topics", selection, **{**selection.query, "weekdays": "in"})),
        ]
    elif found.adjustable:
        meaning += " As it was, weekdays and all."
        switch = [
            "as it was · ",
            link("take weekdays out", context.href("/topics", selection, **{**selection.query, "weekdays": None})),
        ]
    drawn = timeline(
        context, share_lines(found.rows, {one.topic_id: one for one in largest}), list(found.rows["start"])
    )
    return card("Over time", drawn, meaning=meaning, right=dmc.Text(switch, size="xs", c="dimmed") if switch else None)


def moved_card(context: PageContext, shown: Shown, row: DriftRow) -> list[Any]:
    """The topics that a comparison of windows names, day by day through both; nothing where none of them is on the map."""
    if row.reference_start is None:
        return []
    moved = [one for one in row.body["topics"] if one["moved"]]
    # Shares of one level add up, those of two do not.
    level = min((one["level"] for one in moved), default=_MIDDLE)
    ids = [one["topic"] for one in moved if one["level"] == level][:_LINES]
    named = {one.topic_id: one for one in shown.topics if one.topic_id in ids}
    topics = [named[one] for one in ids if one in named]
    if not topics:
        return []
    chosen = Filter(Window(row.reference_start, row.current_end))
    found = shares_over_time(context.store, shown, topics, chosen, context.settings.analysis.time_zone)
    drawn = spanned(share_lines(found.rows, named), row.current_start, row.current_end)
    meaning = (
        f"Their shares of the turns, by {found.unit}; the days that are tested are shaded. Dotted lines are releases."
    )
    if found.without_weekdays:
        meaning += " What weekdays do is taken out."
    return [card("Since when", timeline(context, drawn, list(found.rows["start"])), meaning=meaning)]


def _listed(found: Sequence[TopicTrend]) -> list[TopicTrend]:
    """The sure ones, those that rise most first; then the others that are least likely chance."""
    sure = [one for one in found if one.movement.sure][:_MOST]
    others = [one for one in found if not one.movement.sure]
    return [*sorted(sure, key=_ratio_of), *sorted(others[: max(0, _LEAST - len(sure))], key=_ratio_of)]


def _said(sure: Sequence[TopicTrend]) -> str:
    if not sure:
        return "No topic moved by more than chance, like weekdays and hours compared."
    parts = []
    for one, many, chosen in (
        ("topic rises", "topics rise", [one for one in sorted(sure, key=_ratio_of) if one.movement.trend.ratio > 1]),
        ("topic falls", "topics fall", [one for one in sorted(sure, key=_ratio_of) if one.movement.trend.ratio <= 1]),
    ):
        if chosen:
            named = ", ".join(cut(one.topic.label, 50) for one in chosen[:_NAMED])
            parts.append(f"{counted(len(chosen), one, many)} ({named}{' …' if len(chosen) > _NAMED else ''})")
    return f"{' and '.join(parts)}, like weekdays and hours compared."


def _ratio_of(one: TopicTrend) -> float:
    return -one.movement.trend.ratio


def _ratio(one: TopicTrend) -> Ratio:
    trend = one.movement.trend
    return Ratio(one.topic.label, trend.ratio, trend.low, trend.high, one.movement.sure)


def _windows(found: Moves) -> str:
    return f"{days_of(found.current)}, against {days_of(found.reference)}"


def _meaning(context: PageContext) -> str:
    return (
        "How many times its share of the conversations of before a topic has now. Like weekdays and hours are compared "
        f"({context.settings.analysis.time_zone}), so no weekend is a change. Dots are coloured where chance alone would "
        "not do it, with all topics in mind; whiskers are 90% intervals. Of the analysis as a whole."
    )
