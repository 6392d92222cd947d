"""The figures of drift: topics before and after, and what carries the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboards.theme import BAD, NEUTRAL, finished, safe, topic_colour
from monitor.wording import cut

__all__ = ["Split", "dumbbell", "parts"]

#: From this part on a name of so many characters has room in its piece.
_ROOM, _NAME = 0.25, 20

#: What is left over, quiet enough for its text to be read in light and dark.
_REST = "rgba(134,142,150,0.15)"


@dataclass(frozen=True, slots=True)
class Split:
    """One way to split the change: names with their parts, and what is left over."""

    name: str
    pieces: Sequence[tuple[str, float]]
    rest: str = "spread over the rest"


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


def parts(bars: Sequence[Split]) -> go.Figure:
    """A bar for each way to split the change, the first on top; what is left over is grey."""
    figure = go.Figure()
    names = [bar.name for bar in bars]
    for place, bar in enumerate(reversed(bars)):
        rest = max(0.0, 1 - sum(part for _, part in bar.pieces))
        for label, part, colour in [
            *((label, part, topic_colour(label)) for label, part in bar.pieces),
            (bar.rest, rest, _REST),
        ]:
            if part < 0.005:
                continue
            figure.add_bar(
                x=[part],
                y=[place],
                orientation="h",
                width=0.5,
                marker={"color": colour},
                text=f"{safe(cut(label, _NAME))} {part:.0%}"
                if part >= _ROOM
                else f"{part:.0%}"
                if part >= 0.06
                else "",
                textposition="inside",
                textfont={"color": NEUTRAL if colour == _REST else "white"},
                insidetextanchor="middle",
                textangle=0,
                hovertemplate=f"{safe(label)}<br>{part:.0%} of the change<extra></extra>",
                showlegend=False,
            )
    for place, name in enumerate(reversed(names)):
        figure.add_annotation(
            text=safe(name), x=0, xref="paper", xanchor="left", y=place, yshift=24, showarrow=False, align="left"
        )
    figure = finished(figure, height=60 + 62 * len(bars), barmode="stack")
    figure.update_xaxes(tickformat=".0%", range=[0, 1], nticks=6)
    return figure.update_yaxes(showticklabels=False, showgrid=False, range=[-0.5, len(bars) - 0.2])
