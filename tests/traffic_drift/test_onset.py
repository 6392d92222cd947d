"""Since when a share is what it is."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from monitor.drift.onset import Onset, onset

FIRST = (date(2026, 2, 1) - date(1970, 1, 1)).days
DAYS = np.arange(FIRST, FIRST + 35)


def told(rng: np.random.Generator, begins: int, before: float, after: float, a_day: int) -> Onset:
    totals = rng.poisson(a_day, 35)
    found = onset(rng.binomial(totals, np.where(np.arange(35) >= begins, after, before)), totals, DAYS)
    assert found is not None
    return found


def test_a_share_that_doubles_is_dated() -> None:
    found = told(np.random.default_rng(0), 30, 0.05, 0.10, 2_000)
    assert found == Onset(date(2026, 3, 3), date(2026, 3, 3), date(2026, 3, 3))
    assert found.days == 1


@pytest.mark.parametrize(("before", "after"), [(0.02, 0.04), (0.0, 0.02), (0.06, 0.01)])
def test_the_days_hold_the_truth_as_often_as_they_say(before: float, after: float) -> None:
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        begins = int(rng.integers(1, 35))
        found = told(rng, begins, before, after, 150)
        held.append(found.low <= date(2026, 2, 1) + timedelta(days=begins) <= found.high)
    assert 0.87 <= np.mean(held) <= 0.99


def test_what_cannot_be_dated_has_many_days() -> None:
    assert told(np.random.default_rng(1), 20, 0.05, 0.055, 60).days > 10


def test_days_without_conversations_are_skipped_and_one_day_is_no_change() -> None:
    totals, hits = np.zeros(35, np.int64), np.zeros(35, np.int64)
    assert onset(hits, totals, DAYS) is None
    totals[3] = 50
    assert onset(hits, totals, DAYS) is None
    totals[30], hits[30] = 50, 50
    assert onset(hits, totals, DAYS) == Onset(*[date(2026, 3, 3)] * 3)
