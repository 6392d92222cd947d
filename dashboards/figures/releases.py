"""Marks on charts over time: since when a model or a prompt version is in use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import plotly.graph_objects as go

from dashboards.theme import NEUTRAL, safe
from monitor.store.statistics import Release
from monitor.wording import clean, cut

__all__ = ["marked"]

_NAME = 18


def marked(figure: go.Figure, releases: Sequence[Release], times: Sequence[datetime]) -> go.Figure:
    """The figure with a line for each release within its times; those of one day share a name."""
    if not times:
        return figure
    by_day: dict[datetime, list[Release]] = {}
    for one in releases:
        day = one.since.replace(hour=0, minute=0, second=0, microsecond=0)
        if min(times) < one.since <= max(times):
            by_day.setdefault(day, []).append(one)
    for number, (day, ones) in enumerate(by_day.items()):
        figure.add_vline(x=day, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=day,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=-14 - 14 * (number % 2),  # two that are near do not hide each other
            xanchor="left",
            showarrow=False,
            text=safe(", ".join(cut(clean(one.value), _NAME) for one in ones)),
            hovertext=safe("; ".join(f"{one.field.replace('_', ' ')} {clean(one.value)}" for one in ones)),
            font={"size": 10, "color": NEUTRAL},
        )
    return figure
