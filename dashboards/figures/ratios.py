"""How many times as often: dots with the whiskers of their intervals on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.theme import ACCENT, NEUTRAL, finished, safe
from monitor.wording import cut

__all__ = ["Ratio", "ratio_dots"]

#: The name of a row takes no more of a narrow figure than this.
_LONGEST = 22
#: Beyond these a whisker leaves the figure: the numbers beside it say how far.
_LOW, _HIGH = 0.01, 100.0
#: Marks of the axis, by how many times the figure spans: a phone has room for some five.
_TICKS = (
    (8.0, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)),
    (80.0, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)),
    (math.inf, (0.01, 0.1, 1.0, 10.0, 100.0)),
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is `ratio` times as frequent as before, `low` to `high`; `sure` is told from chance."""

    name: str
    ratio: float
    low: float
    high: float
    sure: bool


def ratio_dots(rows: Sequence[Ratio]) -> go.Figure:
    """A row each, the first on top. Those that are not sure are grey; the dotted line is no change."""
    figure = go.Figure()
    for sure, colour in ((False, NEUTRAL), (True, ACCENT)):
        places = [place for place, row in enumerate(rows) if row.sure is sure]
        chosen = [rows[place] for place in places]
        at = [_within(row.ratio) for row in chosen]
        figure.add_scatter(
            x=at,
            y=places,
            mode="markers",
            marker={"color": colour, "size": 9},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_within(row.high) - x for row, x in zip(chosen, at, strict=True)],
                "arrayminus": [x - _within(row.low) for row, x in zip(chosen, at, strict=True)],
                "color": colour,
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[
                [safe(cut(row.name, 80)), f"×{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"] for row in chosen
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
        )
    figure.add_vline(x=1, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    low, high = _range(rows)
    ticks = next(ticks for most, ticks in _TICKS if high / low <= most)
    return finished(
        figure,
        height=44 + 26 * max(1, len(rows)),
        xaxis={
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": list(ticks),
            "ticktext": [f"×{tick:g}" for tick in ticks],
            "tickangle": 0,
            "fixedrange": True,
        },
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [safe(cut(row.name, _LONGEST)) for row in rows],
            "range": [max(1, len(rows)) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    )


def _within(ratio: float) -> float:
    return min(max(ratio, _LOW), _HIGH)


def _range(rows: Sequence[Ratio]) -> tuple[float, float]:
    """No change is always in the figure, with room around what is furthest from it."""
    low = min([0.8, *(_within(row.low) for row in rows)])
    high = max([1.25, *(_within(row.high) for row in rows)])
    return low / 1.1, high * 1.1
