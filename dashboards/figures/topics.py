"""Figures of topics: the map, the treemap, shares over time, and one topic's growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd
import plotly.graph_objects as go

from dashboards.theme import ACCENT, NEUTRAL, finished, safe, topic_colour
from monitor.store.atlases import TopicRow
from monitor.store.reports import TopicCoverageRow

__all__ = ["growth_curve", "share_lines", "spanned", "topic_map", "topic_treemap"]

_SCALE = [[0.0, "#e8590c"], [0.5, "#fab005"], [1.0, "#4263eb"]]
_LABELS = 18

#: A label of the map is its first term, in letters so wide and lines so high, on a map of so many pixels: between a desk's 520
#: and a phone's 300. A label that would cover one of a larger topic is left out.
_LETTER, _LINE, _MAP = 6.2, 18.0, 420.0

#: The map opens on all but this share of its texts at each edge: a few that lie far out would make the rest a blot.
_FAR_OUT = 0.005


def topic_map(points: pd.DataFrame, topics: Mapping[str, TopicRow], colour: str) -> go.Figure:
    """Each text where it lies, coloured by topic, by novelty or by coverage; the largest topics carry their label."""
    names = [safe(topics[one].label) if one in topics else "no topic" for one in points["middle"].fillna("")]
    if colour == "topic":
        marker: dict[str, object] = {"color": [topic_colour(one or "") for one in points["middle"].fillna("")]}
    else:
        scale = _SCALE if colour == "covered" else [[0.0, "#4263eb"], [0.5, "#fab005"], [1.0, "#e8590c"]]
        bar = {"title": colour, "thickness": 10, "len": 0.6, "outlinewidth": 0}
        marker = {"color": points[colour], "colorscale": scale, "colorbar": bar, "cmin": 0}
        if colour == "covered":
            marker["cmax"] = 1
    figure = go.Figure()
    figure.add_scattergl(
        x=points["x"],
        y=points["y"],
        mode="markers",
        marker={"size": 4.5, "opacity": 0.75, **marker},
        customdata=list(zip(points["middle"].fillna(""), names, points["text"], strict=True)),
        hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[2]}<extra></extra>",
    )
    across, up = _opens_on(points["x"]), _opens_on(points["y"])
    for x, y, text in _map_labels(points, topics, max(across[1] - across[0], up[1] - up[0])):
        figure.add_annotation(
            x=x,
            y=y,
            text=text,
            showarrow=False,
            font={"size": 11, "color": "#495057"},
            bgcolor="rgba(255,255,255,0.78)",
            borderpad=2,
        )
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    return finished(
        figure,
        height=560,
        xaxis={**hidden, "range": across},
        yaxis={**hidden, "range": up, "scaleanchor": "x"},
        dragmode="pan",
        hovermode="closest",
    )


def _opens_on(places: pd.Series) -> list[float]:
    low, high = float(places.quantile(_FAR_OUT)), float(places.quantile(1 - _FAR_OUT))
    margin = 0.06 * max(high - low, 1e-6)
    return [low - margin, high + margin]


def _map_labels(points: pd.DataFrame, topics: Mapping[str, TopicRow], span: float) -> list[tuple[float, float, str]]:
    """Where the largest topics' labels stand, x, y and text; none covers another on a map that is `span` wide."""
    pixel = max(span, 1e-6) / _MAP
    found: list[tuple[float, float, str]] = []
    for topic, rows in sorted(points.groupby("middle"), key=lambda one: (-len(one[1]), str(one[0]))):
        if topic not in topics:
            continue
        text = safe(topics[str(topic)].label.split(", ")[0])
        x, y = float(rows["x"].median()), float(rows["y"].median())
        apart = all(
            abs(x - other) > (len(text) + len(label)) / 2 * _LETTER * pixel or abs(y - line) > _LINE * pixel
            for other, line, label in found
        )
        if apart:
            found.append((x, y, text))
        if len(found) == _LABELS:
            break
    return found


def topic_treemap(topics: Sequence[TopicRow], coverage: Mapping[str, TopicCoverageRow]) -> go.Figure:
    """Broad, middle and fine topics by their turns, coloured by coverage."""
    by_id = {topic.topic_id: topic for topic in topics}
    shown = [topic for topic in topics if topic.turns]
    values = [getattr(coverage.get(topic.topic_id), "coverage", None) for topic in shown]
    figure = go.Figure(
        go.Treemap(
            ids=[topic.topic_id for topic in shown],
            labels=[safe(topic.label) for topic in shown],
            parents=[topic.parent if topic.parent in by_id else "" for topic in shown],
            values=[topic.turns for topic in shown],
            branchvalues="remainder" if not _sums(shown) else "total",
            marker={"colors": values, "colorscale": _SCALE, "cmin": 0, "cmax": 1, "line": {"width": 1}},
            customdata=[["not known" if value is None else f"{value:.0%}"] for value in values],
            hovertemplate="%{label}<br>%{value:,} turns<br>covered: %{customdata[0]}<extra></extra>",
            maxdepth=2,
            root={"color": "rgba(0,0,0,0)"},
            pathbar={"visible": False},
            textfont={"color": "#212529"},
        )
    )
    return finished(figure, height=420)


def _sums(topics: Sequence[TopicRow]) -> bool:
    """Whether no parent is smaller than its parts: only then does plotly draw parts of a whole."""
    inside: dict[str, int] = {}
    for topic in topics:
        if topic.parent:
            inside[topic.parent] = inside.get(topic.parent, 0) + topic.turns
    return all(topic.turns >= inside.get(topic.topic_id, 0) for topic in topics)


def share_lines(rows: pd.DataFrame, topics: Mapping[str, TopicRow]) -> go.Figure:
    """Each topic's share of the turns over time; columns start, topic, share."""
    figure = go.Figure()
    for topic, mine in rows.groupby("topic", sort=False):
        name = topics[str(topic)].label if topic in topics else str(topic)
        figure.add_scatter(
            x=mine["start"],
            y=mine["share"],
            name=safe(name),
            mode="lines",
            line={"color": topic_colour(str(topic)), "width": 2},
            hovertemplate=f"{safe(name)}<br>%{{x|%-d %b %Y}}: %{{y:.1%}}<extra></extra>",
        )
    return finished(figure, height=330, legend=True, dates=True, yaxis={"tickformat": ".1%", "rangemode": "tozero"})


def spanned(figure: go.Figure, start: datetime, end: datetime) -> go.Figure:
    """The figure with a time shaded."""
    return figure.add_vrect(x0=start, x1=end, fillcolor=NEUTRAL, opacity=0.12, line_width=0, layer="below")


def growth_curve(points: Sequence[tuple[datetime, int]], share: Sequence[float]) -> go.Figure:
    """A topic's turns as bars, and its share of the traffic as a line on an axis of its own."""
    times = [start for start, _ in points]
    figure = go.Figure()
    figure.add_bar(
        x=times,
        y=[n for _, n in points],
        marker={"color": NEUTRAL, "opacity": 0.5},
        name="turns",
        hovertemplate="%{x|%-d %b}: %{y:,} turns<extra></extra>",
    )
    figure.add_scatter(
        x=times,
        y=list(share),
        yaxis="y2",
        mode="lines",
        line={"color": ACCENT, "width": 2},
        name="share of the traffic",
        hovertemplate="%{x|%-d %b}: %{y:.1%} of the traffic<extra></extra>",
    )
    return finished(
        figure,
        height=210,
        legend=True,
        dates=True,
        bargap=0.2,
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "tickformat": ".1%",
            "rangemode": "tozero",
            "showgrid": False,
            "automargin": True,
        },
    )
