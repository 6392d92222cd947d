"""Figures of eval sets: coverage by publication with their versions, and items against traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import plotly.graph_objects as go

from dashboards.figures.coverage import coverage_band
from dashboards.figures.marks import Mark, drawn_marks, release_marks
from dashboards.theme import ACCENT, NEUTRAL, finished, safe
from monitor.store.history import CoveragePoint
from monitor.store.statistics import Release
from monitor.wording import cut

__all__ = ["Lack", "balance_bars", "coverage_by_version"]


@dataclass(frozen=True, slots=True)
class Lack:
    """A topic's share of the turns and of the items."""

    name: str
    share: float
    items: int
    items_share: float


def coverage_by_version(
    points: Sequence[CoveragePoint], marks: Sequence[tuple[datetime, str]], releases: Sequence[Release] = ()
) -> go.Figure:
    """Coverage at each publication with its interval; a dotted line where a version of the eval set came in, and where a
    model or a prompt version did.

    Versions of before the first publication stand at its side: the chart is of what was analysed.
    """
    times = [point.published_at for point in points]
    known = [
        (one.published_at, one.value, one.low, one.high, one.turns)
        for one in points
        if one.value is not None and one.low is not None and one.high is not None
    ]
    figure = coverage_band(known, "%-d %b %Y %H:%M")
    day_long = len(times) > 1 and (times[-1] - times[0]).days >= 3
    figure = finished(figure, dates=day_long, yaxis={"range": [0, 1.02], "tickformat": ".0%", "nticks": 5})
    if not day_long:
        figure.update_xaxes(tickformat="%-d %b %H:%M", nticks=4)
    versions = [Mark(when, name) for when, name in _in_sight(marks, times)]
    return drawn_marks(figure, [*versions, *release_marks(releases, times)], times)


def _in_sight(marks: Sequence[tuple[datetime, str]], times: Sequence[datetime]) -> list[tuple[datetime, str]]:
    """The marks from the first publication on, and at it the version that it compared."""
    if not times:
        return []
    before = [name for when, name in marks if when <= times[0]]
    return [*([(times[0], before[-1])] if before else []), *(one for one in marks if one[0] > times[0])]


def balance_bars(rows: Sequence[Lack]) -> go.Figure:
    """A pair of bars each, the first on top: its share of the turns, and of the items."""
    listed = list(reversed(rows))
    places = list(range(len(listed)))
    figure = go.Figure()
    for name, shares, colour in (
        ("of the items", [row.items_share for row in listed], NEUTRAL),
        ("of the turns", [row.share for row in listed], ACCENT),
    ):
        figure.add_bar(
            y=places,
            x=shares,
            orientation="h",
            name=name,
            width=0.26,
            marker={"color": colour},
            customdata=[[safe(cut(row.name, 80)), row.items] for row in listed],
            hovertemplate=f"%{{customdata[0]}}<br>%{{x:.1%}} {name}"
            + ("<br>%{customdata[1]:,} items" if name == "of the items" else "")
            + "<extra></extra>",
        )
    # A name stands over its bars: beside them, it would leave them no room on a phone.
    for place, row in zip(places, listed, strict=True):
        figure.add_annotation(
            text=safe(cut(row.name, 44)), x=0, xref="paper", xanchor="left", y=place, yshift=26, showarrow=False
        )
    figure = finished(
        figure,
        height=90 + 58 * max(1, len(listed)),
        legend=True,
        bargap=0.3,
        xaxis={"tickformat": ".0%", "rangemode": "tozero", "nticks": 5, "tickangle": 0},
    )
    figure.update_layout(legend={"yref": "container", "y": 0.0, "yanchor": "bottom", "traceorder": "reversed"})
    return figure.update_yaxes(showticklabels=False, range=[-0.5, len(listed) - 0.2], showgrid=False)
