"""Long work that can be resumed: tables `jobs` and `job_steps`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.errors import UsageError
from monitor.store.database import Database
from monitor.store.rows import shape, values

__all__ = ["Job", "Jobs"]


@dataclass(frozen=True, slots=True)
class Job:
    """`state` is running, finished or failed. Running without a process means that it was killed."""

    job_id: str
    kind: str
    parameters: Mapping[str, Any]
    state: str
    started_at: datetime
    finished_at: datetime | None = None
    error: str | None = None


_JOB = shape(Job)


class Jobs:
    """A job that was killed or failed goes on after its last finished step; a finished one starts over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, job_id: str, kind: str, parameters: Mapping[str, Any]) -> None:
        """Start a job, or take it up again."""
        with self._database.transaction():
            state = self._database.value("SELECT state FROM jobs WHERE job_id = ?", [job_id])
            if state == "finished":
                self._database.execute("DELETE FROM job_steps WHERE job_id = ?", [job_id])
            self._database.execute("DELETE FROM jobs WHERE job_id = ?", [job_id])
            job = Job(job_id, kind, parameters, "running", self._database.clock())
            self._database.insert("jobs", _JOB.table([job]))

    def done_steps(self, job_id: str) -> set[str]:
        found = self._database.query("SELECT step FROM job_steps WHERE job_id = ?", [job_id])
        return set(values(found, 0))

    def finish_step(self, job_id: str, step: str, seconds: float) -> None:
        """Write it in the transaction of the step's results, so that both are there or neither."""
        with self._database.transaction():
            self._database.execute("DELETE FROM job_steps WHERE job_id = ? AND step = ?", [job_id, step])
            self._database.execute(
                "INSERT INTO job_steps (job_id, step, seconds, finished_at) VALUES (?, ?, ?, ?)",
                [job_id, step, seconds, self._database.clock()],
            )

    def finish(self, job_id: str) -> None:
        self._end(job_id, "finished", None)

    def fail(self, job_id: str, error: str) -> None:
        """`error` is shown to the user, so it must hold no message text."""
        self._end(job_id, "failed", error)

    def read(self) -> list[Job]:
        """Every job, the latest first."""
        return _JOB.read(self._database.query("SELECT * FROM jobs ORDER BY started_at DESC, job_id"))

    def _end(self, job_id: str, state: str, error: str | None) -> None:
        changed = self._database.execute(
            "UPDATE jobs SET state = ?, error = ?, finished_at = ? WHERE job_id = ?",
            [state, error, self._database.clock(), job_id],
        )
        if not changed:
            raise UsageError(f"no job {job_id!r}: begin it first")
