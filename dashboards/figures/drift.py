"""The figure of drift: topics before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboards.theme import BAD, NEUTRAL, finished, safe

__all__ = ["dumbbell"]


def dumbbell(topics: Sequence[Mapping[str, Any]], before: str, after: str) -> go.Figure:
    """Each topic's share before and after, with the interval of the change around the later one; the first on top."""
    rows = list(reversed(topics))
    names = [safe(str(row["label"] or "(too few users to name it)")) for row in rows]
    places = list(range(len(rows)))
    figure = go.Figure()
    for place, row in enumerate(rows):
        figure.add_scatter(
            x=[row["before"], row["after"]],
            y=[place, place],
            mode="lines",
            line={"color": "rgba(134,142,150,0.5)", "width": 3},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=[row["before"] for row in rows],
        y=places,
        text=names,
        mode="markers",
        name=before,
        marker={"color": NEUTRAL, "size": 10},
        hovertemplate="%{text}<br>before: %{x:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=[row["after"] for row in rows],
        y=places,
        text=names,
        mode="markers",
        name=after,
        marker={"color": BAD, "size": 11},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, row["before"] + row["change_high"] - row["after"]) for row in rows],
            "arrayminus": [max(0.0, row["after"] - row["before"] - row["change_low"]) for row in rows],
            "color": "rgba(232,89,12,0.45)",
            "thickness": 2,
        },
        hovertemplate="%{text}<br>after: %{x:.1%}<extra></extra>",
    )
    # A name stands over its line: beside it, it would leave the shares no room on a phone.
    for place, name in enumerate(names):
        figure.add_annotation(
            text=name, x=0, xref="paper", xanchor="left", y=place, yshift=16, showarrow=False, align="left"
        )
    axis = {"tickformat": ".1%", "rangemode": "tozero", "nticks": 6, "tickangle": 0}
    figure = finished(figure, height=100 + 46 * len(rows), legend=True, xaxis=axis)
    figure.update_layout(legend={"yref": "container", "y": 0.0, "yanchor": "bottom"})
    return figure.update_yaxes(showticklabels=False, dtick=1, range=[-0.5, len(rows) - 0.2])
