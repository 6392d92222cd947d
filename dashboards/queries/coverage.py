"""Coverage over time, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from monitor.store.statistics import Filter
from monitor.store.store import Store

__all__ = ["Point", "coverage_over_time", "turns_over_time", "unit_of"]

#: 90 %, as `coverage.interval` has it by default.
_NORMAL = 1.645
#: A point of fewer conversations than this says nothing.
_LEAST = 8


@dataclass(frozen=True, slots=True)
class Point:
    """One day or week."""

    start: datetime
    value: float
    low: float
    high: float
    turns: int


def coverage_over_time(store: Store, report_id: str, unit: str, chosen: Filter) -> list[Point]:
    """Mean probability of being covered, with a 90 % interval from the scatter of conversations (a ratio estimate).

    Points share the error of the estimate as a whole, so the interval compares them with one another.
    """
    table = store.statistics.coverage_by_conversation(report_id, unit, chosen)
    starts = np.array(table.column("start").to_pylist(), dtype=object)
    covered, turns = table.column("covered").to_numpy(), table.column("turns").to_numpy().astype(np.float64)
    points = []
    for start in sorted(set(starts.tolist())):
        rows = starts == start
        n = int(rows.sum())
        if n < _LEAST:
            continue
        total = turns[rows].sum()
        value = float(covered[rows].sum() / total)
        rest = covered[rows] - value * turns[rows]
        error = _NORMAL * float(np.sqrt((rest**2).sum() * n / (n - 1))) / total
        points.append(Point(start, value, max(0.0, value - error), min(1.0, value + error), int(total)))
    return points


def turns_over_time(store: Store, unit: str, chosen: Filter) -> list[tuple[datetime, int]]:
    table = store.statistics.turns_by(unit, chosen)
    return [(row["start"], row["turns"]) for row in table.to_pylist()]


def unit_of(days: float) -> str:
    """Hours for three days, days for six weeks, weeks beyond: some dozens of points, whatever the window is."""
    return "hour" if days <= 3 else "day" if days <= 45 else "week"
