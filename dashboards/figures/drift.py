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
    figure = go.Figure()
    for name, row in zip(names, rows, strict=True):
        figure.add_scatter(
            x=[row["before"], row["after"]],
            y=[name, name],
            mode="lines",
            line={"color": "rgba(134,142,150,0.5)", "width": 3},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=[row["before"] for row in rows],
        y=names,
        mode="markers",
        name=before,
        marker={"color": NEUTRAL, "size": 10},
        hovertemplate="%{y}<br>before: %{x:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=[row["after"] for row in rows],
        y=names,
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
        hovertemplate="%{y}<br>after: %{x:.1%}<extra></extra>",
    )
    return finished(figure, height=90 + 34 * len(rows), legend=True, xaxis={"tickformat": ".1%", "rangemode": "tozero"})
