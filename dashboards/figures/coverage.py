"""Figures of coverage, of turns over time, and of one interval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import plotly.graph_objects as go

from dashboards.queries.coverage import Point
from dashboards.theme import ACCENT, NEUTRAL, finished

__all__ = ["coverage_band", "coverage_line", "interval_bar", "turn_bars"]


def coverage_line(points: Sequence[Point]) -> go.Figure:
    """Coverage over time with its interval as a band."""
    figure = coverage_band([(one.start, one.value, one.low, one.high, one.turns) for one in points], "%-d %b %Y")
    return finished(figure, dates=True, yaxis={"range": [0, 1], "tickformat": ".0%", "nticks": 5})


def coverage_band(points: Sequence[tuple[datetime, float, float, float, int]], moment: str) -> go.Figure:
    """A line of values with the band of their intervals: when, value, low, high and turns of each point; not yet finished."""
    times = [when for when, *_ in points]
    figure = go.Figure()
    figure.add_scatter(
        x=[*times, *reversed(times)],
        y=[*(high for _, _, _, high, _ in points), *(low for _, _, low, _, _ in reversed(points))],
        fill="toself",
        fillcolor="rgba(66,99,235,0.16)",
        line={"width": 0},
        hoverinfo="skip",
        mode="lines",
    )
    figure.add_scatter(
        x=times,
        y=[value for _, value, *_ in points],
        mode="lines+markers",
        line={"color": ACCENT, "width": 2},
        marker={"size": 5},
        customdata=[[low, high, turns] for _, _, low, high, turns in points],
        hovertemplate=f"%{{x|{moment}}}: %{{y:.0%}} covered<br>90%% interval %{{customdata[0]:.0%}} to %{{customdata[1]:.0%}}"
        "<br>%{customdata[2]:,} turns<extra></extra>",
    )
    return figure


def interval_bar(value: float, low: float, high: float) -> go.Figure:
    """One share with its interval, on a line from 0 to 100 %."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 0], mode="lines", line={"color": "rgba(134,142,150,0.25)", "width": 8}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[low, high], y=[0, 0], mode="lines", line={"color": "rgba(66,99,235,0.45)", "width": 8}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[value], y=[0], mode="markers", marker={"color": ACCENT, "size": 13}, hovertemplate="%{x:.0%}<extra></extra>"
    )
    return finished(
        figure,
        height=84,
        xaxis={"range": [-0.02, 1.02], "tickformat": ".0%", "nticks": 5, "showgrid": False, "zeroline": False},
        yaxis={"visible": False, "range": [-1, 1]},
    )


def turn_bars(points: Sequence[tuple[datetime, int]]) -> go.Figure:
    """Turns over time."""
    figure = go.Figure()
    figure.add_bar(
        x=[start for start, _ in points],
        y=[turns for _, turns in points],
        marker={"color": NEUTRAL},
        hovertemplate="%{x|%-d %b %Y %H:%M}: %{y:,} turns<extra></extra>",
    )
    return finished(figure, height=200, dates=True, bargap=0.15)
