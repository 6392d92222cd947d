"""The live charts of the page of data: what is made of samples, and how they follow ingest in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboards.figures.ingest import lag_lines, letters_line, throughput_bars
from dashboards.queries.ingest import Course, ingest_course
from monitor.keep_out import parse_rules
from monitor.records import Coordinates, DeadLetter, Turn
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.partitions import PartitionRow
from tests.dashboards.app_support import now, served
from tests.hand_clock import HandClock

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 1, 12)
HOSTILE = "kafka:<img src=x onerror=\"document.title='owned'\">\u202e"


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    with Store.open(str(tmp_path / "live.duckdb"), clock=clock) as opened:
        yield opened


def stand(
    store: Store, clock: HandClock, position: int, end: int, partition: str = "0", source: str = "kafka:turns"
) -> None:
    store.partitions.note([PartitionRow(source, partition, position, end, clock.now, clock.now)])


def letters(store: Store, clock: HandClock, first: int, count: int) -> None:
    places = [Coordinates("kafka:turns", "0", number) for number in range(first, first + count)]
    store.dead_letters.append([DeadLetter(place, "in no known format", b"{", clock.now) for place in places])


def flows(course: Course) -> list[tuple[str, float]]:
    return [(flow.source, flow.per_minute) for flow in course.flows]


def test_rates_lag_and_letters_of_samples(store: Store, clock: HandClock) -> None:
    stand(store, clock, 100, 500)
    store.samples.take({"http": 900})
    clock.now += 2 * MINUTE
    stand(store, clock, 400, 500)
    letters(store, clock, 0, 3)
    store.samples.take({"http": 30})  # the service was started again: it counts from nothing
    clock.now += timedelta(seconds=5)
    course = ingest_course(store, clock.now)
    # Five seconds say nothing of a rate; lag and letters are of now.
    assert flows(course) == [("http", 15.0), ("kafka:turns", 150.0)]
    assert [(line.name, [lag for _, lag in line.points]) for line in course.lags] == [
        ("kafka:turns / 0", [400, 100, 100])
    ]
    assert [count for _, count in course.letters.points] == [0, 3, 3]
    assert course.end == clock.now
    clock.now += timedelta(seconds=55)
    stand(store, clock, 500, 500)
    assert ("kafka:turns", 100.0) in flows(ingest_course(store, clock.now))


def test_a_partition_that_appears_was_not_read_at_once(store: Store, clock: HandClock) -> None:
    stand(store, clock, 10, 10)
    store.samples.take({})
    clock.now += MINUTE
    stand(store, clock, 1_000_000, 1_000_000, partition="1")
    store.samples.take({})
    assert [rate for _, rate in flows(ingest_course(store, clock.now))] == [0.0]


def test_many_partitions_are_few_lines(store: Store, clock: HandClock) -> None:
    for partition in range(40):
        stand(store, clock, 0, partition, str(partition))
    lags = ingest_course(store, clock.now).lags
    assert [line.name for line in lags[:3]] == ["kafka:turns / 39", "kafka:turns / 38", "kafka:turns / 37"]
    assert (len(lags), lags[-1].name, lags[-1].points[-1][1]) == (7, "34 others", sum(range(34)))


def test_figures_say_why_they_are_empty(store: Store, clock: HandClock) -> None:
    course = ingest_course(store, clock.now)
    for figure, words in (
        (throughput_bars(course), "Nothing was read in the last hours"),
        (lag_lines(course), "No stream is read"),
        (letters_line(course), "There are none"),
    ):
        assert [one.text for one in figure.layout.annotations] == [words]
        assert figure.layout.xaxis.visible is False
        assert list(figure.layout.xaxis.range) == [NOON - 10 * MINUTE, NOON]
        assert not figure.data


def test_few_messages_are_counted_whole(store: Store, clock: HandClock) -> None:
    stand(store, clock, 7, 9)
    letters(store, clock, 0, 1)
    store.samples.take({})
    course = ingest_course(store, clock.now)
    for figure, top in ((lag_lines(course), 2), (letters_line(course), 1)):
        assert figure.layout.yaxis.dtick == 1 and figure.layout.yaxis.range[1] >= top


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["/", "/team/offmap/"])
def test_the_charts_follow_in_place(tab: Any, tmp_path: Path, prefix: str) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store, served(store, Settings(), prefix=prefix) as url:
        tab.goto(url + "/data")
        for words in ("Nothing was read in the last hours", "No stream is read", "There are none"):
            tab.wait_for_selector(f"text={words}")
        tab.evaluate("document.querySelector('#lag').dataset.mark = 'same'")
        place = Coordinates("kafka:turns", "0", 1)
        store.dead_letters.append([DeadLetter(place, "in no known format", b"{", now())])
        store.partitions.note([PartitionRow(HOSTILE, "0", 5, 1_234, now(), now())])
        tab.wait_for_function("document.querySelector('#lag .scatterlayer .trace') !== null")
        tab.wait_for_function("document.querySelector('#letters-kept .annotation') === null")
        assert tab.evaluate("document.querySelector('#lag').dataset.mark") == "same"
        assert tab.title() == "offmap"
        assert tab.locator("#lag img").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 800])
def test_nothing_leaves_the_window(tab: Any, tmp_path: Path, width: int) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store, served(store, Settings()) as url:
        tab.set_viewport_size({"width": width, "height": 900})
        tab.goto(url + "/data")
        tab.wait_for_selector("#letters-kept .main-svg >> nth=0", state="attached")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        # From the name to the button each thing of the bar ends before the next begins.
        bar = tab.evaluate(
            """[...document.querySelectorAll('.brand, .mantine-AppShell-header .mantine-Input-wrapper, #scheme')]
            .map(one => one.getBoundingClientRect()).filter(one => one.width).map(one => [one.left, one.right])"""
        )
        assert len(bar) == 7
        ends = [0, *(right for _, right in bar)]
        assert all(left >= end for (left, _), end in zip(bar, ends, strict=False)) and ends[-1] <= width


@pytest.mark.slow
def test_rules_and_what_they_keep_out(tab: Any, tmp_path: Path) -> None:
    rules = '[{app = "play*"}, {user_id = "<b>nobody</b>"}]'
    settings = Settings().with_value("analysis.keep_out", rules, source="test")
    with Store.open(str(tmp_path / "s.duckdb")) as store, served(store, settings) as url:
        store.turns.append(
            [
                Turn(
                    turn_id=str(n),
                    user_text="x",
                    created_at=now(),
                    conversation_id="c",
                    app="playground" if n else "shop",
                )
                for n in range(3)
            ]
        )
        store.kept_out.mark(parse_rules(rules))
        tab.goto(url + "/data")
        tab.wait_for_selector("text=Kept out by rule")
        for rule, turns in (('app = "play*"', "2"), ('user_id = "<b>nobody</b>"', "0")):
            assert tab.locator("tr", has_text=rule).locator("td").all_inner_texts() == [rule, turns]
