"""Topics that rise and fall, and the seasons that must not look like it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.drift.movement import Counts, movements
from monitor.drift.seasons import HOURS_OF_WEEK, hour_of_week, like_hours, without_weekdays

TOPICS = 20
DAYTIME = 1 + 0.8 * np.sin(2 * np.pi * (np.arange(HOURS_OF_WEEK) % 24) / 24)
WEEKEND = np.arange(HOURS_OF_WEEK) // 24 >= 5


def drawn(rng: np.random.Generator, shares: NDArray[np.float64], *, days: int, first: int = 0) -> Counts:
    """Traffic of so many days from an hour of the week on: shares [topics, 168] of some three conversations an hour."""
    topics, every = np.zeros((len(shares), HOURS_OF_WEEK), np.int64), np.zeros(HOURS_OF_WEEK, np.int64)
    for hour in (first + np.arange(days * 24)) % HOURS_OF_WEEK:
        began = rng.poisson(3 * DAYTIME[hour])
        every[hour] += began
        topics[:, hour] += rng.binomial(began, shares[:, hour])
    return Counts(topics, every)


def seasonal_shares(rng: np.random.Generator) -> NDArray[np.float64]:
    """Half of the topics are three times as large at weekends."""
    often = rng.uniform(0.003, 0.08, (TOPICS, 1))
    return np.where(WEEKEND & (np.arange(TOPICS)[:, None] % 2 == 0), 3 * often, often)


def test_a_weekend_is_compared_with_weekends() -> None:
    rng = np.random.default_rng(5)
    shares = seasonal_shares(rng)
    held, alarms, looks = [], 0, 60
    for _ in range(looks):
        found = movements(drawn(rng, shares, days=2, first=5 * 24), drawn(rng, shares, days=28))
        held += [one.trend.low <= 1 <= one.trend.high for one in found]
        alarms += any(one.sure for one in found)
    # 1,200 intervals at 90 %, and 60 looks at 5 %: nothing changed.
    assert 0.87 <= np.mean(held) <= 0.94
    assert alarms / looks <= 0.12


def test_what_rose_and_what_fell_is_found() -> None:
    rng = np.random.default_rng(6)
    before = np.full((TOPICS, HOURS_OF_WEEK), 0.04)
    before[7] = 0.12
    now = before.copy()
    now[3], now[7] = 0.10, 0.03
    found = movements(drawn(rng, now, days=7), drawn(rng, before, days=28))
    assert {(one.topic, one.trend.ratio > 1) for one in found if one.sure} == {(3, True), (7, False)}
    by_topic = {one.topic: one.trend for one in found}
    assert by_topic[3].rises and 1.7 < by_topic[3].ratio < 3.7
    assert by_topic[7].falls and 0.15 < by_topic[7].ratio < 0.45


def test_the_ratio_is_that_of_mantel_and_haenszel() -> None:
    now = Counts(np.array([[30, 10] + [0] * 166]), np.array([100, 50] + [0] * 166))
    before = Counts(np.array([[20, 40] + [0] * 166]), np.array([100, 100] + [0] * 166))
    (found,) = movements(now, before)
    plain = (30 * 100 / 200 + 10 * 100 / 150) / (20 * 100 / 200 + 40 * 50 / 150)
    assert found.trend.ratio == pytest.approx(plain, rel=0.02)  # half a case is added
    assert (found.now, found.of_now, found.before, found.of_before) == (40, 150, 60, 200)


def test_windows_without_a_common_hour_say_nothing() -> None:
    monday, tuesday = np.zeros(HOURS_OF_WEEK, np.int64), np.zeros(HOURS_OF_WEEK, np.int64)
    monday[8], tuesday[32] = 10, 10
    assert movements(Counts(monday[None], monday), Counts(tuesday[None], tuesday)) == []


def test_a_topic_that_nobody_has_is_left_out() -> None:
    every = np.full(HOURS_OF_WEEK, 5)
    counts = Counts(np.stack([every, np.zeros(HOURS_OF_WEEK, np.int64)]), every)
    assert [one.topic for one in movements(counts, counts)] == [0]


@pytest.mark.parametrize(
    ("moment", "zone", "hour"),
    [
        ("2026-11-23T00:30", "UTC", 0),
        ("2026-11-22T23:59", "UTC", 167),
        ("2026-11-23T00:30", "Europe/Berlin", 1),
        ("2026-07-20T00:30", "Europe/Berlin", 2),
        ("2026-11-23T00:30", "America/New_York", 163),
        ("1969-12-31T23:00", "UTC", 2 * 24 + 23),
    ],
)
def test_hours_of_the_week(moment: str, zone: str, hour: int) -> None:
    then = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1e6)
    assert hour_of_week(np.array([then]), zone).tolist() == [hour]


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def kept(current: tuple[str, str], reference: tuple[str, str], zone: str = "UTC") -> NDArray[np.float64]:
    """By weekday and hour [7, 24]."""
    spans = [(moment(start), moment(end)) for start, end in (current, reference)]
    return like_hours(spans[0], spans[1], zone).reshape(7, 24)


FOUR_WEEKS = ("2026-03-02", "2026-03-30")  # from a Monday on


def test_as_much_of_each_hour_of_the_week() -> None:
    # Whole weeks from the middle of an hour to the middle of an hour are whole weeks.
    assert (kept(("2026-03-30T13:37", "2026-04-06T13:37"), FOUR_WEEKS) == 1).all()
    ten = kept(("2026-03-30", "2026-04-09"), FOUR_WEEKS)  # three days twice, four days once
    assert (ten[:3] == 1).all() and (ten[3:] == 0.5).all()
    monday = kept(("2026-03-30", "2026-03-31"), FOUR_WEEKS)
    assert (monday[0] == 1).all() and not monday[1:].any()
    part = kept(("2026-03-30T10:00", "2026-03-30T13:15"), FOUR_WEEKS)[0]
    assert part[10:14] == pytest.approx([1, 1, 1, 0.25]) and part.sum() == pytest.approx(3.25)
    # A reference that is no whole week is weighed too.
    assert kept(("2026-03-30", "2026-04-06"), ("2026-03-20", "2026-03-30"))[:, 0].tolist() == [
        1,
        1,
        1,
        1,
        0.5,
        0.5,
        0.5,
    ]


def test_an_hour_that_the_clock_took_does_not_thin_the_others() -> None:
    found = kept(("2026-03-30", "2026-04-06"), FOUR_WEEKS, "Europe/Berlin")
    # Only a fifth Monday at one o'clock, on the last day in summer time, is one too many.
    assert found[0, 1] == pytest.approx(0.8) and (found == 1).sum() == 167
    assert not kept(("2026-03-30", "2026-03-31"), ("2026-03-24", "2026-03-25")).any()  # no such day before


def test_weekdays_are_taken_out_and_a_rise_stays() -> None:
    days = np.arange(42)
    weekdays = days % 7
    totals = np.full(42, 400.0)
    level = np.where(days >= 35, 0.2, 0.1)
    shares = level * np.where(weekdays >= 5, 2.0, 1.0)
    adjusted = without_weekdays((shares * totals)[None], totals, weekdays)[0]
    last, before = adjusted[35:], adjusted[:35]
    assert np.ptp(before) < 0.1 * before.mean() and np.ptp(last) < 0.1 * last.mean()
    assert last.mean() / before.mean() == pytest.approx(2, rel=0.02)


def test_fewer_than_two_weeks_are_left_as_they_are() -> None:
    counts, totals = np.arange(13.0)[None], np.full(13, 20.0)
    assert without_weekdays(counts, totals, np.arange(13) % 7)[0].tolist() == (counts[0] / 20).tolist()
