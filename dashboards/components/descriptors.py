"""How replies and messages are, before and now: the descriptors of a comparison as a card."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards.components.cards import card, table
from monitor.drift.statement import descriptor_values
from monitor.records import Window
from monitor.store.drift import DriftRow
from monitor.wording import days_of

__all__ = ["descriptors_card"]


def descriptors_card(row: DriftRow) -> list[Any]:
    """One card; nothing where the comparison has no descriptors."""
    found = row.body.get("descriptors") or []
    if not found:
        return []
    rows = []
    for one in found:
        name, before, now, change = descriptor_values(one)
        name = name[:1].upper() + name[1:]
        sure = bool(one.get("sure"))
        rows.append([html.B(name) if sure else name, before, now, _wraps(f"{change} ✱" if sure else change, sure)])
    sure_ones = any(one.get("sure") for one in found)
    note = "✱ surely changed. " if sure_ones else "Nothing here changed for sure. "
    if row.reference_start is None and (window := row.body.get("described")):
        days = days_of(Window(*(datetime.fromisoformat(window[name]) for name in ("start", "end"))))
        note += f"An eval set has no replies: before is the traffic of {days}."
    return [
        card(
            "Messages and replies",
            table(["", "before", "now", "change"], rows, right=(1, 2, 3)),
            dmc.Text(note, size="xs", c="dimmed"),
            meaning="Means per turn, or shares of turns. The change lies in the range shown: all ranges of this table together "
            "are right in 95 of 100 comparisons. No range: too few conversations.",
        )
    ]


def _wraps(change: str, sure: bool) -> Any:
    """The range in two lines where there is no room, as on a phone."""
    return (html.B if sure else html.Span)(change, style={"whiteSpace": "normal"})
