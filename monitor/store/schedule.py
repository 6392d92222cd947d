"""When each recurring job ran, and when it is due again: table `schedule`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["Schedule", "ScheduledJob"]


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """`state` is waiting, running or failed. Running in a store that has just been opened means that it was killed.

    `attempts` counts the failures since it last ended well.
    """

    job: str
    due_at: datetime
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    error: str | None


_JOB = shape(ScheduledJob)


class Schedule:
    """One row a job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, job: ScheduledJob) -> None:
        with self._database.transaction():
            self._database.execute("DELETE FROM schedule WHERE job = ?", [job.job])
            self._database.insert("schedule", _JOB.table([job]))

    def read(self) -> list[ScheduledJob]:
        return _JOB.read(self._database.query("SELECT * FROM schedule ORDER BY job"))
