"""Findings: what comparisons of windows say, where no surge explains it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from monitor.alerts.rules import Finding
from monitor.drift.comparison import PINNED
from monitor.drift.look import Look
from monitor.records import Window
from monitor.store.alerts import AlertBody
from monitor.store.drift import DriftRow
from monitor.wording import days_of

__all__ = ["comparison_findings"]

#: The subject of a change of the traffic as a whole.
_TRAFFIC = "traffic"


def comparison_findings(look: Look, windows: Sequence[DriftRow], *, level: float) -> list[Finding]:
    """One finding a comparison with another window that is an alarm: topics that shrank, or a change spread over many. One
    beyond the `level` that the look may spend is not told, and keeps a known one alive."""
    return [_finding(row, len(np.unique(look.user)), level) for row in windows if row.alarm]


def _finding(row: DriftRow, users: int, level: float) -> Finding:
    p_value = 1.0 if row.p_value is None else row.p_value
    pinned = row.reference == PINNED
    now, before = _days(row.current_start, row.current_end), _days(row.reference_start, row.reference_end)
    facts = (
        ("How much", f"{row.effect or 0:.1%} of the traffic is about something else"),
        ("How sure", f"chance does this in {p_value:.1%} of comparisons when nothing has changed"),
        ("Compared", f"{now} with {before}"),
    )
    return Finding(
        kind="drift",
        key=PINNED if pinned else _TRAFFIC,
        title="The traffic is not what it was in the pinned window" if pinned else "The traffic changed",
        body=AlertBody(row.verdict, facts),
        path=f"/drift?report={row.report_id}",
        size=row.effect or 0.0,
        users=users,
        members=(),
        sure=True,
        telling=p_value <= level,
    )


def _days(start: datetime | None, end: datetime | None) -> str:
    return "" if start is None or end is None else days_of(Window(start, end))
