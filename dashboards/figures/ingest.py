"""Figures of ingest: records a minute, messages that wait, dead letters. They are drawn anew in place, every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dashboards.figures.marks import Mark, drawn_marks
from dashboards.queries.ingest import Course
from dashboards.theme import BAD, NEUTRAL, finished, safe
from monitor.store.samples import FILES, FOLDER, HTTP
from monitor.wording import cut

__all__ = ["lag_lines", "letters_line", "throughput_bars"]

_HEIGHT = 220


def throughput_bars(course: Course, marks: Sequence[Mark] = ()) -> go.Figure:
    """Records a minute, stacked by source. A bar is as wide as the time between two samples."""
    figure = go.Figure()
    for source in sorted(
        {flow.source for flow in course.flows}, key=lambda name: (name in (FILES, FOLDER, HTTP), name)
    ):
        flows = [flow for flow in course.flows if flow.source == source]
        figure.add_bar(
            name=_name(source),
            x=[flow.start + (flow.end - flow.start) / 2 for flow in flows],
            width=[(flow.end - flow.start).total_seconds() * 1000 for flow in flows],
            y=[flow.per_minute for flow in flows],
            marker={"line": {"width": 0}},
            hovertemplate="%{x|%H:%M}: %{y:,.0f} records a minute<extra>" + _name(source) + "</extra>",
        )
    silent = not any(flow.records for flow in course.flows)
    return _over_time(figure, course, marks, "Nothing was read in the last hours" if silent else "", barmode="stack")


def lag_lines(course: Course, marks: Sequence[Mark] = ()) -> go.Figure:
    """Messages that wait, a line a partition."""
    figure = go.Figure()
    for line in course.lags:
        figure.add_scatter(
            name=_name(line.name),
            x=[at for at, _ in line.points],
            y=[lag for _, lag in line.points],
            mode="lines",
            line={"width": 2},
            hovertemplate="%{x|%H:%M}: %{y:,} behind<extra>" + _name(line.name) + "</extra>",
        )
    top = max((lag for line in course.lags for _, lag in line.points), default=0)
    return _over_time(figure, course, marks, "" if course.lags else "No stream is read", top=top)


def letters_line(course: Course, marks: Sequence[Mark] = ()) -> go.Figure:
    """Dead letters that are kept."""
    figure = go.Figure()
    counts = [count for _, count in course.letters.points]
    if not any(counts):
        return _over_time(figure, course, marks, "There are none", legend=False)
    figure.add_scatter(
        x=[at for at, _ in course.letters.points],
        y=counts,
        mode="lines",
        line={"width": 2, "color": BAD, "shape": "hv"},
        fill="tozeroy",
        fillcolor="rgba(232,89,12,0.12)",
        hovertemplate="%{x|%H:%M}: %{y:,} dead letters<extra></extra>",
    )
    return _over_time(figure, course, marks, "", legend=False, top=max(counts))


def _over_time(
    figure: go.Figure,
    course: Course,
    marks: Sequence[Mark],
    empty: str,
    *,
    legend: bool = True,
    top: float = 5,
    **layout: Any,
) -> go.Figure:
    """From zero, over the time that is known; or, in words, why there is nothing to draw. `top` is the largest count."""
    shown: dict[str, Any] = {"visible": False} if empty else {"nticks": 5}
    # There is no half of a message.
    few: dict[str, Any] = {"dtick": 1, "range": [0, max(top, 1) + 0.2]} if top < 5 and not empty else {}
    figure = finished(
        figure,
        height=_HEIGHT,
        legend=legend and not empty,
        xaxis={"type": "date", "range": [course.start, course.end], "tickformat": "%H:%M", **shown},
        yaxis={"rangemode": "tozero", "tickformat": ",~s", **shown, **few},
        uirevision="kept",  # what somebody zoomed into stays when the next figure comes
        **layout,
    )
    if empty:
        figure.add_annotation(
            text=empty, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"color": NEUTRAL}
        )
        return figure
    return drawn_marks(figure, marks, [course.start, course.end])


def _name(source: str) -> str:
    return safe(cut(source.removeprefix("kafka:"), 40))
