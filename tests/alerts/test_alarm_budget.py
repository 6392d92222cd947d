"""The budget of false alarms: what one look may spend, and that all looks of a month together spend no more than it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from monitor.alerts.budget import KIND, MONTH, PARTS, allowed, lookout_limit
from monitor.settings import DriftSettings, Settings
from monitor.store.alerts import SubjectRow

START = datetime(2026, 3, 1)


def settings(**drift: float) -> Settings:
    return Settings(drift=DriftSettings(**drift))  # type: ignore[arg-type]


def spent_in(
    days: float, every: timedelta, chosen: Settings, comparisons: int = 1, *, clock: bool = True
) -> dict[str, float]:
    """The levels of all looks in so many days, summed up: as many false alarms come from them in the mean at most."""
    known: dict[str, SubjectRow] = {}
    total = dict.fromkeys(("surges", "comparisons", "watch_lists"), 0.0)
    for number in range(int(timedelta(days=days) / every)):
        now = START + number * every
        look = allowed([*known.values()], chosen, comparisons=comparisons, now=now, at=now if clock else START)
        known |= {row.subject: row for row in look.spent}
        total["surges"] += look.surges
        total["watch_lists"] += look.watch_lists
        total["comparisons"] += look.comparisons * comparisons
    return total


def test_the_parts_are_the_whole_budget() -> None:
    assert sum(PARTS.values()) == pytest.approx(1)
    assert lookout_limit(settings()) == pytest.approx(2)
    assert lookout_limit(settings(false_alarms_per_month=0.1)) == pytest.approx(20)


@pytest.mark.parametrize(
    "every", [timedelta(minutes=30), timedelta(hours=5), timedelta(days=1), timedelta(days=7)], ids=str
)
@pytest.mark.parametrize("comparisons", [1, 2])
@pytest.mark.parametrize("per_month", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("clock", [True, False], ids=["live", "history"])
def test_looks_spend_no_more_than_their_part_however_often_they_come(
    every: timedelta, comparisons: int, per_month: float, clock: bool
) -> None:
    months = 24
    chosen = settings(false_alarms_per_month=per_month)
    total = spent_in(months * 30, every, chosen, comparisons, clock=clock)
    first = max(every, timedelta(days=1)) / MONTH * per_month
    for name, spent in total.items():
        # The first look has what a day gathers, and that of comparisons all that one look may spend.
        beyond = PARTS[name] * first + (0.01 if name == "comparisons" else 0)
        assert spent <= months * PARTS[name] * per_month + beyond + 1e-9, name
    if every <= timedelta(days=1) and per_month <= 1:
        assert total["surges"] >= 0.85 * months * PARTS["surges"] * per_month, "and it spends it"
        assert total["comparisons"] >= 0.6 * months * PARTS["comparisons"] * per_month


def test_a_look_after_a_long_pause_spends_no_more_than_a_finding_may() -> None:
    first = allowed([], settings(), comparisons=1, now=START, at=START)
    later = allowed(first.spent, settings(), comparisons=1, now=START + MONTH, at=START + MONTH)
    assert later.surges == later.comparisons == later.watch_lists == 0.01


def test_looks_at_the_same_moment_spend_nothing_more() -> None:
    first = allowed([], settings(), comparisons=1, now=START, at=START)
    again = allowed(first.spent, settings(), comparisons=1, now=START, at=START)
    assert (again.surges, again.comparisons, again.watch_lists) == (0, 0, 0)


def test_a_log_of_older_turns_does_not_turn_time_back() -> None:
    first = allowed([], settings(), comparisons=1, now=START, at=START)
    older = allowed(first.spent, settings(), comparisons=1, now=START - 9 * MONTH, at=START + timedelta(hours=1))
    assert older.surges == pytest.approx(PARTS["surges"] / 720 / 5), "a fifth of an hour's, by the clock"
    assert {row.subject for row in older.spent} == {"surges", "watch_lists"}
    assert all(row.seen_at == START and row.kind == KIND for row in older.spent)


def test_one_look_a_day_spends_what_was_kept_for_it() -> None:
    rows: dict[str, SubjectRow] = {}
    levels = []
    for number in range(48 * 3 + 1):
        now = START + number * timedelta(minutes=30)
        look = allowed([*rows.values()], settings(), comparisons=1, now=now, at=now)
        rows |= {row.subject: row for row in look.spent}
        levels.append(look.surges)
    a_day = PARTS["surges"] / 30
    assert levels[0] == pytest.approx(min(a_day, 0.01)), "the first look has a day"
    for number, level in enumerate(levels[1:], 1):
        kept = a_day * 0.8 if number % 48 == 0 else 0
        assert level == pytest.approx(a_day / 5 / 48 + kept)


def test_comparisons_wait_until_a_whole_level_has_gathered() -> None:
    rows: dict[str, SubjectRow] = {}
    opened = []
    for hour in range(0, 24 * 10, 6):
        now = START + timedelta(hours=hour)
        look = allowed([*rows.values()], settings(), comparisons=2, now=now, at=now)
        rows |= {row.subject: row for row in look.spent}
        if look.comparisons:
            assert look.comparisons == 0.005, "two of them share the level"
            opened.append(hour)
    assert opened == [0, 72, 144, 216]


def test_a_level_that_permutations_cannot_reach_is_made_one_that_they_can() -> None:
    few = replace(settings(), drift=DriftSettings(permutations=99, false_alarm=0.01))
    assert allowed([], few, comparisons=2, now=START, at=START).comparisons == 0.01
