"""Releases on charts over time."""

from __future__ import annotations

from datetime import datetime, timedelta

import plotly.graph_objects as go

from dashboards.figures.drift import Split, parts
from dashboards.figures.marks import marked
from monitor.store.statistics import Release

START = datetime(2026, 3, 1)
DAY = timedelta(days=1)


def test_releases_within_the_chart_are_marked_and_those_of_a_day_together() -> None:
    times = [START + n * DAY for n in range(10)]
    ones = [
        Release("model", "before", START - DAY),
        Release("prompt_version", "v4", START + 2 * DAY + timedelta(hours=3)),
        Release("model", "<b>x</b>", START + 2 * DAY + timedelta(hours=9)),
        Release("model", "late", START + 20 * DAY),
    ]
    figure = marked(go.Figure(), ones, times)
    assert len(figure.layout.shapes) == 1
    (mark,) = figure.layout.annotations
    assert mark.x == START + 2 * DAY
    assert mark.text == "v4, &lt;b&gt;x&lt;/b&gt;"
    assert mark.hovertext == "prompt version v4; model &lt;b&gt;x&lt;/b&gt;"
    assert not marked(go.Figure(), ones, []).layout.shapes


def test_the_parts_of_a_change_fill_a_bar() -> None:
    topics = Split("topics", [("<i>refunds</i>", 0.6), ("parcels", 0.1), ("nothing", 0.001)])
    figure = parts([topics, Split("words", [], "all other words")])
    bars = [(bar.y[0], round(bar.x[0], 3), bar.text) for bar in figure.data]
    assert bars == [
        (0, 1, "all other words 100%"),
        (1, 0.6, "&lt;i&gt;refunds&lt;/i&gt; 60%"),
        (1, 0.1, "10%"),
        (1, 0.299, "spread over the rest 30%"),
    ]
    assert "<i>" not in figure.to_json()
