"""Releases on charts over time."""

from __future__ import annotations

from datetime import datetime, timedelta

import plotly.graph_objects as go

from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.coverage import turn_bars
from dashboards.figures.drift import Split, parts
from dashboards.figures.ingest import lag_lines, letters_line, throughput_bars
from dashboards.figures.marks import Mark, drawn_marks, marked, release_marks
from dashboards.queries.ingest import Course, Line
from dashboards.service import Alone
from dashboards.theme import finished
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.statistics import Release
from tests.store.conftest import NOON, make_turn

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


def when(times: list[datetime], *since: datetime) -> list[datetime]:
    return [mark.when for mark in release_marks([Release("model", str(one), one) for one in since], times)]


def test_a_release_of_the_last_day_or_week_is_marked_where_that_is_drawn() -> None:
    days = [START + n * DAY for n in range(10)]
    assert when(days, days[9] + timedelta(hours=14), days[9] + DAY) == [days[9]]
    weeks = [START + 7 * n * DAY for n in range(5)]
    assert when(weeks, weeks[1] + 3.2 * DAY, weeks[4] + 6 * DAY, weeks[4] + 7 * DAY) == [weeks[1] + 3 * DAY, weeks[4]]
    # A row for each topic and day, as the page of topics has them.
    assert when([*days, *days], days[9] + timedelta(hours=1)) == [days[9]]


def test_on_a_chart_of_hours_or_minutes_a_release_stands_at_its_hour_or_minute() -> None:
    hours = [START + timedelta(hours=8 + n) for n in range(20)]
    assert when(hours, hours[3] + timedelta(minutes=20), hours[3] + timedelta(minutes=50)) == [hours[3]]
    assert when([START, START + timedelta(hours=3)], START + timedelta(minutes=70, seconds=30)) == [
        START + timedelta(minutes=70)
    ]
    assert when([START], START + DAY) == when([], START) == []


def test_names_stand_over_the_plot_and_not_upon_each_other() -> None:
    times = [START, START + 100 * DAY]
    marks = [Mark(START + n * DAY, f"version-{n}") for n in (10, 12, 60, 90, 95)]
    figure = drawn_marks(finished(go.Figure(), height=200), marks, times)
    assert [(one.yshift, one.xanchor) for one in figure.layout.annotations] == [
        (0, "left"), (14, "left"), (0, "left"), (14, "right"), (28, "right"),
    ]  # fmt: skip
    assert {(one.y, one.yref, one.yanchor) for one in figure.layout.annotations} == {(1, "paper", "bottom")}
    # The plot keeps its height.
    assert (figure.layout.height, figure.layout.margin.t) == (200 + 42, 8 + 42)
    alone = drawn_marks(finished(go.Figure(), height=200), marks[:1], times)
    assert (alone.layout.height, alone.layout.margin.t) == (200 + 14, 8 + 14)
    assert drawn_marks(finished(go.Figure(), height=200), []).layout.height == 200


def test_a_page_draws_a_chart_with_the_releases_of_its_store(store: Store) -> None:
    turns = [
        make_turn(f"t{n}", created_at=START + n * timedelta(hours=3), model="new" if n > 40 else "old")
        for n in range(80)
    ]
    store.turns.append(turns)
    context = PageContext(store, Settings(), Alone(START), lambda: START, "/")
    days = [START + n * DAY for n in range(10)]
    drawn = timeline(context, turn_bars([(day, 8) for day in days]), days)
    assert [one.text for one in drawn.figure.layout.annotations] == ["new"]


def test_charts_of_ingest_are_marked_where_there_is_something_to_see() -> None:
    marks = release_marks([Release("model", "new", NOON + timedelta(minutes=5))], [NOON, NOON + timedelta(hours=1)])
    line = Line("kafka:turns / 0", ((NOON, 1), (NOON + timedelta(hours=1), 8)))
    course = Course(NOON, NOON + timedelta(hours=1), (), (line,), Line("dead letters", ()))
    assert [one.text for one in lag_lines(course, marks).layout.annotations] == ["new"]
    for figure in (letters_line(course, marks), throughput_bars(course, marks)):
        assert [one.text for one in figure.layout.annotations] != ["new"] and not figure.layout.shapes


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
