"""When jobs run, with a clock in hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from monitor.errors import OffmapError
from monitor.service.timetable import Recurring, Timetable
from monitor.store import Store
from tests.hand_clock import HandClock

START = datetime(2026, 3, 1)
MINUTE = timedelta(minutes=1)


def table(store: Store, clock: HandClock, *jobs: Recurring) -> Timetable:
    return Timetable(store, jobs, clock=clock, retry=timedelta(seconds=30))


def test_due_now_then_every_interval_and_missed_runs_once(store: Store) -> None:
    clock, ran = HandClock(START), []
    jobs = table(store, clock, Recurring("a", 10 * MINUTE, lambda: ran.append(clock.now) or "did"))  # type: ignore[func-returns-value]
    assert jobs.run_due() == [("a", "did")]
    assert jobs.run_due() == []
    clock.now += 9 * MINUTE
    assert jobs.run_due() == []
    clock.now += 95 * MINUTE  # nine runs were missed
    assert jobs.run_due() == [("a", "did")] and jobs.run_due() == []
    assert jobs.next_due() == clock.now + 10 * MINUTE and len(ran) == 2


def test_a_failure_is_tried_again_with_growing_pauses_and_keeps_its_reason(store: Store) -> None:
    clock, broken = HandClock(START), [True]

    def run() -> str:
        if broken[0]:
            raise OffmapError("the disk is away")
        return "well"

    jobs = table(store, clock, Recurring("a", 60 * MINUTE, run))
    for attempt, pause in enumerate((30, 60, 120, 240), 1):
        assert jobs.run_due() == [("a", "failed: the disk is away")] and jobs.failure() == "the disk is away"
        (row,) = store.schedule.read()
        assert (row.attempts, row.state) == (attempt, "failed") and row.due_at == clock.now + timedelta(seconds=pause)
        clock.now = row.due_at
    broken[0] = False
    assert jobs.run_due() == [("a", "well")] and jobs.failure() is None
    (row,) = store.schedule.read()
    assert row.attempts == 0 and row.error is None


def test_the_state_outlives_the_process_and_a_killed_run_is_due_at_once(store: Store) -> None:
    clock = HandClock(START)
    table(store, clock, Recurring("a", 60 * MINUTE, lambda: "")).run_due()
    clock.now += MINUTE
    assert table(store, clock, Recurring("a", 60 * MINUTE, lambda: "")).run_due() == []

    def die() -> str:
        raise KeyboardInterrupt  # as good as a kill: nothing after it is written

    clock.now += 60 * MINUTE
    with pytest.raises(KeyboardInterrupt):
        table(store, clock, Recurring("a", 60 * MINUTE, die)).run_due()
    assert store.schedule.read()[0].state == "running"
    assert table(store, clock, Recurring("a", 60 * MINUTE, lambda: "again")).run_due() == [("a", "again")]


def test_a_shorter_interval_counts_at_once_and_what_is_wanted_comes_early(store: Store) -> None:
    clock, wanted = HandClock(START), [False]
    table(store, clock, Recurring("a", 60 * MINUTE, lambda: "")).run_due()
    jobs = table(store, clock, Recurring("a", MINUTE, lambda: "", wanted=lambda: wanted[0]))
    assert jobs.next_due() == clock.now + MINUTE
    wanted[0] = True
    assert jobs.run_due() == [("a", "")]
