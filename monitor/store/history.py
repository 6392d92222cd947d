"""Coverage of every run that was published, kept when the run itself is swept: table `coverage_history`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["CoverageHistory", "CoveragePoint"]


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """What one run said of the whole traffic; the numbers are None where it said nothing."""

    run_id: str
    published_at: datetime
    window_start: datetime
    window_end: datetime
    eval_sets: tuple[str, ...]
    turns: int
    value: float | None
    low: float | None
    high: float | None
    gaps: int


_POINT = shape(CoveragePoint)


class CoverageHistory:
    """One point a run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, point: CoveragePoint) -> None:
        """The same run again replaces its point."""
        with self._database.transaction():
            self._database.execute("DELETE FROM coverage_history WHERE run_id = ?", [point.run_id])
            self._database.insert("coverage_history", _POINT.table([point]))

    def read(self) -> list[CoveragePoint]:
        """From the oldest to the latest."""
        return _POINT.read(self._database.query("SELECT * FROM coverage_history ORDER BY published_at, run_id"))
