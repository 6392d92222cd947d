"""Comparisons of two windows, or of a window with an eval set: table `drift_reports`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["DriftReports", "DriftRow"]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One comparison. `reference` is "window" or the name of an eval set; its times are None then.

    `p_value` and `effect` are of the combined verdict, None when there was too little to say. `body` is JSON:
    `{"tests": [{"name", "statistic", "p_value", "effect", "meaning"}], "topics": [{"topic", "label", "level", "before",
    "after", "change_low", "change_high", "p_value", "contribution", "moved", "since", "since_days"}], "terms": [{"term",
    "before", "after", "contribution"}], "turns": {"reference", "current"}, "descriptors": [{"name", "before", "after", "unit",
    "low", "high", "sure"}], "described": {"start", "end"}}`, the last the window that descriptors are compared with.
    """

    report_id: str
    atlas_id: str
    created_at: datetime
    reference: str
    reference_start: datetime | None
    reference_end: datetime | None
    current_start: datetime
    current_end: datetime
    verdict: str
    alarm: bool
    p_value: float | None
    effect: float | None
    body: dict[str, Any]


_DRIFT = shape(DriftRow)


class DriftReports:
    """Kept under an id made of what was compared: the same comparison again replaces it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, report: DriftRow) -> None:
        with self._database.transaction():
            self._database.execute("DELETE FROM drift_reports WHERE report_id = ?", [report.report_id])
            self._database.insert("drift_reports", _DRIFT.table([report]))

    def find(self, report_id: str) -> DriftRow | None:
        found = _DRIFT.read(self._database.query("SELECT * FROM drift_reports WHERE report_id = ?", [report_id]))
        return found[0] if found else None

    def latest(self, reference: str = "window") -> DriftRow | None:
        """The comparison with this reference that was made last."""
        found = _DRIFT.read(
            self._database.query(
                "SELECT * FROM drift_reports WHERE reference = ? ORDER BY created_at DESC, report_id LIMIT 1",
                [reference],
            )
        )
        return found[0] if found else None

    def read(self, limit: int = 100) -> list[DriftRow]:
        """The latest first."""
        return _DRIFT.read(
            self._database.query(f"SELECT * FROM drift_reports ORDER BY created_at DESC, report_id LIMIT {int(limit)}")
        )
