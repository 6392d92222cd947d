"""The cards of an eval set's health, each with the sentence that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards.components.cards import card, chart, link, table
from dashboards.context import PageContext
from dashboards.figures.evalsets import Lack, balance_bars
from dashboards.queries.run import Shown
from dashboards.state import Selection
from monitor.coverage.health import Balance, Health, unbalanced
from monitor.coverage.health_words import about_balance, about_demand, about_labels, about_repeats, about_subset
from monitor.published import compared_items, shown_text
from monitor.records import EvalItem
from monitor.wording import clean, cut, percent

__all__ = ["Columns", "health_cards"]

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Columns:
    """Cards of about the same height on both sides."""

    left: list[Any]
    right: list[Any]


def health_cards(context: PageContext, selection: Selection, shown: Shown, health: Health) -> Columns:
    made = _Items(compared_items(context.store, shown.report.eval_set_ids), context.settings.export.redact)
    return Columns(
        [_balance(context, selection, shown, health), _labels(made, health)],
        [_demand(made, health), _repeats(made, health), _subset(shown, health)],
    )


class _Items:
    """Eval items as they are shown."""

    def __init__(self, items: Mapping[str, EvalItem], redacted: bool) -> None:
        self._items, self._redacted = items, redacted

    def line(self, item_id: str, under: str = "") -> Any:
        """An item's id and prompt, and something about it."""
        item = self._items.get(item_id)
        prompt = cut(shown_text(item.prompt, self._redacted), 160) if item else ""
        about = [dmc.Text(clean(under), size="xs", c="dimmed")] if under else []
        return html.Div([html.Span(clean(item_id), className="item-id"), html.Span(prompt), *about], className="item")

    def lines(self, ids: Sequence[str], most: int = 4) -> Any:
        more = [dmc.Text(f"and {len(ids) - most:,} more", size="xs", c="dimmed")] if len(ids) > most else []
        return html.Div([*map(self.line, ids[:most]), *more])


def _balance(context: PageContext, selection: Selection, shown: Shown, health: Health) -> Any:
    far = unbalanced(health.balance)
    few = _lacks(shown, [one for one in far if one.items_share < one.share])
    many = _lacks(shown, [one for one in far if one.items_share > one.share])
    body: list[Any] = []
    if few:
        body.append(chart(balance_bars([row for _, row in few])))
    for title, rows in (("too few items", few), ("too many items", many)):
        if rows:
            cells = [
                [
                    link(row.name, context.href("/topics", selection, topic=topic)),
                    percent(row.share),
                    percent(row.items_share),
                    f"{row.items:,}",
                ]
                for topic, row in rows
            ]
            body.append(table([title, "of turns", "of items", "items"], cells, right=(1, 2, 3), wide=(2,)))
    return card(
        "Balance against the traffic",
        dmc.Text(about_balance(health), size="sm"),
        *body,
        meaning="A topic's share of your users' turns beside its share of the eval items: those with a third or less of the "
        "items that their traffic asks for, and those with three times as many, the largest first. An eval set need not mirror "
        "its traffic: what is risky deserves more items.",
    )


def _lacks(shown: Shown, far: Sequence[Balance]) -> list[tuple[str, Lack]]:
    """Ids of topics that are shown, and what they lack or have too much of."""
    found = [(shown.topic(one.topic), one) for one in far]
    rows = [
        (topic.topic_id, Lack(clean(topic.label), one.share, one.items, one.items_share))
        for topic, one in found
        if topic is not None
    ]
    return rows[:_SHOWN]


def _labels(items: _Items, health: Health) -> Any:
    rows = [
        [html.Div([items.line(one.first, one.labels[0]), items.line(one.second, one.labels[1])])]
        for one in health.conflicts[:_SHOWN]
    ]
    doubts = health.doubts[: max(0, _SHOWN - len(rows))]
    rows += [[items.line(one.item, f"{one.label}, or rather {one.likely}?")] for one in doubts]
    body = [table(["item and label"], rows)] if rows else []
    rest = len(health.conflicts) + len(health.doubts) - len(rows)
    return card(
        "Labels to check",
        dmc.Text(about_labels(health), size="sm"),
        *body,
        *_more(rest),
        meaning="Two items that ask the same under two labels, and items that are nearer to what another label has. "
        "Of the latter some are right: what is odd is not always wrong.",
    )


def _repeats(items: _Items, health: Health) -> Any:
    rows = [[items.lines(group)] for group in health.repeats[:_SHOWN]]
    return card(
        "Repeats",
        dmc.Text(about_repeats(health), size="sm"),
        *([table(["items that ask the same"], rows)] if rows else []),
        *_more(len(health.repeats) - len(rows)),
        meaning="Items that ask the same in nearly the same words.",
    )


def _demand(items: _Items, health: Health) -> Any:
    kinds = [[clean(one.label), f"{one.items:,}", f"{one.unasked:,}"] for one in health.least_asked_kinds[:_SHOWN]]
    single = [[items.line(one.item, one.label or "")] for one in health.least_asked[:_SHOWN]]
    body: list[Any] = [table(["label", "items", "no turn near"], kinds, right=(1, 2))] if kinds else []
    if single:
        body.append(table(["single items, the least asked for first"], single))
    return card(
        "Least asked for",
        dmc.Text(about_demand(health), size="sm"),
        *body,
        meaning="A ranking, no verdict: how near the traffic comes to each item, against how near the items of its label are "
        "to one another. What stands on top may be stale: nobody asks it any more. Or it is rare, and important.",
    )


def _subset(shown: Shown, health: Health) -> Any:
    name = shown.run.eval_sets[0] if len(shown.run.eval_sets) == 1 else "NAME"
    offer = (
        [dmc.Code(f"offmap evalset health {clean(name)} --subset quick.jsonl", block=True, className="command")]
        if health.spare > 0
        else []
    )
    return card(
        "The smallest set that does nearly the same",
        dmc.Text(about_subset(health), size="sm"),
        *offer,
        meaning="Chosen one after another, each the item that brings the set nearest to your users' turns, until it is 99% "
        "as near as all items are. Keep comparing the traffic with the whole set: coverage estimated with the subset "
        "reads too high, because items that say nearly the same show how near covered text is.",
    )


def _more(count: int) -> list[Any]:
    return [dmc.Text(f"{count:,} more: offmap evalset health NAME --json", size="xs", c="dimmed")] if count > 0 else []
