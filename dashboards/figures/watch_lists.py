"""The days of a watch-list, small."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import plotly.graph_objects as go

from dashboards.theme import ACCENT, NEUTRAL, finished

__all__ = ["watch_days"]


def watch_days(days: Sequence[tuple[date, int]], current: date) -> go.Figure:
    """Turns a day; those from `current` on in the accent colour, those before in grey."""
    figure = go.Figure(
        go.Bar(
            x=[day for day, _ in days],
            y=[turns for _, turns in days],
            marker={"color": [ACCENT if day >= current else NEUTRAL for day, _ in days]},
            hovertemplate="%{x|%-d %b}: %{y:,} turns<extra></extra>",
        )
    )
    top = max([1, *(turns for _, turns in days)])
    return finished(
        figure,
        height=110,
        dates=True,
        bargap=0.25,
        xaxis={"showgrid": False, "fixedrange": True, "nticks": 5},
        yaxis={"range": [0, top * 1.08], "nticks": 3, "tickformat": ",d", "fixedrange": True},
    )
